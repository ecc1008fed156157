"""The log worker: runs a list of consumers, one batch at a time."""

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from flyball.core import Backoff, Elapsed, LeaseLost, Stopwatch
from flyball.events import ConsumerLag, EventLog, Offsets, Slice, after_slices

_LOOKS = 1_000
FRESH_BATCHES = 4
"""How many batches the first consumer may apply in a row before the others get one."""


class Consumer(msgspec.Struct, frozen=True):
    """One consumer on one stream.

    `offsets`: reads its offsets from its own store. `apply`: applies the slices that follow. `limit`: records in a
    batch, few enough that a batch takes well under a second. `at_end`: called with the time after each step in which
    the consumer reached the end of its stream, for instance to flush. `active`: whether it has anything to do now; None
    for always. `close`: closes what it has opened by itself.
    """

    name: str
    log: EventLog
    offsets: Callable[[], Offsets]
    apply: Callable[[Sequence[Slice]], object]
    limit: int
    at_end: Callable[[int], object] | None = None
    active: Callable[[], bool] | None = None
    close: Callable[[], None] | None = None


class StepReport(msgspec.Struct, frozen=True):
    """The result of one step: records applied by consumer, and the lag of each after it; without inactive ones.
    `lost`: the consumers whose last write was refused, since another process holds their lease."""

    applied: dict[str, int]
    lags: dict[str, ConsumerLag]
    lost: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing was applied."""
        return not any(self.applied.values())


class _Standing:
    """A consumer and its position; `looks`, `moved_us` and `retry_at_us` are elapsed times (`Elapsed`)."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.position: Offsets | None = None
        self.looks: deque[tuple[int, Offsets]] = deque()
        self.moved_us: int | None = None
        self.retry_at_us = 0
        self.error, self.lost = "", False
        self.failing_since_us: int | None = None
        self.backoff = Backoff()

    def active(self) -> bool:
        """Whether it has anything to do; its cached offsets are dropped when it becomes inactive."""
        if self.consumer.active is None or self.consumer.active():
            return True
        self.position = None
        self.looks.clear()
        return False

    def failed(self, error: Exception, now_us: int) -> None:
        """Record a failed attempt."""
        self.error, self.lost = f"{type(error).__name__}: {error}", isinstance(error, LeaseLost)
        if self.failing_since_us is None:
            self.failing_since_us = now_us

    def succeeded(self) -> None:
        """Record an attempt that succeeded."""
        self.error, self.lost, self.failing_since_us = "", False, None


class Worker:
    """Runs consumers: the first one first, and again between any two batches of the others.

    A consumer that raises is retried after growing pauses from its stored offsets; the others continue. Pauses and lags
    are measured by `stopwatch`, see `Elapsed`.
    """

    def __init__(self, consumers: Sequence[Consumer], stopwatch: Stopwatch | None = None) -> None:
        self._standings = [_Standing(consumer) for consumer in consumers]
        self._elapsed = Elapsed(stopwatch)

    def step(self, now_us: int) -> StepReport:
        """Let each consumer apply its next batches."""
        active = [standing for standing in self._standings if self._is_active(standing, now_us)]
        applied = {standing.consumer.name: 0 for standing in active}
        if active:
            first, *others = active
            self._advance(first, now_us, FRESH_BATCHES, applied)
            for other in others:
                if self._advance(other, now_us, 1, applied):
                    self._advance(first, now_us, FRESH_BATCHES, applied)
        passed_us = self._elapsed.us(now_us)
        lags = {standing.consumer.name: self._lag(standing, passed_us, now_us) for standing in active}
        return StepReport(applied, lags, tuple(standing.consumer.name for standing in active if standing.lost))

    def close(self) -> None:
        """Close what the consumers have opened."""
        for standing in self._standings:
            if standing.consumer.close is not None:
                standing.consumer.close()

    def _is_active(self, standing: _Standing, now_us: int) -> bool:
        try:
            return standing.active()
        except Exception as error:
            standing.failed(error, now_us)
            return True

    def drain(self, now_us: int, steps: int = 1_000_000) -> int:
        """Step until nothing is left to do, at most `steps` times; returns the number of records applied."""
        total = 0
        for _ in range(steps):
            progress = self.step(now_us)
            total += sum(progress.applied.values())
            if progress.idle:
                break
        return total

    def _advance(self, standing: _Standing, now_us: int, batches: int, applied: dict[str, int]) -> bool:
        """Apply up to `batches` batches; returns whether any was applied."""
        passed_us = self._elapsed.us(now_us)
        if passed_us < standing.retry_at_us:
            return False
        before = applied[standing.consumer.name]
        try:
            for _ in range(batches):
                count = self._batch(standing)
                applied[standing.consumer.name] += count
                if count == 0:
                    if standing.consumer.at_end is not None:
                        standing.consumer.at_end(now_us)
                    break
        except Exception as error:  # an error stops only its own consumer; the status shows it
            standing.position = None
            standing.failed(error, now_us)
            standing.retry_at_us = passed_us + standing.backoff.next_us(passed_us)
        else:
            standing.succeeded()
        return applied[standing.consumer.name] > before

    def _batch(self, standing: _Standing) -> int:
        consumer = standing.consumer
        if standing.position is None:
            standing.position = consumer.offsets()
        slices = consumer.log.read(standing.position, consumer.limit)
        count = sum(piece.end - piece.start for piece in slices)
        if count:
            consumer.apply(slices)
            standing.position, standing.moved_us = after_slices(standing.position, slices), None
        return count

    def _lag(self, standing: _Standing, passed_us: int, now_us: int) -> ConsumerLag:
        looks = standing.looks
        if standing.position is not None:
            try:
                ends = standing.consumer.log.ends()
            except Exception as error:  # an unavailable stream stops only its own consumers
                standing.failed(error, now_us)
                standing.position = None
        if standing.position is None:
            lag_us = passed_us - looks[0][0] if looks else 0
            return ConsumerLag(
                -1, lag_us, standing.error, standing.failing_since_us, self._still_us(standing, passed_us)
            )
        if not looks or looks[-1][1] != ends:
            looks.append((passed_us, ends))
        while looks and _covers(standing.position, looks[0][1]):
            looks.popleft()
        if len(looks) > _LOOKS:  # for a consumer without progress, every second observation is enough
            standing.looks = deque(look for index, look in enumerate(looks) if index % 2 == 0)
        partitions = tuple(end - at for end, at in zip(ends, standing.position, strict=True))
        behind = sum(partitions)
        if behind == 0:
            standing.moved_us = None
        return ConsumerLag(
            behind,
            passed_us - looks[0][0] if looks else 0,
            standing.error,
            standing.failing_since_us,
            self._still_us(standing, passed_us),
            partitions if behind and len(partitions) > 1 else (),
        )

    def _still_us(self, standing: _Standing, passed_us: int) -> int:
        """How long it has been behind without progress, in microseconds."""
        if not standing.looks and standing.position is not None:
            return 0
        if standing.moved_us is None:
            standing.moved_us = passed_us
        return passed_us - standing.moved_us


def _covers(position: Offsets, ends: Offsets) -> bool:
    return all(at >= end for at, end in zip(position, ends, strict=True))
