"""The profiles of the features that answers were computed from."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from flyball.core import NotFound, SignedInts
from flyball.features import Vectors
from flyball.monitoring.profiles.table import TableProfile
from flyball.outcomes import Prediction, prediction_of, records_between
from flyball.runtime import Runtime
from flyball.tasks import feature_columns

FEATURES = "features"
"""Tables are named so, with a group of features: "features.user"."""


def feature_profiles(runtime: Runtime, since_us: int, until_us: int) -> dict[str, TableProfile]:
    """For each group of features the profile of the values that answers of `[since_us, until_us)` were computed from.

    Values are recorded for one request key in sixteen, always the same; texts and lists as their hashes. A feature has
    the rows of the versions that read it. Answers of versions that read what is no longer declared are left out, and
    features whose windows are longer than the log, since their values grow with it.
    """
    settled = _settled(runtime, since_us)
    names_of: dict[str, dict[str, tuple[str, ...]]] = {}
    parts: dict[str, dict[tuple[str, ...], _Recorded]] = {group: {} for group in feature_groups(runtime)}
    for record in records_between(runtime.predictions, since_us, until_us):
        answer = prediction_of(record)
        for read in answer.reads:
            if read.vectors and answer.version not in names_of:
                names_of[answer.version] = _recorded_names(runtime, answer.version)
            for group, (bits, tags) in read.vectors.items():
                names = names_of[answer.version].get(group, ())
                values = np.frombuffer(bits, np.int64)
                if names and len(values) and len(values) % len(names) == 0 and group in parts:
                    recorded = parts[group].setdefault(names, _Recorded(group, names))
                    recorded.add(answer, values, np.frombuffer(tags, np.uint8))
    return {
        f"{FEATURES}.{group}": reduce(
            _together, (recorded.profile(settled) for recorded in by_names.values()), TableProfile()
        )
        for group, by_names in parts.items()
    }


def _together(first: TableProfile, other: TableProfile) -> TableProfile:
    """Both, without counting a feature that one of them lacks as missing."""
    both = first.merge(other)
    alone = {**first.columns, **other.columns}
    columns = {
        name: column if name in first.columns and name in other.columns else alone[name]
        for name, column in both.columns.items()
    }
    return TableProfile(both.rows, columns, both.keys)


class _Recorded:
    """The recorded values of the same features of a group."""

    def __init__(self, group: str, names: tuple[str, ...]) -> None:
        self._names, self._group = names, group
        self._keys = list[str]()
        self._bits, self._tags = list[SignedInts](), list[NDArray[np.uint8]]()

    def add(self, answer: Prediction, bits: SignedInts, tags: NDArray[np.uint8]) -> None:
        rows = len(bits) // len(self._names)
        self._keys += [answer.key] * rows
        self._bits.append(bits)
        self._tags.append(tags)

    def profile(self, chosen: frozenset[str]) -> TableProfile:
        import polars as pl

        shape = (len(self._keys), len(self._names))
        bits, tags = np.concatenate(self._bits).reshape(shape), np.concatenate(self._tags).reshape(shape)
        vectors = Vectors(self._names, (), bits, tags, {})
        columns = [
            pl.Series(name.removeprefix(f"{self._group}."), vectors.recorded(index), strict=False)
            for index, name in enumerate(self._names)
            if name in chosen
        ]
        profile = TableProfile.of(pl.DataFrame(columns), pl.Series(self._keys))
        return profile if columns else TableProfile(len(self._keys), {}, profile.keys)


def _settled(runtime: Runtime, at_us: int) -> frozenset[str]:
    """The features whose windows hold as much time as they always will."""
    features, log = runtime.app.task.about.features, runtime.log
    first_us = min((record.at for piece in log.read((0,) * len(log.ends()), 1) for record in piece.records), default=0)
    definitions = (
        () if features is None else (definition for group in features.groups for definition in group.definitions)
    )
    return frozenset(known.name for known in definitions if known.is_settled(at_us, first_us))


def feature_groups(runtime: Runtime) -> tuple[str, ...]:
    """The names of the groups of features that the application declares."""
    features = runtime.app.task.about.features
    return () if features is None else tuple(group.name for group in features.groups)


def _recorded_names(runtime: Runtime, version: str) -> dict[str, tuple[str, ...]]:
    """{group: the features whose values answers of a version record}; none if it reads what is no longer declared."""
    try:
        return feature_columns(runtime.app.task, sorted(runtime.registry.version(version).features)).recorded_names()
    except (NotFound, KeyError):
        return {}
