"""Encodes records for the states of a group, as rows of integers by key."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from flyball.core import Ints
from flyball.events import Event
from flyball.features.declaration.values import LARGEST_UNITS, declared_type, key_function, units_of
from flyball.features.online.layout import HASH, PLACE, RANK, ColumnSource, GroupLayout, Stream
from flyball.policy import Expression, compile_python

TypedEvents = tuple[Sequence[Event], Sequence[int]]
"""Events of one type and their offsets."""

MISSING = -(1 << 63)
_REMEMBERED = 1 << 16


class EncodedEvents(msgspec.Struct):
    """Rows `[stream, at, columns...]` of some keys; those of key `i` are in `starts[i]:starts[i + 1]`.

    `texts`: the texts of the ranks in these rows, before they become ranks within a key. `profiles`: the attributes by
    key and offset.
    """

    keys: list[tuple[str, ...]]
    rows: Ints
    starts: Ints
    texts: list[str]
    profiles: dict[Any, list[Any]]


class EventEncoder:
    """Turns events into rows for one plan."""

    def __init__(self, plan: GroupLayout) -> None:
        self.plan = plan
        self._streams = [_StreamEncoder(stream) for stream in plan.streams]

    def encode(self, events: Mapping[type[Event], TypedEvents]) -> EncodedEvents | None:
        """The rows of these events; None if there are none."""
        numbers: dict[Any, int] = {}
        texts: dict[str, int] = {}
        profiles: dict[Any, list[Any]] = {}
        blocks, codes = [], []
        read: dict[Any, list[Any]] = {}
        for index, encoder in enumerate(self._streams):
            typed_events = events.get(encoder.stream.event)
            if typed_events is None or not typed_events[0]:
                continue
            block, code = encoder.rows(index, self.plan.width, typed_events, numbers, texts, profiles, read)
            blocks.append(block)
            codes.append(code)
        if not numbers:
            return None
        rows, code = np.concatenate(blocks), np.concatenate(codes)
        order = np.argsort(code, kind="stable")
        order = order[np.searchsorted(code[order], 0) :]
        starts = np.searchsorted(code[order], np.arange(len(numbers) + 1))
        return EncodedEvents(list(numbers), rows[order], starts.astype(np.int64), list(texts), profiles)


class _StreamEncoder:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        declared = {field.name: field for field in declared_type(stream.event).declared}
        self._kinds = {name: field.kind for name, field in declared.items()}
        self._plain = all(declared[name].kind in (int, str) for name in stream.fields)
        self._attributes = [compile_python(value) for value in stream.attributes]

    def rows(
        self,
        stream_index: int,
        width: int,
        typed_events: TypedEvents,
        numbers: dict[Any, int],
        texts: dict[str, int],
        profiles: dict[Any, list[Any]],
        read: dict[Any, list[Any]],
    ) -> tuple[Ints, Ints]:
        """The rows and the number of the key of each, -1 if the event has no key."""
        events, offsets = typed_events
        stream = self.stream
        rows = np.full((len(events), width), MISSING, dtype=np.int64)
        rows[:, 0] = stream_index
        rows[:, 1] = [event.at for event in events]
        present = np.full(len(events), stream.counts_all)
        for source in stream.sources.values():
            column = 2 + source.first_column
            if source.kind == PLACE:
                rows[:, column] = offsets
            elif source.kind == HASH:
                rows[:, column : column + 2] = [hash_words(text) for text in self._texts(source, events, read)]
            elif source.kind == RANK:
                rows[:, column] = [
                    MISSING if text is None else texts.setdefault(text, len(texts))
                    for text in self._texts(source, events, read)
                ]
            else:
                rows[:, column] = self._units(source, events, read)
            present |= rows[:, column] != MISSING
        if not stream.counts_all:
            codes = np.full(len(events), -1, dtype=np.int64)
            chosen = np.nonzero(present)[0].tolist()
            some = [events[index] for index in chosen]
            codes[chosen] = self._codes(some, numbers)
        else:
            codes = np.array(self._codes(events, numbers), dtype=np.int64)
        if stream.profile:
            keys = list(numbers)
            for event, offset, code in zip(events, offsets, codes.tolist(), strict=True):
                if code >= 0:
                    profiles[keys[code], offset] = [value(event) for value in self._attributes]
        return rows, codes

    def _codes(self, events: Sequence[Event], numbers: dict[Any, int]) -> list[int]:
        if self._plain:
            keys = list(zip(*[self._names(field, events) for field in self.stream.fields], strict=True))
        else:
            keys_of = [key_function(field) for field in self.stream.fields]
            keys = [tuple([key_of(event) for key_of in keys_of]) for event in events]
        return [-1 if None in key else numbers.setdefault(key, len(numbers)) for key in keys]

    def _names(self, field: str, events: Sequence[Event]) -> list[str | None]:
        values: list[Any] = list(map(attrgetter(field), events))
        return values if self._kinds[field] is str else [None if value is None else str(value) for value in values]

    def _values(self, expression: Expression, events: Sequence[Event], read: dict[Any, list[Any]]) -> list[Any]:
        """The values of the expression for each event, evaluated once a batch."""
        name = (self.stream.event, repr(expression))
        values = read.get(name)
        if values is None:
            if expression.op == "field" and self._kinds.get(expression.args[0]) in (int, float, bool, str):
                values = list(map(attrgetter(expression.args[0]), events))
            else:
                function = compile_python(expression)
                values = [function(event) for event in events]
            read[name] = values
        return values

    def _texts(self, source: ColumnSource, events: Sequence[Event], read: dict[Any, list[Any]]) -> list[str | None]:
        assert source.value is not None
        values = self._values(source.value, events, read)
        if source.where is None:
            return values
        passed = self._values(source.where, events, read)
        return [value if test else None for value, test in zip(values, passed, strict=True)]

    def _units(self, source: ColumnSource, events: Sequence[Event], read: dict[Any, list[Any]]) -> Any:
        if source.value is None:
            assert source.where is not None
            return [1 if test else MISSING for test in self._values(source.where, events, read)]
        units = self._all_units(source, events, read)
        if source.where is None:
            return units
        passed = np.fromiter(map(bool, self._values(source.where, events, read)), np.bool_, len(events))
        return np.where(passed, units, MISSING)

    def _all_units(self, source: ColumnSource, events: Sequence[Event], read: dict[Any, list[Any]]) -> Ints:
        """The values in whole units, as by `units_of`; those of a plain field are computed together."""
        expression, per_unit = source.value, source.per_unit
        assert expression is not None
        values = self._values(expression, events, read)
        kind = self._kinds.get(expression.args[0]) if expression.op == "field" else None
        if kind is int or kind is bool:
            try:
                integers = np.array(values, dtype=np.int64)
            except (TypeError, OverflowError):
                pass  # some are None or exceed 64 bits: they are computed one by one below
            else:
                most = LARGEST_UNITS // per_unit
                usable = (integers >= -most) & (integers <= most)
                return integers * per_unit if usable.all() else np.where(usable, integers * usable * per_unit, MISSING)
        if kind is float:
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = np.array(values, dtype=np.float64) * float(per_unit)  # None becomes NaN
            usable = np.abs(scaled) <= LARGEST_UNITS
            return np.where(usable, np.rint(np.where(usable, scaled, 0.0)).astype(np.int64), MISSING)
        units = [units_of(value, per_unit) for value in values]
        return np.array([MISSING if unit is None else unit for unit in units], dtype=np.int64)


_hashes: dict[str, tuple[int, int]] = {}


def hash_words(text: str | None) -> tuple[int, int]:
    """126 bits of the hash of a text, in two nonnegative words; `MISSING` for no text."""
    if text is None:
        return MISSING, MISSING
    words = _hashes.get(text)
    if words is None:
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        words = int.from_bytes(digest[:8], "little") >> 1, int.from_bytes(digest[8:], "little") >> 1
        if len(_hashes) >= _REMEMBERED:
            _hashes.clear()
        _hashes[text] = words
    return words
