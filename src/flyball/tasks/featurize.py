"""Builds the matrix of declared features for a user and retrieved items, the same online and offline."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Doubles, InWords, Refused
from flyball.tasks.about import About
from flyball.tasks.labels import references
from flyball.tasks.past import Frames
from flyball.tasks.response import FeatureRead

if TYPE_CHECKING:
    import polars

    from flyball.events import Offsets
    from flyball.features import FeatureReader, FeatureSet, Group, Reading, Vectors
    from flyball.tasks.request import Request

GroupKeys = Mapping[str, Sequence[tuple[str, ...]]]
"""{group: keys to read}."""

CATEGORIES = 1_024
"""The number of values that texts are hashed into; with few, trees need few splits."""


class HasFeatures(Protocol):
    """The features of a task: those of the user, of the ranked items, and of both."""

    @property
    def about(self) -> About: ...


class ReadFeatures(Protocol):
    """Reads features: for each of `keys_of_rows` a reading as of its time, each from one consistent state."""

    def read(self, keys_of_rows: Sequence[GroupKeys], at_us: Sequence[int]) -> "list[Reading]": ...


@runtime_checkable
class ReadsByEvent(Protocol):
    """A task whose features are those of every key in a request; all candidates read the same."""

    def feature_hashes_of(self, candidate: Any) -> dict[str, str]:
        """{feature: hash of its definition} of what a version of the candidate reads."""
        ...

    def feature_columns(self, names: Sequence[str]) -> "Columns":
        """The columns of these features. Raises `KeyError` for a name that the task does not declare."""
        ...


def feature_columns(task: HasFeatures, names: Sequence[str]) -> "Columns":
    """The columns of a version's features `names` for requests of the task.

    Raises `KeyError` for a name that the task does not declare.
    """
    return task.feature_columns(names) if isinstance(task, ReadsByEvent) else Columns(task, names)


class Columns:
    """The columns of the features `names`, made from readings.

    Raises `KeyError` for a name that the task does not declare.
    """

    def __init__(self, task: HasFeatures, names: Sequence[str]) -> None:
        self.names = tuple(names)
        about = task.about
        self._user, self._item = _entities_of(about)
        if about.features is None:
            raise KeyError(next(iter(names), ""))
        self._set = about.features
        placed = {
            definition.name: (group, index)
            for group in self._set.groups
            for index, definition in enumerate(group.definitions)
        }
        self._needed = self._set.needed(self.names)
        self._placed = {name: placed[name] for name in self._needed if name in placed}
        for name in self.names:
            if name not in self._placed and name not in self._set.derived:
                raise KeyError(name)
        self.groups = list({group.name: group for group, _ in self._placed.values()}.values())
        self.hash = self._set.hash_of(self.names)
        self._keys_by_group = {group.name: group.keys for group in self.groups}
        self._chosen = {group.name: self._chosen_of(group) for group in self.groups}

    def keys_for(self, user: str, items: Sequence[str]) -> GroupKeys:
        """The keys to read for a user and items."""
        return {group.name: self._keys(group, user, items) for group in self.groups}

    def keys_of_request(self, request: "Request", items: Sequence[str] = ()) -> GroupKeys:
        """The keys to read for a request and items."""
        return self.keys_for(request.key, items)

    def matrix(self, reading: "Reading", users: Sequence[str], items: Sequence[str]) -> Doubles:
        """float64 (rows, names) of the pairs of users and items; nan for missing."""
        rows = len(items)
        matrix = np.empty((rows, len(self.names)))
        numbers = {name: numbers_of(vectors) for name, vectors in reading.groups.items()}
        derived = self._derived(reading, users, items)
        for column, name in enumerate(self.names):
            if name in self._placed:
                group, source = self._placed[name]
                matrix[:, column] = numbers[group.name][:, source]  # the user's row is repeated for all items
            else:
                matrix[:, column] = [_number(value) for value in derived[name]]
        return matrix

    def _derived(self, reading: "Reading", users: Sequence[str], items: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        derived_names = [name for name in self._needed if name in self._set.derived]
        if not derived_names:
            return {}
        rows = len(items)
        columns: dict[str, Sequence[Any]] = {self._user: users, self._item: items, "at": [reading.at_us] * rows}
        inputs = {input for name in derived_names for input in self._set.derived[name].inputs}
        for name, (group, position) in self._placed.items():
            if name in inputs:
                values = reading.groups[group.name].column(position)
                columns[name] = values if len(values) == rows else values * rows
        self._set.derive_columns(columns, rows, derived_names)
        return columns

    def of_items(self, reading: "Reading", rows: Sequence[int]) -> "Reading":
        """The part of the reading that these columns are made from, for the items `rows`, in that order.

        Groups and features are sorted by name, so other declarations and their order do not matter.
        """
        from flyball.features import Reading

        kept = {}
        for name in sorted(self._chosen):
            vectors, group_rows = reading.groups[name], rows
            if self._item not in self._keys_by_group[name]:
                group_rows = range(len(vectors.keys))
            kept[name] = vectors.select(group_rows, self._chosen[name])
        return Reading(reading.at_us, reading.offsets, kept, reading.beyond)

    def feature_read(self, reading: "Reading", rows: Sequence[int], request_key: str) -> FeatureRead:
        """The features read for these items, as the record of a response stores them."""
        read, vectors = self.of_items(reading, rows), {}
        if sampled(request_key):
            vectors = {name: (group.bits.tobytes(), group.tags.tobytes()) for name, group in read.groups.items()}
        return FeatureRead(self.hash, read.at_us, read.offsets, read.digest, vectors)

    def recorded_names(self) -> dict[str, tuple[str, ...]]:
        """{group: the features whose values `FeatureRead.vectors` keeps of it, in that order}."""
        return {
            group.name: tuple(group.definitions[index].name for index in self._chosen[group.name])
            for group in self.groups
        }

    def _chosen_of(self, group: "Group") -> list[int]:
        """The indices in the group of the features that are read, sorted by name."""
        return [position for _, (owner, position) in sorted(self._placed.items()) if owner.name == group.name]

    def pairs(self, group: "Group", users: Sequence[str], items: Sequence[str]) -> list[tuple[str, ...]]:
        """The group's key of each pair."""
        if len(group.keys) == 1:
            return [(key,) for key in (users if group.keys[0] == self._user else items)]
        user_first = group.keys[0] == self._user
        return [(user, item) if user_first else (item, user) for user, item in zip(users, items, strict=True)]

    def _keys(self, group: "Group", user: str, items: Sequence[str]) -> list[tuple[str, ...]]:
        return [(user,)] if self._item not in group.keys else self.pairs(group, [user] * len(items), items)


ONE_IN = 16
"""For one in this many request keys, records store the values themselves; for all others their digest."""


def sampled(key: str) -> bool:
    """Whether the values read for this key are recorded; the choice depends on the key alone."""
    return crc32(key.encode()) % ONE_IN == 0


def _number(value: Any) -> float:
    """A derived value as trees see it: texts hashed into `CATEGORIES`, nan for missing."""
    from flyball.features import bits_of

    if value is None:
        return float("nan")
    return float(bits_of(value)[1] & (CATEGORIES - 1)) if isinstance(value, str) else float(value)


def numbers_of(vectors: "Vectors") -> Doubles:
    """float64 (keys, features): numbers as they are, texts hashed into `CATEGORIES`, nan for missing."""
    numbers = vectors.matrix()
    texts = vectors.tags == 4
    return np.where(texts, vectors.bits & (CATEGORIES - 1), numbers) if texts.any() else numbers


def chosen_features(task: HasFeatures, names: Sequence[str]) -> dict[str, str]:
    """{feature: hash} of the features, groups and derived values named in `names`.

    Raises `BadDeclaration` for an unknown name, for one that is a list, and for keys that are neither user nor item.
    """
    feature_set, (key, item) = task.about.features, _entities_of(task.about)
    if feature_set is None:
        raise BadDeclaration("features of Stages", "features that the task declares", InWords("a task without any"))
    groups = {group.name: group for group in feature_set.groups}
    kinds = {definition.name: definition.result for group in feature_set.groups for definition in group.definitions}
    known = [*groups, *kinds, *feature_set.derived]
    chosen: set[str] = set()
    for name in names:
        if name not in known:
            raise BadDeclaration("features of Stages", f"among {', '.join(known) or 'none'}", name)
        if kinds.get(name) == "list":
            raise BadDeclaration(f"feature {name} of Stages", "a number or text", InWords("a list"))
        named = [definition.name for definition in groups[name].definitions] if name in groups else [name]
        chosen.update(feature for feature in named if kinds.get(feature) != "list")
        strange = _keys_of(feature_set, named) - {key, item}
        if strange:
            raise BadDeclaration(f"keys of {name}", f"of {key} and {item}", sorted(strange))
    return {name: feature_set.hashes[name] for name in sorted(chosen)}


def _entities_of(about: About) -> tuple[str, str]:
    """The entity that the key of a request names, and the one that responses rank; "" for none."""
    return next(iter(references(about.request).values()), ""), about.items


def _keys_of(feature_set: "FeatureSet", names: Sequence[str]) -> set[str]:
    """The keys of the features, and those that derived features read."""
    needed = set(feature_set.needed(names))
    keys = {key for group in feature_set.groups for key in group.keys if key in needed}
    return keys.union(
        *(
            set(group.keys)
            for group in feature_set.groups
            if needed & {definition.name for definition in group.definitions}
        )
    )


class OnlineFeatures:
    """Features from the online store, one read for each row."""

    def __init__(self, reader: "FeatureReader") -> None:
        self._reader = reader

    def read(self, keys_of_rows: Sequence[GroupKeys], at_us: Sequence[int]) -> "list[Reading]":
        """Raise `Refused` while no event has been applied to the store."""
        readings = [self._reader.read(keys_of, at) for keys_of, at in zip(keys_of_rows, at_us, strict=True)]
        if readings and not any(readings[0].offsets):
            raise Refused(
                "the online features must have been computed from the log, got an empty store: "
                "flyball features rebuild fills it"
            )
        return readings


class OfflineFeatures:
    """Point-in-time features from frames of events: those known, and `apply_delay_us` later applied, at each time, or
    those before `offsets`.

    All rows of a call are computed together. Computed values are cached, so make one instance for each use.
    """

    def __init__(
        self, groups: "Sequence[Group]", frames: Frames, offsets: "Offsets | None" = None, apply_delay_us: int = 0
    ) -> None:
        self._groups = {group.name: group for group in groups}
        self._frames, self._offsets, self._delay_us = frames, offsets, apply_delay_us
        self._kept: dict[str, _Kept] = {}

    def read(self, keys_of_rows: Sequence[GroupKeys], at_us: Sequence[int]) -> "list[Reading]":
        from flyball.features import Reading, Vectors

        needed: dict[str, dict[_At, None]] = {}
        for keys_of, at in zip(keys_of_rows, at_us, strict=True):
            for name, keys in keys_of.items():
                needed.setdefault(name, {}).update(dict.fromkeys((key, at) for key in keys))
        for name, rows in needed.items():
            self._compute(name, rows)
        readings = []
        for keys_of, at in zip(keys_of_rows, at_us, strict=True):
            parts = {}
            for name, keys in keys_of.items():
                kept = self._kept[name]
                numbers = [kept.index[key, at] for key in keys]
                names = tuple(definition.name for definition in self._groups[name].definitions)
                objects = {
                    (position, number_of_value): value
                    for position, number in enumerate(numbers)
                    for number_of_value, value in kept.objects[number]
                }
                parts[name] = Vectors(names, list(keys), kept.bits[numbers], kept.tags[numbers], objects)
            readings.append(Reading(at, self._offsets or (), parts))
        return readings

    def matrix(self, columns: Columns, users: Sequence[str], items: Sequence[str], at_us: int) -> Doubles:
        """float64 (rows, names) for any pairs of users and items at one time."""
        if not users:
            return np.empty((0, len(columns.names)))
        keys_of: dict[str, list[tuple[str, ...]]] = {}
        for group in columns.groups:
            keys_of[group.name] = columns.pairs(group, users, items)
        return columns.matrix(self.read([keys_of], [at_us])[0], users, items)

    def _compute(self, name: str, rows: "Iterable[_At]") -> None:
        import polars as pl

        from flyball.features import point_in_time

        group = self._groups[name]
        width = len(group.definitions)
        kept = self._kept.setdefault(
            name, _Kept({}, np.empty((0, width), np.int64), np.empty((0, width), np.uint8), [])
        )
        missing = [row for row in rows if row not in kept.index]
        if not missing:
            return
        columns: dict[str, Any] = {
            entity: pl.Series([key[index] for key, _ in missing], dtype=pl.String)
            for index, entity in enumerate(group.keys)
        }
        columns["at"] = pl.Series([at for _, at in missing], dtype=pl.Int64)
        if self._offsets is not None:
            vector = pl.Series([list(self._offsets)], dtype=pl.List(pl.Int64))
            columns["offsets"] = vector.new_from_index(0, len(missing))
        values = point_in_time([group], self._frames, pl.DataFrame(columns), apply_delay_us=self._delay_us)
        coded = [coded_column(values[definition.name]) for definition in group.definitions]
        objects: list[list[tuple[int, Any]]] = [[] for _ in missing]
        for index, definition in enumerate(group.definitions):
            if definition.result in ("text", "list"):
                for number, value in enumerate(values[definition.name].to_list()):
                    if value is not None:
                        objects[number].append((index, value))
        kept.objects += objects
        for row in missing:
            kept.index[row] = len(kept.index)
        kept.bits = np.concatenate([kept.bits, np.stack([bits for bits, _ in coded], axis=1)])
        kept.tags = np.concatenate([kept.tags, np.stack([tags for _, tags in coded], axis=1)])


_At = tuple[tuple[str, ...], int]
"""A key and a time."""


class _Kept:
    """Cached values: `index` {(key, time): row of `bits`, `tags`, `objects`}; texts and lists by feature."""

    def __init__(
        self,
        index: dict[_At, int],
        bits: NDArray[np.int64],
        tags: NDArray[np.uint8],
        objects: list[list[tuple[int, Any]]],
    ) -> None:
        self.index, self.bits, self.tags, self.objects = index, bits, tags, objects


def coded_column(series: "polars.Series") -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The type and the 64 bits of each value of a column, as `bits_of` gives for one."""
    import polars as pl

    from flyball.features import bits_of

    present = series.is_not_null().to_numpy()
    if series.dtype.is_integer() or series.dtype == pl.Boolean:
        tag = bits_of(True)[0] if series.dtype == pl.Boolean else bits_of(1)[0]
        return series.cast(pl.Int64).fill_null(0).to_numpy().copy(), np.where(present, tag, 0).astype(np.uint8)
    if series.dtype == pl.Float64:
        bits = series.fill_null(0.0).to_numpy().copy().view(np.int64)
        return np.where(present, bits, 0), np.where(present, bits_of(1.0)[0], 0).astype(np.uint8)
    tagged_bits = [bits_of(value) for value in series.to_list()]
    return np.array([bits for _, bits in tagged_bits], np.int64), np.array([tag for tag, _ in tagged_bits], np.uint8)
