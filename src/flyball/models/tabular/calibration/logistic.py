"""A logistic regression of a few columns, by Newton's method with backtracking.

Source: Lin, Lin and Weng, "A note on Platt's probabilistic outputs for support vector machines", Machine Learning 2007.
"""

import numpy as np

from flyball.core import Doubles

_STEPS, _GRADIENT, _RIDGE = 100, 1e-10, 1e-12


def fit_logistic(features: Doubles, target: Doubles, weight: Doubles, start: Doubles, strength: float = 0.0) -> Doubles:
    """The coefficients (columns,) of least weighted log loss, plus strength / 2 times their squared distance to
    `start`, which decides where examples do not. `features`: (n, columns); `target`: (n,), from 0 to 1."""
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
            break  # no shorter step lowers the loss: as near as numbers allow
    return theta


def smoothed_targets(actual: Doubles, weight: Doubles) -> Doubles:
    """Platt's targets, (n+ + 1) / (n+ + 2) and 1 / (n- + 2) for 1 and 0: what is certain in a sample is not certain."""
    happened, not_ = float((weight * actual).sum()), float((weight * (1 - actual)).sum())
    return actual * ((happened + 1) / (happened + 2)) + (1 - actual) * (1 / (not_ + 2))
