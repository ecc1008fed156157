"""Isotonic regression, the terms of a logistic regression, and maps of probabilities, one row at a time."""

import math

import numpy as np
from numba import njit, void

from flyball.models.kernels.signatures import f8, i8, r_f8, r_f8x2, w_f8, w_f8x2, w_i8


@njit(i8(r_f8, r_f8, w_f8, w_f8, w_i8), cache=True, nogil=True)
def pool_violators(values, weights, means, masses, starts):
    """Pool-adjacent-violators: the number of blocks; of each its mean, its mass and the row it starts at.

    `values` (n,) in order of x, no x twice, `weights` above 0. The means rise strictly.
    """
    blocks = 0
    for row in range(len(values)):
        means[blocks], masses[blocks], starts[blocks] = values[row], weights[row], row
        blocks += 1
        while blocks > 1 and means[blocks - 2] >= means[blocks - 1]:
            mass = masses[blocks - 2] + masses[blocks - 1]
            means[blocks - 2] += (means[blocks - 1] - means[blocks - 2]) * (masses[blocks - 1] / mass)
            masses[blocks - 2] = mass
            blocks -= 1
    return blocks


@njit(f8(r_f8x2, r_f8, r_f8, r_f8, w_f8, w_f8x2), cache=True, nogil=True)
def logistic_terms(features, target, weight, theta, gradient, hessian):
    """The weighted log loss of sigmoid(features @ theta) against `target` in [0, 1], its gradient and its Hessian."""
    rows, columns = features.shape
    loss = 0.0
    gradient[:] = 0.0
    hessian[:, :] = 0.0
    for row in range(rows):
        link = 0.0
        for j in range(columns):
            link += features[row, j] * theta[j]
        small = math.exp(-abs(link))
        loss += weight[row] * (max(link, 0.0) - target[row] * link + math.log1p(small))
        probability = 1.0 / (1.0 + small) if link >= 0.0 else small / (1.0 + small)
        gap, curvature = weight[row] * (probability - target[row]), weight[row] * probability * (1.0 - probability)
        for j in range(columns):
            gradient[j] += gap * features[row, j]
            for other in range(columns):
                hessian[j, other] += curvature * features[row, j] * features[row, other]
    return loss


@njit(void(r_f8, w_f8), cache=True, nogil=True)
def log_odds(probabilities, out):
    """log(p / (1 - p)); 1e-15 and 1 - 1e-15 at the ends."""
    for row in range(len(probabilities)):
        p = min(max(probabilities[row], 1e-15), 1.0 - 1e-15)
        out[row] = math.log(p) - math.log1p(-p)


@njit(void(r_f8, f8, f8, f8, w_f8), cache=True, nogil=True)
def beta_map(probabilities, a, b, c, out):
    """sigmoid(c + a log p - b log(1 - p)); with a = b it is a line over the log-odds."""
    for row in range(len(probabilities)):
        p = min(max(probabilities[row], 1e-15), 1.0 - 1e-15)
        link = c + a * math.log(p) - b * math.log1p(-p)
        small = math.exp(-abs(link))
        out[row] = 1.0 / (1.0 + small) if link >= 0.0 else small / (1.0 + small)


@njit(void(r_f8, r_f8, r_f8, w_f8), cache=True, nogil=True)
def interpolate(knots, heights, points, out):
    """The line through (knots, heights), ascending, at `points`; flat beyond the ends, nan stays nan."""
    last = len(knots) - 1
    for row in range(len(points)):
        x = points[row]
        if np.isnan(x):
            out[row] = np.nan
        elif x <= knots[0]:
            out[row] = heights[0]
        elif x >= knots[last]:
            out[row] = heights[last]
        else:
            after = np.searchsorted(knots, x)
            if knots[after] == x:
                out[row] = heights[after]
            else:
                share = (x - knots[after - 1]) / (knots[after] - knots[after - 1])
                out[row] = heights[after - 1] + share * (heights[after] - heights[after - 1])


@njit(void(r_f8, f8, f8, w_f8), cache=True, nogil=True)
def sigmoid_line(scores, slope, intercept, out):
    """sigmoid(slope * score + intercept)."""
    for row in range(len(scores)):
        link = slope * scores[row] + intercept
        small = math.exp(-abs(link))
        out[row] = 1.0 / (1.0 + small) if link >= 0.0 else small / (1.0 + small)
