"""The log worker: a list of feeds, none known by name, each moved a batch at a time."""

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from flyball.core import Backoff, Elapsed, Stopwatch, format_duration
from flyball.events import EventLog, Offsets, Slice, after_slices

_LOOKS = 1_000
FRESH_BATCHES = 4
"""How many batches the first feed may take in a row before the others get one."""


class Feed(msgspec.Struct, frozen=True):
    """One consumer on one stream.

    `offsets`: where it stands in its own store. `apply`: apply slices that continue it. `limit`: records a batch,
    small enough that a batch takes well under a second. `rest`: called with now after each step in which the feed
    reached the end of its stream; what it has to tidy or write out is up to it. `active`: whether it has anything to do
    with its stream now; None for always.
    """

    name: str
    log: EventLog
    offsets: Callable[[], Offsets]
    apply: Callable[[Sequence[Slice]], object]
    limit: int
    rest: Callable[[int], object] | None = None
    active: Callable[[], bool] | None = None


class Lag(msgspec.Struct, frozen=True):
    """How far a feed is behind: records, and microseconds since the oldest of them was first seen in its stream."""

    behind: int
    lag_us: int
    error: str = ""


class Progress(msgspec.Struct, frozen=True):
    """What one step did: records applied by feed, and where each feed stands after it."""

    applied: dict[str, int]
    lags: dict[str, Lag]

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not any(self.applied.values())


class _Standing:
    """A feed and where it stands; `looks` and `retry_at_us` are in time that has passed (`Elapsed`)."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.position: Offsets | None = None
        self.looks: deque[tuple[int, Offsets]] = deque()
        self.retry_at_us = 0
        self.error = ""
        self.backoff = Backoff()

    def active(self) -> bool:
        """Whether it has anything to do; a position kept from before a pause may be wrong."""
        if self.feed.active is None or self.feed.active():
            return True
        self.position = None
        return False


class Worker:
    """Moves feeds along their streams; the first one first, and again between any two batches of the others.

    A feed that raises is left alone with growing pauses and taken up from its stored offsets; the others go on.
    Pauses and lags are measured by `stopwatch`, see `Elapsed`.
    """

    def __init__(self, feeds: Sequence[Feed], stopwatch: Stopwatch | None = None) -> None:
        self._standings = [_Standing(feed) for feed in feeds]
        self._elapsed = Elapsed(stopwatch)

    def step(self, now_us: int) -> Progress:
        """Give each feed its turn once."""
        applied = {standing.feed.name: 0 for standing in self._standings}
        if self._standings:
            first, *others = self._standings
            self._advance(first, now_us, FRESH_BATCHES, applied)
            for other in others:
                if self._advance(other, now_us, 1, applied):
                    self._advance(first, now_us, FRESH_BATCHES, applied)
        passed_us = self._elapsed.us(now_us)
        return Progress(applied, {each.feed.name: self._lag(each, passed_us) for each in self._standings})

    def drain(self, now_us: int, steps: int = 1_000_000) -> int:
        """Step until nothing is left to do, at most `steps` times; how many records were applied."""
        total = 0
        for _ in range(steps):
            progress = self.step(now_us)
            total += sum(progress.applied.values())
            if progress.idle:
                break
        return total

    def _advance(self, standing: _Standing, now_us: int, batches: int, applied: dict[str, int]) -> bool:
        """Apply up to `batches` batches; whether any was applied."""
        passed_us = self._elapsed.us(now_us)
        if passed_us < standing.retry_at_us or not standing.active():
            return False
        before = applied[standing.feed.name]
        try:
            for _ in range(batches):
                count = self._batch(standing)
                applied[standing.feed.name] += count
                if count == 0:
                    if standing.feed.rest is not None:
                        standing.feed.rest(now_us)
                    break
        except Exception as error:  # one consumer's trouble is not the others'; it shows in every status
            standing.position = None
            standing.error = f"{type(error).__name__}: {error}"
            standing.retry_at_us = passed_us + standing.backoff.next_us(passed_us)
        else:
            standing.error = ""
        return applied[standing.feed.name] > before

    def _batch(self, standing: _Standing) -> int:
        feed = standing.feed
        if standing.position is None:
            standing.position = feed.offsets()
        slices = feed.log.read(standing.position, feed.limit)
        count = sum(len(piece.records) for piece in slices)
        if count:
            feed.apply(slices)
            standing.position = after_slices(standing.position, slices)
        return count

    def _lag(self, standing: _Standing, passed_us: int) -> Lag:
        if standing.feed.active is not None and not standing.active():
            standing.looks.clear()
            return Lag(0, 0, standing.error)
        if standing.position is None:
            return Lag(-1, passed_us - standing.looks[0][0] if standing.looks else 0, standing.error)
        looks = standing.looks
        try:
            ends = standing.feed.log.ends()
        except Exception as error:  # a stream that is away stops its own feeds only
            standing.error = f"{type(error).__name__}: {error}"
            return Lag(-1, passed_us - looks[0][0] if looks else 0, standing.error)
        if not looks or looks[-1][1] != ends:
            looks.append((passed_us, ends))
        while looks and _covers(standing.position, looks[0][1]):
            looks.popleft()
        if len(looks) > _LOOKS:  # a feed that stands still: every second look tells enough
            standing.looks = deque(look for place, look in enumerate(looks) if place % 2 == 0)
        behind = sum(end - at for end, at in zip(ends, standing.position, strict=True))
        return Lag(behind, passed_us - looks[0][0] if looks else 0, standing.error)


def _covers(position: Offsets, ends: Offsets) -> bool:
    return all(at >= end for at, end in zip(position, ends, strict=True))


def lag_words(lag: Lag) -> str:
    """A lag as a person reads it."""
    if lag.error:
        return f"stopped: {lag.error}"
    if lag.behind == 0:
        return "up to date"
    return f"{lag.behind:,} behind, {format_duration(lag.lag_us // 1_000_000 * 1_000_000)}"
