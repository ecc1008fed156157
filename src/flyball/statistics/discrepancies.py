"""The maximum mean discrepancy (MMD) of two samples of vectors, with a permutation test that is exact for any size.

Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A Kernel Two-Sample Test", JMLR 2012: the unbiased estimate of
the squared distance of mean embeddings, a Gaussian kernel, its bandwidth by the median heuristic.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist, squareform

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_positive, doubles, finite

_BATCH = 256
_SMALLEST = 1e-300
_LARGEST_EXPONENT = 1023


class TwoSampleTest(Struct, frozen=True):
    """A test that two samples have one distribution. `statistic`: how different they are; `p`: of so much by chance.

    `rows_a`, `rows_b`: the rows that were compared, which may be fewer than there are.
    """

    method: str
    statistic: float
    p: float
    rows_a: int
    rows_b: int


def median_bandwidth(squared_distances: ArrayLike) -> float:
    """The bandwidth of a Gaussian kernel by the median heuristic: sqrt(median / 2) of squared distances above 0.

    The kernel is exp(-distance² / (2 bandwidth²)). 1 if all distances are 0.

    >>> median_bandwidth([0.0, 2.0, 2.0, 8.0])
    1.0
    """
    distances = doubles("squared distances", squared_distances, 0.0)
    some = distances[distances > 0]
    return float(np.sqrt(np.median(some) / 2)) if len(some) else 1.0


@finite("bandwidth")
def mean_discrepancy(a: ArrayLike, b: ArrayLike, bandwidth: float | None = None) -> float:
    """The unbiased estimate of MMD², which may be below 0; `a`, `b`: shapes (rows, columns), two rows or more each.

    `bandwidth`: of the kernel, in the unit of the columns; by default from both samples by `median_bandwidth`.

    >>> round(mean_discrepancy([[0.0], [1.0]], [[0.0], [1.0]], bandwidth=1.0), 4)
    -0.3935
    """
    first, second = _samples(a, b)
    kernel = _kernel(np.concatenate([first, second]), bandwidth)
    return float(_discrepancies(kernel, np.arange(len(kernel)) < len(first))[0])


def mean_discrepancy_test(
    a: ArrayLike, b: ArrayLike, rng: np.random.Generator, *, permutations: int = 999, most_rows: int = 1_000
) -> TwoSampleTest:
    """Test by MMD² whether `a` and `b`, shapes (rows, columns), have one distribution; rows must be independent.

    Columns are divided by their standard deviation over both samples. p is (1 + b) / (1 + `permutations`), where b of
    the permutations of all rows have an MMD² at least as large, so it is never 0 and never too small. Of more than
    `most_rows` rows, so many are drawn, since cost grows with their square. Raises `BadInput` for fewer than 2 rows.

    >>> rng = np.random.default_rng(1)
    >>> test = mean_discrepancy_test(rng.normal(size=(100, 3)), rng.normal(1.0, 1.0, (100, 3)), rng)
    >>> test.p
    0.001
    """
    check_positive(permutations=permutations)
    if most_rows < 2:
        raise BadInput("most_rows", "2 or more", most_rows)
    first, second = (_drawn(sample, most_rows, rng) for sample in _samples(a, b))
    rows = np.concatenate([first, second])
    rows = rows / _power_of_two(np.abs(rows).max(axis=0))
    deviation = rows.std(axis=0)
    kernel = _kernel(rows / np.where(deviation > 0, deviation, 1.0), None)
    in_a = np.arange(len(rows)) < len(first)
    observed = float(_discrepancies(kernel, in_a)[0])
    larger = 0
    for start in range(0, permutations, _BATCH):
        shuffled = rng.permuted(np.tile(in_a, (min(_BATCH, permutations - start), 1)), axis=1)
        # sums in another order may differ in the last bits: an equal permutation must count
        larger += int((_discrepancies(kernel, shuffled) >= observed - 1e-12).sum())
    return TwoSampleTest("mean discrepancy", observed, (1 + larger) / (1 + permutations), len(first), len(second))


def _samples(a: ArrayLike, b: ArrayLike) -> tuple[Doubles, Doubles]:
    first, second = doubles("a", a), doubles("b", b)
    for what, sample in (("a", first), ("b", second)):
        if sample.ndim != 2 or len(sample) < 2 or sample.shape[1] != first.shape[1] or not sample.shape[1]:
            raise BadInput(what, "of shape (rows, columns), with 2 rows or more and the columns of a", sample.shape)
    return first, second


def _drawn(sample: Doubles, most: int, rng: np.random.Generator) -> Doubles:
    return sample if len(sample) <= most else sample[rng.choice(len(sample), most, replace=False)]


def _kernel(rows: Doubles, bandwidth: float | None) -> Doubles:
    """The Gaussian kernel of all pairs, 0 for a row and itself."""
    unit = float(_power_of_two(np.abs(rows).max()))
    distances = pdist(rows / unit)
    if bandwidth is None:
        width = median_bandwidth(np.square(distances))
    else:
        check_positive(bandwidth=bandwidth)
        width = max(bandwidth / unit, _SMALLEST)
    with np.errstate(over="ignore"):  # exp(-inf) is the 0 of rows that are so far apart
        return np.asarray(squareform(np.exp(-np.square(distances / width) / 2)))


def _power_of_two(largest: Doubles) -> Doubles:
    """The power of two above each number, by which to divide without rounding: squares would overflow or vanish."""
    return np.asarray(np.ldexp(1.0, np.minimum(np.frexp(largest)[1], _LARGEST_EXPONENT)))


def _discrepancies(kernel: Doubles, in_a: np.ndarray) -> Doubles:
    """MMD² for each division of the rows, bool (divisions, rows) or (rows,)."""
    first = np.atleast_2d(in_a).astype(np.float64)
    second = 1 - first
    to_first = first @ kernel
    of_a, across = (to_first * first).sum(axis=1), (to_first * second).sum(axis=1)
    of_b = kernel.sum() - of_a - 2 * across
    a, b = first.sum(axis=1), second.sum(axis=1)
    return np.asarray(of_a / (a * (a - 1)) + of_b / (b * (b - 1)) - 2 * across / (a * b))
