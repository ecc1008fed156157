"""Derived features: computed at the request from other features, keys and the time, by one function for each row."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import BadDeclaration, BadInput
from flyball.events import Event, original_field_name
from flyball.features.code import content_of, source_of
from flyball.features.declaration.groups import SEMANTICS, Entity, Features, Group, hash_of
from flyball.features.declaration.values import BOOL, INT, REAL, TEXT

if TYPE_CHECKING:
    import polars as pl

COMPUTED, HASHED = "computed", "hashed"
MOST_HASHED = 1 << 31

_KINDS: dict[type, str] = {int: INT, float: REAL, str: TEXT, bool: BOOL}


class Derived(msgspec.Struct, frozen=True):
    """One derived feature. `inputs`: names of features ("user.watched"), keys ("user"), other derived ones, or "at"."""

    op: str
    inputs: tuple[str, ...]
    result: str
    function: Callable[..., Any] | None = None
    size: int = 0
    content: str = ""

    @property
    def hash(self) -> str:
        """16 hex digits: a hash of its definition; of a function its parsed source, the same on every Python
        version."""
        return self.hash_with(self.inputs)

    def hash_with(self, inputs: Sequence[str]) -> str:
        """Its hash if its inputs had these names."""
        return hash_of([SEMANTICS, self.op, inputs, self.result, self.size, self.content])

    def plain(self) -> dict[str, Any]:
        """What its value depends on as plain values: of a function its source and the values that it reads."""
        return {
            "op": self.op,
            "inputs": list(self.inputs),
            "kind": self.result,
            **({"size": self.size} if self.size else {}),
            **({} if not isinstance(self.function, FunctionType) else source_of(self.function)),
        }


def computed(function: Callable[..., Any], *inputs: str, kind: type = float) -> Derived:
    """A derived feature `function(*inputs)`. Inputs are plain values, None where missing; it may return None.

    The function is called for one row at a time, in training and serving, so batches cannot change a bit. `kind`:
    float, int, bool or str. It may use its arguments, functions, modules and constants made of numbers and texts (also
    dicts, lists and sets of them). Its hash covers all of these and its parsed source, without layout, comments and
    annotations. Raises `BadDeclaration` for a function that uses anything else.
    """
    if kind not in _KINDS:
        raise BadDeclaration("kind of computed", "float, int, bool or str", kind)
    if not isinstance(function, FunctionType):
        raise BadDeclaration("a computed feature", "a Python function of its inputs", function)
    return Derived(
        COMPUTED,
        _names("computed", inputs),
        _KINDS[kind],
        function,
        0,
        hashlib.sha256(content_of(function).encode()).hexdigest(),
    )


def hashed(*inputs: str, size: int) -> Derived:
    """A cross of categories: a hash of the inputs, an integer in `[0, size)`. Missing where an input is.

    The hash is blake2b, 8 bytes, over the texts, each preceded by its length, modulo `size`.
    """
    if type(size) is not int or not 1 < size <= MOST_HASHED:
        raise BadDeclaration("size of hashed", f"a whole number in 2..{MOST_HASHED}", size)
    return Derived(HASHED, _names("hashed", inputs), INT, None, size)


class FeatureSet:
    """The features that a model reads: groups of features, and derived features, in this order.

    `FeatureSet(user, film, hour=computed(lambda at: at // 3_600_000_000 % 24, "at", kind=int))`. An event type among
    them is the request's event: derived features may read its fields.
    """

    def __init__(self, *groups: Entity | Features | Group | type[Event], **derived: Derived) -> None:
        for member in groups:
            if not isinstance(member, Entity | Features | Group | type):
                must = "an fb.Entity, an fb.Features or the event type of the request"
                raise BadDeclaration("each group of a FeatureSet", must, member)
        events = [member for member in groups if isinstance(member, type)]
        self.fields = tuple(name for event in events for name in event.__struct_fields__ if name != "at")
        kept = [member for member in groups if not isinstance(member, type)]
        self.entities = tuple(member for member in kept if isinstance(member, Entity))
        self.groups = tuple(group if isinstance(group, Group) else group.features for group in kept)
        names = [feature.name for group in self.groups for feature in group.definitions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadDeclaration("groups of a FeatureSet", "different", twice)
        known = {*names, *_others(self.groups, self.fields)}
        for name, feature in derived.items():
            if not isinstance(feature, Derived):
                raise BadDeclaration(f"derived feature {name}", "made by fb.computed or fb.hashed", feature)
            if name in known or any(name == group.name for group in self.groups):
                raise BadDeclaration("name of a derived feature", "other than those of keys, groups and at", name)
            unknown = [source for source in feature.inputs if source not in known]
            if unknown:
                raise BadDeclaration(f"inputs of derived feature {name}", f"among {', '.join(sorted(known))}", unknown)
            known.add(name)
        self.derived = dict(derived)
        self.names = (*names, *self.derived)
        self._originals = _original_names(events, self.groups)

    @property
    def hash(self) -> str:
        """16 hex digits: a hash of all names and definitions."""
        stored = [[feature.name, feature.hash] for group in self.groups for feature in group.definitions]
        derived = [[name, feature.hash_with(self._original_inputs(feature))] for name, feature in self.derived.items()]
        return hash_of([stored, derived])

    @property
    def hashes(self) -> dict[str, str]:
        """{name: hash of its definition}; a derived feature's covers its inputs, fields under their oldest names."""
        by_name = {feature.name: feature.hash for group in self.groups for feature in group.definitions}
        for name, feature in self.derived.items():
            inputs = self._original_inputs(feature)
            by_name[name] = hash_of([feature.hash_with(inputs), [by_name.get(source, source) for source in inputs]])
        return by_name

    @property
    def definitions(self) -> dict[str, dict[str, Any]]:
        """{name: its definition as plain values, in the words of the declaration}: what messages compare."""
        stored = {feature.name: feature.plain for group in self.groups for feature in group.definitions}
        return {**stored, **{name: feature.plain() for name, feature in self.derived.items()}}

    def _original_inputs(self, feature: Derived) -> list[str]:
        return [self._originals.get(source, source) for source in feature.inputs]

    def hash_of(self, names: Iterable[str]) -> str:
        """16 hex digits: a hash of these names and their definitions alone."""
        hashes = self.hashes
        return hash_of([[name, hashes[name]] for name in sorted(names)])

    def needed(self, names: Sequence[str]) -> list[str]:
        """The stored features, keys and derived features that `names` depend on, including themselves, in order."""
        needed_names = dict.fromkeys(names)
        for name in reversed(self.derived):
            if name in needed_names:
                needed_names.update(dict.fromkeys(self.derived[name].inputs))
        return [name for name in (*self.names, *_others(self.groups, self.fields)) if name in needed_names]

    def derive_columns(self, columns: dict[str, Sequence[Any]], rows: int, names: Sequence[str]) -> None:
        """Add the derived features among `names` to `columns` ({name: `rows` values}), in the order of the set."""
        for name in self.derived:
            if name in names:
                feature = self.derived[name]
                inputs = (
                    zip(*(columns[source] for source in feature.inputs), strict=True) if feature.inputs else [()] * rows
                )
                columns[name] = [_value(name, feature, row) for row in inputs]

    def derive(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """{name: value} of the derived features of one row of features, keys and `at`."""
        values = dict(row)
        for name, feature in self.derived.items():
            values[name] = _value(name, feature, [values[source] for source in feature.inputs])
        return {name: values[name] for name in self.derived}

    def derive_frame(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """`frame` (as `point_in_time` gives it) with a column for each derived value."""
        import polars as pl

        kinds: dict[str, Any] = {INT: pl.Int64, REAL: pl.Float64, TEXT: pl.String, BOOL: pl.Boolean}
        for name, feature in self.derived.items():
            rows = (
                zip(*(frame[source].to_list() for source in feature.inputs), strict=True)
                if feature.inputs
                else _empty(frame)
            )
            values = [_value(name, feature, row) for row in rows]
            frame = frame.with_columns(pl.Series(name, values, dtype=kinds[feature.result]))
        return frame


def _original_names(events: Sequence[type[Event]], groups: Sequence[Group]) -> dict[str, str]:
    """{field of the events, or key that is one: its oldest name}; entities keep their names, whatever fields say."""
    entities = {key for group in groups for key, entity in zip(group.keys, group.entity_keys, strict=True) if entity}
    return {
        name: original_field_name(event, name)
        for event in events
        for name in event.__struct_fields__
        if name not in entities
    }


def _others(groups: Sequence[Group], fields: Sequence[str]) -> list[str]:
    return [*dict.fromkeys((*(key for group in groups for key in group.keys), *fields)), "at"]


def _empty(frame: "pl.DataFrame") -> Iterator[tuple[()]]:
    return (() for _ in range(frame.height))


def _value(name: str, feature: Derived, inputs: Sequence[Any]) -> Any:
    if feature.function is None:
        return None if any(value is None for value in inputs) else _bucket(inputs, feature.size)
    try:
        value = feature.function(*inputs)
    except Exception as error:
        named_inputs = ", ".join(f"{source}={value!r}" for source, value in zip(feature.inputs, inputs, strict=True))
        error.add_note(f"computed feature {name} was given {named_inputs}; a missing input is None")
        raise
    if value is None:
        return None
    if feature.result == REAL and not isinstance(value, str | bool):
        real = float(value)
        return real if math.isfinite(real) else None
    if feature.result == INT and not isinstance(value, str | float) and int(value) == value:
        return int(value)
    if (feature.result == BOOL and value in (True, False)) or (feature.result == TEXT and isinstance(value, str)):
        return bool(value) if feature.result == BOOL else value
    raise BadInput(f"value of computed feature {name}", f"{feature.result} or None", value)


def _bucket(values: Iterable[Any], size: int) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        text = str(value).encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    return int.from_bytes(digest.digest(), "little") % size


def _names(owner: str, inputs: Sequence[str]) -> tuple[str, ...]:
    if not inputs or not all(isinstance(name, str) for name in inputs):
        raise BadDeclaration(f"inputs of {owner}", 'names such as "user.watched" or "at", one or more', inputs)
    return tuple(inputs)
