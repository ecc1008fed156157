"""Columns that give the outcome away: what is filled in later, or copied from it, is no knowledge of the request.

What is looked for: a single column that ranks the outcomes almost without a mistake, by its values or by having one.
Source: Kaufman, Rosset and Perlich, "Leakage in Data Mining", KDD 2011.
"""

import numpy as np
from numpy.typing import NDArray

from flyball.tasks.task import TrainingData

SUSPICIOUS = 0.999
"""The area under the ROC curve, or the concordance with a number, from which on a single column is too good."""
FEWEST, MOST = 30, 20_000


def leaking_columns(data: TrainingData, kind: str) -> list[str]:
    """A sentence for each column that tells the outcome by itself. `kind`: of the target."""
    target = data.arrays["target"][-MOST:]
    if len(target) < FEWEST or kind not in ("binary", "number", "quantiles") or len(np.unique(target)) < 2:
        return []
    numbers = data.arrays["numbers"][-MOST:]
    names = [
        name
        for name, column_kind in zip(data.texts["columns"], data.texts["column_kinds"], strict=True)
        if column_kind == "number"
    ]
    sentences = []
    for index, name in enumerate(names):
        column = numbers[:, index]
        present = ~np.isnan(column)
        certainty = concordance(column[present], target[present]) if present.sum() >= FEWEST else 0.5
        by_presence = concordance(present.astype(np.float64), target) if kind == "binary" and not present.all() else 0.5
        best = max(certainty, by_presence)
        if best < SUSPICIOUS:
            continue
        what = "whether it is filled in" if by_presence >= certainty else "its value"
        sentences.append(
            f"column {name} gives the outcome away: {what} alone orders {best:.2%} of all pairs of examples rightly. "
            f'It may be known only later, or be copied from the outcome: if so, ignore=("{name}",) and learn again'
        )
    return sentences


def concordance(column: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Of pairs of examples with different targets the share that the column orders, one way or the other, ties as half.

    Pairs are those of neighbors among random orders of the examples, some 16 for each; 0.5 is what chance gives.

    >>> round(concordance(np.arange(100.0), np.arange(100.0) > 89), 3)
    1.0
    """
    rng, right, pairs = np.random.default_rng(0), 0.0, 0
    target = np.asarray(target, np.float64)
    for first, second in _rounds(target, rng):
        differ = target[first] != target[second]
        ordered = np.sign(column[first] - column[second]) * np.sign(target[first] - target[second])
        right += float(((ordered[differ] + 1) / 2).sum())
        pairs += int(differ.sum())
    share = right / pairs if pairs else 0.5
    return max(share, 1 - share)


def _rounds(target: NDArray[np.float64], rng: np.random.Generator) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of examples: of a rare outcome each against many others."""
    values, counts = np.unique(target, return_counts=True)
    rows = np.arange(len(target))
    if len(values) == 2:
        few, many = (rows[target == value] for value in values[np.argsort(counts)])
        return [(rng.choice(few, len(many)), rng.permutation(many)) for _ in range(4)]
    return [(rows, rng.permutation(rows)) for _ in range(16)]
