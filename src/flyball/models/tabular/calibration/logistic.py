"""A logistic regression of a few columns, by Newton's method with backtracking.

Source: Lin, Lin and Weng, "A note on Platt's probabilistic outputs for support vector machines", Machine Learning 2007.
"""

import numpy as np

from flyball.core import Doubles

_STEPS, _GRADIENT, _RIDGE = 100, 1e-10, 1e-12


def fit_logistic(features: Doubles, target: Doubles, weight: Doubles, start: Doubles, strength: float = 0.0) -> Doubles:
    """The coefficients, shape (columns,), that minimize the weighted log loss plus a quadratic penalty.

    The penalty, strength / 2 times the squared distance from `start`, decides what examples do not determine.
    `features`: shape (n, columns). `target`, from 0 to 1, and `weight`: shape (n,). `start`: shape (columns,).
    """
    from flyball.models.kernels.calibration import logistic_terms

    matrix, scale, columns = np.ascontiguousarray(features), float(weight.sum()), features.shape[1]
    theta, gradient, hessian = start.astype(np.float64), np.empty(columns), np.empty((columns, columns))

    def terms(at: Doubles) -> float:
        loss = float(logistic_terms(matrix, target, weight, at, gradient, hessian))
        gradient[:] += strength * (at - start)
        hessian[np.diag_indices(columns)] += strength
        return loss + strength / 2 * float(((at - start) ** 2).sum())

    loss = terms(theta)
    for _ in range(_STEPS):
        if np.abs(gradient).max() <= _GRADIENT * scale:
            break
        step = np.linalg.solve(hessian + _RIDGE * scale * np.eye(columns), -gradient)
        slope, length = float(gradient @ step), 1.0
        while length >= 1e-10:
            candidate = theta + length * step
            lower = terms(candidate)
            if lower < loss + 1e-4 * length * slope:
                theta, loss = candidate, lower
                break
            length /= 2
        else:
            break  # no shorter step decreases the loss: the minimum in floating point
    return theta


def smoothed_targets(actual: Doubles, weight: Doubles) -> Doubles:
    """Platt's smoothed targets, shape (n,): (n+ + 1) / (n+ + 2) for 1 and 1 / (n- + 2) for 0."""
    happened, not_ = float((weight * actual).sum()), float((weight * (1 - actual)).sum())
    return actual * ((happened + 1) / (happened + 2)) + (1 - actual) * (1 / (not_ + 2))
