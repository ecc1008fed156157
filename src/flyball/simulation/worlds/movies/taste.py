"""The ground truth of taste: how much a user enjoys a film, and the probability of liking it.

enjoyment = LEAN * (user . film) / dims + QUALITY * quality + noise,  noise ~ N(0, NOISE)
The user *likes* the film if the enjoyment is above `THRESHOLD`; the probability of this has a closed form.
"""

import numpy as np

LEAN, QUALITY, NOISE, THRESHOLD = 3.0, 0.2, 0.6, 1.6
ATTENTION, ATTENTION_DECAY, APPETITE = 0.6, 0.82, 0.25


def affinity(user_tastes: np.ndarray, film_tastes: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Expected enjoyment, float32 (b, m), of users (b, dims) for m films each (b, m, dims)."""
    dot = np.einsum("bd,bmd->bm", user_tastes, film_tastes) / user_tastes.shape[-1]
    return np.asarray(LEAN * dot + QUALITY * quality, dtype=np.float32)


def affinity_to_all(user_tastes: np.ndarray, film_tastes: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Expected enjoyment, float32 (b, n), of users (b, dims) for all films (n, dims).

    It does not use BLAS, which takes as long but uses eight times the CPU because its threads keep spinning.
    """
    dot = np.einsum("bd,nd->bn", user_tastes, film_tastes) / np.float32(user_tastes.shape[1])
    return np.asarray(LEAN * dot + QUALITY * quality, dtype=np.float32)


def like_probability(expected: np.ndarray) -> np.ndarray:
    """P(enjoyment > THRESHOLD) for an expected enjoyment, same shape, float64."""
    return normal_cdf((np.asarray(expected, dtype=np.float64) - THRESHOLD) / NOISE)


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """The standard normal distribution function, absolute error below 8e-8.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17.

    >>> float(normal_cdf(np.array([0.0])).round(6)[0])
    0.5
    """
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) * series
    return np.asarray(np.where(z >= 0, 1.0 - tail, tail))


def attention_at(ranks: int) -> np.ndarray:
    """float64 (ranks,): the probability that a user looks at each rank of a list, from the top."""
    return np.asarray(ATTENTION * ATTENTION_DECAY ** np.arange(ranks))


def accept_probability(likes: np.ndarray) -> np.ndarray:
    """The probability that a user who looks at a film starts it; `likes`: the probability of liking it, same shape."""
    return APPETITE * likes
