"""Detects target leakage: columns that are filled in after the request, or copied from the outcome.

It reports single columns that rank the outcomes almost perfectly, by their values or by whether they have one. A column
that ranks practically all of many outcomes is certain to leak: nothing would be left to predict.
Source: Kaufman, Rosset and Perlich, "Leakage in Data Mining", KDD 2011.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.tasks.task import TrainingData

SUSPICIOUS = 0.999
"""The area under the ROC curve, or the concordance with a number, from which a single column is suspicious."""
CERTAIN, FEWEST_CERTAIN = 0.9999, 30
"""From where on it leaks for certain, and of how many examples of a class at least."""
FEWEST, MOST = 30, 20_000
FEWEST_OF_A_CLASS = 5
"""The fewest examples of a class: with fewer, noise ranks too well. One example is on top in 1 of 500 columns."""


class Leak(msgspec.Struct, frozen=True):
    """A column that gives the outcome away, as a sentence. `certain`: whether it can be nothing else."""

    sentence: str
    certain: bool


def leaking_columns(data: TrainingData, kind: str) -> list[Leak]:
    """The columns that alone predict the outcome, a class or a label. `kind`: of the target.

    Texts are ranked by the mean outcome of the examples with the same text in the other half of the examples, so texts
    that occur only once have no effect.
    """
    outcomes = list(_outcomes(data, kind))
    kinds = data.texts["column_kinds"]
    numbers = iter(data.arrays["numbers"][-MOST:].T)
    categories = iter(data.arrays["categories"][-MOST:].T if "category" in kinds else ())
    leaks = []
    for name, column_kind in zip(data.texts["columns"], kinds, strict=True):
        column = next(numbers) if column_kind == "number" else next(categories)
        certainties = [
            (*_certainty(column, target, column_kind), of, number) for number, (of, target) in enumerate(outcomes)
        ]
        best, what, of, number = max(certainties, default=(0.0, "", "", 0))
        if best >= SUSPICIOUS:
            certain = best >= CERTAIN and _rarest(outcomes[number][1]) >= FEWEST_CERTAIN
            leaks.append(Leak(_sentence(name, of, what, best, certain), certain))
    return leaks


def _sentence(name: str, of: str, what: str, best: float, certain: bool) -> str:
    """What was found, and what to do."""
    allow = 'if it is known with every request, gates=fb.gates(leaks="warn") lets the version serve'
    refuse = 'gates=fb.gates(leaks="refuse") lets no such version serve'
    return (
        f"column {name} gives the outcome away{of}: {what} alone orders {best:.2%} of all pairs of examples correctly. "
        f'It may be known only later, or be copied from the outcome: if so, ignore=("{name}",) and learn again; '
        f"{allow if certain else refuse}"
    )


def _rarest(target: NDArray[np.float64]) -> int:
    """The number of examples of the rarer class; of all examples where the target is a number."""
    values, counts = np.unique(target[~np.isnan(target)], return_counts=True)
    return int(counts.min()) if len(values) == 2 else int(counts.sum())


def _outcomes(data: TrainingData, kind: str) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The outcomes to compare with: (their name in a sentence, the value of each example)."""
    target, classes = np.asarray(data.arrays["target"][-MOST:], np.float64), data.texts.get("classes", [])
    if len(target) < FEWEST:
        return
    if kind in ("number", "quantiles"):
        if len(np.unique(target)) > 1:
            yield "", target
        return
    columns: list[tuple[str, NDArray[np.float64]]] = [("", target)]
    if kind == "multiclass":
        columns = [(f" (class {name})", (target == code) * 1.0) for code, name in enumerate(classes)]
    elif kind == "multilabel":
        columns = [(f" (label {name})", values) for name, values in zip(classes, target.T, strict=True)]
    for of, values in columns:
        if min((values > 0).sum(), (values <= 0).sum()) >= FEWEST_OF_A_CLASS:
            yield of, values


def _certainty(column: NDArray[np.generic], target: NDArray[np.float64], column_kind: str) -> tuple[float, str]:
    """The concordance of the column with the outcome, and the property of the column that gives it."""
    labeled = ~np.isnan(target)
    column, target = column[labeled], target[labeled]
    present = column >= 0 if column_kind == "category" else ~np.isnan(column.astype(np.float64))  # type: ignore[operator]
    by_value, by_presence = 0.5, 0.5
    if present.sum() >= FEWEST:
        known, outcome = column[present], target[present]
        by_value = (
            _by_text(known.astype(np.int64), outcome) if column_kind == "category" else concordance(known, outcome)
        )
    if len(np.unique(target)) == 2 and not present.all():
        by_presence = concordance(present.astype(np.float64), target)
    return (by_presence, "whether it is filled in") if by_presence >= by_value else (by_value, "its value")


def _by_text(codes: NDArray[np.int64], target: NDArray[np.float64]) -> float:
    """The smaller concordance of two halves, each ranked by the mean outcomes of the same texts in the other half."""
    half = np.random.default_rng(0).permutation(len(codes)) % 2 == 0
    shares = []
    for ranked in (half, ~half):
        other, size = ~ranked, int(codes.max()) + 1
        count = np.bincount(codes[other], minlength=size)
        total = np.bincount(codes[other], target[other], minlength=size)
        mean = np.where(count > 0, total / np.maximum(count, 1), target[other].mean())
        shares.append(_share_ordered(mean[codes[ranked]], target[ranked]))
    return min(shares)


def concordance(column: NDArray[np.generic], target: NDArray[np.float64]) -> float:
    """The share of pairs with different targets that the column orders, in either direction; ties count as half.

    Pairs are those of neighbors among random orders of the examples, some 16 for each; 0.5 is what chance gives.

    >>> round(concordance(np.arange(100.0), np.arange(100.0) > 89), 3)
    1.0
    """
    share = _share_ordered(np.asarray(column, np.float64), np.asarray(target, np.float64))
    return max(share, 1 - share)


def _share_ordered(column: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """The share of pairs with different targets in which the larger target has the larger value of the column."""
    rng, right, pairs = np.random.default_rng(0), 0.0, 0
    for first, second in _rounds(target, rng):
        differ = target[first] != target[second]
        ordered = np.sign(column[first] - column[second]) * np.sign(target[first] - target[second])
        right += float(((ordered[differ] + 1) / 2).sum())
        pairs += int(differ.sum())
    return right / pairs if pairs else 0.5


def _rounds(target: NDArray[np.float64], rng: np.random.Generator) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of examples; each example of a rare outcome is paired with many others."""
    values, counts = np.unique(target, return_counts=True)
    rows = np.arange(len(target))
    if len(values) == 2:
        few, many = (rows[target == value] for value in values[np.argsort(counts)])
        return [(rng.choice(few, len(many)), rng.permutation(many)) for _ in range(4)]
    return [(rows, rng.permutation(rows)) for _ in range(16)]
