"""Every record is in the parts exactly once, whatever crashed when."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import ArtifactCorrupt, BadInput, NotFound, StoreUnavailable
from flyball.events import Event, Record, Ref, Schema, Slice
from flyball.files import FileInfo, LocalFiles, StoredFile
from flyball.history import History, HistoryConsumer, remove_rows, take_snapshot
from flyball.history.manifest import Manifest, read_manifest
from flyball.testing.state_contract import divided
from flyball.testing.state_logs import APPLICATION, PARTITIONS, START, cuts, records

SCHEMA = APPLICATION.schema
_TEN_DAYS_US = 10 * 86_400_000_000


class Crash(BaseException):
    """The process dies here."""


class CrashAt:
    """Raises at the n-th step it is asked for."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self, name: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash(name)


def consumer(folder: Path, on_step: Callable[[str], None] = lambda name: None, **options: int) -> HistoryConsumer:
    return HistoryConsumer(SCHEMA, folder, partitions=PARTITIONS, on_step=on_step, **options)


def places(folder: Path) -> list[tuple[str, int, int, bytes]]:
    """(type, partition, offset, id) of all rows."""
    history = History(folder, SCHEMA)
    return sorted(
        (name, *row) for name in SCHEMA.types for row in history.events(name).select("partition", "offset", "id").rows()
    )


def expected(log: Sequence[Sequence[Record]]) -> list[tuple[str, int, int, bytes]]:
    return sorted(
        (record.type, partition, offset, record.id)
        for partition, part in enumerate(log)
        for offset, record in enumerate(part)
    )


def many(count: int, films: int = 7) -> list[list[Record]]:
    return APPLICATION.partitioned(
        [
            APPLICATION.record(
                "watch", START + number, user=number % 5 + 1, film=f"f{number % films}", minute=number % 90
            )
            for number in range(count)
        ]
    )


def between(log: Sequence[Sequence[Record]], start: Sequence[int], end: Sequence[int]) -> list[Slice]:
    return [
        Slice(partition, low, list(part[low:high]))
        for partition, (part, low, high) in enumerate(zip(log, start, end, strict=True))
        if high > low
    ]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_exactly_once_across_crashes_and_merges(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("history")
    log = APPLICATION.partitioned(data.draw(records()))
    crash = CrashAt(data.draw(st.integers(1, 12)))
    ends = [tuple(cut) for cut in data.draw(cuts(log))] + [tuple(len(part) for part in log)]
    one = consumer(folder, crash, flush_rows=4, fan_in=2)
    for end in ends:
        while one.offsets() != end:  # the log is read again from what is durable, as a worker does after an error
            try:
                one.apply(between(log, one.offsets(), end))
                one.flush()
            except Crash:
                one = consumer(folder, crash, flush_rows=4, fan_in=2)
    assert places(folder) == expected(log)
    assert consumer(folder).offsets() == tuple(len(part) for part in log)


def test_records_are_written_once_their_bodies_are_large_enough(tmp_path: Path) -> None:
    log = many(40)
    size = sum(len(record.body) for part in log for record in part)
    kept, written = consumer(tmp_path / "kept", flush_bytes=size + 1), consumer(tmp_path / "written", flush_bytes=size)
    for one in (kept, written):
        one.apply(between(log, one.offsets(), tuple(len(part) for part in log)))
    assert not sum(kept.offsets())
    assert sum(written.offsets()) == 40


@pytest.mark.parametrize("step", range(1, 8))
def test_a_crash_at_each_step_loses_and_doubles_nothing(tmp_path: Path, step: int) -> None:
    log = many(40)
    halves = divided(log, [[len(part) // 2 for part in log]])
    consumer(tmp_path, fan_in=2).apply(halves[0])
    first = consumer(tmp_path, fan_in=2)
    first.apply(halves[0])
    first.flush()
    broken = consumer(tmp_path, CrashAt(step), fan_in=2)
    broken.apply(halves[1])
    crashed = False
    try:
        broken.flush()
    except Crash:
        crashed = True
    assert crashed == (step <= 4)  # a part, the merged part, all parts, the manifest
    fresh = consumer(tmp_path, fan_in=2)
    assert fresh.offsets() in (
        tuple(len(part) // 2 for part in log),
        tuple(len(part) for part in log),
    )
    whole = [Slice(place, at, log[place][at:]) for place, at in enumerate(fresh.offsets())]
    fresh.apply(whole)
    fresh.flush()
    assert places(tmp_path) == expected(log)


def test_orphans_of_a_crash_are_removed(tmp_path: Path) -> None:
    log = many(10)
    broken = consumer(tmp_path, CrashAt(1))
    broken.apply(divided(log, [])[0])
    with pytest.raises(Crash):
        broken.flush()
    orphan = tmp_path / "parts" / "watch" / "000000099-0.parquet"
    orphan.write_bytes(b"half a file")
    assert places(tmp_path) == []
    healthy = consumer(tmp_path)
    healthy.apply(divided(log, [])[0])
    healthy.flush()
    assert not orphan.exists()
    assert places(tmp_path) == expected(log)


KILLED = """
import sys
from pathlib import Path
from flyball.events import Slice
from flyball.history import HistoryConsumer
from flyball.testing.state_logs import APPLICATION, PARTITIONS, START
records = [APPLICATION.record("watch", START + n, user=n % 5 + 1, film="f", minute=n % 90) for n in range(4000)]
log = APPLICATION.partitioned(records)
consumer = HistoryConsumer(APPLICATION.schema, Path(sys.argv[1]), partitions=PARTITIONS, flush_rows=30, fan_in=3)
print("ready", flush=True)
while True:
    reached = consumer.offsets()
    consumer.apply([Slice(p, at, log[p][at : at + 12]) for p, at in enumerate(reached) if at < len(log[p])])
    consumer.flush()
    print(sum(consumer.offsets()), flush=True)
    if sum(consumer.offsets()) == sum(map(len, log)):
        break
"""


def test_kill_nine_at_any_time(tmp_path: Path) -> None:
    log = APPLICATION.partitioned(
        [APPLICATION.record("watch", START + n, user=n % 5 + 1, film="f", minute=n % 90) for n in range(4000)]
    )
    for message in (1, 3, 6):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(message + 1)]
        writer.kill()
        writer.wait()
        writer.stdout.close()
        reached = read_manifest(tmp_path).offsets
        assert sum(reached) >= int(lines[-1])
        assert places(tmp_path) == expected([part[:at] for part, at in zip(log, reached, strict=True)])


def test_two_writers_write_each_record_once(tmp_path: Path) -> None:
    log = many(60)
    cut = [[len(part) // 3 for part in log], [len(part) // 2 for part in log]]
    one, other = consumer(tmp_path), consumer(tmp_path)
    batches = divided(log, cut)
    one.apply(batches[0])
    other.apply(batches[0])
    other.apply(batches[1])
    other.flush()
    one.flush()
    one.apply(batches[1])
    one.apply(batches[2])
    one.flush()
    other.apply(batches[2])
    other.flush()
    assert places(tmp_path) == expected(log)


def test_records_held_back_are_not_reported_as_durable(tmp_path: Path) -> None:
    log = many(20)
    one = consumer(tmp_path)
    assert one.apply(divided(log, [])[0]) == 20
    assert one.apply(divided(log, [])[0]) == 0
    assert one.offsets() == (0, 0, 0)
    one.flush()
    assert one.offsets() == tuple(len(part) for part in log)
    with pytest.raises(BadInput, match="at most"):
        one.apply([Slice(0, 1_000, [])])


def test_a_history_deleted_under_its_consumer_is_written_again_without_a_hole(tmp_path: Path) -> None:
    log = many(40)
    one, folder = consumer(tmp_path / "history"), tmp_path / "history"
    first, second = divided(log, [[5] * PARTITIONS])[0], divided(log, [[5] * PARTITIONS])[1]
    one.apply(first)
    one.flush()
    shutil.rmtree(folder)
    one.apply(second)
    with pytest.raises(StoreUnavailable, match="it was deleted or replaced, and is written again"):
        one.flush()
    assert not any(one.offsets())
    one.apply([Slice(place, 0, part) for place, part in enumerate(log)])
    one.flush()
    assert places(folder) == expected(log)


def test_merging_leaves_few_parts_and_the_same_snapshot(tmp_path: Path) -> None:
    log = many(400)
    small, large = tmp_path / "small", tmp_path / "large"
    one = consumer(small, fan_in=4)
    for batch in divided(log, [[len(part) * step // 50 for part in log] for step in range(1, 50)]):
        one.apply(batch)
        one.flush()
    whole = consumer(large)
    whole.apply(divided(log, [])[0])
    whole.flush()
    assert len(read_manifest(small).parts) <= 9
    files = list((small / "parts").glob("*/*.parquet"))
    assert len(files) <= len(read_manifest(small).parts) + len(read_manifest(small).retired)
    names = {take_snapshot(folder, SCHEMA, START + 1_000).name for folder in (small, large)}
    assert len(names) == 1
    assert History(small, SCHEMA).events("watch").equals(History(large, SCHEMA).events("watch"))


def test_large_parts_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flyball.history.consumer._SIZES", (5, 20))
    monkeypatch.setattr("flyball.history.consumer._MERGED_ROWS", 40)
    log = many(600)
    one = consumer(tmp_path, fan_in=3)
    for batch in divided(log, [[len(part) * step // 60 for part in log] for step in range(1, 60)]):
        one.apply(batch)
        one.flush()
    sizes = [part.rows for part in read_manifest(tmp_path).parts]
    assert max(sizes) <= 40
    assert sum(size < 5 for size in sizes) < 3
    assert sum(5 <= size < 20 for size in sizes) < 3
    assert places(tmp_path) == expected(log)


def test_a_reader_during_a_merge_reads_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import flyball.history.parts as parts_module

    log = many(30)
    one = consumer(tmp_path, fan_in=2)
    batches = divided(log, [[len(part) * step // 3 for part in log] for step in (1, 2)])
    one.apply(batches[0])
    one.flush()
    stale = read_manifest(tmp_path)
    one.apply([*batches[1], *batches[2]])
    one.flush()
    for part in stale.parts:
        (tmp_path / part.path).unlink(missing_ok=True)  # as a second merge would
    manifests = iter([stale])
    monkeypatch.setattr(parts_module, "read_manifest", lambda folder: next(manifests, None) or read_manifest(folder))
    assert places(tmp_path) == expected(log)


class Paint(Event):
    shop: Annotated[int, Ref("shop")]
    ratio: float | None = None
    shade: Literal["dark", "light"] = "dark"
    big: int = 0
    fresh: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    sizes: list[int] | None = None


def painted(schema: Schema, folder: Path, rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    one = HistoryConsumer(schema, folder, partitions=1)
    for offset, row in enumerate(rows):
        one.apply([Slice(0, offset, [schema.check("paint", row, START + offset, START)])])
        one.flush()
    return History(folder, schema).events("paint")


def test_columns_have_the_declared_types(tmp_path: Path) -> None:
    frame = painted(
        Schema([Paint]),
        tmp_path,
        [
            {"shop": 1},
            {
                "shop": 2,
                "ratio": 0.1,
                "shade": "light",
                "big": -(2**63),
                "fresh": True,
                "tags": ["é", ""],
                "sizes": [1],
            },
        ],
    )
    assert dict(frame.schema) == {
        "shop": pl.Int64,
        "ratio": pl.Float64,
        "shade": pl.String,
        "big": pl.Int64,
        "fresh": pl.Boolean,
        "tags": pl.List(pl.String),
        "sizes": pl.List(pl.Int64),
        "at": pl.Int64,
        "known_at": pl.Int64,
        "partition": pl.Int32,
        "offset": pl.Int64,
        "key": pl.String,
        "id": pl.Binary,
        "flags": pl.Int64,
    }
    assert frame.select("shop", "ratio", "shade", "big", "fresh", "tags", "sizes").rows() == [
        (1, None, "dark", 0, False, [], None),
        (2, 0.1, "light", -(2**63), True, ["é", ""], [1]),
    ]
    assert [len(value) for value in frame["id"]] == [16, 16]


def test_a_field_added_later_is_at_its_default_in_old_rows(tmp_path: Path) -> None:
    old = type("Paint", (Event,), {"__annotations__": {"shop": Annotated[int, Ref("shop")]}})
    one = HistoryConsumer(Schema([old]), tmp_path, partitions=1, fan_in=2)
    one.apply([Slice(0, 0, [Schema([old]).check("paint", {"shop": 1}, START, START)])])
    one.flush()
    schema = Schema([Paint])
    now = HistoryConsumer(schema, tmp_path, partitions=1, fan_in=2)
    now.apply([Slice(0, 1, [schema.check("paint", {"shop": 2, "shade": "light"}, START, START)])])
    now.flush()
    frame = History(tmp_path, schema).events("paint")
    assert frame.select("shop", "shade", "tags").rows() == [(1, "dark", []), (2, "light", [])]


def test_types_that_are_not_declared_are_kept_apart(tmp_path: Path) -> None:
    record = Record("gone", "1", START, START, bytes(16), b"\x91\x01")
    one = consumer(tmp_path)
    one.apply([Slice(0, 0, [record, *many(5)[0]])])
    one.flush()
    assert one.offsets()[0] == 1 + len(many(5)[0])
    assert History(tmp_path, SCHEMA).counts()["gone"] == 1
    with pytest.raises(NotFound, match="gone"):
        History(tmp_path, SCHEMA).events("gone")


def test_a_broken_manifest_is_reported(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b"{half")
    with pytest.raises(ArtifactCorrupt, match="manifest"):
        consumer(tmp_path).offsets()
    assert read_manifest(tmp_path / "nothing") == Manifest()


def test_what_others_left_is_looked_for_once_and_again_after_a_failure(tmp_path: Path) -> None:
    class Counting(LocalFiles):
        listed, fails = 0, False

        def names(self, prefix: str = "") -> list[FileInfo]:
            self.listed += 1
            return super().names(prefix)

        def write(self, name: str, content: bytes | Path | None, tag: str | None = None) -> None:
            if self.fails:
                raise StoreUnavailable("full")
            super().write(name, content, tag)

    files = Counting(tmp_path / "history")
    history, log = HistoryConsumer(SCHEMA, files, partitions=PARTITIONS), many(30)
    ends = [[len(part) * third // 3 for part in log] for third in range(4)]

    def flush(third: int) -> None:
        history.apply(between(log, ends[third], ends[third + 1]))
        history.flush()

    flush(0)
    flush(1)
    assert files.listed == 1
    files.fails = True
    with pytest.raises(StoreUnavailable):
        flush(2)
    files.fails = False
    flush(2)
    assert files.listed == 2


class Overtaken(LocalFiles):
    """A folder that no lock keeps others out of, as an object store; `meanwhile` is called before a manifest."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    @contextmanager
    def writing(self) -> Iterator[None]:
        yield

    def write(self, name: str, content: bytes | Path | None, tag: str | None = None) -> None:
        if name == "manifest.json":
            call, self.meanwhile = self.meanwhile, lambda: None
            call()
        super().write(name, content, tag)


def test_consumers_of_different_partitions_write_one_history(tmp_path: Path) -> None:
    """Also where each replaces the manifest that the other has just read."""
    log, files = many(300), Overtaken(tmp_path)
    ends = [len(part) for part in log]
    halves = [[end // 2 for end in ends], ends]
    assigned = [[1], [0, 2]]
    writers = [HistoryConsumer(SCHEMA, files, partitions=PARTITIONS) for _ in assigned]
    for start, end in pairwise([[0] * PARTITIONS, *halves]):
        for writer, own in zip(writers, assigned, strict=True):
            writer.apply([piece for piece in between(log, start, end) if piece.partition in own])
        files.meanwhile = writers[1].flush
        writers[0].flush()
    assert places(tmp_path) == expected(log)
    assert read_manifest(tmp_path).offsets == tuple(ends)


def test_a_writer_that_was_paused_in_the_middle_doubles_and_overwrites_nothing(tmp_path: Path) -> None:
    """Another worker took its partitions over, wrote what it had read, and went on."""
    log, files = many(300), Overtaken(tmp_path)
    ends = [len(part) for part in log]
    half = [end // 2 for end in ends]
    paused, other = (HistoryConsumer(SCHEMA, files, partitions=PARTITIONS, fan_in=2) for _ in range(2))
    paused.apply(between(log, [0] * PARTITIONS, half))

    def take_over() -> None:
        for start, end in pairwise([[0] * PARTITIONS, [end // 3 for end in ends], half, ends]):
            other.apply(between(log, start, end))
            other.flush()

    files.meanwhile = take_over
    paused.flush()
    assert places(tmp_path) == expected(log)
    assert read_manifest(tmp_path).offsets == tuple(ends)


def test_a_writer_that_was_paused_removes_nothing_that_others_wrote_meanwhile(tmp_path: Path) -> None:
    """It was paused for days between two of the calls with which it looks for what others left."""

    class Paused(Overtaken):
        is_shared = True
        calls = 0

        def _after_a_call(self) -> None:
            self.calls += 1
            if self.calls == pause:
                write_all()

        def read(self, name: str) -> StoredFile | None:
            stored = super().read(name)
            self._after_a_call()
            return stored

        def names(self, prefix: str = "") -> list[FileInfo]:
            infos = super().names(prefix)
            self._after_a_call()
            return [
                msgspec.structs.replace(info, written_us=number * _TEN_DAYS_US) for number, info in enumerate(infos)
            ]

    log = many(60)
    ends = [len(part) for part in log]
    for pause in (1, 2, 3):
        folder = tmp_path / str(pause)

        def write_all(folder: Path = folder) -> None:
            other = HistoryConsumer(SCHEMA, Overtaken(folder), partitions=PARTITIONS)
            for start, end in pairwise([[0] * PARTITIONS, [end // 2 for end in ends], ends]):
                other.apply(between(log, start, end))
                other.flush()

        paused = HistoryConsumer(SCHEMA, Paused(folder), partitions=PARTITIONS)
        paused.apply(between(log, [0] * PARTITIONS, [end // 3 for end in ends]))
        paused.flush()
        assert places(folder) == expected(log)


@pytest.mark.parametrize("before", [0, 3])
def test_what_was_read_before_a_removal_is_not_written_after_it(tmp_path: Path, before: int) -> None:
    """A worker was paused with records of a person in its memory, who was erased meanwhile: from the log, too."""
    log = many(60)
    ends, start = [len(part) for part in log], [min(before, len(part)) for part in log]
    paused = consumer(tmp_path)
    paused.apply(between(log, [0] * PARTITIONS, start))
    paused.flush()
    paused.apply(between(log, start, ends))
    remove_rows(tmp_path, {1: [before]})
    with pytest.raises(StoreUnavailable, match="must have had no removal since the records were read"):
        paused.flush()
    assert paused.offsets() == tuple(start)
    paused.apply(
        [*between(log, start, [*ends[:1], before, *ends[2:]]), Slice(1, before + 1, log[1][before + 1 :], skipped=1)]
    )
    paused.flush()
    kept = [place for place in expected(log) if place[1:3] != (1, before)]
    assert places(tmp_path) == kept
