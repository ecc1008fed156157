"""How evenly counts are spread over categories, and how alike sets are: Gini index, entropy, Jaccard index.

Counts have the shape (categories,), or (rows, categories) for several distributions at once.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import doubles, finite


@finite("more_zeros")
def gini_index(counts: ArrayLike, more_zeros: int = 0) -> Doubles:
    """Gini index of each row of counts: 0 if all categories have the same, (n - 1) / n if one of n has everything.

        2 sum(i x_(i)) / (n sum(x)) - (n + 1) / n,  with x_(1) <= ... <= x_(n)

    `more_zeros`: how many further categories have a count of 0. It is nan without any count. Raises `BadInput` for
    negative counts, or for no category. Source: Gini, "Variabilità e mutabilità", 1912; Dixon et al., "Bootstrapping
    the Gini Coefficient of Inequality", Ecology 1987.

    >>> float(gini_index([0, 0, 0, 6])), float(gini_index([2, 2, 2]))
    (0.75, 0.0)
    """
    if more_zeros < 0:
        raise BadInput("more_zeros", "0 or more", more_zeros)
    ordered = np.sort(_counts(counts), axis=-1)
    n, total = ordered.shape[-1] + more_zeros, ordered.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(2 * (ordered @ np.arange(more_zeros + 1, n + 1)) / (n * total) - (n + 1) / n)


def entropy_bits(counts: ArrayLike) -> Doubles:
    """Shannon entropy of the shares of each row of counts, in bits; nan without any count.

    2 to its power is the effective number of categories: as many, all with the same share, would have this entropy.
    Raises `BadInput` as `gini_index` does. Source: Shannon, "A Mathematical Theory of Communication", 1948; Hill,
    "Diversity and Evenness: A Unifying Notation and Its Consequences", Ecology 1973 (effective numbers).

    >>> float(entropy_bits([5, 5, 5, 5, 0])), 2 ** float(entropy_bits([5, 5, 5, 5, 0]))
    (2.0, 4.0)
    """
    numbers = _counts(counts)
    total = numbers.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = numbers / total
        terms = np.where(shares > 0, shares * np.log2(shares), 0.0)
    return np.asarray(np.where(total[..., 0] > 0, -terms.sum(axis=-1), np.nan))


def jaccard_matrix(members: "sparse.csr_matrix | NDArray[np.bool_]") -> Doubles:
    """The Jaccard index of each pair of sets: elements in both, divided by elements in either; (sets, sets).

    `members`: (sets, elements), which elements each set has. Two empty sets have the index 0. Raises `BadInput` for
    another shape, and for other than true or false, 1 or 0. Source: Jaccard, "The
    Distribution of the Flora in the Alpine Zone", New Phytologist 1912.

    >>> jaccard_matrix(np.array([[True, True, False], [False, True, True]]))[0].tolist()
    [1.0, 0.3333333333333333]
    """
    cells = members.data if sparse.issparse(members) else members
    known = doubles("members", cells, 0.0, 1.0)
    if ((known != 0) & (known != 1)).any() or (not sparse.issparse(members) and known.ndim != 2):
        raise BadInput("members", "of shape (sets, elements), true or false", known.shape)
    rows = sparse.csr_matrix(members if sparse.issparse(members) else known, dtype=np.float64)
    both = np.asarray((rows @ rows.T).todense())
    sizes = np.asarray(rows.sum(axis=1)).ravel()
    either = sizes[:, None] + sizes[None, :] - both
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1.0), 0.0))


def _counts(counts: ArrayLike) -> Doubles:
    """`counts`, those of each distribution divided by its largest, as sums of large numbers would overflow."""
    numbers = doubles("counts", counts, 0.0)
    if numbers.ndim == 0 or numbers.shape[-1] < 1:
        raise BadInput("counts", "of one category or more", numbers.shape)
    largest = numbers.max(axis=-1, keepdims=True)
    return np.asarray(numbers / np.where(largest > 0, largest, 1.0))
