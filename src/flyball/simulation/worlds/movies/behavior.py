"""The behavior of users: times of sessions, choices of films, minutes watched, and ratings.

All functions take a random generator and are vectorized over sessions; index arrays refer to `Users` and `Films`.
"""

from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from flyball.simulation.worlds.movies import taste
from flyball.simulation.worlds.movies.catalog import Films
from flyball.simulation.worlds.movies.log_lines import DAY_US, SECOND_US
from flyball.simulation.worlds.movies.users import Users

_MINUTE_US = 60 * SECOND_US
_HOUR_US = 3_600 * SECOND_US
# Sessions by local hour: quiet at five in the morning, three times the mean at nine in the evening.
_BY_HOUR = np.array(
    (
        *(0.9, 0.6, 0.4, 0.25, 0.2, 0.2, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8),
        *(0.9, 0.9, 0.9, 0.9, 1.0, 1.2, 1.6, 2.2, 2.7, 2.8, 2.2, 1.4),
    )
)
_BY_HOUR /= _BY_HOUR.mean()
_BY_WEEKDAY = np.array((0.85, 0.85, 0.9, 0.95, 1.1, 1.25, 1.1))  # Monday first
_BY_WEEKDAY /= _BY_WEEKDAY.mean()
_CONSIDERED = 64
_SEARCH_SHARPNESS = 2.5
LIKED_MINUTES = 32
"""A user who likes a film watches this many minutes or more, one who does not `DISLIKED_MINUTES` or fewer."""
DISLIKED_MINUTES = 26


class _HourlyRate:
    """The relative rate of sessions at a timestamp for a user whose daily rhythm is `shift_h` hours late."""

    peak = float(_BY_HOUR.max() * _BY_WEEKDAY.max())

    def __call__(self, at_us: np.ndarray, shift_h: np.ndarray) -> np.ndarray:
        local_us = at_us - shift_h.astype(np.int64) * _HOUR_US
        weekday = (local_us // DAY_US + 3) % 7  # 1970-01-01 was a Thursday
        return np.asarray(_BY_HOUR[local_us % DAY_US // _HOUR_US] * _BY_WEEKDAY[weekday])


hourly_rate = _HourlyRate()


class Viewings(msgspec.Struct, frozen=True):
    """Films being watched, as columns (m,): the user, film, start, minutes, and the rating that follows.

    `stars`: 0 for no rating; otherwise the rating is made at `rate_us`.
    """

    user: np.ndarray
    film: np.ndarray
    start_us: np.ndarray
    minutes: np.ndarray
    stars: np.ndarray
    rate_us: np.ndarray

    @classmethod
    def none(cls) -> "Viewings":
        return cls(*(np.zeros(0, dtype=np.int64) for _ in range(6)))

    def plus(self, more: "Viewings") -> "Viewings":
        return Viewings(*(np.concatenate([getattr(self, n), getattr(more, n)]) for n in self.__struct_fields__))

    def unfinished(self, now_us: int) -> "Viewings":
        """The viewings with a minute or a rating at or after `now_us`."""
        left = (self.start_us + self.minutes * _MINUTE_US > now_us) | ((self.stars > 0) & (self.rate_us >= now_us))
        return Viewings(*(getattr(self, n)[left] for n in self.__struct_fields__))

    def minutes_in(self, from_us: int, until_us: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The minutes requested in [from_us, until_us): row, minute (from 1) and timestamp of each."""
        first = np.clip(-((self.start_us - from_us) // _MINUTE_US), 0, self.minutes)
        last = np.clip(-((self.start_us - until_us) // _MINUTE_US), 0, self.minutes)
        count = last - first
        row = np.repeat(np.arange(len(count)), count)
        step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        index = first[row] + step
        return row, index + 1, self.start_us[row] + index * _MINUTE_US

    def ratings_in(self, from_us: int, until_us: int) -> np.ndarray:
        """The rows that are rated in [from_us, until_us)."""
        return np.flatnonzero((self.stars > 0) & (self.rate_us >= from_us) & (self.rate_us < until_us))


def choose_from_list(
    rng: np.random.Generator,
    tastes: np.ndarray,
    films: Films,
    shown: np.ndarray,
    seen: Sequence[Collection[int]],
) -> np.ndarray:
    """The rank from which each user starts a film, int64 (b,), -1 for none.

    A cascade: from the top, a rank is examined with `attention_at` and its film started with `accept_probability`;
    the user stops at the first one. Films already seen, and -1 in `shown` (b, ranks), are skipped.
    """
    started = rng.random(shown.shape) < start_chances(tastes, films, shown, seen)
    return np.where(started.any(axis=1), started.argmax(axis=1), -1)


def start_chances(tastes: np.ndarray, films: Films, shown: np.ndarray, seen: Sequence[Collection[int]]) -> np.ndarray:
    """The probability that the film at each rank is started if none above it is, float64 (b, ranks)."""
    expected = taste.affinity(tastes, films.tastes[shown], films.quality[shown])
    chance: np.ndarray = taste.attention_at(shown.shape[1]) * taste.accept_probability(taste.like_probability(expected))
    chance = np.where(shown < 0, 0.0, chance)
    for row, (candidates, known) in enumerate(zip(shown.tolist(), seen, strict=True)):
        if known:
            chance[row, [rank for rank, film in enumerate(candidates) if film in known]] = 0.0
    return chance


def search(
    rng: np.random.Generator,
    tastes: np.ndarray,
    films: Films,
    popularity: np.ndarray,
    premiered: np.ndarray,
    seen: Sequence[Collection[int]],
) -> np.ndarray:
    """The film that each user finds without a list, int64 (b,), -1 for none.

    `popularity`: cumulative weights (n,). `premiered`: bool (n,). The chosen one is drawn among 64 with weights
    exp(2.5 * expected enjoyment).
    """
    draws = rng.random((len(tastes), _CONSIDERED)) * popularity[-1]
    considered = np.minimum(np.searchsorted(popularity, draws, side="right"), len(popularity) - 1)
    expected = taste.affinity(tastes, films.tastes[considered], films.quality[considered])
    keys = _SEARCH_SHARPNESS * expected + rng.gumbel(size=considered.shape)
    keys[~premiered[considered]] = -np.inf
    for row, (candidates, known) in enumerate(zip(considered.tolist(), seen, strict=True)):
        if known:
            keys[row, [i for i, film in enumerate(candidates) if film in known]] = -np.inf
    best = keys.argmax(axis=1)
    rows = np.arange(len(considered))
    return np.where(np.isfinite(keys[rows, best]), considered[rows, best], -1)


def plan_viewings(
    rng: np.random.Generator,
    users: Users,
    films: Films,
    user: np.ndarray,
    film: np.ndarray,
    asked_us: np.ndarray,
    rating_share: float,
) -> Viewings:
    """Draw the viewings of sessions: the minutes watched increase with enjoyment, and a rating may follow.

    A user who likes a film (enjoyment above the threshold) watches `LIKED_MINUTES` or more, another one
    `DISLIKED_MINUTES` or fewer, so that the log shows without error who liked what.
    """
    expected = taste.affinity(users.tastes[user], films.tastes[film][:, None], films.quality[film][:, None])[:, 0]
    n = len(user)
    margin = (expected + taste.NOISE * rng.normal(size=n) - taste.THRESHOLD) / taste.NOISE
    share = np.clip(0.45 + 0.35 * margin + 0.1 * rng.normal(size=n), 0.0, 1.0)
    liked = np.maximum(np.round(share * films.minutes[film]), LIKED_MINUTES)
    disliked = np.clip(
        np.round(DISLIKED_MINUTES * np.exp(0.5 * margin + 0.3 * rng.normal(size=n))), 1, DISLIKED_MINUTES
    )
    minutes = np.where(margin > 0, liked, disliked).astype(np.int64)
    start_us = (asked_us // SECOND_US + rng.integers(5, 90, size=n)) * SECOND_US
    wish = 3.3 + 0.75 * margin + users.mildness[user] + 0.4 * rng.normal(size=n)
    stars = np.where(rng.random(n) < rating_share, np.clip(np.round(wish), 1, 5), 0).astype(np.int64)
    rate_us = start_us + (minutes * 60 + rng.integers(10, 300, size=n)) * SECOND_US
    return Viewings(user.astype(np.int64), film.astype(np.int64), start_us, minutes, stars, rate_us)
