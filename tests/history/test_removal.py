"""Removed rows are in no file of the history any more; the others are as they were."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import Refused
from flyball.events import Slice
from flyball.files import LocalFiles
from flyball.history import History, HistoryConsumer, LeftOut, load_snapshot, mark_snapshots, remove_rows, take_snapshot
from flyball.history.manifest import read_manifest
from flyball.testing.state_logs import APPLICATION, PARTITIONS, START

SCHEMA = APPLICATION.schema
END_US = START + 10**9


def written(folder: Path, count: int = 240, secret: str = "f1") -> list[Slice]:
    """A history of several parts, some of which were merged."""
    log = APPLICATION.partitioned(
        [
            APPLICATION.record(
                "watch", START + number, user=number % 5 + 1, film=secret if number % 9 else "f2", minute=1
            )
            for number in range(count)
        ]
    )
    slices = [Slice(partition, 0, list(part)) for partition, part in enumerate(log)]
    consumer = HistoryConsumer(SCHEMA, folder, partitions=PARTITIONS, flush_rows=10, fan_in=4)
    for start in range(0, max(map(len, log)), 3):
        consumer.apply([piece.part(start, start + 3) for piece in slices if start < piece.end])
    consumer.flush()
    return slices


def rows(folder: Path) -> pl.DataFrame:
    return History(folder, SCHEMA).events("watch").sort("partition", "offset")


@pytest.mark.parametrize("every", [1, 2, 7])
def test_what_is_removed_is_gone_and_the_other_rows_are_as_they_were(tmp_path: Path, every: int) -> None:
    written(tmp_path)
    before = rows(tmp_path)
    gone = {part: list(range(0, 60, every)) for part in range(PARTITIONS)}
    kept = before.filter(~pl.col("offset").is_in(list(range(0, 60, every))))
    offsets = read_manifest(tmp_path).offsets
    assert remove_rows(tmp_path, gone) == before.height - kept.height > 0
    assert rows(tmp_path).equals(kept)
    assert read_manifest(tmp_path).offsets == offsets
    assert remove_rows(tmp_path, gone) == 0


def test_no_file_holds_what_was_removed_also_not_parts_that_were_merged_before(tmp_path: Path) -> None:
    secret = "unmistakable-film-4711"
    written(tmp_path, secret=secret)
    assert read_manifest(tmp_path).retired
    frame = rows(tmp_path).filter(pl.col("film") == secret)
    gone = {int(part): frame.filter(pl.col("partition") == part)["offset"].to_list() for part in frame["partition"]}
    remove_rows(tmp_path, gone)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()
            if path.suffix == ".parquet":
                assert secret not in pl.read_parquet(path)["film"]
    listed = {part.path for part in read_manifest(tmp_path).parts}
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet")} == listed


def test_a_removal_that_was_killed_is_done_by_the_next(tmp_path: Path) -> None:
    class Killed(BaseException):
        """The process ends here."""

    class Killing(LocalFiles):
        left = 0

        def write(self, name: str, content: bytes | Path | None, tag: str | None = None) -> None:
            self.left -= 1
            if self.left == 0:
                raise Killed
            super().write(name, content, tag)

    whole = tmp_path / "whole"
    written(whole)
    gone = {0: [0, 5, 9], 1: list(range(30))}
    remove_rows(whole, gone)
    for step in range(1, 60):
        folder = tmp_path / str(step)
        written(folder)
        files = Killing(folder)
        files.left = step
        try:
            remove_rows(files, gone)
        except Killed:
            remove_rows(folder, gone)
            assert rows(folder).equals(rows(whole))
            names = [path.name for path in folder.rglob("*.parquet")]
            assert len(names) == len(read_manifest(folder).parts)
        else:
            assert step > 3
            return


@given(st.sets(st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, 80))))
def test_the_consumer_continues_after_a_removal(
    tmp_path_factory: pytest.TempPathFactory, gone: set[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    slices = written(folder, 60)
    removed = {part: [offset for owner, offset in gone if owner == part] for part in range(PARTITIONS)}
    remove_rows(folder, removed)
    consumer = HistoryConsumer(SCHEMA, folder, partitions=PARTITIONS)
    more = [Slice(piece.partition, piece.end, piece.records[:2]) for piece in slices]
    consumer.apply(more)
    consumer.flush()
    left = {(part, offset) for part, offset in rows(folder).select("partition", "offset").rows()}
    every = {(piece.partition, offset) for piece in slices for offset in range(piece.end)} - gone
    assert left == every | {
        (piece.partition, piece.first + index) for piece in more for index in range(len(piece.records))
    }


def test_snapshots_that_had_the_rows_say_that_they_lack_them(tmp_path: Path) -> None:
    slices = written(tmp_path, 60)
    held = LeftOut("user", {"3": 0.0, "4": 0.5})
    early = take_snapshot(tmp_path, SCHEMA, END_US, left_out=held)
    consumer = HistoryConsumer(SCHEMA, tmp_path, partitions=PARTITIONS)
    consumer.apply([Slice(piece.partition, piece.end, piece.records[:2]) for piece in slices])
    consumer.flush()
    late = take_snapshot(tmp_path, SCHEMA, END_US)
    longest = max(slices, key=lambda piece: piece.end)
    gone = {longest.partition: [longest.end]}
    assert mark_snapshots(tmp_path, gone, {"user": ["3"]}) == [late.name]
    remove_rows(tmp_path, gone)
    again = load_snapshot(tmp_path, SCHEMA, early.name)
    assert again.left_out == LeftOut("user", {"4": 0.5})
    again.verify()
    with pytest.raises(Refused, match="lost some since"):
        load_snapshot(tmp_path, SCHEMA, late.name).verify()
    assert mark_snapshots(tmp_path, gone, {}) == [late.name]  # the same removal, which is continued
    assert mark_snapshots(tmp_path, {0: [10_000]}, {}) == []  # another one, of what came after it
