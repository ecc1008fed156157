"""Reading on from offsets, and up to offsets, gives each record exactly once, while the log goes on growing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput, Refused, parse_url
from flyball.events import Offsets, Record, Slice, fresh, partition, read_until
from flyball.events.sqlite import SqliteLog

PARTITIONS = 3


class Growing(SqliteLog):
    """Before each read another process appends a block to every partition."""

    more = 1_000

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        self.append(records(range(self.more, self.more + 60)))
        self.more += 60
        return super().read(after, limit)


def records(numbers: range) -> list[Record]:
    return [Record("watch", str(one), one, one, one.to_bytes(16, "big"), b"") for one in numbers]


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    log = Growing(parse_url(f"sqlite://{tmp_path}/one.db?partitions={PARTITIONS}"))
    for start in range(0, 200, 25):
        log.append(records(range(start, start + 25)))
    return log


@pytest.mark.parametrize("limit", [1, 7, 1_000])
@pytest.mark.parametrize("short", [(0, 0, 0), (5, 0, 40), (999, 3, 999)])
@pytest.mark.parametrize("after", [(), (2, 9, 0), (20, 20, 20)])
def test_exactly_what_lies_between_is_given_once(log: SqliteLog, after: Offsets, short: Offsets, limit: int) -> None:
    first = (*after, *[0] * (PARTITIONS - len(after)))
    until = tuple(max(0, end - less) for end, less in zip(log.ends(), short, strict=True))
    held: dict[int, list[int]] = {part: [] for part in range(PARTITIONS)}
    for number in range(200):
        held[partition(str(number), PARTITIONS)].append(number)
    got: dict[int, list[int]] = {part: [] for part in range(PARTITIONS)}
    for slices in read_until(log, after, until, limit):
        assert all(piece.records for piece in slices)
        for piece in slices:
            assert piece.first == first[piece.partition] + len(got[piece.partition])
            got[piece.partition] += [record.at for record in piece.records]
    assert got == {part: numbers[first[part] : until[part]] for part, numbers in held.items()}


def test_a_log_that_ends_before_is_refused(log: SqliteLog) -> None:
    until = tuple(end + 1_000_000 for end in log.ends())
    log.read = lambda after, limit: SqliteLog.read(log, after, limit)  # type: ignore[method-assign]  # stands still
    with pytest.raises(Refused, match="the log must hold all records up to"):
        list(read_until(log, (), until, 1_000))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(0, 6)), max_size=4),
        max_size=8,
    )
)
def test_whatever_is_delivered_again_each_record_is_fresh_once(
    deliveries: list[list[tuple[int, int, int]]],
) -> None:
    whole = records(range(60))
    offsets: Offsets = ()
    held: list[list[Record]] = [[], [], []]
    for delivery in deliveries:
        slices = [Slice(part, first, whole[first : first + count]) for part, first, count in delivery]
        reached = [len(some) for some in held]
        gap = False
        for piece in slices:
            gap = gap or piece.first > reached[piece.partition]
            reached[piece.partition] = max(reached[piece.partition], piece.first + len(piece.records))
        if gap:
            with pytest.raises(BadInput, match=r"first offset of a slice of partition \d must be at most"):
                fresh(slices, offsets)
            continue
        new, offsets = fresh(slices, offsets)
        for piece in new:
            assert piece.first == len(held[piece.partition])
            assert piece.records
            held[piece.partition] += piece.records
        assert (*offsets, 0, 0, 0)[:3] == tuple(map(len, held))
    assert held == [whole[: len(some)] for some in held]


def covered(piece: Slice) -> dict[int, Record | None]:
    """What lies at each offset that the slice covers; None where no event is."""
    at_offset = {piece.first + index: kept for index, kept in enumerate(piece.records)}
    return {offset: at_offset.get(offset) for offset in range(piece.start, piece.end)}


@pytest.mark.parametrize(("skipped", "count"), [(0, 3), (2, 3), (4, 0), (1, 1)])
def test_a_part_of_a_slice_covers_just_the_offsets_asked_for(skipped: int, count: int) -> None:
    piece = Slice(0, 10, records(range(count)), records(range(100, 100 + count)), skipped)
    for start in range(4, 16):
        for end in range(start, 16):
            part = piece.part(start, end)
            assert covered(part) == {at: kept for at, kept in covered(piece).items() if start <= at < end}
            assert len(part.stored or []) == len(part.records)


@pytest.mark.parametrize("done", range(5, 14))
def test_offsets_without_an_event_are_passed_and_a_gap_is_refused(done: int) -> None:
    pieces = [Slice(0, 8, records(range(2)), skipped=2), Slice(0, 13, [], skipped=3)]
    if done < 6:
        with pytest.raises(BadInput, match="first offset of a slice of partition 0 must be at most 5, got 6"):
            fresh(pieces, (done,))
        return
    new, offsets = fresh(pieces, (done,))
    assert offsets == (13,)
    assert sorted(at for piece in new for at in covered(piece)) == list(range(done, 13))
    assert [kept for piece in new for kept in piece.records] == records(range(max(0, done - 8), 2))
