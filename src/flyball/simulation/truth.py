"""How good lists truly are, by the law of taste that no component can see."""

from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from flyball.simulation import taste
from flyball.simulation.behaviour import start_chances
from flyball.simulation.lines import DAY_US
from flyball.simulation.world import World

_CHUNK = 64
RANKINGS = ("oracle", "popular", "random")


class Judged(msgspec.Struct, frozen=True):
    """Per list, float64 (b,).

    `quality`: mean probability that the user likes a film of the list, if started; 0 for a film of no world.
    `ndcg`: the probabilities as gains, discounted by place, against the best possible list of unseen films.
    `adoption`: the probability that the user starts a film from the list.
    """

    quality: np.ndarray
    ndcg: np.ndarray
    adoption: np.ndarray

    def mean(self) -> dict[str, float]:
        """The mean of each over the lists; 0 for none."""
        return {
            name: float(getattr(self, name).mean()) if len(self.quality) else 0.0 for name in self.__struct_fields__
        }


def true_quality(world: World, user: int, slugs: Sequence[str]) -> np.ndarray:
    """The probability that user index `user` likes each film, if started; 0 for a film the world does not know."""
    films = [world.film_index.get(slug, -1) for slug in slugs]
    likes = world.like_probability(user, [max(film, 0) for film in films])
    return np.asarray(np.where(np.asarray(films) >= 0, likes, 0.0))


def judge(world: World, users: np.ndarray, shown: np.ndarray, seen: Sequence[Collection[int]], k: int) -> Judged:
    """Judge lists of `k`: film indices (b, places), -1 for nothing there, shown to `users` who have seen `seen`."""
    shown = _to_width(shown, k)
    tastes, films = world.users.tastes[users], world.films
    likes = np.where(
        shown >= 0, taste.like_probability(taste.affinity(tastes, films.tastes[shown], films.quality[shown])), 0.0
    )
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = _ideal_gain(world, users, seen, discount)
    adoption = 1.0 - np.prod(1.0 - start_chances(tastes, films, shown, seen), axis=1)
    return Judged(likes.mean(axis=1), likes @ discount / np.maximum(ideal, 1e-12), adoption)


def rankings(
    world: World, rng: np.random.Generator, users: np.ndarray, seen: Sequence[Collection[int]], k: int
) -> dict[str, np.ndarray]:
    """{name: int64 (b, k)}: the lists that an oracle, true popularity and chance would show these users."""
    lists: dict[str, np.ndarray] = {name: np.full((len(users), k), -1, dtype=np.int64) for name in RANKINGS}
    open_films = _premiered(world)
    by_weight = np.where(open_films, world.films.weight, -1.0)
    longest = max(map(len, seen), default=0)
    popular = np.argsort(-by_weight, kind="stable")[: min(k + longest, int(open_films.sum()))].tolist()
    for row, (user, known) in enumerate(zip(users.tolist(), seen, strict=True)):
        best = _best(world, np.array([user]), [known], k)[0][0]
        _fill(lists["oracle"][row], best.tolist())
        _fill(lists["popular"][row], [film for film in popular if film not in known])
        drawn = rng.choice(np.flatnonzero(open_films), size=min(k + len(known), int(open_films.sum())), replace=False)
        _fill(lists["random"][row], [film for film in drawn.tolist() if film not in known])
    return lists


def _ideal_gain(world: World, users: np.ndarray, seen: Sequence[Collection[int]], discount: np.ndarray) -> np.ndarray:
    gains = [np.zeros(0)]
    for start in range(0, len(users), _CHUNK):
        _, likes = _best(world, users[start : start + _CHUNK], seen[start : start + _CHUNK], len(discount))
        gains.append(likes @ discount[: likes.shape[1]])
    return np.concatenate(gains)


def _best(world: World, users: np.ndarray, seen: Sequence[Collection[int]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` unseen films each user likes best, best first: indices and probabilities, both (b, k)."""
    films = world.films
    expected = taste.affinity_to_all(world.users.tastes[users], films.tastes, films.quality)
    expected[:, ~_premiered(world)] = -np.inf
    for row, known in zip(expected, seen, strict=True):
        row[list(known)] = -np.inf
    k = min(k, expected.shape[1])
    top = np.argpartition(-expected, k - 1, axis=1)[:, :k]
    scores = np.take_along_axis(expected, top, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    scores = np.take_along_axis(scores, order, axis=1)
    likes = np.where(np.isfinite(scores), taste.like_probability(np.maximum(scores, -20.0)), 0.0)
    return np.take_along_axis(top, order, axis=1), likes


def _premiered(world: World) -> np.ndarray:
    return np.asarray(world.start_us + world.films.premiere_day * DAY_US <= world.now_us)


def _to_width(shown: np.ndarray, k: int) -> np.ndarray:
    out = np.full((len(shown), k), -1, dtype=np.int64)
    width = min(k, shown.shape[1])
    out[:, :width] = shown[:, :width]
    return out


def _fill(row: np.ndarray, films: list[int]) -> None:
    chosen = films[: len(row)]
    row[: len(chosen)] = chosen
