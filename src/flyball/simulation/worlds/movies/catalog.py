"""The films of a world: their attributes, hidden vectors and popularity.

Popularity is a power law: the weight of the film at rank r (from 1) is proportional to r ** -exponent. The hidden
vector of a film is partly determined by its genres, so genres carry some information about taste.
"""

import msgspec
import numpy as np

from flyball.core import BadInput
from flyball.simulation.worlds.movies.titles import make_titles

GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Family",
    "Fantasy",
    "History",
    "Horror",
    "Music",
    "Mystery",
    "Romance",
    "Science Fiction",
    "Thriller",
    "War",
    "Western",
)
# Shares as in a real catalog of 17,191 films: drama in half of them, westerns in one of forty.
_GENRE_SHARE = (25, 12, 5, 51, 17, 15, 82, 9, 8, 5, 19, 7, 10, 27, 11, 30, 5, 4)
_LANGUAGES = ("en", "fr", "ja", "de", "it", "es", "sv", "fi")
_LANGUAGE_SHARE = (75, 7, 4, 4, 4, 3, 2, 1)
_UNKNOWN_YEAR_SHARE = 0.001
_LAST_YEAR = 2024


class Films(msgspec.Struct, frozen=True):
    """A catalog of n films, as columns; index i is the same film in all of them.

    `tastes`: float32 (n, dims), unit variance per dimension. `quality`: float32 (n,), the appeal common to all users.
    `weight`: float64 (n,), popularity, sums to 1. `minutes`: int16 (n,), running time, 45 or more. `genres`: bool
    (n, len(GENRES)), one to three each. `year`: int16 (n,), 0 unknown. `premiere_day`: float64 (n,), days after the
    start of the world; 0 or less for films of the start.
    """

    slugs: list[str]
    tastes: np.ndarray
    quality: np.ndarray
    weight: np.ndarray
    minutes: np.ndarray
    genres: np.ndarray
    year: np.ndarray
    language: list[str]
    premiere_day: np.ndarray

    def __len__(self) -> int:
        return len(self.slugs)

    def nbytes(self) -> int:
        """The memory of the numeric columns; slugs take about 80 bytes each in addition."""
        columns = (getattr(self, name) for name in self.__struct_fields__)
        return sum(column.nbytes for column in columns if isinstance(column, np.ndarray))


def genre_directions(rng: np.random.Generator, dims: int) -> np.ndarray:
    """The hidden direction of each genre, of length sqrt(dims), float32 (len(GENRES), dims)."""
    directions = rng.normal(size=(len(GENRES), dims))
    directions *= np.sqrt(dims) / np.linalg.norm(directions, axis=1, keepdims=True)
    return directions.astype(np.float32)


def make_films(
    rng: np.random.Generator, n: int, directions: np.ndarray, *, exponent: float = 1.0, premieres_a_day: float = 0.0
) -> Films:
    """Draw `n` films; with `premieres_a_day` the last tenth of them appear one by one after the start.

    `directions`: float32 (len(GENRES), dims). Raises `BadInput` for fewer than 10 films.
    """
    if n < 10:
        raise BadInput("films", "10 or more", n)
    genres = _draw_genres(rng, n)
    rank = rng.permutation(n) + 1
    weight = rank.astype(np.float64) ** -exponent
    year = _draw_years(rng, n)
    return Films(
        slugs=make_titles(rng, year),
        tastes=_draw_tastes(rng, genres, directions),
        # Better films are slightly more popular: the most popular decile is about half a deviation above the mean.
        quality=(0.9 * rng.normal(size=n) - 0.35 * (np.log(rank) - np.log(n) + 1.0)).astype(np.float32),
        weight=weight / weight.sum(),
        minutes=np.clip(rng.normal(104.0, 20.0, size=n), 45.0, 240.0).astype(np.int16),
        genres=genres,
        year=year,
        language=[_LANGUAGES[i] for i in rng.choice(len(_LANGUAGES), size=n, p=_shares(_LANGUAGE_SHARE)).tolist()],
        premiere_day=_draw_premieres(rng, n, premieres_a_day),
    )


def _shares(weights: tuple[int, ...]) -> np.ndarray:
    return np.asarray(weights, dtype=np.float64) / sum(weights)


def _draw_genres(rng: np.random.Generator, n: int) -> np.ndarray:
    """One to three genres a film, without replacement (Gumbel top-k)."""
    keys = np.log(_shares(_GENRE_SHARE)) + rng.gumbel(size=(n, len(GENRES)))
    order = np.argsort(-keys, axis=1)[:, :3]
    count = rng.choice((1, 2, 3), size=n, p=(0.35, 0.40, 0.25))
    genres = np.zeros((n, len(GENRES)), dtype=bool)
    for slot in range(3):
        has = count > slot
        genres[np.flatnonzero(has), order[has, slot]] = True
    return genres


def _draw_tastes(rng: np.random.Generator, genres: np.ndarray, directions: np.ndarray) -> np.ndarray:
    lean = genres.astype(np.float32) @ directions
    lean /= np.sqrt((lean**2).mean(axis=1, keepdims=True))
    own = rng.normal(size=lean.shape).astype(np.float32)
    mixed: np.ndarray = 0.8 * lean + 0.6 * own
    return mixed.astype(np.float32)


def _draw_years(rng: np.random.Generator, n: int) -> np.ndarray:
    age = rng.exponential(20.0, size=n)
    year = np.clip(_LAST_YEAR - age, 1900, _LAST_YEAR).astype(np.int16)
    year[rng.random(n) < _UNKNOWN_YEAR_SHARE] = 0
    return year


def _draw_premieres(rng: np.random.Generator, n: int, premieres_a_day: float) -> np.ndarray:
    day = np.zeros(n)
    if premieres_a_day > 0:
        coming = rng.permutation(n)[: n // 10]
        day[coming] = np.cumsum(rng.exponential(1.0 / premieres_a_day, size=len(coming)))
    return day
