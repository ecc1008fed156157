"""MovieLens folders as events in time order.

Layouts: `ml-100k` (u.data, u.item in Latin-1, u.user) and `ml-latest-small` (ratings.csv, movies.csv; larger sets of
that layout too). Source: https://grouplens.org/datasets/movielens/ (Harper and Konstan, TiiS 5(4), 2015).
"""

import csv
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import BadInput, NotFound

_GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
_YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*\Z")
_ARTICLE = re.compile(r"\A(.*), (The|A|An|Il|La|Le|Les|L'|Das|Der|Die|Das|El|Los|Las)\Z")
_LONGEST = 100

MovieLensEvent = tuple[str, dict[str, Any], int]
"""(type, fields, at_us)."""


class Film(msgspec.Struct, frozen=True):
    """One row of the catalog."""

    slug: str
    title: str
    year: int | None
    genres: list[str]


class Names(msgspec.Struct, frozen=True):
    """The names of the application's event types that the importer writes."""

    rating: str = "rate"
    film: str = "filmcard"
    user: str = "viewer"


def movielens_events(
    folder: Path, *, scale: float | None = None, names: Names | None = None
) -> Iterator[MovieLensEvent]:
    """The catalog, the users (`ml-100k` only), then the ratings in order of (time, user, film).

    Fields: rating (user, film, stars), film (film, title, year, genres), user (user, age, gender, occupation); all
    profiles carry the time of the first rating. Film ids are slugs of the titles (`toy+story+1995`), made unique
    by the film's number where two share one. `stars` is the rating times `scale`, rounded half up to a whole number of
    at least 1; the default is 1, or 2 for half stars, which then are 1 to 10. Raises `NotFound` for another layout and
    `BadInput` naming file and line of a broken row.
    """
    folder, called = Path(folder), names or Names()
    if (folder / "u.data").is_file():
        films, users, ratings = _films_100k(folder), _users_100k(folder), _ratings_100k(folder)
        factor = 1.0 if scale is None else scale
    elif (folder / "ratings.csv").is_file() and (folder / "movies.csv").is_file():
        films, users, ratings = _films_latest(folder), [], _ratings_latest(folder)
        factor = 2.0 if scale is None else scale
    else:
        raise NotFound("MovieLens files in", str(folder), ["u.data, u.item, u.user", "ratings.csv, movies.csv"])
    ratings.sort()
    first_us = ratings[0][0] if ratings else 0
    for film in films.values():
        fields = {"film": film.slug, "title": film.title, "year": film.year, "genres": film.genres}
        yield called.film, fields, first_us
    for user in users:
        yield called.user, user, first_us
    for at_us, user_number, film_number, rating in ratings:
        if film_number not in films:
            raise BadInput("film of a rating", "in the catalog", film_number, str(folder))
        stars = max(1, math.floor(rating * factor + 0.5))
        yield called.rating, {"user": user_number, "film": films[film_number].slug, "stars": stars}, at_us


Rating = tuple[int, int, int, float]
"""(at_us, user, film number, rating)."""


def _ratings_100k(folder: Path) -> list[Rating]:
    ratings = []
    path = folder / "u.data"
    for line, row in _latin_rows(path, "\t"):
        try:
            user, film, rating, second = row
            ratings.append((int(second) * 1_000_000, int(user), int(film), float(rating)))
        except ValueError:
            raise BadInput("rating", "user, film, stars, second", row, f"{path}:{line}") from None
    return ratings


def _latin_rows(path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """[(line number, columns)]; quotes have no meaning in these files. Read at once, so that no file stays open after
    an error."""
    with path.open(encoding="latin-1", newline="") as file:
        return list(enumerate(csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE), 1))


def _films_100k(folder: Path) -> dict[int, Film]:
    rows: dict[int, tuple[str, list[str]]] = {}
    path = folder / "u.item"
    for line, row in _latin_rows(path, "|"):
        try:
            marks = row[5:24]
            rows[int(row[0])] = (row[1], [genre for genre, mark in zip(_GENRES, marks, strict=True) if mark == "1"])
        except (ValueError, IndexError):
            raise BadInput("film", "24 columns", row, f"{path}:{line}") from None
    return _films(rows)


def _users_100k(folder: Path) -> list[dict[str, Any]]:
    path = folder / "u.user"
    users = []
    for line, row in _latin_rows(path, "|"):
        try:
            user, age, gender, occupation, _ = row
            users.append({"user": int(user), "age": int(age), "gender": gender, "occupation": occupation})
        except ValueError:
            raise BadInput("user", "user|age|gender|occupation|zip", row, f"{path}:{line}") from None
    return users


def _ratings_latest(folder: Path) -> list[Rating]:
    path = folder / "ratings.csv"
    ratings = []
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                at_us = int(row["timestamp"]) * 1_000_000
                ratings.append((at_us, int(row["userId"]), int(row["movieId"]), float(row["rating"])))
            except (ValueError, KeyError, TypeError):
                raise BadInput("rating", "userId,movieId,rating,timestamp", row, f"{path}:{line}") from None
    return ratings


def _films_latest(folder: Path) -> dict[int, Film]:
    path = folder / "movies.csv"
    rows: dict[int, tuple[str, list[str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                genres = [] if row["genres"].startswith("(no genres") else row["genres"].split("|")
                rows[int(row["movieId"])] = (row["title"], genres)
            except (ValueError, KeyError, AttributeError):
                raise BadInput("film", "movieId,title,genres", row, f"{path}:{line}") from None
    return _films(rows)


def _films(rows: Mapping[int, tuple[str, list[str]]]) -> dict[int, Film]:
    """{number: film} with unique slugs; of films that share a slug the one with the least number keeps it."""
    films: dict[int, Film] = {}
    used_slugs: set[str] = set()
    for number in sorted(rows):
        title, genres = rows[number]
        slug = slug_of(title) or f"ml-{number}"
        if slug in used_slugs:
            slug = f"{slug}-{number}"
        used_slugs.add(slug)
        year = _YEAR.search(title)
        films[number] = Film(slug, title, None if year is None else int(year[1]), genres)
    return films


def slug_of(title: str) -> str:
    """A film id from a MovieLens title: lower case, + for spaces, the article moved to the front, the year at the end.

    >>> slug_of("Lion King, The (1994)")
    'the+lion+king+1994'
    >>> slug_of("Good, the Bad and the Ugly, The (1966)")
    'the+good_+the+bad+and+the+ugly+1966'
    """
    year = _YEAR.search(title)
    name = (title[: year.start()] if year else title).strip()
    article = _ARTICLE.match(name)
    if article:
        name = f"{article[2]} {article[1]}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9 ._*,-]", "", plain).replace(",", "_")
    words = "+".join(plain.split())[:_LONGEST]
    return f"{words}+{year[1]}" if words and year else words
