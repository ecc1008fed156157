"""The SQLite log: what goes beyond the contract of every log."""

import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput, BadSetting, StoreCorrupt, StoreUnavailable, parse_url
from flyball.events import Record
from flyball.events.sqlite import SqliteLog
from flyball.testing.log_contract import record


def open_at(path: Path, **options: int) -> SqliteLog:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return SqliteLog(parse_url(f"sqlite://{path}?{query}"))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    log = open_at(tmp_path / "events.db", partitions=2, busy_ms=50)
    yield log
    log.close()


def every(log: SqliteLog) -> list[Record]:
    return [one for piece in log.read((0,) * log.partitions, 1_000_000) for one in piece.records]


def test_without_unique_equal_ids_are_all_kept(tmp_path: Path) -> None:
    log = open_at(tmp_path / "predictions.db", partitions=1, unique=0)
    assert log.append([record(1), record(1)]).written == 2
    assert log.ends() == (2,)
    log.close()


def test_ids_must_be_16_bytes(log: SqliteLog) -> None:
    with pytest.raises(BadInput, match="16 bytes"):
        log.append([record(1), Record("thing", "1", 0, 0, b"short", b"")])
    assert log.ends() == (0, 0)


def test_the_number_of_partitions_is_kept(tmp_path: Path) -> None:
    open_at(tmp_path / "events.db", partitions=2).close()
    log = open_at(tmp_path / "events.db")
    assert log.partitions == 2
    log.close()
    with pytest.raises(BadSetting, match="must be 2"):
        open_at(tmp_path / "events.db", partitions=4)
    with pytest.raises(BadSetting, match="1 to 1024"):
        open_at(tmp_path / "other.db", partitions=0)


def test_a_locked_log_is_unavailable_and_nothing_is_written(log: SqliteLog) -> None:
    log.append([record(1)])
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        log.append([record(2)])
    assert sum(log.ends()) == 1, "reading goes on while another writes"
    other.execute("ROLLBACK")
    other.close()
    assert log.append([record(2)]).written == 1


def test_a_full_disk_is_unavailable_and_the_log_stays_whole(log: SqliteLog) -> None:
    log.append([record(1)])
    with log._file.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    with log._file.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreUnavailable, match="full"):
        log.append([Record("thing", "1", 0, 0, number.to_bytes(16), b"x" * 1_000) for number in range(2, 100)])
    assert sum(log.ends()) == 1
    assert [one.id for one in every(log)] == [record(1).id]


def test_a_folder_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_at(tmp_path / "none" / "events.db")


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"not a database, " * 500)
    with pytest.raises(StoreCorrupt, match="intact SQLite file"):
        open_at(path)


def test_a_torn_block_is_reported_with_its_place(log: SqliteLog) -> None:
    log.append([record(number, "k") for number in range(10)])
    log.append([record(number, "k") for number in range(10, 20)])
    other = sqlite3.connect(log.path)
    position, data = other.execute("SELECT position, data FROM blocks ORDER BY position DESC LIMIT 1").fetchone()
    other.execute("UPDATE blocks SET data = ? WHERE position = ?", (data[:-3] + b"\x01\x01\x01", position))
    other.commit()
    other.close()
    part = position >> 40
    with pytest.raises(StoreCorrupt, match=rf"partition {part}, block at offset 10, must be of checksum"):
        every(log)


def test_nothing_is_written_to_a_file_that_was_deleted_or_replaced(log: SqliteLog, tmp_path: Path) -> None:
    """Its events would be acknowledged and durable nowhere."""
    log.append([record(1)])
    aside = tmp_path / "aside"
    aside.mkdir()
    files = sorted(tmp_path.glob(f"{log.path.name}*"))
    for file in files:
        file.rename(aside / file.name)
    for use in (log.ends, lambda: log.append([record(2)]), lambda: every(log)):
        with pytest.raises(StoreUnavailable, match="must be the file that was opened, got no such file: put it back"):
            use()
    assert not log.path.exists()
    log.path.write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="got another file in its place"):
        log.append([record(2)])
    thread_told = list[Exception]()

    def in_a_thread() -> None:
        try:
            log.append([record(2)])
        except StoreUnavailable as error:
            thread_told.append(error)

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert len(thread_told) == 1
    for file in files:
        (aside / file.name).rename(file)
    assert log.append([record(1), record(2)]).written == 1
    assert sum(log.ends()) == 2


def test_blocks_that_hold_nothing_of_what_is_asked_are_skipped(log: SqliteLog) -> None:
    for start in range(0, 100, 10):
        log.append([record(number) for number in range(start, start + 10)])
    log.append([Record("rare", "7", 5, 5, (900).to_bytes(16), b"\x90")])

    def read(types: dict[str, int] | None, at_us: tuple[int, int] | None) -> set[int]:
        pieces = [piece for part in range(2) for piece in log.read_where(part, 0, log.ends()[part], types, at_us)]
        return {one.at for piece in pieces for one in piece.records}

    assert read(None, (33_000, 36_001)) == {one * 1_000 for one in range(30, 40)}
    assert read(None, (200_000, 300_000)) == set()
    assert read({"rare": 0, "other": 0}, None) == {5}
    assert read({"thing": 90_000}, None) == {one * 1_000 for one in range(90, 100)}


_FORK = """
import os, sys
from flyball.events import open_log
from flyball.testing.log_contract import record
log = open_log(sys.argv[1])
log.append([record(1)])
child = os.fork()
if child == 0:
    code = 1
    try:
        code = 0 if log.append([record(1), record(2)]).written == 1 else 2
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(log.append([record(2), record(3)]).written, sum(log.ends()))
"""


def test_a_handle_works_after_a_fork(tmp_path: Path) -> None:
    # in a process of its own: forking this one, which has threads, may leave the child with a lock nobody gives back
    command = [sys.executable, "-c", _FORK, f"sqlite://{tmp_path}/events.db?partitions=2"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "1 3\n"


def test_connections_of_ended_threads_are_closed(log: SqliteLog) -> None:
    for _ in range(10):
        thread = threading.Thread(target=log.ends)
        thread.start()
        thread.join()
    log.ends()
    assert len(log._file._open) <= 2


_APPEND = """
import sys
from flyball.events import open_log
from flyball.testing.log_contract import record
log = open_log(sys.argv[1])
start = int(sys.argv[2])
print(sum(log.append([record(n) for n in range(first, first + 30)]).written for first in range(start, start + 300, 10)))
"""


def test_processes_that_append_the_same_events_keep_each_once(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/events.db?partitions=2"
    command = [sys.executable, "-c", _APPEND, url]
    running = [subprocess.Popen([*command, str(start)], stdout=subprocess.PIPE, text=True) for start in (0, 100)]
    written = [int(process.communicate(timeout=60)[0]) for process in running]
    log = open_at(tmp_path / "events.db")
    assert sum(written) == 420 == len({one.id for one in every(log)}) == sum(log.ends())
    log.close()


def at(log: SqliteLog, partition: int) -> dict[int, Record]:
    """{offset: record} of one partition."""
    pieces = log.read((0,) * log.partitions, 1_000_000)
    return {
        piece.first + index: one
        for piece in pieces
        if piece.partition == partition
        for index, one in enumerate(piece.records)
    }


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.sets(st.integers(0, 120)),
    st.sets(st.integers(0, 120)),
)
def test_removed_records_are_gone_and_the_others_keep_their_offsets(
    appends: list[int], first: set[int], second: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = open_at(Path(folder) / "events.db", partitions=2)
        number = 0
        for count in appends:
            log.append([record(number + index) for index in range(count)])
            number += count
        before, ends = [at(log, part) for part in range(2)], log.ends()
        for gone in (first, second):
            held = [sorted(gone & at(log, part).keys()) for part in range(2)]
            removed = log.remove({part: sorted(gone) for part in range(2)})
            assert removed == sum(map(len, held))
        left = [{offset: one for offset, one in part.items() if offset not in first | second} for part in before]
        assert [at(log, part) for part in range(2)] == left
        assert log.ends() == ends
        whole = [one for part in before for one in part.values()]
        assert log.append(whole).written == len(whole) - sum(map(len, left))
        log.close()


def test_no_byte_of_what_was_removed_stays_in_the_file(tmp_path: Path) -> None:
    log = open_at(tmp_path / "events.db", partitions=2)
    secret, ids = b"the-person-of-42", list[bytes]()
    for start in range(0, 6_000, 7):
        some = [msgspec.structs.replace(record(number), body=b"x" * 90) for number in range(start, start + 7)]
        some[3] = msgspec.structs.replace(some[3], body=secret * 5, id=b"ID" + some[3].id[2:])
        ids.append(some[3].id)
        log.append(some)
    gone = {part: [offset for offset, one in at(log, part).items() if one.body.startswith(secret)] for part in range(2)}
    assert log.remove(gone) == len(ids) > 800
    log.rewrite()
    log.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret not in content
    assert not any(one in content for one in ids)
    assert open_at(tmp_path / "events.db", partitions=2).remove(gone) == 0
