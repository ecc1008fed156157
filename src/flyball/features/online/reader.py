"""Reads features of many keys in one call from the state that a `FeatureConsumer` maintains."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flyball.core import BadInput, NotFound, Refused
from flyball.features.declaration.aggregates import ATTRIBUTE, DISTINCT, LAST_N, Aggregate
from flyball.features.declaration.formulas import shown as shown_value
from flyball.features.declaration.values import TEXT as IS_TEXT
from flyball.features.online.codec import (
    COUNTS,
    READY,
    Extras,
    Ready,
    counts_of,
    extras_of,
    keys_bytes,
    keys_of_bytes,
    ready_of,
)
from flyball.features.online.layout import GroupLayout, OutputColumn, compile_group, groups_of
from flyball.features.vectors import Reading, Vectors, bits_of
from flyball.stores import StateStore

_LIST_TAG, _TEXT_TAG, _OBJECT_TAG = 5, 4, 6

KeysByGroup = Mapping[str, Sequence[str | tuple[str, ...]]]


class FeatureReader:
    """Reads the features of `declared` (entities, `Features`, groups) from `store`; there may be many readers.

    `read({"user": ["7"], "user_film": [("7", "up"), ...]}, at_us)`: a key of one part may be a text. Raises `Refused`
    for a time before the horizon of a state, or a group that is not complete.
    """

    def __init__(self, declared: Sequence[Any], store: StateStore) -> None:
        from flyball.features.online.kernels.read import read

        groups = groups_of(declared)
        self._kernel = read
        self._plans = {group.name: compile_group(group) for group in groups}
        self._named = {name: plan.names for name, plan in self._plans.items()}
        self._special = {name: _special(plan) for name, plan in self._plans.items()}
        self._store = store
        self._ready_bytes: bytes | None = None
        self._ready = Ready()

    def read(self, keys_by_group: KeysByGroup, at_us: int) -> Reading:
        """The features of these keys as of `at_us` and of the present offsets of the store."""
        fields: list[bytes] = [READY]
        chosen: list[tuple[str, GroupLayout, list[tuple[str, ...]]]] = []
        for name, group_keys in keys_by_group.items():
            plan = self._plans.get(name)
            if plan is None:
                raise NotFound("group of features", name, self._plans)
            keys = [(key,) if isinstance(key, str) else tuple(key) for key in group_keys]
            count = len(plan.group.keys)
            if not all(len(key) == count for key in keys):
                wrong = next(key for key in keys if len(key) != count)
                raise BadInput(f"key of {name}", f"{count} texts: {', '.join(plan.group.keys)}", wrong)
            fields += keys_bytes(plan.prefix, keys)
            chosen.append((name, plan, keys))
        values, offsets = self._store.read(fields)
        self._note(values[0])
        start, groups, beyond = 1, {}, 0
        for name, plan, keys in chosen:
            self._check(plan)
            groups[name], over = self._vectors(plan, keys, values[start : start + len(keys)], at_us)
            start, beyond = start + len(keys), beyond + over
        return Reading(at_us, offsets, groups, beyond)

    def keys(self, group: str, most: int) -> list[tuple[str, ...]]:
        """The first `most` keys of a group that have a state; without those that are too long to be stored as they
        are."""
        prefix = self._plans[group].prefix
        stored = (keys_of_bytes(entry[len(prefix) :]) for entry, _ in self._store.scan(prefix, most))
        return [key for key in stored if key is not None]

    def known_us(self) -> int:
        """The latest `known_at` that is applied: features may be read from then on."""
        return counts_of(self._store.read([COUNTS])[0][0]).known_us

    def _note(self, value: bytes | None) -> None:
        if value != self._ready_bytes:
            self._ready_bytes, self._ready = value, ready_of(value)

    def _check(self, plan: GroupLayout) -> None:
        if self._ready_bytes is not None and self._ready.groups.get(plan.group.name) != plan.hash:
            raise Refused(
                f"features of {plan.group.name} must be rebuilt from the log first: they are new or their definition "
                "has changed (flyball features rebuild)"
            )

    def _vectors(
        self, plan: GroupLayout, keys: list[tuple[str, ...]], values: Sequence[bytes | None], at_us: int
    ) -> tuple[Vectors, int]:
        shape = (len(keys), len(plan.shown))
        bits, tags = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.uint8)
        lists = np.empty((len(keys), plan.list_width), dtype=np.int64)
        present = [value or b"" for value in values]
        starts = np.zeros(len(keys) + 1, dtype=np.int64)
        if len(keys) == 1:
            data = np.frombuffer(present[0], dtype=np.int64)
            starts[1] = len(data)
        else:
            np.cumsum([len(value) // 8 for value in present], out=starts[1:])
            data = np.frombuffer(b"".join(present), dtype=np.int64)
        allowed, beyond = self._kernel(plan.numbers, plan.reals, data, starts, at_us, bits, tags, lists)
        if None in values:
            allowed = max(allowed, self._ready.forgotten_us)
        if at_us < allowed:
            raise Refused(
                f"features must be read at {allowed} us or later, since older events are tiles, got {at_us} us"
            )
        objects: dict[tuple[int, int], Any] = {}
        special = self._special[plan.group.name]
        if special:
            for row, value in enumerate(present):
                extras = extras_of(value) if value and plan.has_texts else Extras()
                for feature, shown in special:
                    if tags[row, feature]:
                        object_value = _object(
                            shown, int(tags[row, feature]), int(bits[row, feature]), lists[row], extras
                        )
                        tags[row, feature], bits[row, feature] = bits_of(object_value)
                        if isinstance(object_value, str | list) or tags[row, feature] >= _TEXT_TAG:
                            objects[row, feature] = object_value
        return Vectors(self._named[plan.group.name], keys, bits, tags, objects), beyond


def _special(plan: GroupLayout) -> list[tuple[int, OutputColumn]]:
    """The features whose values are texts, lists or attributes."""
    special = []
    for index, shown in enumerate(plan.shown):
        feature = shown.feature
        if isinstance(feature, Aggregate) and (
            feature.op in (LAST_N, ATTRIBUTE) or (feature.kind == IS_TEXT and feature.op != DISTINCT and feature.value)
        ):
            special.append((index, shown))
    return [output for output in special if output[1].feature.result not in ("int", "real")] + [
        output
        for output in special
        if output[1].feature.op == ATTRIBUTE and output[1].feature.result in ("int", "real")
    ]


def _object(shown: OutputColumn, tag: int, bits: int, elements: Any, extras: Extras) -> Any:
    feature: Aggregate = shown.feature
    if tag == _OBJECT_TAG:
        return extras.profiles[bits][shown.attribute]
    if tag == _TEXT_TAG:
        return extras.texts[bits]
    codes = elements[shown.list_start : shown.list_start + bits].tolist()
    if feature.kind == IS_TEXT:
        return [extras.texts[rank] for rank in codes]
    return [shown_value(feature, value) for value in codes]
