"""Measures the delay of online consumers, from an event being known to its being applied."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from flyball.core import StoreCorrupt, write_atomic
from flyball.events import IMPORTED, Slice
from flyball.history import Delay

DAYS = 7
SAVED_US = 5_000_000
_DAY_US = 86_400_000_000

# From a tenth of a millisecond to two weeks, each a fifth longer than the one before; the end of a step is reported.
BOUNDS_US: tuple[int, ...] = (0, *(round(100 * 1.2**step) for step in range(129)))

Apply = Callable[[Sequence[Slice]], object]
_Counts = dict[int, int]


class _Measured(msgspec.Struct):
    """{consumer: {day: {step: events}}}."""

    delays: dict[str, dict[int, _Counts]] = {}


class ApplyDelays:
    """Measures consumers; the measurements of the latest days with events are stored in the file `path`.

    Events count only if they became known after a consumer had first reached the end of the log, because earlier ones
    waited for the consumer to start. Imported history does not count, because its `known_at` is declared.
    """

    def __init__(self, path: Path, now_us: Callable[[], int]) -> None:
        self._path, self._now_us = path, now_us
        self._since: dict[str, int] = {}
        self._measured: _Measured | None = None
        self._saved: dict[str, int] = {}
        self._unsaved: set[str] = set()

    def timed(self, consumer: str, apply: Apply) -> Apply:
        """`apply`, wrapped so that the delay of each event is measured after it has been applied."""

        def timed(slices: Sequence[Slice]) -> object:
            result = apply(slices)
            self._note(consumer, slices, self._now_us())
            return result

        return timed

    def at_end(self, consumer: str) -> Callable[[int], None]:
        """Call this with the time at which the consumer reached the end of the log."""

        def at_end(now_us: int) -> None:
            self._since.setdefault(consumer, now_us)
            self._save(consumer, now_us)

        return at_end

    def _save(self, consumer: str, now_us: int) -> None:
        """Store new measurements, at most every few seconds."""
        last = self._saved.get(consumer)
        if consumer in self._unsaved and (last is None or not 0 <= now_us - last < SAVED_US):
            write_atomic(self._path, msgspec.json.encode(self._measured))
            self._saved[consumer] = now_us
            self._unsaved.clear()

    def _note(self, consumer: str, slices: Sequence[Slice], now_us: int) -> None:
        since = self._since.get(consumer)
        if since is None:
            return
        delays = [
            now_us - record.known_at
            for piece in slices
            for record in piece.records
            if record.known_at >= since and not record.flags & IMPORTED
        ]
        if not delays:
            return
        if self._measured is None:
            self._measured = _read(self._path)
        days = self._measured.delays.setdefault(consumer, {})
        counts = days.setdefault(now_us // _DAY_US, {})
        for delay in delays:
            step = bisect_left(BOUNDS_US, delay)
            counts[step] = counts.get(step, 0) + 1
        for day in sorted(days)[:-DAYS]:
            del days[day]
        self._unsaved.add(consumer)


def read_apply_delays(path: Path) -> dict[str, Delay]:
    """{consumer: its delay}, without consumers that have not applied a live event. Raises `StoreCorrupt`."""
    delays = {}
    for consumer, days in _read(path).delays.items():
        counts: _Counts = {}
        for of_day in days.values():
            for step, events in of_day.items():
                counts[step] = counts.get(step, 0) + events
        events = sum(counts.values())
        delays[consumer] = Delay(events, _share(counts, events, 50), _share(counts, events, 99))
    return delays


def _share(counts: _Counts, events: int, percent: int) -> int:
    """The end of the first step that `percent` of the events do not exceed, microseconds."""
    within = 0
    for step in sorted(counts):
        within += counts[step]
        if within * 100 >= events * percent:
            break
    return BOUNDS_US[min(step, len(BOUNDS_US) - 1)]


def _read(path: Path) -> _Measured:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return _Measured()
    try:
        return msgspec.json.decode(data, type=_Measured, strict=False)
    except msgspec.DecodeError as error:
        must = "delays as the log worker writes them (delete it, and they are measured again)"
        raise StoreCorrupt(str(path), must, str(error)) from None
