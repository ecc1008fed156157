"""How much each row of a sample must count for the sample to look like another one: the ratio of their densities.

If inputs moved but the target given the inputs did not (covariate shift), a loss on the reference that is weighted by
p_current(x) / p_reference(x) is on average the loss on current rows. The ratio is the odds of a classifier that tells
the two samples apart; each row is scored by one that was not trained on it. Weights are limited: a little bias for much
less variance. The effective sample size, (sum of weights)^2 / sum of squares, says how many rows are left of it.
Sources: Shimodaira, "Improving predictive inference under covariate shift by weighting the log-likelihood function",
Journal of Statistical Planning and Inference 2000; Bickel, Brueckner and Scheffer, "Discriminative Learning under
Covariate Shift", JMLR 2009; Kish, "Survey Sampling", 1965.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_vector, doubles, finite
from flyball.statistics.domain_classifier import RankRows, boosted_trees, domain_classifier_test

FOLDS = 4


class CovariateWeights(Struct, frozen=True):
    """`weights`: of each row of the reference, on average 1. `area`: how well a classifier tells the samples apart, see
    `domain_classifier_test`, with its `p`. `limited`: how many weights reached the limit."""

    weights: Doubles
    area: float
    p: float
    limited: int

    @property
    def effective(self) -> float:
        """The effective sample size."""
        return effective_size(self.weights)


def effective_size(weights: ArrayLike) -> float:
    """How many equal weights would vary as little: (sum of weights)^2 / sum of squares.

    Raises `BadInput` for a negative weight, or none above 0.

    >>> effective_size([1.0, 1.0, 1.0, 1.0]), effective_size([4.0, 0.0, 0.0, 0.0])
    (4.0, 1.0)
    """
    values = check_vector("weights", doubles("weights", weights, 0.0))
    largest = float(values.max(initial=0.0))
    if not largest > 0:
        raise BadInput("weights", "one or more above 0", weights)
    shares = values / largest  # squares of large numbers would overflow
    return float(shares.sum() ** 2 / np.square(shares).sum())


@finite("limit", "most_rows")
def covariate_weights(
    reference: ArrayLike,
    current: ArrayLike,
    rng: np.random.Generator,
    *,
    limit: float = 20.0,
    score_rows: RankRows | None = None,
    rows_of: tuple[ArrayLike, ArrayLike] | None = None,
    most_rows: int = 20_000,
) -> CovariateWeights:
    """The weight of each row of `reference` that makes them look like `current`, shapes (rows, columns).

    Values may be nan, for missing. `limit`: the largest ratio of densities. `score_rows`: the classifier, as of
    `domain_classifier_test`; it gives the probability to be current as if both samples were equally large. `rows_of`:
    numbers of the rows of either sample, where some are in both. It learns from at most `most_rows` rows of a sample.
    Raises `BadInput` for fewer than 40 rows of a sample.

    >>> rng = np.random.default_rng(1)
    >>> before, now = rng.normal(size=(2_000, 1)), rng.normal(1.0, 1.0, (2_000, 1))
    >>> known = lambda rows, is_current, others: 1 / (1 + np.exp(0.5 - others[:, 0]))
    >>> shifted = covariate_weights(before, now, rng, score_rows=known)
    >>> round(float(np.average(before[:, 0], weights=shifted.weights)), 1)
    1.0
    """
    if not limit > 1:
        raise BadInput("limit", "above 1, such as 20", limit)
    test = domain_classifier_test(reference, current, rng, score_rows=score_rows, most_rows=most_rows)
    samples = [np.asarray(sample, dtype=np.float64) for sample in (reference, current)]
    numbers = (
        [np.asarray(own) for own in rows_of]
        if rows_of
        else [np.arange(len(samples[0])), -1 - np.arange(len(samples[1]))]
    )
    names, position = np.unique(np.concatenate(numbers), return_inverse=True)
    fold = rng.integers(FOLDS, size=len(names))[position]
    rows, is_current = np.concatenate(samples), np.arange(len(fold)) >= len(samples[0])
    chances, score = np.empty(len(samples[0])), score_rows or boosted_trees(rng)
    for number in range(FOLDS):
        learned = np.concatenate(
            [
                _at_most(np.flatnonzero((fold != number) & (is_current == side)), most_rows, rng)
                for side in (False, True)
            ]
        )
        own = fold[: len(chances)] == number
        chances[own] = score(rows[learned], is_current[learned], samples[0][own])
    ratio = chances / np.maximum(1.0 - chances, 1e-12)
    limited = int((ratio > limit).sum())
    ratio = np.minimum(ratio, limit)
    return CovariateWeights(ratio / ratio.mean(), test.statistic, test.p, limited)


def _at_most(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
