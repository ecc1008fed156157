"""Weights the examples of a prediction task so that they look like the latest requests, labeled or not.

Two cases in which labels are not needed: inputs moved and the target given them did not (covariate shift), or the
shares of labels moved and the inputs given the label did not (label shift). Where neither holds, as when the same
request now has another outcome, weights cannot help: only labels can.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles, Ints, counted_units, format_duration
from flyball.models import Linear, TrainingTable
from flyball.policy import ReweightCovariates, ReweightLabels
from flyball.statistics import covariate_weights, effective_size, label_shift
from flyball.tasks.predict.declaration import TIMES, Predict
from flyball.tasks.predict.examples import Labeled, RequestHistory, training_data
from flyball.tasks.predict.notes import REWEIGHTING
from flyball.tasks.task import TrainingData

FEWEST = 50
"""Latest requests, and effective examples, at least."""
CERTAIN = 0.01
"""Probability at most of finding a shift where there is none."""
SEPARATE = 0.99
"""From this AUC on the latest requests lie where there are hardly any examples."""


TableOf = Callable[[TrainingData], TrainingTable]


class _Weighting(NamedTuple):
    """The weights of the examples, None where nothing moved, and why, in words."""

    weights: Doubles | None
    words: str


def weighted_data(
    task: Predict, history: RequestHistory, labeled: Labeled, *, table_of: TableOf, seed: int
) -> TrainingData:
    """The training data of the examples, weighted as the task declares; a text in it says how, or why not."""
    data, rule = training_data(task, history.table, labeled, history.at_us), task.reweight
    if rule is None:
        return data
    latest = np.flatnonzero(history.known(labeled.as_of_us) & (history.at_us > labeled.as_of_us - rule.recent_us))
    span = f"{counted_units(len(latest), 'request')} of the last {format_duration(rule.recent_us)}"
    if len(latest) < FEWEST or len(labeled.rows) < FEWEST:
        few = span if len(latest) < FEWEST else counted_units(len(labeled.rows), "example")
        return _noted(data, f"not weighted: {few} are too few, {FEWEST} are needed")
    both = _both(task, history, labeled, latest)
    rng = np.random.default_rng([seed, 29])
    try:
        weighting = (
            _covariates(rule, both, labeled.rows, latest, rng)
            if isinstance(rule, ReweightCovariates)
            else _labels(task, rule, both, labeled, table_of, rng)
        )
    except BadInput as error:
        return _noted(data, f"not weighted: {error}")
    if weighting.weights is None:
        return _noted(data, f"not weighted: {weighting.words} against {span}")
    effective, needed = effective_size(weighting.weights), max(FEWEST, rule.least * len(labeled.rows))
    size = f"effective sample size {effective:,.0f} of {counted_units(len(labeled.rows), 'example')}"
    if effective < needed:
        return _noted(data, f"not weighted: {weighting.words} against {span}; {size}, {needed:,.0f} are needed")
    factor = weighting.weights if data.arrays["weight"].ndim == 1 else weighting.weights[:, None]
    counted = {name: data.arrays[name] * factor for name in ("weight", "final_weight") if name in data.arrays}
    weighted = msgspec.structs.replace(data, arrays={**data.arrays, **counted})
    return _noted(weighted, f"weighted for {span}: {weighting.words}; {size}")


def _noted(data: TrainingData, sentence: str) -> TrainingData:
    return msgspec.structs.replace(data, texts={**data.texts, REWEIGHTING: [sentence]})


def _both(task: Predict, history: RequestHistory, labeled: Labeled, latest: Ints) -> TrainingData:
    """The rows of the examples and then of the latest requests, with one vocabulary; the target of the latter is 0."""
    rows, shape = np.concatenate([labeled.rows, latest]), (len(labeled.rows) + len(latest), *labeled.target.shape[1:])
    target = np.zeros(shape)
    target[: len(labeled.rows)] = labeled.target
    return training_data(
        task, history.table, Labeled(rows, target, np.ones(shape), {}, 0, labeled.as_of_us), history.at_us
    )


def _covariates(
    rule: ReweightCovariates, both: TrainingData, examples: Ints, latest: Ints, rng: np.random.Generator
) -> _Weighting:
    names, kinds = both.texts["columns"], both.texts["column_kinds"]
    of_kind = {
        kind: [name for name, own in zip(names, kinds, strict=True) if own == kind] for kind in ("number", "category")
    }
    chosen = [name for name in names if name in (rule.columns or [name for name in names if name not in TIMES])]
    codes = np.where(both.arrays["categories"] >= 0, both.arrays["categories"].astype(np.float64), np.nan)
    matrix = np.stack(
        [
            both.arrays["numbers"][:, of_kind["number"].index(name)]
            if name in of_kind["number"]
            else codes[:, of_kind["category"].index(name)]
            for name in chosen
        ],
        axis=1,
    )
    weighting = covariate_weights(
        matrix[: len(examples)], matrix[len(examples) :], rng, limit=rule.limit, rows_of=(examples, latest)
    )
    if weighting.p > CERTAIN:
        return _Weighting(None, f"no shift of {', '.join(chosen)} is certain (p {weighting.p:.2g})")
    words = f"a classifier tells them apart by {', '.join(chosen)} with AUC {weighting.area:.2f}"
    if weighting.limited:
        words += f", {counted_units(weighting.limited, 'weight')} limited to {rule.limit:g}"
    if weighting.area >= SEPARATE:
        words += ", so examples hardly overlap with them"
    return _Weighting(weighting.weights, words)


def _labels(
    task: Predict,
    rule: ReweightLabels,
    both: TrainingData,
    labeled: Labeled,
    table_of: TableOf,
    rng: np.random.Generator,
) -> _Weighting:
    """By a logistic regression of each half of the examples, which predicts the other half and the latest requests."""
    count, target = len(labeled.rows), task.target_kind
    half = np.append(rng.integers(2, size=count), np.full(len(both.arrays["at_us"]) - count, 2))
    chances = np.zeros((len(half), len(target.classes) if target.kind == "multiclass" else 2))
    for side in (0, 1):
        own = np.flatnonzero(half != side)
        predicted = _chances(task, table_of(_rows(both, half == side)), table_of(_rows(both, half != side)))
        chances[own] += predicted / np.where(half[own] == 2, 2.0, 1.0)[:, None]
    actual = labeled.target.astype(np.int64)
    shift = label_shift(actual, chances[:count], chances[count:], rng, method=rule.method)
    names = target.classes if target.kind == "multiclass" else ("negatives", "positives")
    shares = [
        f"{now:.1%} of {name} now, {before:.1%} before"
        for name, now, before in zip(names, shift.shares, shift.reference, strict=True)
    ]
    words = f"by {rule.method.upper()} {', '.join(shares if len(shares) > 2 else shares[1:])}"
    if not shift.changed:
        return _Weighting(None, f"no change of the shares of labels is certain ({words})")
    ratio = np.minimum(np.asarray(shift.weights), rule.limit)[actual]
    return _Weighting(ratio / ratio.mean(), words)


def _rows(data: TrainingData, chosen: NDArray[np.bool_]) -> TrainingData:
    return msgspec.structs.replace(data, arrays={name: array[chosen] for name, array in data.arrays.items()})


def _chances(task: Predict, learned: TrainingTable, rows: TrainingTable) -> Doubles:
    """The probability of each class, float64 (rows, classes)."""
    model, target = Linear(), task.target_kind
    fitted = model.fit(learned, target, 0)
    predicted = model.open(fitted.arrays, fitted.texts, rows.columns, target).predict(rows.numbers, rows.categories)
    return predicted if target.kind == "multiclass" else np.hstack([1.0 - predicted, predicted])
