"""Adaptive conformal inference online: outcomes of responses keep prediction intervals at their declared coverage.

The record of a response contains the margin by which its interval was widened. When its outcome comes, later intervals
become wider if it was outside the interval, and a little narrower if it was inside. Over many outcomes the share inside
equals the declared coverage, even if the distribution shifts or another version serves. Source: Gibbs and Candès,
"Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import msgspec
import numpy as np

from flyball.events import EventLog, Joiner, Offsets, Schema, Slice
from flyball.models import AdaptiveLevel, adaptive_level
from flyball.outcomes.attribution import elapsed_micro
from flyball.outcomes.consumer import label_meaning
from flyball.outcomes.prediction import Prediction, prediction_of
from flyball.outcomes.reading import MICRO, KeyedEvent, LabelEvent, Reader
from flyball.outcomes.stream_file import STREAM_TABLES, StreamFile
from flyball.outcomes.streams import take_new, take_new_events
from flyball.outcomes.tables import Location, Tables, open_tables, tables_exist
from flyball.policy import together
from flyball.tasks import About, AdaptedInterval, IntervalShift

FEWEST, KEPT = 50, 500
"""How many outcomes are needed before intervals are moved, and how many of the newest determine the margin."""

KEEP_US = 7 * 86_400_000_000
"""How long after the end of its window a response still waits for a late outcome."""

FORMAT = 1
"""The format of the tables. One without a number is that of files from before, which are filled again."""

_TABLES = {
    **STREAM_TABLES,
    "definition": "body BLOB",
    "state": "one INTEGER PRIMARY KEY, body BLOB",
    "waiting": "key TEXT, at INTEGER, id BLOB, low REAL, high REAL, margin REAL, PRIMARY KEY(key, at, id)",
}


class IntervalState(msgspec.Struct, frozen=True):
    """The state of the interval with coverage `level`, as outcomes have adapted it.

    `revision`: the number of changes. `alpha`: the target share of misses for the next interval. `margin`: how far both
    ends are moved outward, or inward if negative. `outcomes`: how many came; `covered`: how many of them were inside
    the interval of their response. `scores`: for the newest outcomes, the distance outside the interval that the
    version predicted, negative inside.
    """

    level: float
    alpha: float
    revision: int = 0
    margin: float = 0.0
    outcomes: int = 0
    covered: int = 0
    scores: tuple[float, ...] = ()

    @property
    def shift(self) -> IntervalShift:
        """The shift that is applied to intervals, and recorded with each response."""
        return IntervalShift(self.revision, self.margin)

    def after(self, low: float, high: float, margin: float, actual: float, rate: float) -> "IntervalState":
        """The state after the outcome `actual` of a response `[low, high]`, whose ends include `margin`.

        >>> state = IntervalState(0.8, 0.2).after(10.0, 20.0, margin=1.0, actual=25.0, rate=0.05)
        >>> state.scores, round(state.alpha, 6), state.covered
        ((6.0,), 0.2, 0)
        """
        outside = max(low - actual, actual - high)
        scores = (*self.scores, outside + margin)[-KEPT:]
        outcomes, covered = self.outcomes + 1, self.covered + (outside <= 0)
        if outcomes < FEWEST:
            return msgspec.structs.replace(self, outcomes=outcomes, covered=covered, scores=scores)
        level = AdaptiveLevel(1 - self.level, self.alpha, rate).after(outside <= 0)
        alpha = min(max(level.alpha, 0.0), 1.0)  # outside [0, 1] the interval cannot become wider or narrower
        unbounded = AdaptiveLevel(1 - self.level, alpha, rate).margin(np.array(scores))
        moved = float(np.clip(unbounded, min(scores), max(scores)))
        return IntervalState(self.level, alpha, self.revision + 1, moved, outcomes, covered, scores)


class IntervalConsumer:
    """Reads `events` and `predictions` into tables: the interval's state, and responses without outcome.

    The state and the offsets of both streams are committed together. An outcome that is read before its response is not
    counted, so read predictions first. Tables that were filled with another declaration are emptied and filled again.
    They are opened on first use. `log`: the log of events, for joined types, see `Joiner`. `interval_of`: the interval
    of the version that made a response (default: `interval` for all); responses with another level, or without an
    interval, are left out. `token`: see `OutcomeConsumer`.
    """

    def __init__(
        self,
        schema: Schema,
        about: About,
        interval: AdaptedInterval,
        location: Location,
        log: EventLog | None = None,
        interval_of: Callable[[Prediction], AdaptedInterval | None] | None = None,
        token: int = 0,
    ) -> None:
        self._interval, self._interval_of = interval, interval_of or (lambda prediction: interval)
        self._label = next(label for label in about.labels if label.name == interval.label)
        self._reader = Reader(schema, [self._label], about.items, about.request)
        self._joiner = Joiner(schema, list(self._reader.types), log)
        self._location, self._token = location, token
        self._definition = msgspec.json.encode((interval, repr(label_meaning(self._label))))

    @cached_property
    def _store(self) -> "_IntervalStore":
        return _IntervalStore(self._location, self._definition, self._token)

    def close(self) -> None:
        """Close the tables, where they were opened; the next use opens them again."""
        store = self.__dict__.pop("_store", None)
        if store is not None:
            store.close()

    def offsets(self, stream: str, partitions: int) -> Offsets:
        """The next offset to read of `stream` ("events" or "predictions")."""
        stored = self._store.offsets(stream)
        return tuple(stored.get(partition, 0) for partition in range(partitions))

    def apply_predictions(self, slices: Sequence[Slice]) -> None:
        """Store the responses, which then wait for their outcomes."""
        with self._store.transaction():
            for piece in take_new(self._store, "predictions", slices):
                for record in piece.records:
                    prediction = prediction_of(record)
                    (key,), own = self._reader.keys(prediction), self._interval_of(prediction)
                    if prediction.interval is None or key is None or own is None or own.level != self._interval.level:
                        continue
                    low, high = own.ends
                    ends = prediction.values[low], prediction.values[high], prediction.interval.margin
                    self._store.put_waiting(key, prediction.at_us, record.id, ends)

    def apply_events(self, slices: Sequence[Slice]) -> None:
        """Adapt the interval to the outcomes among these records, in order of time."""
        with self._store.transaction():
            events = self._reader.read(take_new_events(self._store, slices, self._reader.types, self._joiner))
            state = self._store.state() or IntervalState(
                self._interval.level, adaptive_level(self._interval.level, self._interval.rate).alpha
            )
            before = state
            for read in sorted(events, key=lambda read: (read.event.order, read.key)):
                state = self._settled(state, read)
            if state != before:
                self._store.put_state(state)

    def forget_old(self, now_us: int) -> None:
        """Delete the responses whose outcome is not expected any more."""
        with self._store.transaction():
            self._store.forget(now_us - self._label.within_us - KEEP_US)

    def _settled(self, state: IntervalState, read: KeyedEvent) -> IntervalState:
        """The state after one event, which may be the outcome of responses with its key."""
        event, within_us = read.event, self._label.within_us
        for at, id, low, high, margin in self._store.waiting(read.key):
            if at > event.at or not together(at, event.at, within_us):
                continue
            value = self._value(event, at)
            if value is not None:
                state = state.after(low, high, margin, value, self._interval.rate)
            elif not event.ends & 1:
                continue
            self._store.drop_waiting(read.key, at, id)
        return state

    def _value(self, event: LabelEvent, requested_at: int) -> float | None:
        """The value of an event as outcome of a request; None if it is not an outcome."""
        if unit_us := self._label.elapsed_unit_us:
            return elapsed_micro(requested_at, event.at, unit_us) / MICRO if event.bits & 1 else None
        return next((micro / MICRO for label, micro in event.values if label == 0), None)


class _IntervalStore(StreamFile):
    """The tables behind an `IntervalConsumer`."""

    def __init__(self, location: Location, definition: bytes, token: int) -> None:
        self._tables, self._own, self.token = open_tables(location, "intervals"), definition, token
        with self.transaction():
            pass

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction on tables of this definition: those of another one are emptied, so that both streams are read
        again. Raises `LeaseLost` where a writer with a higher token wrote."""
        with super().transaction():
            if self._tables.format():
                self.check_token()
            if self._definition() != (self._own,):
                self._tables.create(_TABLES, {}, FORMAT)
                self._tables.execute("INSERT INTO definition VALUES (?)", (self._own,))
            self.put_token()
            yield

    def close(self) -> None:
        self._tables.close()

    def state(self) -> IntervalState | None:
        return _stored_state(self._tables)

    def put_state(self, state: IntervalState) -> None:
        put = "INSERT INTO state VALUES (1, ?) ON CONFLICT(one) DO UPDATE SET body = excluded.body"
        self._tables.execute(put, (msgspec.msgpack.encode(state),))

    def put_waiting(self, key: str, at_us: int, id: bytes, ends: tuple[float, float, float]) -> None:
        put = "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        self._tables.execute(put, (key, at_us, id, *ends))

    def waiting(self, key: str) -> list[tuple[int, bytes, float, float, float]]:
        """(at, id, low, high, margin) of the answers of a key, the earliest first."""
        find = "SELECT at, id, low, high, margin FROM waiting WHERE key = ? ORDER BY at, id"
        return self._tables.execute(find, (key,)).fetchall()

    def drop_waiting(self, key: str, at_us: int, id: bytes) -> None:
        self._tables.execute("DELETE FROM waiting WHERE key = ? AND at = ? AND id = ?", (key, at_us, id))

    def forget(self, before_us: int) -> None:
        self._tables.execute("DELETE FROM waiting WHERE at < ?", (before_us,))

    def _definition(self) -> tuple[bytes] | None:
        if self._tables.format() != FORMAT:
            return None
        row: tuple[bytes] | None = self._tables.execute("SELECT body FROM definition").fetchone()
        return row


def read_interval(location: Location) -> IntervalState | None:
    """The state that a consumer wrote, None before the first outcome. Raises `StoreUnavailable`."""
    if not tables_exist(location):
        return None
    tables = open_tables(location, "intervals", read_only=True)
    try:
        return _stored_state(tables) if tables.format() == FORMAT else None
    finally:
        tables.close()


def _stored_state(tables: Tables) -> IntervalState | None:
    row = tables.execute("SELECT body FROM state").fetchone()
    return None if row is None else msgspec.msgpack.decode(row[0], type=IntervalState)
