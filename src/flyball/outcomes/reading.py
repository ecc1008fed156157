"""What an event says about responses: the touches that can follow one."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.events import Event, Positioned, Record, Schema
from flyball.outcomes.prediction import Prediction
from flyball.tasks import CompiledPlan, Label, compile_plan, field_named, joining_names, label_plans, references

MICRO = 1_000_000
_PARTITION_BITS = 12


class Group(msgspec.Struct, frozen=True):
    """The labels that join by the same values. `names`: those a request has; `items`: the item of the event, too."""

    names: tuple[str, ...]
    items: bool
    labels: tuple[int, ...]


class Touch(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event about one request or item.

    `seq`: its offset and partition in the log as one number, unique, by offset first. `bits`: bit i set when it
    qualifies for label i; `ends`: when it ends the wait for it. `values`: (label, value in millionths).
    """

    at: int
    seq: int
    kind: str
    bits: int
    ends: int = 0
    values: tuple[tuple[int, int], ...] = ()


class Found(msgspec.Struct, frozen=True, gc=False):
    """A touch, by which group, key and item it joins; item "" where the labels are of the whole response."""

    group: int
    key: str
    item: str
    touch: Touch


class Reader:
    """Reads touches out of records, and the keys that they join by out of predictions.

    `items`: the entity that responses rank, "" for none. `request`: the type of the task's requests. Raises
    `BadDeclaration` for labels that events or requests cannot be joined by.
    """

    def __init__(self, schema: Schema, labels: Sequence[Label], items: str, request: type[Event]) -> None:
        self._schema, self.labels = schema, tuple(labels)
        self.groups = _groups(labels, items)
        number = {(group.names, group.items): index for index, group in enumerate(self.groups)}
        self._by_type: dict[str, list[tuple[int, int | None, CompiledPlan]]] = {}
        for plan in label_plans(labels, schema):
            item_index = plan.by.index(items) if items in plan.by else None
            names = tuple(name for index, name in enumerate(plan.by) if index != item_index)
            group = number[names, item_index is not None]
            self._by_type.setdefault(plan.type, []).append((group, item_index, compile_plan(plan)))
        self._keys = [request_fields(group.names, request) for group in self.groups]

    def keys(self, prediction: Prediction) -> list[str | None]:
        """The key that each group joins the prediction by, None where the request lacks a part of it."""
        return [_text([_value(prediction, field) for field in fields]) for fields in self._keys]

    @property
    def types(self) -> frozenset[str]:
        """The event types that labels name, joined ones among them."""
        return frozenset(self._by_type)

    def read(self, records: Sequence[Positioned]) -> list[Found]:
        """The touches of records."""
        kept = [
            (offset << _PARTITION_BITS | partition, record)
            for record, offset, partition in records
            if record.type in self._by_type
        ]
        events = self._schema.decode_many([record for _, record in kept])
        return [
            found
            for (seq, record), event in zip(kept, events, strict=True)
            for group, item_index, plan in self._by_type[record.type]
            if (found := _found(group, item_index, plan, seq, record, event)) is not None
        ]


def _groups(labels: Sequence[Label], items: str) -> tuple[Group, ...]:
    numbers: dict[tuple[tuple[str, ...], bool], list[int]] = {}
    for number, label in enumerate(labels):
        by = joining_names(label)
        of_item = bool(items) and items in by
        item_index = by.index(items) if of_item else None
        names = tuple(name for index, name in enumerate(by) if index != item_index)
        numbers.setdefault((names, of_item), []).append(number)
    return tuple(Group(names, of_item, tuple(some)) for (names, of_item), some in numbers.items())


def request_fields(names: tuple[str, ...], request: type[Event]) -> tuple[str, ...]:
    """The fields of a request that hold what its labels join by; "" for the one that is its key."""
    refs = references(request)
    key = next(iter(refs), None)
    fields = [field_named(request, name, request.__struct_fields__) for name in names]
    return tuple("" if field == key else field for field in fields)


def _value(prediction: Prediction, field: str) -> Any:
    return prediction.key if field == "" else prediction.request.get(field)


def _text(values: Sequence[Any]) -> str | None:
    return None if any(value is None for value in values) else "\0".join(map(str, values))


def _found(
    group: int, item_index: int | None, plan: CompiledPlan, seq: int, record: Record, event: Event
) -> Found | None:
    names = list(plan.key(event))
    item = None if item_index is None else names.pop(item_index)
    key = _text(names)
    if key is None or (item_index is not None and item is None):
        return None
    bits = sum(1 << label for label, test in plan.tests if test is None or test(event))
    ends = sum(1 << label for label in plan.censors)
    values = [(label, value(event)) for label, value in plan.values if bits >> label & 1]
    micro = tuple((label, round(float(number) * MICRO)) for label, number in values if number is not None)
    missing = sum(1 << label for label, number in values if number is None)  # an event without the number says nothing
    touch = Touch(plan.at(event), seq, record.type, bits & ~missing, ends, micro)
    return Found(group, key, "" if item is None else str(item), touch)
