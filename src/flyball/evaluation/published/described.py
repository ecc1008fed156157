"""Reads genres, years and decades of films from MovieLens folders, for models that read attributes."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flyball.models import Attributes, attributes_of

_YEAR = re.compile(r"\((\d{4})\)\s*\Z")

DescribedFilm = tuple[str, list[str], str]
"""(id, genres, year or "")."""


def described(folder: Path, items: list[str]) -> Attributes | None:
    """The attributes of `items` from `u.item`, `movies.dat` or `movies.csv` in the folder; None if it has none."""
    for name, read in (("u.item", _u_item), ("movies.dat", _movies_dat), ("movies.csv", _movies_csv)):
        if (folder / name).is_file():
            return _columns(read(folder / name), items)
    return None


def _columns(films: Iterator[DescribedFilm], items: list[str]) -> Attributes:
    known = {film: (genres, year) for film, genres, year in films}
    genres: list[Any] = [known.get(item, ([], ""))[0] for item in items]
    years = [known.get(item, ([], ""))[1] for item in items]
    return attributes_of(len(items), {"genre": genres, "year": years, "decade": [year[:3] for year in years]})


def _u_item(file: Path) -> Iterator[DescribedFilm]:
    names = [line.split("|")[0] for line in _lines(file.with_name("u.genre")) if "|" in line]
    for line in _lines(file):
        cells = line.split("|")
        if len(cells) > 5:
            genres = [name for name, flag in zip(names, cells[5:], strict=False) if flag == "1"]
            yield cells[0], genres, cells[2][-4:]


def _movies_dat(file: Path) -> Iterator[DescribedFilm]:
    for line in _lines(file):
        cells = line.split("::")
        if len(cells) == 3:
            yield cells[0], cells[2].split("|"), _year(cells[1])


def _movies_csv(file: Path) -> Iterator[DescribedFilm]:
    with file.open(encoding="utf-8", errors="replace", newline="") as text:  # genres and years are ASCII
        for row in csv.DictReader(text):
            film, title, genres = (row.get(name) for name in ("movieId", "title", "genres"))
            if film is not None and title is not None and genres is not None:
                yield film, genres.split("|"), _year(title)


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="latin-1").splitlines() if file.is_file() else []


def _year(title: str) -> str:
    match = _YEAR.search(title)
    return match[1] if match else ""
