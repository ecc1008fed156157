"""Whether a classifier can tell current rows from those of the reference: any difference of many columns together.

It is trained on half of the rows of both and ranks the others; the area under the ROC curve (AUC) of these is 0.5 if
both have one distribution. The p-value is that of the rank test of Mann and Whitney, given the classifier, so it is
valid whatever the classifier learned.
Source: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017; Kim, Ramdas, Singh and Wasserman,
"Classification accuracy as a proxy for two-sample testing", Annals of Statistics 2021.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import number_array
from flyball.statistics.discrepancies import TwoSampleTest

FEWEST_ROWS = 40
"""Rows of each sample, at least: half of them train the classifier."""

_ZERO = 1e-34
"""LightGBM takes values up to 1e-35 for 0."""

RankRows = Callable[[Doubles, np.ndarray, Doubles], Doubles]
"""(rows to learn from, whether each is current, rows to score) -> scores, higher where a row looks current."""


def domain_classifier_test(
    a: ArrayLike,
    b: ArrayLike,
    rng: np.random.Generator,
    *,
    score_rows: RankRows | None = None,
    groups_a: ArrayLike | None = None,
    groups_b: ArrayLike | None = None,
    most_rows: int = 20_000,
) -> TwoSampleTest:
    """Test whether `a` (reference) and `b` (current), shapes (rows, columns), have one distribution.

    The statistic is the AUC on rows that the classifier did not see. Values may be nan, for missing. `score_rows`: the
    classifier, by default boosted trees of LightGBM. `groups_a`, `groups_b`: numbers, shape (rows,), for rows that are
    alike, such as those of a user: a group counts as a single row, with the mean of its scores. Of more than
    `most_rows` rows of a sample, so many are drawn. Raises `BadInput` for fewer than 40 rows or groups of a sample,
    and for an infinite value.

    >>> rng = np.random.default_rng(1)
    >>> before, now = rng.normal(size=(400, 2)), rng.normal(1.0, 1.0, (400, 2))
    >>> test = domain_classifier_test(before, now, rng, score_rows=lambda rows, current, new: new.sum(axis=1))
    >>> test.statistic > 0.7, test.p < 1e-6
    (True, True)
    """
    if most_rows < FEWEST_ROWS:
        raise BadInput("most_rows", f"{FEWEST_ROWS} or more", most_rows)
    (learn_a, test_a, of_a), (learn_b, test_b, of_b) = (
        _halves(what, sample, groups, most_rows, rng)
        for what, sample, groups in (("a", a, groups_a), ("b", b, groups_b))
    )
    if learn_a.shape[1] != learn_b.shape[1]:
        raise BadInput("columns of b", f"{learn_a.shape[1]}, as of a", learn_b.shape[1])
    learned = np.concatenate([learn_a, learn_b])
    current = np.arange(len(learned)) >= len(learn_a)
    scores = (score_rows or boosted_trees(rng))(learned, current, np.concatenate([test_a, test_b]))
    before, now = _group_means(scores[: len(test_a)], of_a), _group_means(scores[len(test_a) :], of_b)
    ranked = stats.mannwhitneyu(now, before, alternative="greater")
    area = float(ranked.statistic) / (len(before) * len(now))
    return TwoSampleTest("domain classifier", area, float(ranked.pvalue), len(before), len(now))


def _halves(
    what: str, sample: ArrayLike, groups: ArrayLike | None, most: int, rng: np.random.Generator
) -> tuple[Doubles, Doubles, np.ndarray]:
    """(rows to learn from, rows to rank, the group of each of the latter)."""
    rows = number_array(what, sample)
    if np.isinf(rows).any():
        raise BadInput(what, "finite numbers, or nan for missing ones", float(rows[np.isinf(rows)][0]))
    if rows.ndim != 2 or not rows.shape[1]:
        raise BadInput(what, "of shape (rows, columns)", rows.shape)
    group = np.arange(len(rows)) if groups is None else np.asarray(groups)
    if group.shape != rows.shape[:1]:
        raise BadInput(f"groups of {what}", f"one for each of {len(rows)} rows", group.shape)
    if len(rows) > most:
        drawn = rng.choice(len(rows), most, replace=False)
        rows, group = rows[drawn], group[drawn]
    names, number = np.unique(group, return_inverse=True)
    if len(names) < FEWEST_ROWS:
        raise BadInput(f"rows or groups of {what}", f"{FEWEST_ROWS} or more", len(names))
    learned = (rng.permutation(len(names)) < len(names) // 2)[number]
    return rows[learned], rows[~learned], number[~learned]


def _group_means(scores: Doubles, groups: np.ndarray) -> Doubles:
    _, number, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(number, scores) / counts)


def _with_ranks_of_tiny(rows: Doubles, others: Doubles) -> tuple[Doubles, Doubles]:
    """Both, with ranks for the values of columns that have some so near to 0 that LightGBM takes them for 0.

    Trees only compare values, so ranks say the same.
    """
    both = np.concatenate([rows, others])
    tiny = ((both != 0) & (np.abs(both) <= _ZERO)).any(axis=0)
    for column in np.flatnonzero(tiny):
        known = ~np.isnan(both[:, column])
        both[known, column] = np.unique(both[known, column], return_inverse=True)[1] + 1.0
    return both[: len(rows)], both[len(rows) :]


def boosted_trees(rng: np.random.Generator) -> RankRows:
    """Boosted trees that give the probability to be current as if both samples were equally large."""
    seed = int(rng.integers(2**31 - 1))

    def score_rows(rows: Doubles, current: np.ndarray, others: Doubles) -> Doubles:
        import lightgbm  # takes a while to load, which other tests need not

        rows, others = _with_ranks_of_tiny(rows, others)

        counts = np.bincount(current.astype(np.int64), minlength=2)
        settings = {
            "objective": "binary",
            "num_leaves": 8,
            "min_data_in_leaf": max(5, min(20, len(rows) // 20)),
            "learning_rate": 0.1,
            "feature_fraction": 0.8,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": seed,
            "verbose": -1,
        }
        weights = (len(rows) / (2 * counts))[current.astype(np.int64)]
        data = lightgbm.Dataset(rows, current.astype(np.float64), weight=weights, free_raw_data=True)
        booster = lightgbm.train(settings, data, num_boost_round=60)
        return np.asarray(booster.predict(others, num_threads=1), dtype=np.float64)

    return score_rows
