"""How late consumers apply events: only what was theirs to be late with is measured."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from flyball.core import ManualClock, StoreCorrupt
from flyball.events import IMPORTED, Record, Slice
from flyball.features import ApplyDelays, read_apply_delays

DAY_US = 86_400_000_000
START_US = 20_000 * DAY_US


class Worker:
    """A consumer whose clock is moved by hand."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.clock, self.failing = clock, False
        delays = ApplyDelays(path, clock.now_us)
        self._apply, self._at_end = delays.timed("state", self._work), delays.at_end("state")

    def _work(self, slices: Sequence[Slice]) -> int:
        if self.failing:
            raise OSError("disk full")
        return len(slices)

    def apply(self, *known_at: int, flags: int = 0) -> None:
        records = [Record("watch", "1", 0, known, known.to_bytes(16, "big"), b"", flags) for known in known_at]
        self._apply([Slice(0, 0, records)])

    def at_end(self) -> None:
        self._at_end(self.clock.now_us())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "apply_delays.json"


def make(path: Path, now_us: int = START_US) -> Worker:
    worker = Worker(path, ManualClock(now_us))
    worker.at_end()
    return worker


def test_ninety_nine_of_a_hundred_were_applied_within(path: Path) -> None:
    worker = make(path)
    for place in range(200):
        worker.clock.advance_us(60_000_000)
        late_us = 30_000_000 if place < 2 else 1_000_000 if place < 100 else 1_000
        worker.apply(worker.clock.now_us() - late_us)
    worker.at_end()
    found = read_apply_delays(path)["state"]
    assert found.events == 200
    assert 1_000_000 <= found.p99_us <= 1_200_000, "two of 200 may take longer; steps are a fifth apart"
    assert 1_000 <= found.p50_us <= 1_200
    for _ in range(10):
        worker.clock.advance_us(60_000_000)
        worker.apply(worker.clock.now_us() - 30_000_000)
    worker.at_end()
    assert 30_000_000 <= read_apply_delays(path)["state"].p99_us <= 36_000_000


def test_at_once_is_no_delay(path: Path) -> None:
    worker = make(path)
    worker.apply(START_US, START_US, START_US + 5)  # a clock a little ahead elsewhere
    worker.at_end()
    assert read_apply_delays(path)["state"].p99_us == 0


def test_what_waited_before_the_work_began_and_what_was_imported_are_not_counted(path: Path) -> None:
    worker = Worker(path, ManualClock(START_US))
    worker.apply(START_US - DAY_US, START_US)  # the log as it was found
    worker.at_end()
    worker.clock.advance_us(1_000_000)
    worker.apply(START_US - 1, flags=0)
    worker.apply(START_US + 1, flags=IMPORTED | 1)
    worker.at_end()
    assert read_apply_delays(path) == {}
    worker.apply(START_US + 1, flags=1)  # a reference to something unknown changes nothing
    worker.at_end()
    assert read_apply_delays(path)["state"].events == 1


def test_what_failed_is_not_applied_yet(path: Path) -> None:
    worker = make(path)
    worker.failing = True
    with pytest.raises(OSError, match="disk full"):
        worker.apply(START_US)
    worker.failing = False
    worker.clock.advance_us(2_000_000)
    worker.apply(START_US)
    worker.at_end()
    found = read_apply_delays(path)["state"]
    assert (found.events, found.p50_us >= 2_000_000) == (1, True)


def test_it_goes_on_after_a_restart_and_forgets_after_a_week(path: Path) -> None:
    for day in range(10):
        worker = make(path, START_US + day * DAY_US)
        worker.apply(*[worker.clock.now_us()] * (day + 1))
        worker.at_end()
        assert read_apply_delays(path)["state"].events == sum(range(max(1, day - 5), day + 2))


def test_it_is_written_every_few_seconds_at_most(path: Path) -> None:
    worker = make(path)
    for _ in range(5):
        worker.apply(worker.clock.now_us())
        worker.at_end()
        worker.clock.advance_us(1_000_000)
    assert read_apply_delays(path)["state"].events == 1
    worker.at_end()
    assert read_apply_delays(path)["state"].events == 5


@pytest.mark.parametrize("text", ["", '{"delays": {"state": {"20000": {"1": 5', '{"delays": [1]}'])
def test_a_damaged_file_is_reported_with_its_path(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(StoreCorrupt, match=r"apply_delays\.json must be delays .*delete it"):
        read_apply_delays(path)
