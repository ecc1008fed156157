"""The true quality of lists, by the hidden tastes."""

from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from flyball.simulation.worlds.movies import taste
from flyball.simulation.worlds.movies.behavior import start_chances
from flyball.simulation.worlds.movies.life import MovieLife

_CHUNK = 64


class ListQuality(msgspec.Struct, frozen=True):
    """Metrics of each list, float64 (b,).

    `quality`: mean probability that the user likes a film of the list, if started; 0 for a film of no life.
    `ndcg`: the probabilities as gains, discounted by rank, against the best possible list of unseen films.
    `taken`: the probability that the user starts a film from the list.
    """

    quality: np.ndarray
    ndcg: np.ndarray
    taken: np.ndarray


class Best(msgspec.Struct, frozen=True):
    """The best unseen films of each user, best first: indices int64 (b, k) and probabilities of liking (b, k)."""

    films: np.ndarray
    likes: np.ndarray


def list_quality(
    life: MovieLife,
    users: np.ndarray,
    shown: np.ndarray,
    seen: Sequence[Collection[int]],
    k: int,
    best: Best | None = None,
) -> ListQuality:
    """The quality of lists of `k` films, `shown` (b, ranks), -1 for none, to `users` (b,) who have seen `seen`.

    `best`: of `best_lists` for the same users, when it is at hand (default: of the films that there are now).
    """
    shown, best = _to_width(shown, k), best or best_lists(life, users, seen, k)
    tastes, films = life.users.tastes[users], life.films
    likes = np.where(
        shown >= 0, taste.like_probability(taste.affinity(tastes, films.tastes[shown], films.quality[shown])), 0.0
    )
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = best.likes @ discount[: best.likes.shape[1]]
    start_probability = 1.0 - np.prod(1.0 - start_chances(tastes, films, shown, seen), axis=1)
    return ListQuality(likes.mean(axis=1), likes @ discount / np.maximum(ideal, 1e-12), start_probability)


def best_lists(
    life: MovieLife, users: np.ndarray, seen: Sequence[Collection[int]], k: int, now_us: int | None = None
) -> Best:
    """The lists of an oracle: the `k` unseen films that each user likes with the highest probability.

    `now_us`: of the films that there were then.
    """
    released_films = life.premiered(now_us)
    chunks = [
        _best(life, users[at : at + _CHUNK], seen[at : at + _CHUNK], k, released_films)
        for at in range(0, len(users), _CHUNK)
    ]
    if not chunks:
        return Best(np.zeros((0, k), dtype=np.int64), np.zeros((0, k)))
    return Best(np.concatenate([chunk.films for chunk in chunks]), np.concatenate([chunk.likes for chunk in chunks]))


def rankings(
    life: MovieLife,
    rng: np.random.Generator,
    users: np.ndarray,
    seen: Sequence[Collection[int]],
    k: int,
    best: Best | None = None,
    now_us: int | None = None,
) -> dict[str, np.ndarray]:
    """{name: int64 (b, k)}: the lists of an oracle, of true popularity and of random choice for these users.

    `best` and `now_us` as in `list_quality` and `best_lists`.
    """
    best = best or best_lists(life, users, seen, k, now_us)
    released_films = np.flatnonzero(life.premiered(now_us))
    longest = max(map(len, seen), default=0)
    by_weight = released_films[np.argsort(-life.films.weight[released_films], kind="stable")][: k + longest].tolist()
    popular, chance = (np.full((len(users), k), -1, dtype=np.int64) for _ in range(2))
    for row, known in enumerate(seen):
        _fill(popular[row], [film for film in by_weight if film not in known])
        drawn = released_films[rng.integers(len(released_films), size=2 * k + len(known))].tolist()
        _fill(chance[row], list(dict.fromkeys(film for film in drawn if film not in known)))
    return {"oracle": _to_width(best.films, k), "popular": popular, "random": chance}


def _best(
    life: MovieLife, users: np.ndarray, seen: Sequence[Collection[int]], k: int, released_films: np.ndarray
) -> Best:
    films = life.films
    expected = taste.affinity_to_all(life.users.tastes[users], films.tastes, films.quality)
    expected[:, ~released_films] = -np.inf
    for row, known in zip(expected, seen, strict=True):
        row[list(known)] = -np.inf
    k = min(k, expected.shape[1])
    top = np.argpartition(-expected, k - 1, axis=1)[:, :k]
    scores = np.take_along_axis(expected, top, axis=1)
    order = np.lexsort((top, -scores), axis=1)
    scores, top = np.take_along_axis(scores, order, axis=1), np.take_along_axis(top, order, axis=1)
    likes = np.where(np.isfinite(scores), taste.like_probability(np.maximum(scores, -20.0)), 0.0)
    return Best(np.where(np.isfinite(scores), top, -1), likes)


def _to_width(shown: np.ndarray, k: int) -> np.ndarray:
    out = np.full((len(shown), k), -1, dtype=np.int64)
    width = min(k, shown.shape[1])
    out[:, :width] = shown[:, :width]
    return out


def _fill(row: np.ndarray, films: list[int]) -> None:
    chosen = films[: len(row)]
    row[: len(chosen)] = chosen
