"""The layout of the online state of a group, compiled to integers for `kernels.update` and `kernels.read`.

The state of a key is one value. It begins with a header: length, first time that may be queried, latest time, bucket of
the first expiry entry, limit of rows. For each *stream* (an event type, its key fields and a delay) follow the count
and the latest events as rows `[at, columns...]`; for each *section* follow the count and rows that replace older
events: tiles of sums, the latest values, or distinct values with their latest time. All these are 64-bit words. Texts
and profiles, if any, follow in msgpack. Features that read the same data share columns and sections.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from flyball.core import Ints
from flyball.events import Event, defaults_in
from flyball.features.declaration.aggregates import (
    ATTRIBUTE,
    COUNT,
    DECAYED,
    DISTINCT,
    FIRST,
    LAST,
    LAST_N,
    MAX,
    MEAN,
    MIN,
    STD,
    SUM,
    TARGET,
    WEIGHT_ONE,
    Aggregate,
)
from flyball.features.declaration.groups import Group, hash_of
from flyball.features.declaration.values import BOOL, REAL, TEXT
from flyball.features.declaration.windows import EXACT, LIFETIME, TILED
from flyball.features.online.codec import label_of
from flyball.policy import Expression

LAYOUT = 1
"""Raised when the words of a state come to mean something else; states of another layout are rebuilt."""

NUMBER, RANK, HASH, PLACE = 0, 1, 2, 3
"""What a column holds: units; the rank of a text; half of a text's hash; the offset of a profile."""

_OPS = {
    COUNT: 0,
    SUM: 1,
    MEAN: 2,
    STD: 3,
    TARGET: 4,
    DECAYED: 5,
    MIN: 6,
    MAX: 7,
    FIRST: 8,
    LAST: 9,
    LAST_N: 10,
    DISTINCT: 11,
    ATTRIBUTE: 9,
}
_MASKS = {
    COUNT: 0,
    SUM: 1,
    MEAN: 1,
    STD: 1 | 2,
    TARGET: 1,
    DECAYED: 1,
    MIN: 4,
    MAX: 8,
    FIRST: 16,
}
_WINDOWS = {TILED: 0, EXACT: 1, LIFETIME: 2}
_WHOLE, _DOUBLE, _YES_NO, _TEXT, _OBJECT = 1, 2, 3, 4, 6
_STREAM, _SECTION, _PART, _HEADER = 3, 8, 15, 9
_TILES, _TOP, _DISTINCT = 0, 1, 2


class ColumnSource(msgspec.Struct):
    """A column of a stream with the source of its values. A hash has two columns."""

    where: Expression | None
    value: Expression | None
    per_unit: int
    kind: int
    first_column: int


class Stream(msgspec.Struct):
    """Events of one type for the keys in `fields`, visible `delay_us` late.

    `lasting`: a part of them is never deleted. `counts_all`: every event counts, for any values of its columns.
    """

    event: type[Event]
    fields: tuple[str, ...]
    delay_us: int
    profile: bool
    sources: dict[Any, ColumnSource] = {}
    attributes: list[Expression] = []
    reach_us: int = 0
    lasting: bool = False
    counts_all: bool = False

    @property
    def columns(self) -> int:
        return sum(2 if source.kind == HASH else 1 for source in self.sources.values())


class _Section(msgspec.Struct):
    kind: int
    stream: int
    column: int
    second: int
    tile_us: int
    reach_us: int = 0
    most: int = 0

    @property
    def width(self) -> int:
        if self.kind == _TILES:
            return 2 + sum(words for bit, words in ((1, 2), (2, 3), (4, 1), (8, 1), (16, 2)) if self.most & bit)
        return 2 if self.kind == _TOP else 3


class OutputColumn(msgspec.Struct, frozen=True):
    """How the bits of a feature become a value: for lists the position and the aggregate, for attributes which one."""

    feature: Any
    list_start: int = 0
    attribute: int = 0


class GroupLayout(msgspec.Struct, frozen=True):
    """A compiled group.

    `numbers`, `reals`: for the kernels. `reach_us`: the time after its latest event when a key may be deleted, None for
    never. `kinds` (streams, columns): the content of each column. `has_texts`: whether texts or profiles follow the
    words of a state.
    """

    group: Group
    prefix: bytes
    streams: tuple[Stream, ...]
    numbers: Ints
    reals: npt.NDArray[np.float64]
    shown: tuple[OutputColumn, ...]
    kinds: Ints
    list_width: int
    reach_us: int | None
    hash: str
    names: tuple[str, ...]
    has_texts: bool

    @property
    def width(self) -> int:
        """The length of a row: the stream, the time and the columns."""
        return int(self.numbers[3])


def groups_of(declared: Sequence[Any]) -> list[Group]:
    """The groups that have features among entities, `Features` and groups."""
    groups = [member if isinstance(member, Group) else member.features for member in declared]
    return [group for group in groups if group.definitions]


def compile_group(group: Group) -> GroupLayout:
    """The plan of a group."""
    return _Compiler(group).plan()


class _Compiler:
    def __init__(self, group: Group) -> None:
        self.group = group
        self.streams: dict[Any, Stream] = {}
        self.sections: dict[Any, _Section] = {}
        self.parts: list[list[int]] = []
        self.reals: list[tuple[float, float]] = []
        self.weights: list[int] = []
        self.list_width = 0

    def plan(self) -> GroupLayout:
        pairs, shown = [], []
        for definition in self.group.definitions:
            made = [self._part(feature, fields) for feature, fields in definition.aggregates]
            pairs.append([made[0][0], made[1][0] if len(made) > 1 else -1])
            shown.append(made[0][1] if len(made) == 1 else OutputColumn(definition.feature))
        streams = list(self.streams.values())
        most = max(stream.columns for stream in streams)
        numbers = self._numbers(pairs, most)
        kinds = np.full((len(streams), max(most, 1)), NUMBER, dtype=np.int64)
        for index, stream in enumerate(streams):
            for source in stream.sources.values():
                kinds[index, source.first_column : source.first_column + (2 if source.kind == HASH else 1)] = (
                    source.kind
                )
        hashed = self._hash()
        lasting = any(stream.lasting for stream in streams)
        return GroupLayout(
            group=self.group,
            prefix=f"f/{label_of(self.group.name)}.{hashed}/".encode(),
            streams=tuple(streams),
            numbers=np.array(numbers + self.weights, dtype=np.int64),
            reals=np.array(self.reals, dtype=np.float64).reshape(-1, 2),
            shown=tuple(shown),
            kinds=kinds,
            list_width=self.list_width,
            reach_us=None if lasting else max(stream.reach_us + stream.delay_us for stream in streams),
            hash=hashed,
            names=tuple(definition.name for definition in self.group.definitions),
            has_texts=bool(np.isin(kinds, (RANK, PLACE)).any()),
        )

    def _hash(self) -> str:
        """The hash of all definitions that the states of the group depend on, besides events and keys."""
        defaults = [
            defaults_in(
                part.event,
                *fields,
                *(expression.text() for expression in (part.value, part.where) if expression is not None),
            )
            for definition in self.group.definitions
            for part, fields in definition.aggregates
        ]
        meaning = [LAYOUT, self.group.name, [definition.hash for definition in self.group.definitions]]
        return hash_of([*meaning, defaults] if any(defaults) else meaning)

    def _numbers(self, pairs: list[list[int]], most: int) -> list[int]:
        """The layout for the kernels: a header, streams, sections, pairs and parts. `most`: columns of a stream."""
        streams, sections = list(self.streams.values()), list(self.sections.values())
        start = _HEADER
        numbers = [len(streams), len(sections), len(pairs), 2 + most]
        after_streams = start + _STREAM * len(streams)
        after_sections = after_streams + _SECTION * len(sections)
        after_pairs = after_sections + 2 * len(pairs)
        after_parts = after_pairs + _PART * len(self.parts)
        widths = sum(section.width for section in sections)
        numbers += [start, after_streams, after_sections, widths, after_pairs]
        for stream in streams:
            numbers += [stream.columns, stream.delay_us, 0]
        for section in sections:
            numbers += [
                section.kind,
                section.stream,
                section.column,
                section.second,
                section.tile_us,
                section.reach_us,
                section.most,
                section.width,
            ]
        numbers += [number for pair in pairs for number in pair]
        for part in self.parts:
            if part[0] == _OPS[DECAYED]:
                part[10] += after_parts
            numbers += part
        return numbers

    def _part(self, feature: Aggregate, fields: tuple[str, ...]) -> tuple[int, OutputColumn]:
        stream_index, stream = self._stream(feature, fields)
        column, second = self._column(stream, feature)
        window = feature.window
        reach = window.size_us + window.tile_us
        if window.kind == LIFETIME:
            reach, stream.lasting = -1, True
        else:
            stream.reach_us = max(stream.reach_us, reach)
        section, exact = self._sections_of(feature, stream_index, column, second, reach)
        shown = OutputColumn(feature, self.list_width, len(stream.attributes) - 1)
        extra = 0
        if feature.op == DECAYED:
            extra = len(self.weights) + 1
            self.weights += [WEIGHT_ONE, *feature.weights]
        elif feature.op == LAST_N:
            extra = feature.n
            self.list_width += feature.n
        elif feature.op == DISTINCT:
            extra = second
        self.parts.append(
            [
                _OPS[feature.op],
                stream_index,
                column,
                section,
                _WINDOWS[window.kind],
                window.size_us,
                window.tile_us,
                window.max_events,
                feature.per_unit,
                exact,
                extra,
                _output_kind(feature),
                shown.list_start,
                feature.max_events,
                0 if feature.value is None else 1,
            ]
        )
        self.reals.append((feature.prior * feature.weight, feature.weight))
        return len(self.parts) - 1, shown

    def _sections_of(
        self, feature: Aggregate, stream_index: int, column: int, second: int, reach: int
    ) -> tuple[int, int]:
        """The section that the feature reads, and the section of the events of its exact window, -1 for none."""
        window, exact = feature.window, -1
        if window.kind == EXACT:
            exact = self._section(_TOP, stream_index, column, -1, 0, reach, window.max_events + 1)
        if feature.op == DISTINCT:
            return self._section(_DISTINCT, stream_index, column, second, 0, reach, feature.max_events + 1), exact
        if window.kind == EXACT:
            return exact, exact
        if feature.op in (LAST, ATTRIBUTE, LAST_N):
            return self._section(_TOP, stream_index, column, -1, 0, reach, max(feature.n, 1)), exact
        mask = _MASKS[feature.op] if column >= 0 else 0
        return self._section(_TILES, stream_index, column, -1, window.tile_us, reach, mask), exact

    def _stream(self, feature: Aggregate, fields: tuple[str, ...]) -> tuple[int, Stream]:
        profile = feature.op == ATTRIBUTE
        name = (feature.event.__name__, fields, feature.delay_us, profile)
        if name not in self.streams:
            self.streams[name] = Stream(feature.event, fields, feature.delay_us, profile, {}, [])
        return list(self.streams).index(name), self.streams[name]

    def _column(self, stream: Stream, feature: Aggregate) -> tuple[int, int]:
        """The column of the values and, for hashes, the second one; -1 if every event counts as 1."""
        if feature.op == ATTRIBUTE:
            assert feature.value is not None
            stream.attributes.append(feature.value)
            source = stream.sources.setdefault(PLACE, ColumnSource(None, None, 1, PLACE, 0))
            return source.first_column, -1
        if feature.value is None and feature.where is None:
            stream.counts_all = True
            return -1, -1
        kind = NUMBER
        if feature.kind == TEXT and feature.value is not None:
            kind = HASH if feature.op == DISTINCT else RANK
        name = (repr(feature.where), repr(feature.value), feature.per_unit, kind)
        if name not in stream.sources:
            stream.sources[name] = ColumnSource(feature.where, feature.value, feature.per_unit, kind, stream.columns)
        source = stream.sources[name]
        return source.first_column, source.first_column + 1 if kind == HASH else -1

    def _section(self, kind: int, stream: int, column: int, second: int, tile_us: int, reach_us: int, most: int) -> int:
        """The section, extended for this use."""
        name = (kind, stream, column, tile_us)
        section = self.sections.setdefault(name, _Section(kind, stream, column, second, tile_us))
        section.reach_us = -1 if -1 in (reach_us, section.reach_us) else max(reach_us, section.reach_us)
        section.most = section.most | most if kind == _TILES else max(section.most, most)
        return list(self.sections).index(name)


def _output_kind(feature: Aggregate) -> int:
    if feature.op == ATTRIBUTE:
        return _OBJECT
    return {REAL: _DOUBLE, BOOL: _YES_NO, TEXT: _TEXT}.get(feature.kind, _WHOLE)
