"""Several processes share their buckets."""

import multiprocessing
from pathlib import Path

from flyball.limits import Rate, SharedTables

S = 1_000_000_000
PROCESSES, ATTEMPTS, BURST = 3, 4_000, 5_000


def test_two_that_open_the_file_share_its_tables_and_its_secret(tmp_path: Path) -> None:
    path, rate = tmp_path / "run" / "limits.table", Rate(S, 3)
    one, other = (SharedTables(path, ("a", "b"), rows=4) for _ in range(2))
    assert [tables["a"].take(b"x", 2, rate, 1) for tables in (one, other)] == [0, S]
    assert other["b"].take(b"x", 3, rate, 1) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["limits.table"]
    assert SharedTables(tmp_path / "else", ("a",), rows=4)._map[:64] != one._map[:64]


def test_a_file_of_another_size_is_replaced(tmp_path: Path) -> None:
    path, rate = tmp_path / "limits.table", Rate(S, 1)
    SharedTables(path, ("a",), rows=4)["a"].take(b"x", 1, rate, 1)
    assert SharedTables(path, ("a",), rows=8)["a"].take(b"x", 1, rate, 1) == 0


def test_the_buckets_outlast_a_process(tmp_path: Path) -> None:
    path, rate = tmp_path / "limits.table", Rate(S, 1)
    assert SharedTables(path, ("a",), rows=4)["a"].take(b"x", 1, rate, 1) == 0
    assert SharedTables(path, ("a",), rows=4)["a"].take(b"x", 1, rate, 1) == S


def _take_all(path: Path, results: "multiprocessing.Queue[tuple[int, int]]") -> None:
    tables = SharedTables(path, ("a",), rows=1)
    admitted = sum(tables["a"].take(b"x", 1, Rate(S // 1_000, BURST), 1) == 0 for _ in range(ATTEMPTS))
    results.put((admitted, tables.lock_waits))


def test_processes_together_admit_what_the_limit_is(tmp_path: Path) -> None:
    """All take from one bucket at one time: exactly the burst, but for the times at which one went without the lock."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    started = [context.Process(target=_take_all, args=(tmp_path / "limits.table", results)) for _ in range(PROCESSES)]
    for process in started:
        process.start()
    counts = [results.get(timeout=60) for _ in started]
    for process in started:
        process.join()
    admitted, waits = (sum(column) for column in zip(*counts, strict=True))
    assert BURST <= admitted <= BURST + waits
