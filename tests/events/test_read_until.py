"""Reading up to given offsets gives exactly what lies before them, while the log goes on growing."""

from pathlib import Path

import pytest

from flyball.core import Refused, parse_url
from flyball.events import Offsets, Record, Slice, partition, read_until
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
