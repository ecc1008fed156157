"""Corrections for multiple comparisons: Holm, Benjamini-Hochberg with weights, and e-values.

Sources: Holm, Scandinavian Journal of Statistics 1979; Benjamini and Hochberg, JRSS B 1995; weights, Genovese, Roeder
and Wasserman, Biometrika 2006; e-BH, Wang and Ramdas, JRSS B 2022 (arXiv 2009.02824).
"""

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, check_vector, doubles, number_array


def holm(p_values: ArrayLike) -> Doubles:
    """Adjusted p-values, shape (tests,): the probability of any false rejection among those below alpha is <= alpha.

    This is the family-wise error rate, under any dependence; use it for guardrails that act automatically. Raises
    `BadInput` for a p-value outside [0, 1], or other than one dimension.

    >>> holm([0.025, 0.03]).tolist()
    [0.05, 0.05]
    """
    p = check_vector("p-values", doubles("p-values", p_values, 0.0, 1.0))
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def benjamini_hochberg(p_values: ArrayLike, weights: ArrayLike | None = None) -> Doubles:
    """Adjusted p-values, shape (tests,): those below alpha have an expected share of false discoveries <= alpha.

    `weights`: the relative budget of each test, above 0 and fixed before the start; they are scaled to a mean of 1.
    Valid for independent or positively dependent p-values; `e_benjamini_hochberg` is valid under any dependence. Raises
    `BadInput` for a p-value outside [0, 1], a weight that is not positive, or other than one dimension.
    """
    p = check_vector("p-values", doubles("p-values", p_values, 0.0, 1.0))
    if weights is not None:
        share = doubles("weights", weights, 0.0)
        if share.shape != p.shape or not (share > 0).all():
            raise BadInput("weights", f"above 0, one for each of {len(p)} p-values", weights)
        p = p / (share / share.mean())
    order = np.argsort(p, kind="stable")
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(steps[::-1])[::-1])
    return adjusted


def e_benjamini_hochberg(e_values: ArrayLike, alpha: float = 0.05) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which e-values are discoveries, shape (tests,): the expected share of false ones is at most alpha.

    Valid under any dependence, and for e-values of sequences at any look; infinite e-values are allowed. Raises
    `BadInput` for a negative e-value, or other than one dimension.

    >>> e_benjamini_hochberg([90.0, 5.0, 70.0]).tolist()
    [True, False, True]
    """
    e = number_array("e-values", e_values)
    if not (e >= 0).all():
        raise BadInput("e-values", "0 or above", e_values)
    check_vector("e-values", e)
    check_alpha(alpha)
    order = np.argsort(-e, kind="stable")
    enough = np.flatnonzero(e[order] >= len(e) / (alpha * np.arange(1, len(e) + 1)))
    discoveries = np.zeros(len(e), dtype=bool)
    if len(enough):
        discoveries[order[: enough[-1] + 1]] = True
    return discoveries


def p_of_e(log_e: ArrayLike) -> Doubles:
    """The always-valid p-values of a sequence of log e-values, by the running maximum along the last axis.

    Infinite ones are allowed. Raises `BadInput` for nan, or a single number.
    """
    logs = number_array("log e-values", log_e)
    if not logs.ndim or np.isnan(logs).any():
        raise BadInput("log e-values", "a sequence of numbers, of shape (..., looks)", log_e)
    largest = np.maximum.accumulate(logs, axis=-1)
    return np.asarray(np.minimum(1.0, np.exp(-largest)))
