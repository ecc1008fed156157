"""Joins events to the responses before them, by label, from two streams read in any order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import msgspec

from flyball.events import EventLog, Joiner, Offsets, Schema, Slice, defaults_in, join_of
from flyball.outcomes.attribution import Attribution, Impression, Key, attribute
from flyball.outcomes.batched_store import BatchedOutcomeStore
from flyball.outcomes.counts import MINUTE_US, LabelCounts, VersionCounts
from flyball.outcomes.metrics import LabelSpec
from flyball.outcomes.prediction import Prediction, prediction_of
from flyball.outcomes.reading import MICRO, LabelEvent, Reader, position_of
from flyball.outcomes.store import NO_ITEM, OutcomeStore, Stored, Unit, to_impression
from flyball.outcomes.streams import take_new, take_new_events
from flyball.outcomes.tables import Location
from flyball.tasks import About, Label, field_named, joining_names

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
_FORGET_AT_ONCE = 20_000
_STEPS = 100

Changes = dict[tuple[str, int], VersionCounts]
"""{(version, minute): what is added to the counts}."""

UnitEvents = dict[Unit, dict[int, list[LabelEvent]]]
"""{unit: {item: events}}."""


class OutcomeChange(msgspec.Struct, frozen=True):
    """What events changed in the outcome of a response.

    `prediction`: the id of its record; `at_us`: the time of the latest of these events; `labels`: {label that holds:
    its value}; `events`: the ids of the records of those events that were applied just now.
    """

    prediction: bytes
    at_us: int
    labels: dict[str, float]
    events: tuple[bytes, ...]


class OutcomeConsumer:
    """Reads `events` and `predictions` into tables with the outcomes of each response, by the task's labels.

    Each label has its own window, `[response, response + within]`; `attribution` says for which responses an event
    counts. Rows and the offsets of both streams are committed together, so records that are delivered again change
    nothing. The order in which the streams are read does not matter if each event arrives within `keep_us` of the end
    of the longest window, and each prediction is appended within `late_us` of its time. Tables that were filled with
    other labels are emptied and filled again from both streams. They are opened on first use. `log`: the log of
    events, for joined types, see `Joiner`. `changed`: called after events were applied, with what they changed.
    `token`: of the lease under which this consumer writes; each transaction checks that no higher one wrote.
    """

    def __init__(
        self,
        schema: Schema,
        about: About,
        location: Location,
        keep_us: int = 7 * DAY_US,
        late_us: int = HOUR_US,
        log: EventLog | None = None,
        changed: Callable[[list[OutcomeChange]], object] | None = None,
        token: int = 0,
    ) -> None:
        self._changed, self._token = changed, token
        self._event_ids: dict[tuple[int, int], bytes] = {}
        self._changes: list[OutcomeChange] = []
        self.window_us = max((label.within_us for label in about.labels), default=DAY_US)
        self.keep_us, self.late_us = keep_us, late_us
        self._reader = Reader(schema, about.labels, about.items, about.request)
        self._labels = tuple(enumerate(about.labels))
        self._decided = any(label.impossible_after for label in about.labels)
        self._joiner = Joiner(schema, list(self._reader.types), log)
        self._location, self._hash = location, _hash_of(about)
        self._defined: bool | None = None

    @cached_property
    def _store(self) -> OutcomeStore:
        is_file = isinstance(self._location, Path)
        store = OutcomeStore(self._location) if is_file else BatchedOutcomeStore(self._location)
        store.token = self._token
        return store

    def close(self) -> None:
        """Close the tables, where they were opened; the next use opens them again."""
        store = self.__dict__.pop("_store", None)
        if store is not None:
            store.close()

    def offsets(self, stream: str, partitions: int) -> Offsets:
        """The next offset to read of `stream` ("events" or "predictions")."""
        if not self._is_defined():  # filled with other labels, or new: it is emptied when the first record is applied
            return (0,) * partitions
        stored = self._store.offsets(stream)
        return tuple(stored.get(partition, 0) for partition in range(partitions))

    def apply_events(self, slices: Sequence[Slice]) -> None:
        """Apply records of the event log; those already applied are skipped."""
        self._changes, self._event_ids = [], {} if self._changed is None else _ids_of(slices)
        with self._applying():
            added: UnitEvents = {}
            new = take_new_events(self._store, slices, self._reader.types, self._joiner)
            events = list(self._reader.read(new))
            self._store.expect_items([read.item for read in events])
            for read in events:
                items = added.setdefault((read.group, read.key), {})
                items.setdefault(self._store.number(read.item), []).append(read.event)
            kept = self._worth_keeping(added)
            self._store.expect_units(list(kept))
            self._store.add_counts(self._join(kept))
        if self._changed is not None:
            self._changed(self._changes)
            self._event_ids = {}

    def apply_predictions(self, slices: Sequence[Slice]) -> None:
        """Apply records of the prediction stream; those already applied are skipped."""
        with self._applying():
            changes: Changes = {}
            dirty: UnitEvents = {}
            new = take_new(self._store, "predictions", slices)
            shown = [(prediction_of(record), record.id) for piece in new for record in piece.records]
            self._expect([prediction for prediction, _ in shown])
            for prediction, id in shown:
                self._show(prediction, id, changes, dirty)
            for bucket, counts in self._join(dirty).items():
                changes.setdefault(bucket, VersionCounts()).add(counts)
            self._store.add_counts(changes)

    def settle(self, now_us: int, all_events: bool = True) -> int:
        """Delete rows that can no longer change an outcome; returns their number.

        Call it when all predictions appended until `now_us` have been applied. `all_events`: whether all events have
        been applied too. A call deletes at most some ten thousand rows, and moves the deadline by at most
        `keep_us` / 100, so that a clock that is a year ahead for some minutes does not close windows of the future.
        """
        with self._applying():
            settled = self._move_mark("settled", now_us - self.late_us)
            removed = self._store.forget_events(settled, _FORGET_AT_ONCE, joined=False)
            if not all_events:
                return removed
            closed = self._move_mark("closed", now_us - self.window_us - self.keep_us)
            removed += self._store.forget_events(closed, _FORGET_AT_ONCE, joined=True)
            return removed + self._store.forget_requested(closed - self.window_us, _FORGET_AT_ONCE)

    def _is_defined(self) -> bool:
        if self._defined is None:
            self._defined = self._store.is_defined(self._hash)
        return self._defined

    @contextmanager
    def _applying(self) -> Iterator[None]:
        """A transaction on the tables of these labels, which are created where they are missing."""
        if not self._is_defined():
            self._store.define(self._hash, _specs(self._reader.labels))
            self._defined = True
        self._defined, defined = None, self._defined  # whatever is wrong, the next attempt looks again
        with self._store.applying(self._hash):
            yield
        self._defined = defined

    def _move_mark(self, name: str, at_us: int) -> int:
        """Move a mark toward `at_us`, forward only and by at most one step; returns its new position."""
        before = self._store.mark(name)
        moved = at_us if before is None else max(before, min(at_us, before + self.keep_us // _STEPS))
        self._store.put_mark(name, moved)
        return moved

    def _worth_keeping(self, added: UnitEvents) -> UnitEvents:
        """The events that are not before all present and future responses; so a bulk load of history stores none."""
        settled, earliest = self._store.mark("settled"), self._store.first_requested_at()
        if settled is None:
            return added
        bar = max(settled if earliest is None else min(settled, earliest), self._store.mark("closed") or 0)
        kept = {
            unit: {item: [event for event in events if event.at >= bar] for item, events in items.items()}
            for unit, items in added.items()
        }
        return {
            unit: {item: events for item, events in items.items() if events}
            for unit, items in kept.items()
            if any(items.values())
        }

    def _expect(self, predictions: Sequence[Prediction]) -> None:
        """Let the store read ahead what these responses concern."""
        self._store.expect_items([item for prediction in predictions for item in prediction.items])
        keys = (enumerate(self._reader.keys(prediction)) for prediction in predictions)
        self._store.expect_units([(group, key) for of in keys for group, key in of if key is not None])

    def _show(self, prediction: Prediction, id: bytes, changes: Changes, dirty: UnitEvents) -> None:
        """Store one response, and mark its items, and those of events in its windows, to be joined again."""
        numbers = [self._store.number(item) for item in prediction.items]
        for group, key in enumerate(self._reader.keys(prediction)):
            if key is None:
                continue
            unit, of_items = (group, key), self._reader.groups[group].items
            items = numbers if of_items else []
            if not self._store.put_requested(
                unit, prediction.at_us, id, prediction.version, items, prediction.decision
            ):
                return  # the same response was appended twice
            added = self._store.items_with_events(unit, prediction.at_us, prediction.at_us + self.window_us)
            for item in added.intersection(items if of_items else [NO_ITEM]):
                dirty.setdefault(unit, {}).setdefault(item, [])
        bucket = prediction.version, prediction.at_us // MINUTE_US
        counts = changes.setdefault(bucket, VersionCounts())
        counts.answer(prediction)
        for name in self._impossible(prediction.decision):
            counts.labels.setdefault(name, LabelCounts()).impossible += 1

    def _impossible(self, decision: str) -> set[str]:
        """The labels that cannot come after this decision."""
        return {label.name for _, label in self._labels if decision in label.impossible_after}

    def _join(self, added: UnitEvents) -> Changes:
        """Join each unit with new events or responses again; returns the changes of the counts."""
        changes: Changes = {}
        for unit, items in added.items():
            self._join_unit(unit, items, changes)
        return changes

    def _join_unit(self, unit: Unit, new: dict[int, list[LabelEvent]], changes: Changes) -> None:
        group = self._reader.groups[unit[0]]
        labels = [self._labels[number] for number in group.labels]
        stored = {item: self._store.events(unit, item) for item in new}
        merged = {item: sorted({*stored[item], *new[item]}, key=lambda event: event.order) for item in new}
        impressions = self._impressions(unit, {item: events for item, events in merged.items() if events})
        altered: dict[Key, dict[int, Attribution | None]] = {}
        rows: list[Stored] = []
        closed = self._store.mark("closed") or 0
        for item, events in merged.items():
            before = self._store.item_attributions(unit, item) if any(stored[item].values()) else {}
            shown = impressions.get(item, [])
            stands = {
                key: before.get(key)
                for shown_prediction in shown
                if (key := (shown_prediction.at, shown_prediction.id))[0] < closed
            }
            after, joined = attribute(shown, events, labels, once=group.items, closed=stands)
            rows += [(item, t, t in joined) for t in events if stored[item].get(t) is not (t in joined)]
            for key in {*before, *after}:
                if before.get(key) != after.get(key):
                    altered.setdefault(key, {})[item] = after.get(key)
        self._store.put_events(unit, rows)
        if self._event_ids:
            self._changes += [self._change(key, items, new) for key, items in altered.items()]
        for key, items in altered.items():
            if key[0] < closed:
                continue  # some of its events may have been deleted, so the stored attribution is final
            self._alter(unit, key, items, changes)

    def _change(
        self, key: Key, items: dict[int, Attribution | None], new: dict[int, list[LabelEvent]]
    ) -> OutcomeChange:
        events = [event for item in items for event in new.get(item, ())]
        label_sets = [attribution.labels for attribution in items.values() if attribution is not None]
        known = (self._event_ids.get(position_of(event.seq)) for event in events)
        return OutcomeChange(
            prediction=key[1],
            at_us=max((event.at for event in events), default=key[0]),
            labels={name: label.value / MICRO for labels in label_sets for name, label in labels.items()},
            events=tuple(dict.fromkeys(id for id in known if id is not None)),
        )

    def _impressions(self, unit: Unit, events: dict[int, list[LabelEvent]]) -> dict[int, list[Impression]]:
        """{item: its impressions whose windows may contain one of its events}."""
        if not events:
            return {}
        first = min(of_item[0].at for of_item in events.values())
        last = max(of_item[-1].at for of_item in events.values())
        impressions: dict[int, list[Impression]] = {}
        for at, id, version, items in self._store.impressions(unit, first - self.window_us, last):
            for item in events:
                impression = to_impression(at, id, version, items, item)
                if impression is not None:
                    impressions.setdefault(item, []).append(impression)
        return impressions

    def _alter(self, unit: Unit, key: Key, items: dict[int, Attribution | None], changes: Changes) -> None:
        """Store the changed attributions of one response, and add the difference to the counts."""
        before = self._store.attributions(unit, key)
        after = {item: attribution for item, attribution in {**before, **items}.items() if attribution is not None}
        for item, attribution in items.items():
            self._store.put_attribution(unit, key, item, attribution)
        version = next(attribution.version for attribution in (*after.values(), *before.values()))
        counts = changes.setdefault((version, key[0] // MINUTE_US), VersionCounts())
        impossible = self._impossible(self._store.decision(unit, key)) if self._decided else set()
        for sign, attributions in ((1, after), (-1, before)):
            for name, added in _label_counts(list(attributions.values())).items():
                if name not in impossible:  # the response counts as one whose label is impossible, and once only
                    counts.labels.setdefault(name, LabelCounts()).add(added, sign)


def _ids_of(slices: Sequence[Slice]) -> dict[tuple[int, int], bytes]:
    """{(partition, offset): id of the record}."""
    return {
        (piece.partition, piece.first + index): record.id
        for piece in slices
        for index, record in enumerate(piece.records)
    }


def _label_counts(attributions: Sequence[Attribution]) -> dict[str, LabelCounts]:
    """{label: what one response adds to its counts}."""
    counts: dict[str, LabelCounts] = {}
    for attribution in attributions:
        for name, label_value in attribution.labels.items():
            label = counts.setdefault(name, LabelCounts())
            label.responses = 1
            label.n += 1
            label.total += label_value.value
            label.squares += label_value.value * label_value.value
    for name in {name for attribution in attributions for name in attribution.censored}:
        label = counts.setdefault(name, LabelCounts())
        label.censored = int(label.responses == 0)
    return counts


def _specs(labels: Sequence[Label]) -> dict[str, LabelSpec]:
    specs: dict[str, LabelSpec] = {}
    for label in labels:
        longest_us = max(other.within_us for other in labels if other.name == label.name)
        specs.setdefault(label.name, LabelSpec(longest_us, label.numeric, label.otherwise))
    return specs


def _defaults(label: Label) -> list[list[tuple[str, str]]]:
    """The defaults that past events may have in the fields that the label reads for filters, values and joins."""
    read = [expression.text() for expression in (label.where, label.value) if expression is not None]
    defaults = []
    for event in (label.event, *label.censored_by):
        keys = [field_named(event, name, event.__struct_fields__) for name in joining_names(label)]
        defaults.append(defaults_in(event, *keys, *(read if event is label.event else ())))
        join = join_of(event)
        if join is not None:
            defaults += [defaults_in(join.first, join.first_key), defaults_in(join.second, join.second_key)]
    return defaults


def label_meaning(label: Label) -> tuple[object, ...]:
    """Everything that the outcomes of a label depend on besides the streams; compare it by its `repr`."""
    expressions = [None if expression is None else expression.text() for expression in (label.where, label.value)]
    ends = [event.__name__ for event in label.censored_by]
    names = (label.name, label.event.__name__, label.by, joining_names(label))
    joins = [join.hash for event in (label.event, *label.censored_by) if (join := join_of(event)) is not None]
    rules = (label.at_least, label.within_us, label.otherwise, label.impossible_after)
    further = (label.elapsed_unit_us, label.latest)
    return (*names, *expressions, *rules, *(further if any(further) else ()), ends, joins, _defaults(label))


def _hash_of(about: About) -> str:
    """A hash of everything, except the streams, on which the content of the file depends."""
    meaning = (about.items, about.request.__name__, [label_meaning(label) for label in about.labels])
    return sha256(repr(meaning).encode()).hexdigest()
