"""The row of a request: fields of the event, hour and weekday, and declared features of the keys in the event."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from enum import Enum
from math import isfinite
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_origin

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Doubles, find_zone
from flyball.events import Event, read_type
from flyball.models import TableColumn
from flyball.tasks.featurize import Columns, GroupKeys, sampled
from flyball.tasks.labels import references
from flyball.tasks.predict.declaration import TIMES, Predict
from flyball.tasks.request import Request
from flyball.tasks.response import FeatureRead

if TYPE_CHECKING:
    import polars

    from flyball.features import FeatureSet, Group, Reading


BASELINE = "baseline_values"
"""The name of the artifact's array with the response that is used if the version or features are unavailable."""


def columns_of(on: type[Event], features: "FeatureSet", ignored: Sequence[str]) -> tuple[TableColumn, ...]:
    """The columns for candidates: fields of the event, times, and features, in this order, without `ignored` ones.

    Raises `BadDeclaration` for features of a key that the event does not name.
    """
    for group in features.groups:
        group_fields(on, group)
    columns = [
        TableColumn(field.name, kind)
        for field in read_type(on).declared
        if field.name not in ignored and (kind := _kind_of(field.kind, field.entity)) is not None
    ]
    names = {column.name for column in columns}
    columns += [TableColumn(name, "category") for name in TIMES if name not in {*ignored, *names, *features.derived}]
    results = {definition.name: definition.result for group in features.groups for definition in group.definitions}
    results |= {name: derived.result for name, derived in features.derived.items()}
    for name in features.names:
        if results[name] != "list" and name not in ignored:
            columns.append(TableColumn(name, "category" if results[name] == "text" else "number"))
    return tuple(columns)


def _kind_of(kind: Any, entity: str | None) -> Literal["number", "category"] | None:
    if entity is not None or kind is str or get_origin(kind) is Literal:
        return "category"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "category"
    return "number" if kind in (int, float, bool) else None


def number_fields(on: type[Event]) -> list[str]:
    """The fields of an event that are numbers."""
    return [field.name for field in read_type(on).declared if _kind_of(field.kind, None) == "number"]


def group_fields(on: type[Event], group: "Group") -> tuple[str, ...]:
    """The field of the event for each key of the group. Raises `BadDeclaration` for a key without a field."""
    refs = references(on)
    fields = []
    for key, entity in zip(group.keys, group.entity_keys, strict=True):
        named = [field for field, of in refs.items() if of == key] if entity else [key]
        if not named or named[0] not in on.__struct_fields__:
            raise BadDeclaration(f"key {key} of {group.name}", f"named by a field of {on.__name__}", list(refs))
        fields.append(named[0])
    return tuple(fields)


class EventColumns(Columns):
    """Reads features for the keys in the event of a request."""

    def __init__(self, task: Predict, names: Sequence[str]) -> None:
        super().__init__(task, names)
        self._inputs = input_fields(task.on, self._set)
        self._fields = {group.name: attrgetter(*group_fields(task.on, group)) for group in self.groups}

    def keys_of_request(self, request: Request, items: Sequence[str] = ()) -> GroupKeys:
        """The key of each group, empty if the event has no value for it."""
        keys_of = {}
        for name, read in self._fields.items():
            named = read(request.event)
            key = named if isinstance(named, tuple) else (named,)
            if None not in key:
                keys_of[name] = [tuple(map(str, key))]
        return keys_of

    def of_request(self, reading: "Reading", request: Request) -> FeatureRead:
        """The features that were read for a response, as stored in its record."""
        read = self.of_items(reading, range(1))
        vectors = {}
        if sampled(request.key):
            vectors = {name: (group.bits.tobytes(), group.tags.tobytes()) for name, group in read.groups.items()}
        return FeatureRead(self.hash, read.at_us, read.offsets, read.digest, vectors)

    def values(self, readings: "Sequence[Reading]", requests: Sequence[Request]) -> dict[str, Sequence[Any]]:
        """{feature: its plain value for each request}, including derived features."""
        feature_values: dict[str, Sequence[Any]] = {}
        rows = [{name: vectors.row(0) for name, vectors in reading.groups.items()} for reading in readings]
        for name, (group, position) in self._placed.items():
            feature_values[name] = [row[group.name][position] if group.name in row else None for row in rows]
        derived = [name for name in self._needed if name in self._set.derived]
        if derived:
            inputs = {**feature_values, "at": [request.at_us for request in requests]}
            for name in {
                input_name for derived_name in derived for input_name in self._set.derived[derived_name].inputs
            } - set(inputs):
                if name not in self._set.derived:
                    inputs[name] = self._plain(name, requests)
            self._set.derive_columns(inputs, len(requests), derived)
            feature_values |= {name: inputs[name] for name in derived}
        return feature_values

    def _plain(self, name: str, requests: Sequence[Request]) -> list[Any]:
        """A field of the event, or a key as a text, as in a frame of rows."""
        field, key = self._inputs[name]
        values = [getattr(request.event, field) for request in requests]
        return [None if value is None else str(value) for value in values] if key else values


def input_fields(on: type[Event], features: "FeatureSet") -> dict[str, tuple[str, bool]]:
    """{input of a derived feature: (field of the event, whether it is a key, that is, a text)}."""
    keys = {
        key: (field, True)
        for group in features.groups
        for key, field in zip(group.keys, group_fields(on, group), strict=True)
    }
    return {**{name: (name, False) for name in on.__struct_fields__}, **keys}


class Encoder:
    """Requests as arrays: numbers float64 (rows, number columns), categories int32 (rows, category columns).

    Missing and infinite numbers are NaN; missing categories and those that the vocabulary lacks are -1.
    `vocabularies`: {category column: its texts by code}. `fields`: {name that a field had then: its name now}, for a
    version that was learned before it was renamed.
    """

    def __init__(
        self,
        columns: Sequence[TableColumn],
        vocabularies: Mapping[str, Sequence[str]],
        zone: str = "UTC",
        fields: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.columns = tuple(columns)
        self.number_names = [column.name for column in columns if column.kind == "number"]
        self.category_names = [column.name for column in columns if column.kind == "category"]
        self._vocabularies = vocabularies
        self._codes = {
            name: {text: code for code, text in enumerate(vocabularies[name])} for name in self.category_names
        }
        self._zone, self._fields = find_zone(zone), fields
        own = [fields.get(name, name) for name in self.number_names]
        self._fields_of = attrgetter(*own) if len(own) > 1 else None  # of one: no tuple

    def arrays(
        self, requests: Sequence[Request], features: Mapping[str, Sequence[Any]]
    ) -> tuple[Doubles, NDArray[np.int32]]:
        """`features`: {name: a value for each request}, the other columns come from the events."""
        numbers = self._numbers(requests, features)
        codes = np.empty((len(requests), len(self.category_names)), np.int32)
        if not self.category_names:
            return numbers, codes
        times = time_columns([request.at_us for request in requests], self._zone)
        for index, name in enumerate(self.category_names):
            values = features.get(name) or self._texts(name, requests, times)
            of = self._codes[name]
            codes[:, index] = [of.get(text, -1) if text is not None else -1 for text in map(text_of, values)]
        return numbers, codes

    def _numbers(self, requests: Sequence[Request], features: Mapping[str, Sequence[Any]]) -> Doubles:
        # None becomes NaN here; predictors need contiguous rows
        if requests and self._fields_of is not None and features.keys().isdisjoint(self.number_names):
            numbers = np.array([self._fields_of(request.event) for request in requests], np.float64)
        else:
            columns = [
                features[name] if name in features else _values(self._fields.get(name, name), requests)
                for name in self.number_names
            ]
            numbers = np.array(columns, np.float64).reshape(len(columns), len(requests)).T.copy()
        numbers[~np.isfinite(numbers)] = np.nan
        return numbers

    def texts(self, codes: NDArray[np.int32]) -> dict[str, str]:
        """{category column: its text in one row}, "unknown" for code -1."""
        return {
            name: self._vocabularies[name][code] if code >= 0 else "unknown"
            for name, code in zip(self.category_names, codes.tolist(), strict=True)
        }

    def _texts(self, name: str, requests: Sequence[Request], times: Mapping[str, Sequence[str]]) -> Sequence[Any]:
        field = self._fields.get(name, name)
        if requests and field in requests[0].event.__struct_fields__:
            return _values(field, requests)
        return times[name]


def _values(field: str, requests: Sequence[Request]) -> list[Any]:
    return [getattr(request.event, field) for request in requests]


def time_columns(at_us: Sequence[int], zone: tzinfo) -> dict[str, list[str]]:
    """{"hour": texts, "weekday": texts} of times in microseconds, in a time zone; weekday 0 is Monday.

    >>> time_columns([1_767_225_600_000_000], find_zone("UTC"))  # Thursday, 1 January 2026
    {'hour': ['0'], 'weekday': ['3']}
    """
    local = [datetime.fromtimestamp(at // 1_000_000, zone) for at in at_us]
    return {
        "hour": [str(local_time.hour) for local_time in local],
        "weekday": [str(local_time.weekday()) for local_time in local],
    }


def columns_in(texts: Any) -> tuple[TableColumn, ...]:
    """The columns of training data or of an artifact."""
    return tuple(TableColumn(name, kind) for name, kind in zip(texts["columns"], texts["column_kinds"], strict=True))


def vocabularies_in(texts: Any, columns: Sequence[TableColumn]) -> dict[str, list[str]]:
    """{category column: its texts by code}."""
    names = [column.name for column in columns if column.kind == "category"]
    return {name: texts[f"vocabulary_{index}"] for index, name in enumerate(names)}


def number_of(value: Any) -> float:
    """A value as a number; NaN for a missing or infinite one.

    >>> number_of(True), number_of(None), number_of(float("inf"))
    (1.0, nan, nan)
    """
    number = float("nan") if value is None else float(value)
    return number if isfinite(number) else float("nan")


def text_of(value: Any) -> str | None:
    """A value as the text of a category; None for a missing one.

    >>> text_of(7), text_of(None)
    ('7', None)
    """
    plain = value.value if isinstance(value, Enum) else value
    return None if plain is None else str(plain)


def feature_frame(
    task: Predict,
    orders: "polars.DataFrame",
    frames: Mapping[str, Any],
    delay_us: int,
    groups: "Sequence[Group] | None" = None,
) -> Any:
    """`orders` with a column for each declared feature as known and applied at each order's `at`, point in time.

    `groups`: some of the features, without derived values unless all groups are given.
    """
    import polars as pl

    from flyball.features import point_in_time

    features = task.feature_set
    rows = orders
    for group in features.groups if groups is None else groups:
        fields = group_fields(task.on, group)
        keys = {key: pl.col(field).cast(pl.String) for key, field in zip(group.keys, fields, strict=True)}
        query_rows = orders.select("at", **{key: column.fill_null("") for key, column in keys.items()})
        values = point_in_time([group], frames, query_rows, apply_delay_us=delay_us)
        named = orders.select(named=pl.all_horizontal(*[column.is_not_null() for column in keys.values()]))["named"]
        names = [definition.name for definition in group.definitions]
        rows = rows.hstack(
            values.select(pl.when(named).then(pl.col(name)).otherwise(None).alias(name) for name in names)
        )
    if features.derived and (groups is None or list(groups) == list(features.groups)):
        inputs = input_fields(task.on, features)
        derive_inputs = rows.with_columns(
            **{name: pl.col(field).cast(pl.String) for name, (field, key) in inputs.items() if key}
        )
        rows = rows.hstack(features.derive_frame(derive_inputs).select(list(features.derived)))
    return rows
