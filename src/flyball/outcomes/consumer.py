"""Joins watches and ratings to the predictions before them, from two streams read in any order."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from flyball.core import BadInput
from flyball.events import Offsets, Schema, Slice
from flyball.outcomes.attribution import Follow, Showing, attribute, follow
from flyball.outcomes.counts import MINUTE_US, Counts
from flyball.outcomes.prediction import Prediction, prediction_of
from flyball.outcomes.reading import Reader, Signalled, Touch
from flyball.outcomes.store import OutcomeStore, Stored, to_showing

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
_FORGET_AT_ONCE = 20_000
_STEPS = 100

Pair = tuple[str, int]
Key = tuple[int, bytes]


class OutcomeConsumer:
    """Follows `events` and `predictions` into one SQLite file.

    An event counts for the first prediction that showed its item to its user in `(event - window_us, event]`. Rows
    and the offsets of both streams commit together, so what is delivered again changes nothing; the order in which
    the streams are read changes nothing either, as long as an event comes within `keep_us` of its window and a
    prediction is appended within `late_us` of its time.
    """

    def __init__(
        self,
        schema: Schema,
        task: Signalled,
        path: Path,
        window_us: int = DAY_US,
        keep_us: int = 7 * DAY_US,
        late_us: int = HOUR_US,
    ) -> None:
        self.window_us, self.keep_us, self.late_us = window_us, keep_us, late_us
        self._reader = Reader(schema, task)
        self._store = OutcomeStore(path)

    def close(self) -> None:
        self._store.close()

    def offsets(self, stream: str, partitions: int) -> Offsets:
        """The next offset to read of `stream` ("events" or "predictions")."""
        stored = self._store.offsets(stream)
        return tuple(stored.get(partition, 0) for partition in range(partitions))

    def apply_events(self, slices: Sequence[Slice]) -> None:
        """Fold in records of the event log; those already folded in are left out."""
        with self._store.transaction():
            touched: dict[Pair, list[Touch]] = {}
            for first, piece in self._fresh("events", slices):
                for user, item, touch in self._reader.read(
                    piece.partition, first, piece.records[first - piece.first :]
                ):
                    touched.setdefault((user, self._store.number(item)), []).append(touch)
            self._store.add_figures(self._join(self._worth_keeping(touched)))

    def apply_predictions(self, slices: Sequence[Slice]) -> None:
        """Fold in records of the prediction stream; those already folded in are left out."""
        with self._store.transaction():
            changes: dict[tuple[str, int], Counts] = {}
            dirty: dict[Pair, list[Touch]] = {}
            for first, piece in self._fresh("predictions", slices):
                for record in piece.records[first - piece.first :]:
                    prediction = prediction_of(record)
                    for item in self._show(prediction, record.id, changes):
                        dirty.setdefault((prediction.user, item), [])
            for bucket, counts in self._join(dirty).items():
                changes.setdefault(bucket, Counts()).add(counts)
            self._store.add_figures(changes)

    def settle(self, now_us: int) -> int:
        """Forget what can no longer change anything; how many rows that were.

        Call it when all predictions appended until `now_us` have been applied. At most some ten thousand rows go
        at a time, and at most `keep_us` / 100 of time: a clock that is a year ahead for some minutes must not close
        what is still to come.
        """
        with self._store.transaction():
            settled = self._move_mark("settled", now_us - self.late_us)
            closed = self._move_mark("closed", now_us - self.window_us - self.keep_us)
            gone = self._store.forget_touches(settled, _FORGET_AT_ONCE, joined=False)
            gone += self._store.forget_touches(closed, _FORGET_AT_ONCE, joined=True)
            return gone + self._store.forget_shown(closed - self.window_us, _FORGET_AT_ONCE)

    def _move_mark(self, name: str, at_us: int) -> int:
        """Move a mark forward, by no more than a step, never back; where it then is."""
        before = self._store.mark(name)
        moved = at_us if before is None else max(before, min(at_us, before + self.keep_us // _STEPS))
        self._store.put_mark(name, moved)
        return moved

    def _fresh(self, stream: str, slices: Sequence[Slice]) -> Iterable[tuple[int, Slice]]:
        """(offset of the first new record, slice) of slices that hold new ones; moves the stored offsets."""
        stored = self._store.offsets(stream)
        for piece in slices:
            expected = stored.get(piece.partition, 0)
            if piece.first > expected:
                raise BadInput(
                    f"slice of {stream}", f"at or before offset {expected}", piece.first, f"partition {piece.partition}"
                )
            end = piece.first + len(piece.records)
            if end > expected:
                stored[piece.partition] = end
                yield expected, piece
        if stored:
            self._store.put_offsets(stream, tuple(stored.get(partition, 0) for partition in range(max(stored) + 1)))

    def _worth_keeping(self, touched: dict[Pair, list[Touch]]) -> dict[Pair, list[Touch]]:
        """Without those before all predictions that are there or can still come: bulk history costs nothing."""
        settled, earliest = self._store.mark("settled"), self._store.first_shown_at()
        if settled is None:
            return touched
        bar = max(settled if earliest is None else min(settled, earliest), self._store.mark("closed") or 0)
        kept = {pair: [touch for touch in touches if touch.at >= bar] for pair, touches in touched.items()}
        return {pair: touches for pair, touches in kept.items() if touches}

    def _show(self, prediction: Prediction, id: bytes, changes: dict[tuple[str, int], Counts]) -> Sequence[int]:
        """Store one prediction; the items that it showed and that its user touched in its window."""
        items = [self._store.number(item) for item in prediction.items]
        if not self._store.put_shown(prediction.user, prediction.at_us, id, prediction.version, items):
            return ()
        bucket = prediction.version, prediction.at_us // MINUTE_US
        changes.setdefault(bucket, Counts()).answer(prediction)
        until = prediction.at_us + self.window_us
        touched = self._store.touched_items(prediction.user, prediction.at_us, until)
        return [item for item in items if item in touched] if touched else ()

    def _join(self, touched: dict[Pair, list[Touch]]) -> dict[tuple[str, int], Counts]:
        """Join again each pair that has new touches or new showings; what that changes in the figures."""
        by_user: dict[str, dict[int, list[Touch]]] = {}
        for (user, item), touches in touched.items():
            by_user.setdefault(user, {})[item] = touches
        changes: dict[tuple[str, int], Counts] = {}
        for user, items in by_user.items():
            self._join_user(user, items, changes)
        return changes

    def _join_user(self, user: str, new: dict[int, list[Touch]], changes: dict[tuple[str, int], Counts]) -> None:
        touches = {item: self._store.touches(user, item) for item in new}
        merged = {item: sorted({*touches[item], *new[item]}, key=lambda t: (t.at, t.seq)) for item in new}
        showings = self._showings(user, {item: found for item, found in merged.items() if found})
        altered: dict[Key, dict[int, Follow | None]] = {}
        rows: list[Stored] = []
        for item, found in merged.items():
            given = attribute(showings.get(item, []), found, self.window_us)
            joined = {touch for _, mine in given.values() for touch in mine}
            rows += [(item, t, t in joined) for t in found if touches[item].get(t) is not (t in joined)]
            before = self._store.pair_follows(user, item) if any(touches[item].values()) else {}
            after = {key: follow(showing, mine, self._reader.spans) for key, (showing, mine) in given.items()}
            for key in {*before, *after}:
                if before.get(key) != after.get(key):
                    altered.setdefault(key, {})[item] = after.get(key)
        self._store.put_touches(user, rows)
        closed = self._store.mark("closed") or 0
        for key, items in altered.items():
            if key[0] < closed:
                continue  # touches of it may be forgotten already: what is stored stands
            self._alter(user, key, items, changes)

    def _showings(self, user: str, touches: dict[int, list[Touch]]) -> dict[int, list[Showing]]:
        """{item: its showings that can be first for one of its touches}."""
        if not touches:
            return {}
        first = min(found[0].at for found in touches.values())
        last = max(found[-1].at for found in touches.values())
        showings: dict[int, list[Showing]] = {}
        for at, id, version, items in self._store.showings(user, first - self.window_us, last):
            for item in touches:
                showing = to_showing(at, id, version, items, item)
                if showing is not None:
                    showings.setdefault(item, []).append(showing)
        return showings

    def _alter(
        self, user: str, key: Key, items: dict[int, Follow | None], changes: dict[tuple[str, int], Counts]
    ) -> None:
        """Store what changed after one prediction and count the difference."""
        before = self._store.follows(user, *key)
        after = {item: found for item, found in {**before, **items}.items() if found is not None}
        for item, found in items.items():
            self._store.put_follow(user, key, item, found)
        version = next(found.version for found in (*after.values(), *before.values()))
        counts = changes.setdefault((version, key[0] // MINUTE_US), Counts())
        counts.adopted += _any(after, "taken") - _any(before, "taken")
        counts.positive += _any(after, "positive") - _any(before, "positive")
        for sign, follows in ((1, after), (-1, before)):
            rated = [found.rating_micro for found in follows.values() if found.rating_micro is not None]
            counts.ratings += sign * len(rated)
            counts.ratings_micro += sign * sum(rated)


def _any(follows: dict[int, Follow], field: str) -> bool:
    return any(getattr(found, field) for found in follows.values())
