"""The contract of every event log, tested against a log of plain lists and dicts.

Subclass `LogContract` and define `url`: pytest then runs the suite on the backend of this URL. A log to which others
can be moved passes `RestorableLogContract`.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyball.core import BadInput, Refused
from flyball.events import (
    IMPORTED,
    Appended,
    EventLog,
    FieldKind,
    Offsets,
    Record,
    RestorableLog,
    Slice,
    WrittenField,
    WrittenType,
    after_slices,
    open_log,
    partition,
    read_where,
)

PARTITIONS = 3
_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]  # the suite is run on every backend
_OFFSETS = st.tuples(*[st.integers(0, 12)] * PARTITIONS)


class PlainSchemas:
    """The list of the declarations that records were written with."""

    def __init__(self) -> None:
        self._rows: list[WrittenType] = []
        self._offered: dict[int, WrittenType] = {}
        self._offered_at = 0

    def stored(self) -> list[WrittenType]:
        return list(self._rows)

    def offer(self, types: Sequence[WrittenType]) -> None:
        self._offered, self._offered_at = {written.fingerprint: written for written in types}, len(self._rows)

    def use(self, records: Sequence[Record]) -> None:
        needed = []
        for schema in sorted({record.schema for record in records} - {0}):
            uses = [number for number, row in enumerate(self._rows) if row.fingerprint == schema]
            closings = [number for number, row in enumerate(self._rows) if schema in row.closes]
            if uses and max(uses) > max(closings, default=-1):
                continue
            if schema not in self._offered or max(closings, default=-1) >= self._offered_at:
                raise Refused(f"events must be written with a declaration in use, got {schema:08x}")
            needed.append(self._offered[schema])
        self._rows += needed


class PlainGroups:
    """The last committed offsets of each group."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._offsets: dict[str, Offsets] = {}

    def commit(self, group: str, offsets: Offsets) -> None:
        self._offsets[group] = offsets

    def committed(self, group: str) -> Offsets:
        return self._offsets.get(group, (0,) * self._partitions)


class PlainLog:
    """The oracle: a log of lists and dicts."""

    def __init__(self, partitions: int = PARTITIONS, unique: bool = True) -> None:
        self.unique = unique
        self._parts: list[list[Record]] = [[] for _ in range(partitions)]
        self._ids: set[bytes] = set()
        self._halves: set[bytes] = set()
        self.schemas = PlainSchemas()
        self.groups = PlainGroups(partitions)

    def append(self, records: Sequence[Record]) -> Appended:
        self.schemas.use(records)
        duplicates, conflicts = [], []
        for index, record in enumerate(records):
            ids = {record.id, record.client_id} - {b""}
            if self.unique and ids & self._ids:
                duplicates.append(index)
            elif self.unique and record.client_id[:8] in self._halves - {b""}:
                conflicts.append(index)
            else:
                self._ids |= ids
                self._halves.add(record.client_id[:8])
                self._parts[partition(record.key, len(self._parts))].append(record)
        return Appended(len(records) - len(duplicates) - len(conflicts), duplicates, conflicts)

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        return [
            Slice(part, first, part_records[first:])
            for part, (first, part_records) in enumerate(zip(after, self._parts, strict=True))
            if part_records[first:]
        ]

    def ends(self) -> Offsets:
        return tuple(len(part) for part in self._parts)


def record(number: int, key: str | None = None) -> Record:
    """An event; different numbers give different events."""
    return Record(
        "thing",
        str(number % 7) if key is None else key,
        number * 1_000,
        number,
        number.to_bytes(16),
        b"\x90",
        flags=IMPORTED,
    )


def named(number: int, name: int, content: int, key: str = "a") -> Record:
    """The event `number` with the client id that `name` and `content` give."""
    client_id = b"\xf8" + name.to_bytes(7) + content.to_bytes(8)
    return msgspec.structs.replace(record(number, key), client_id=client_id)


def written(name: str, closes: tuple[str, ...] = ()) -> WrittenType:
    """A declaration with one field `name`; it closes the declarations of the names `closes`."""
    fields = (WrittenField(name, FieldKind("int"), required=True),)
    return WrittenType("thing", fields, closes=tuple(written(close).fingerprint for close in closes))


def as_written(record: Record, written: WrittenType) -> Record:
    """The record as if it had been written with this declaration."""
    return msgspec.structs.replace(record, schema=written.fingerprint)


def read_all(log: EventLog, after: Offsets, limit: int) -> list[list[Record]]:
    """All records of each partition from `after` on, read `limit` at a time, without gaps or overlaps."""
    records: list[list[Record]] = [[] for _ in after]
    while slices := log.read(after, limit):
        for piece in slices:
            assert piece.start == after[piece.partition], "a slice must begin where the reader stands"
            assert piece.end > piece.start, "a slice must move the reader on"
            records[piece.partition] += piece.records
            after = after_slices(after, [piece])
    assert after == log.ends()
    return records


class LogContract:
    """The suite. `url(folder, partitions)` must return the URL of a new, empty log that detects duplicates."""

    def url(self, folder: Path, partitions: int) -> str:
        raise NotImplementedError

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return self.url(tmp_path, PARTITIONS)

    @pytest.fixture
    def log(self, address: str) -> Iterator[EventLog]:
        log = open_log(address)
        yield log
        log.close()  # type: ignore[attr-defined]

    def test_a_new_log_is_empty(self, log: EventLog) -> None:
        assert log.ends() == (0,) * PARTITIONS
        assert log.read((0,) * PARTITIONS, 10) == []
        assert log.append([]) == Appended(0, [])

    def test_records_come_back_in_order_from_the_partition_of_their_key(self, log: EventLog) -> None:
        records = [record(number) for number in range(50)]
        assert log.append(records) == Appended(50, [])
        read = read_all(log, (0,) * PARTITIONS, 1_000)
        for part in range(PARTITIONS):
            assert read[part] == [
                written_record for written_record in records if partition(written_record.key, PARTITIONS) == part
            ]

    def test_a_reader_resumes_exactly_at_any_offset_and_limit(self, log: EventLog) -> None:
        for start in range(0, 90, 9):
            log.append([record(number) for number in range(start, start + 9)])
        all_records = read_all(log, (0,) * PARTITIONS, 1_000)
        for limit in (1, 2, 7, 1_000):
            assert read_all(log, (0,) * PARTITIONS, limit) == all_records
        for skip in range(min(log.ends())):
            assert read_all(log, (skip,) * PARTITIONS, 5) == [part_records[skip:] for part_records in all_records]

    def test_a_read_keeps_about_to_its_limit(self, log: EventLog) -> None:
        log.append([record(number) for number in range(600)])
        assert sum(len(piece.records) for piece in log.read((0,) * PARTITIONS, 60)) <= 60 + PARTITIONS

    def test_equal_ids_are_kept_once_and_reported(self, log: EventLog) -> None:
        assert log.append([record(1), record(2), record(1)]) == Appended(2, [2])
        assert log.append([record(3), record(2), record(4), record(3)]) == Appended(2, [1, 3])
        assert sum(log.ends()) == 4

    def test_a_client_id_names_one_event_and_other_content_is_a_conflict(self, log: EventLog, address: str) -> None:
        assert log.append([named(1, 1, 1), named(2, 1, 1), named(3, 1, 2), named(4, 2, 1)]) == Appended(2, [1], [2])
        for again in (log, open_log(address)):
            assert again.append([named(5, 1, 1), named(6, 1, 3, "b"), named(1, 9, 9)]) == Appended(0, [0, 2], [1])
        assert log.append([record(7, "a"), named(7, 3, 1), named(8, 3, 2)]) == Appended(2, [1], [])
        kept = [kept_record for part in read_all(log, (0,) * PARTITIONS, 10) for kept_record in part]
        assert sorted(kept, key=lambda kept_record: kept_record.id) == [
            named(1, 1, 1),
            named(4, 2, 1),
            record(7, "a"),
            named(8, 3, 2),
        ]

    def test_client_ids_are_sorted_out_as_by_the_oracle(self, log: EventLog) -> None:
        random, plain = Random(1), PlainLog()
        for _ in range(12):
            records = [
                named(random.randrange(40), random.randrange(12), random.randrange(2))
                if random.random() < 0.7
                else record(random.randrange(40), "a")
                for _ in range(random.randrange(1, 12))
            ]
            assert log.append(records) == plain.append(records)

    def test_what_was_appended_outlives_the_handle(self, log: EventLog, address: str) -> None:
        log.append([record(number) for number in range(20)])
        log.groups.commit("readers", (1, 2, 3))
        again = open_log(address)
        assert again.ends() == log.ends()
        assert again.groups.committed("readers") == (1, 2, 3)
        assert again.append([record(19), record(20)]) == Appended(1, [0])
        again.close()  # type: ignore[attr-defined]

    def test_groups_commit_apart(self, log: EventLog) -> None:
        log.groups.commit("one", (1, 1, 1))
        log.groups.commit("two", (2, 2, 2))
        log.groups.commit("one", (3, 3, 3))
        assert (log.groups.committed("one"), log.groups.committed("two")) == ((3, 3, 3), (2, 2, 2))
        assert log.groups.committed("none") == (0, 0, 0)

    def test_offsets_must_fit_the_partitions(self, log: EventLog) -> None:
        with pytest.raises(BadInput):
            log.read((0,), 10)
        with pytest.raises(BadInput):
            log.groups.commit("group", (0, 0, -1))

    def test_beyond_the_end_there_is_nothing(self, log: EventLog) -> None:
        log.append([record(number) for number in range(10)])
        assert log.read(tuple(end + 5 for end in log.ends()), 10) == []

    def test_keys_and_bodies_of_any_kind_come_back_whole(self, log: EventLog) -> None:
        unusual = [record(1, "é\u4e2d\U0001f600"), record(2, "x" * 400), record(3, "a/b c\n")]
        log.append(unusual)
        read = [odd_record for part in read_all(log, (0,) * PARTITIONS, 10) for odd_record in part]
        assert sorted(read, key=lambda odd_record: odd_record.id) == unusual

    def test_threads_that_append_the_same_events_keep_each_once(self, address: str) -> None:
        written: list[int] = []

        def run(start: int) -> None:
            log = open_log(address)
            for first in range(start, start + 200, 20):
                written.append(log.append([record(number) for number in range(first, first + 40)]).written)
            log.close()  # type: ignore[attr-defined]

        threads = [threading.Thread(target=run, args=(100 * number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log = open_log(address)
        ids = [kept_record.id for part in read_all(log, (0,) * PARTITIONS, 50) for kept_record in part]
        assert sorted(ids) == [number.to_bytes(16) for number in range(420)]
        assert sum(written) == 420
        log.close()  # type: ignore[attr-defined]

    def test_what_is_searched_for_is_found_whether_or_not_the_log_can_skip(self, log: EventLog) -> None:
        for start in range(0, 60, 6):
            records = [record(number) for number in range(start, start + 6)]
            log.append(
                [
                    msgspec.structs.replace(written_record, type=f"t{written_record.known_at % 3}")
                    for written_record in records
                ]
            )
        for part, end in enumerate(log.ends()):
            all_records = read_all(log, (0,) * PARTITIONS, 100)[part]
            for after, until in ((0, end), (0, end + 5), (2, end - 1), (end, end), (3, 3)):
                for types in (None, {"t1": 0}, {"t0": 20_000, "t2": 40_000}, {"none": 0}):
                    for at_us in (None, (12_000, 30_000), (59_000, 59_001), (70_000, 80_000)):
                        searched = (part, after, until, types, at_us)
                        for slices in (read_where(log, *searched), read_where(_Plainly(log), *searched)):
                            _check_search(list(slices), all_records, *searched)

    def test_it_keeps_what_its_records_were_written_with(self, log: EventLog, address: str) -> None:
        wide, narrow, other = written("wide"), written("narrow", closes=("wide",)), written("other")
        with pytest.raises(Refused, match="declaration"):
            log.append([as_written(record(1), wide)])
        assert (log.ends(), log.schemas.stored()) == ((0,) * PARTITIONS, [])
        log.schemas.offer([wide, other])
        assert log.schemas.stored() == []  # only declarations with a record
        log.append([as_written(record(1), wide), record(2)])
        log.append([as_written(record(3), wide)])
        assert log.schemas.stored() == [wide]
        again = open_log(address)
        again.append([as_written(record(4), wide)])  # stored: need not be offered
        again.schemas.offer([narrow])
        again.append([as_written(record(5), narrow)])
        assert log.schemas.stored() == again.schemas.stored() == [wide, narrow]
        with pytest.raises(Refused, match="declaration"):
            log.append([as_written(record(6), wide)])
        log.append([as_written(record(7), other), as_written(record(8), narrow)])
        log.schemas.offer([wide])  # as a newly started process does
        log.append([as_written(record(6), wide)])
        assert log.schemas.stored() == [wide, narrow, other, wide]
        again.append([as_written(record(9), wide)])
        read = [kept_record for part in read_all(again, (0,) * PARTITIONS, 3) for kept_record in part]
        schemas = {kept_record.known_at: kept_record.schema for kept_record in read}
        names = {1: wide, 3: wide, 4: wide, 5: narrow, 6: wide, 7: other, 8: narrow, 9: wide}
        assert schemas == {2: 0} | {number: name.fingerprint for number, name in names.items()}
        again.close()  # type: ignore[attr-defined]

    @settings(max_examples=30, deadline=None, suppress_health_check=_CHECKS)
    @given(data=st.data())
    def test_any_history_of_calls_gives_what_plain_lists_give(
        self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        address = self.url(tmp_path_factory.mktemp("log"), PARTITIONS)
        log, oracle = open_log(address), PlainLog()
        for _ in range(data.draw(st.integers(1, 8))):
            step = data.draw(st.sampled_from(["append", "append", "append", "read", "commit", "reopen"]))
            if step == "append":
                records = [record(number) for number in data.draw(st.lists(st.integers(0, 60), max_size=30))]
                assert log.append(records) == oracle.append(records)
            elif step == "read":
                after = tuple(map(min, data.draw(_OFFSETS), oracle.ends()))
                expected = [list[Record]() for _ in range(PARTITIONS)]
                for piece in oracle.read(after, 1_000):
                    expected[piece.partition] = piece.records
                assert read_all(log, after, data.draw(st.integers(1, 40))) == expected
            elif step == "commit":
                offsets = data.draw(_OFFSETS)
                log.groups.commit("group", offsets)
                oracle.groups.commit("group", offsets)
            else:
                log.close()  # type: ignore[attr-defined]
                log = open_log(address)
            assert (log.ends(), log.groups.committed("group")) == (oracle.ends(), oracle.groups.committed("group"))
        log.close()  # type: ignore[attr-defined]


class RestorableLogContract(LogContract):
    """A log to which `flyball migrate` can move another: a `RestorableLog`."""

    def test_a_restored_slice_has_every_record_at_its_offset_as_it_was(self, log: EventLog, address: str) -> None:
        assert isinstance(log, RestorableLog)
        records = [msgspec.structs.replace(record(number, "a"), flags=0) for number in range(8)]  # known when they came
        log.restore([Slice(0, 0, records[:3]), Slice(2, 4, records[3:5], skipped=4), Slice(2, 9, [], skipped=3)], [])
        again = open_log(address)
        assert isinstance(again, RestorableLog)
        again.restore([Slice(2, 10, records[5:7], skipped=1)], [])
        assert again.ends() == log.ends() == (3, 0, 12)
        for limit in (1, 2, 100):
            for start in range(12):
                read = read_all(again, (min(start, 3), 0, start), limit)
                assert read == [records[min(start, 3) : 3], [], _kept(records, start)]
            assert next(piece.first for piece in read_where(again, 2, 0, 12) if piece.records) == 4
        again.close()  # type: ignore[attr-defined]

    def test_a_restored_log_continues_as_one_that_was_appended_to(self, log: EventLog) -> None:
        assert isinstance(log, RestorableLog)
        part = partition("a", PARTITIONS)
        log.restore([Slice(part, 0, [record(1, "a"), record(2, "a")])], [])
        assert log.append([record(2, "a"), record(3, "a")]) == Appended(1, [0])
        assert read_all(log, (0,) * PARTITIONS, 10)[part] == [record(1, "a"), record(2, "a"), record(3, "a")]

    def test_a_slice_that_does_not_continue_the_log_is_refused(self, log: EventLog) -> None:
        assert isinstance(log, RestorableLog)
        log.restore([Slice(1, 0, [record(1)])], [])
        for start in (0, 2):
            with pytest.raises(Refused, match=f"must end at offset {start} to be continued"):
                log.restore([Slice(0, 0, [record(3)]), Slice(1, start, [record(2)])], [])
        assert log.ends() == (0, 1, 0)

    def test_declarations_are_restored_in_their_order(self, log: EventLog, address: str) -> None:
        assert isinstance(log, RestorableLog)
        wide, narrow = written("wide"), written("narrow", closes=("wide",))
        log.restore([Slice(0, 0, [as_written(record(1), narrow)])], [wide, narrow])
        log.restore([Slice(1, 0, [as_written(record(2), wide)])], [wide, narrow, wide])
        again = open_log(address)
        assert again.schemas.stored() == log.schemas.stored() == [wide, narrow, wide]
        with pytest.raises(Refused, match="no declarations but those"):
            log.restore([Slice(1, 1, [record(3)])], [narrow])
        again.close()  # type: ignore[attr-defined]


def _kept(records: list[Record], start: int) -> list[Record]:
    """Those of the partition with records 3 and 4 at offsets 4 and 5, and records 5 and 6 at 10 and 11."""
    return [records[number] for number, offset in ((3, 4), (4, 5), (5, 10), (6, 11)) if offset >= start]


class _Plainly:
    """A log with the required methods only."""

    def __init__(self, log: EventLog) -> None:
        self.append, self.read, self.ends = log.append, log.read, log.ends
        self.groups, self.schemas = log.groups, log.schemas


def _check_search(
    slices: list[Slice],
    all_records: list[Record],
    part: int,
    after: int,
    until: int,
    types: dict[str, int] | None,
    at_us: tuple[int, int] | None,
) -> None:
    """The slices are correct, in order and within bounds, and contain every matching record."""
    offsets: list[int] = []
    for piece in slices:
        assert piece.partition == part
        assert piece.records == all_records[piece.first : piece.first + len(piece.records)]
        offsets += range(piece.first, piece.first + len(piece.records))
    assert offsets == sorted(set(offsets))
    assert all(after <= offset < until for offset in offsets)
    matching = {
        offset
        for offset, record in enumerate(all_records[:until])
        if offset >= after
        and (types is None or types.get(record.type, record.at + 1) <= record.at)
        and (at_us is None or at_us[0] <= record.at < at_us[1])
    }
    assert matching <= set(offsets)
