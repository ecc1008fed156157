"""Exposure of groups of items beside their part of the catalog and the demand for them.

An item in place r of a list has the attention 1 / log2(1 + r), as in DCG. A group's exposure is its share of all
attention; its demand, the share of what users took up although no list had shown it to them. Lists treat groups alike
where each gets exposure in proportion to its demand; a lift of 0.5 means half as much again. An item with several
values, such as genres, counts in each of them for its part. Sources: Singh and Joachims, "Fairness of Exposure in
Rankings", KDD 2018 (disparate treatment); Biega, Gummadi and Weikum, "Equity of Attention", SIGIR 2018.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from scipy import sparse

from flyball.core import BadInput, Doubles, SignedInts
from flyball.evaluation import Estimate, interval_of, resample_weights
from flyball.monitoring.exposure.lists import Consumed, Numbered, ShownLists, ranking_task
from flyball.runtime import Runtime
from flyball.tasks import latest_profiles

MOST_ITEM_GROUPS = 100
NO_GROUP = "none"
"""The group of items without a value."""

_RESAMPLES = 1_000
_ALPHA = 0.05


class ItemGroupExposure(Struct, frozen=True):
    """A group of items: those whose profile has the value `group` in the field `by`.

    `items`: how many of the catalog are in it; `catalog`: its share of the catalog; `exposure`: of attention; `demand`:
    of what was taken up without having been shown, None without any. `lift`: exposure / demand - 1, with an interval
    that holds for all groups of the field together (Bonferroni); None where there is no demand. `certain`: whether it
    excludes 0.
    """

    by: str
    group: str
    items: int
    catalog: float
    exposure: Estimate
    demand: Estimate | None
    lift: Estimate | None

    @property
    def certain(self) -> bool:
        lift = self.lift
        return lift is not None and lift.low is not None and lift.high is not None and not lift.low <= 0 <= lift.high


class ItemGroups(Struct, frozen=True):
    """The groups of a field. `parts`: to what part each item is in each group, (items, groups); rows add up to 1."""

    by: str
    names: list[str]
    parts: "sparse.csr_matrix[Any]"


def item_groups(runtime: Runtime, by: str, items: Numbered) -> ItemGroups:
    """The groups of `items` by the field `by` of their latest profile.

    Raises `BadInput` for a field that the profile does not have, or with more than `MOST_ITEM_GROUPS` values.
    """
    entity = ranking_task(runtime).item
    fields = [] if entity.profile is None else [name for name in entity.profile.__struct_fields__ if name != "at"]
    if entity.profile is None or by not in fields:
        known = f"one of {', '.join(fields)}" if fields else f"a field of its profile: {entity.name} has none declared"
        raise BadInput(f"field of {entity.name} to group items by", known, by)
    name = entity.profile.__name__.lower()
    profiles = latest_profiles({name: runtime.history.events(name)}, entity, runtime.schema)
    return _grouped(by, {} if profiles is None else _values(profiles, by), items)


def measure_item_groups(
    groups: ItemGroups, shown: ShownLists, consumption: Consumed, since_us: int, until_us: int, seed: int = 0
) -> list[ItemGroupExposure]:
    """The groups by exposure; intervals are over users. [] without lists.

    Demand is what was taken up in `[since_us, until_us)` though none of the lists had shown it.
    """
    if not len(shown.item):
        return []
    within = consumption.organic & (consumption.at_us >= since_us) & (consumption.at_us < until_us)
    users, codes = np.unique(np.concatenate([shown.user, consumption.user[within]]), return_inverse=True)
    of_shown, of_demand = codes[: len(shown)][shown.row], codes[len(shown) :]
    attention = _by_user(of_shown, shown.item, _attention(shown), len(users), groups)
    demanded = consumption.item[within]
    demand = _by_user(of_demand, demanded, np.ones(len(demanded)), len(users), groups)
    everyone = np.ones((1, len(users)))
    exposures, demands = _shares(everyone, attention)[0], _shares(everyone, demand)[0]
    drawn = [
        (_shares(weights, attention), _shares(weights, demand))
        for weights in resample_weights(len(users), _RESAMPLES, seed)
    ]
    exposure_drawn, demand_drawn = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        lifts, lift_drawn = exposures / demands - 1, exposure_drawn / demand_drawn - 1
    lift_drawn[~np.isfinite(lift_drawn)] = np.nan
    in_catalog = np.asarray(groups.parts.sum(axis=0)).ravel()
    counts = np.asarray((groups.parts > 0).sum(axis=0)).ravel()
    level = 1 - _ALPHA / max(1, len(groups.names))

    def measured(column: int) -> ItemGroupExposure:
        has_demand = demands[column] > 0
        return ItemGroupExposure(
            by=groups.by,
            group=groups.names[column],
            items=int(counts[column]),
            catalog=float(in_catalog[column] / in_catalog.sum()),
            exposure=interval_of(exposures[column], exposure_drawn[:, column], len(users)),
            demand=interval_of(demands[column], demand_drawn[:, column], len(users)) if demand.nnz else None,
            lift=interval_of(lifts[column], lift_drawn[:, column], len(users), level) if has_demand else None,
        )

    return sorted(map(measured, range(len(groups.names))), key=lambda row: (-row.exposure.value, row.group))


def _values(profiles: pl.DataFrame, by: str) -> dict[str, tuple[str, ...]]:
    return dict(zip(profiles["_key"].to_list(), map(_texts, profiles[by].to_list()), strict=True))


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(dict.fromkeys(text for text in map(str, values) if text))


def _grouped(by: str, values: Mapping[str, tuple[str, ...]], items: Numbered) -> ItemGroups:
    of_item = [(number, values.get(item) or (NO_GROUP,)) for item, number in items.number_of.items()]
    names = sorted({name for _, has in of_item for name in has})
    if len(names) > MOST_ITEM_GROUPS:
        raise BadInput(f"values of {by}", f"{MOST_ITEM_GROUPS} at most, of items with much in common", len(names))
    column_of = {name: column for column, name in enumerate(names)}
    cells = [(number, column_of[name], 1 / len(has)) for number, has in of_item for name in has]
    rows, columns, parts = (np.array(column) for column in zip(*cells, strict=True)) if cells else ([], [], [])
    return ItemGroups(by, names, sparse.csr_matrix((parts, (rows, columns)), (len(items), len(names))))


def _attention(shown: ShownLists) -> Doubles:
    first = np.searchsorted(shown.row, shown.row)
    return np.asarray(1 / np.log2(2 + np.arange(len(shown.row)) - first), np.float64)


def _by_user(
    user: SignedInts, item: SignedInts, weight: Doubles, users: int, groups: ItemGroups
) -> "sparse.csr_matrix[Any]":
    """What each user's rows weigh in each group, (users, groups)."""
    users_items = sparse.csr_matrix((weight, (user, item)), (users, groups.parts.shape[0]))
    return sparse.csr_matrix(users_items @ groups.parts)


def _shares(weights: Doubles, users_groups: "sparse.csr_matrix[Any]") -> Doubles:
    totals = np.asarray(weights @ users_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals / totals.sum(axis=1, keepdims=True))
