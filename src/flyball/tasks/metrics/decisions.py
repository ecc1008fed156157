"""Metrics of decisions made from probabilities: confusion, precision within a day's review capacity, and costs.

`flagged`, bool (rows,): declined or reviewed. `value`, (rows,): a factor of the weight of each example, such as the
amount of a payment. `cost`, (rows,): of the decision on each example, see `policy.costs_of_decisions`. Sources:
Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006; card precision at k a day: Le Borgne et
al., "Reproducible Machine Learning for Credit Card Fraud Detection", 2022, chapter 4; savings: Correa Bahnsen et al.,
"Example-dependent cost-sensitive decision trees", Expert Systems with Applications 2015.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles, SignedInts
from flyball.tasks.unit_weights import (
    ExampleWeight,
    Resampled,
    defined_ratio,
    divided,
    request_mean,
    row_weights,
)


def confusion(
    flagged: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> dict[str, Resampled]:
    """One cell of the confusion matrix, as a share of all examples.

    The cells "true_positive", "false_positive", "false_negative" and "true_negative" sum to 1.
    """
    acted, happened = np.asarray(flagged, bool), np.asarray(actual) > 0
    cells = {
        "true_positive": acted & happened,
        "false_positive": acted & ~happened,
        "false_negative": ~acted & happened,
        "true_negative": ~acted & ~happened,
    }
    return {name: request_mean(cell, unit_of, units, weight) for name, cell in cells.items()}


def precision_of_flagged(
    flagged: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Precision: the share of flagged examples that are positive; nan if none is flagged."""
    return defined_ratio(np.asarray(flagged, bool) & (np.asarray(actual) > 0), flagged, unit_of, units, weight)


def recall_of_flagged(
    flagged: NDArray[Any],
    actual: NDArray[Any],
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
    value: NDArray[Any] | None = None,
) -> Resampled:
    """Recall: the share of positives that were flagged, weighted by `value` if given; nan without positives."""
    happened = (np.asarray(actual) > 0) * (1.0 if value is None else np.asarray(value, np.float64))
    return defined_ratio(happened * np.asarray(flagged, bool), happened, unit_of, units, weight)


def false_positive_rate(
    flagged: NDArray[Any], actual: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """False-positive rate: the share of negatives that were flagged; nan without negatives."""
    quiet = ~(np.asarray(actual) > 0)
    return defined_ratio(quiet & np.asarray(flagged, bool), quiet, unit_of, units, weight)


def money_saved(
    cost: NDArray[Any], cost_accepted: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Mean saving: the cost of accepting all examples minus the cost of the decisions, in the unit of costs."""
    return request_mean(np.asarray(cost_accepted, np.float64) - cost, unit_of, units, weight)


def savings(
    cost: NDArray[Any], cost_accepted: NDArray[Any], unit_of: SignedInts, units: int, weight: ExampleWeight = None
) -> Resampled:
    """Savings as a share of the cost of accepting all.

    It is 1 if the decisions cost nothing, below 0 if they cost more than accepting all, and nan if that costs nothing.
    """
    return defined_ratio(np.asarray(cost_accepted, np.float64) - cost, cost_accepted, unit_of, units, weight)


def precision_a_day(
    scores: NDArray[Any],
    actual: NDArray[Any],
    k: float,
    day_of: SignedInts,
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
    entity_of: SignedInts | None = None,
) -> Resampled:
    """Precision at k a day: the mean over days of the share of positives among the `k` highest scores of the day.

    `day_of`: int64 (rows,). `entity_of`: (rows,), such as the card of each payment. With it a day ranks entities by
    their highest score, and an entity is positive if any of its rows is ("card precision"). Equal scores at the cutoff
    count in part. A day with fewer than `k` rows uses all of them. For a sample of the rows of a day, reduce `k` in
    proportion; it may be a fraction. Raises `BadInput` for a `k` that is not positive.
    """
    return _TopADay(scores, actual, k, day_of, unit_of, units, weight, entity_of, None).precision


def recall_a_day(
    scores: NDArray[Any],
    actual: NDArray[Any],
    k: float,
    day_of: SignedInts,
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
    value: NDArray[Any] | None = None,
) -> Resampled:
    """Recall at k a day: the share of positives that are among the `k` highest scores of their day.

    It is weighted by `value` if given, and nan without positives. Raises `BadInput` for a `k` that is not positive.
    """
    return _TopADay(scores, actual, k, day_of, unit_of, units, weight, None, value).recall


class _TopADay:
    """Rows by day, then by descending score; the `k` first of each day are reviewed."""

    def __init__(
        self,
        scores: NDArray[Any],
        actual: NDArray[Any],
        k: float,
        day_of: SignedInts,
        unit_of: SignedInts,
        units: int,
        weight: ExampleWeight,
        entity_of: SignedInts | None,
        value: NDArray[Any] | None,
    ) -> None:
        if not k > 0:
            raise BadInput("k a day", "above 0", k)
        counted = np.ones(len(scores)) if weight is None else np.asarray(weight, np.float64)
        rank, happened = np.asarray(scores, np.float64), (np.asarray(actual) > 0).astype(np.float64)
        if entity_of is not None:
            rank, happened, day_of, unit_of, counted = _by_entity(rank, happened, day_of, unit_of, counted, entity_of)
        order = np.lexsort((-rank, day_of))
        days, self._day_of = np.unique(np.asarray(day_of)[order], return_inverse=True)
        self._k, self._days, self._units = k, len(days), units
        self._unit_of, self._counted, self._happened = unit_of[order], counted[order], happened[order]
        self._value = np.ones(len(order)) if value is None else np.asarray(value, np.float64)[order]
        ordered = rank[order]
        opens = np.ones(len(order), bool)
        opens[1:] = (ordered[1:] != ordered[:-1]) | (self._day_of[1:] != self._day_of[:-1])
        self._first_of_ties = np.flatnonzero(opens)
        self._tie_of = np.cumsum(opens) - 1
        self._first_of_day = np.searchsorted(self._day_of, np.arange(self._days))

    def _unit_is_a_day(self) -> bool:
        """Whether every day is one unit: a unit that is drawn twice is then two days, not one day of double length."""
        pairs = np.unique(np.stack([self._day_of, self._unit_of]), axis=1)
        return bool(pairs.shape[1] == self._days)

    def _taken(self, rows: Doubles) -> Doubles:
        """The share of each row that is among the first `k` of its day, (resamples, rows); `rows`: their counts."""
        cells = np.add.reduceat(rows, self._first_of_ties, axis=1)
        total = np.cumsum(cells, axis=1)
        tie_day = self._day_of[self._first_of_ties]
        before_day = np.concatenate([np.zeros((len(rows), 1)), total], axis=1)[
            :, np.searchsorted(tie_day, np.arange(self._days))
        ]
        before = total - cells - before_day[:, tie_day]
        room = np.clip(self._k - before, 0.0, cells)
        share = np.divide(room, cells, out=np.zeros_like(cells), where=cells > 0)
        return np.asarray(share[:, self._tie_of])

    def precision(self, weights: Doubles) -> Doubles:
        """The mean over days."""
        if not len(self._unit_of):
            return np.full(len(weights), np.nan)
        if self._unit_is_a_day():
            values = self._precisions(np.ones((1, len(self._unit_of))))[0]
            day_weights = weights[:, self._unit_of[self._first_of_day]]
            return divided(day_weights @ np.nan_to_num(values), day_weights @ (~np.isnan(values)).astype(np.float64))
        parts = []
        for rows in row_weights(weights, self._unit_of):
            values = self._precisions(rows)
            is_defined = ~np.isnan(values)
            parts.append(
                divided(np.where(is_defined, values, 0.0).sum(axis=1), is_defined.sum(axis=1).astype(np.float64))
            )
        return np.concatenate(parts)

    def _precisions(self, rows: Doubles) -> Doubles:
        """(resamples, days), nan for a day without rows."""
        weights = self._taken(rows) * rows * self._counted
        hits = np.add.reduceat(weights * self._happened, self._first_of_day, axis=1)
        return divided(hits, np.add.reduceat(weights, self._first_of_day, axis=1))

    def recall(self, weights: Doubles) -> Doubles:
        """Over all days together."""
        if not len(self._unit_of):
            return np.full(len(weights), np.nan)
        worth = self._happened * self._value * self._counted
        if self._unit_is_a_day():
            caught = self._taken(np.ones((1, len(worth))))[0] * worth
            return defined_ratio(caught, worth, self._unit_of, self._units)(weights)
        parts = []
        for rows in row_weights(weights, self._unit_of):
            parts.append(divided((self._taken(rows) * rows) @ worth, rows @ worth))
        return np.concatenate(parts)


def _by_entity(
    scores: Doubles, happened: Doubles, day_of: SignedInts, unit_of: SignedInts, counted: Doubles, entity_of: SignedInts
) -> tuple[Doubles, Doubles, SignedInts, SignedInts, Doubles]:
    """One row for each entity and day."""
    pairs, group = np.unique(np.stack([day_of, entity_of]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    best, any_happened = np.full(pairs.shape[1], -np.inf), np.zeros(pairs.shape[1])
    np.maximum.at(best, group, scores)
    np.maximum.at(any_happened, group, happened)
    heaviest = np.zeros(pairs.shape[1])
    np.maximum.at(heaviest, group, counted)
    unit = np.zeros(pairs.shape[1], np.int64)
    unit[group] = unit_of
    if (unit[group] != unit_of).any():
        raise BadInput(
            "units of precision_a_day", "days or entities, so that an entity's day lies in one", "a split day"
        )
    return best, any_happened, pairs[0], unit, heaviest
