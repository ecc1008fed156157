"""Reads label events: the values of an event that labels need, and the keys that join events and responses."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.events import Event, Positioned, Record, Schema
from flyball.features import number_of
from flyball.outcomes.prediction import Prediction
from flyball.tasks import CompiledPlan, Label, compile_plan, field_named, joining_names, label_plans, references

MICRO = 1_000_000
_LARGEST = (1 << 63) // MICRO
"""The largest number of millionths that can be stored, about 9 * 10^12 units."""
_PARTITION_BITS = 12


def position_of(seq: int) -> tuple[int, int]:
    """(partition, offset) of a `LabelEvent` by its `seq`."""
    return seq & (1 << _PARTITION_BITS) - 1, seq >> _PARTITION_BITS


class LabelGroup(msgspec.Struct, frozen=True):
    """The labels that join by the same fields. `names`: fields of the request; `items`: whether also by the item."""

    names: tuple[str, ...]
    items: bool
    labels: tuple[int, ...]


class LabelEvent(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The values of an event that the labels of one request or item need.

    `seq`: its offset and partition in the log as one number, sorted by offset first. `pair`: for a joined event, the
    position of its other side. `bits`: bit i is set if the event qualifies for label i; `ends`: if it ends the wait for
    label i; `voids`: if it voids earlier events of label i. `values`: (label, value in millionths).
    """

    at: int
    seq: int
    kind: str
    bits: int
    ends: int = 0
    values: tuple[tuple[int, int], ...] = ()
    pair: bytes = b""
    voids: int = 0

    @property
    def order(self) -> tuple[int, int, bytes, str]:
        """A sort key: by time, then by position in the log; unique among the events of one key and item."""
        return self.at, self.seq, self.pair, self.kind


class KeyedEvent(msgspec.Struct, frozen=True, gc=False):
    """A label event with the group, key and item that it joins by; item "" for labels of the whole response."""

    group: int
    key: str
    item: str
    event: LabelEvent


class Reader:
    """Reads label events from records, and the keys that join them from predictions.

    `items`: the entity that responses rank, "" for none. `request`: the type of the task's requests. Raises
    `BadDeclaration` for a label whose events cannot be joined to requests.
    """

    def __init__(self, schema: Schema, labels: Sequence[Label], items: str, request: type[Event]) -> None:
        self._schema, self.labels = schema, tuple(labels)
        self.groups = _groups(labels, items)
        number = {(group.names, group.items): index for index, group in enumerate(self.groups)}
        self._by_type: dict[str, list[_TypeReader]] = {}
        for plan in label_plans(labels, schema):
            item_index = plan.by.index(items) if items in plan.by else None
            names = tuple(name for index, name in enumerate(plan.by) if index != item_index)
            group = number[names, item_index is not None]
            latest = sum(1 << number for number, _ in plan.tests if labels[number].latest)
            self._by_type.setdefault(plan.type, []).append(_TypeReader(group, item_index, compile_plan(plan), latest))
        self._keys = [request_fields(group.names, request) for group in self.groups]

    def keys(self, prediction: Prediction) -> list[str | None]:
        """The key of the prediction in each group, None if the request lacks a part of it."""
        return [_text([_value(prediction, field) for field in fields]) for fields in self._keys]

    @property
    def types(self) -> frozenset[str]:
        """The event types that labels name, including joined types."""
        return frozenset(self._by_type)

    def read(self, records: Sequence[Positioned]) -> list[KeyedEvent]:
        """The label events among `records`."""
        kept = [
            (offset << _PARTITION_BITS | partition, record)
            for record, offset, partition in records
            if record.type in self._by_type
        ]
        events = self._schema.decode_many([record for _, record in kept])
        return [
            keyed
            for (seq, record), event in zip(kept, events, strict=True)
            for reader in self._by_type[record.type]
            if (keyed := reader.read(seq, record, event)) is not None
        ]


def _groups(labels: Sequence[Label], items: str) -> tuple[LabelGroup, ...]:
    numbers: dict[tuple[tuple[str, ...], bool], list[int]] = {}
    for number, label in enumerate(labels):
        by = joining_names(label)
        of_item = bool(items) and items in by
        item_index = by.index(items) if of_item else None
        names = tuple(name for index, name in enumerate(by) if index != item_index)
        numbers.setdefault((names, of_item), []).append(number)
    return tuple(LabelGroup(names, of_item, tuple(own)) for (names, of_item), own in numbers.items())


def request_fields(names: tuple[str, ...], request: type[Event]) -> tuple[str, ...]:
    """The fields of a request that correspond to the join fields `names`; "" for the field that is its key."""
    refs = references(request)
    key = next(iter(refs), None)
    fields = [field_named(request, name, request.__struct_fields__) for name in names]
    return tuple("" if field == key else field for field in fields)


def _value(prediction: Prediction, field: str) -> Any:
    return prediction.key if field == "" else prediction.request.get(field)


def _text(values: Sequence[Any]) -> str | None:
    return None if any(value is None for value in values) else "\0".join(map(str, values))


class _TypeReader:
    """Reads one event type for one group. `latest`: the bits of labels that are decided by their latest event."""

    def __init__(self, group: int, item_index: int | None, plan: CompiledPlan, latest: int) -> None:
        self._latest = latest
        self._group, self._item_index = group, item_index
        self._key, self._at = plan.key, plan.at
        self._bits = sum(1 << label for label, test in plan.tests if test is None)
        self._tests = [(1 << label, test) for label, test in plan.tests if test is not None]
        self._values, self._joined = plan.values, plan.joined
        self._ends = sum(1 << label for label in plan.censors)

    def read(self, seq: int, record: Record, event: Event) -> KeyedEvent | None:
        """The event as a label event; None if a part of the key is missing."""
        names = self._key(event)
        item, index = "", self._item_index
        if index is not None:
            if names[index] is None:
                return None
            item, names = str(names[index]), names[:index] + names[index + 1 :]
        key = str(names[0]) if len(names) == 1 and names[0] is not None else _text(names)
        if key is None:
            return None
        bits = self._bits
        for bit, test in self._tests:
            if test(event):
                bits |= bit
        values: tuple[tuple[int, int], ...] = ()
        for label, value_of in self._values:
            number = number_of(value_of(event)) if bits >> label & 1 else None
            if number is not None and abs(number) < _LARGEST:
                values += ((label, round(number * MICRO)),)
            else:
                bits &= ~(1 << label)  # an event without the number does not count
        pair = record.id if self._joined else b""
        voids = self._latest & ~bits
        return KeyedEvent(
            self._group, key, item, LabelEvent(self._at(event), seq, record.type, bits, self._ends, values, pair, voids)
        )
