"""What films of MovieLens folders are described as: gaps say nothing, and are no attribute."""

from pathlib import Path

import numpy as np
import pytest

from flyball.evaluation.published.described import described
from flyball.models import Attributes

FILMS = {
    "u.item": """7|Léon (1994)|14-Sep-1994||url|0|1|1
8|unknown||||0|0|0
9|Up (1999)|01-Jan-1999||url|1|0|1
10|short
""",
    "movies.dat": """7::Léon: The One (1994)::Drama|War
8::unknown::
9::Up (1999)::Action|War
10::short
""",
    "movies.csv": """movieId,title,genres
7,"Une, Léone (1994) ",Drama|War
8,unknown,
9,Up (1999),Action|War
10,short
""",
}


def names_of(found: Attributes, item: int) -> list[str]:
    return [found.names[place] for place in found.index[slice(*found.indptr[item : item + 2])]]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("u.item", "latin-1"), ("movies.dat", "latin-1"), ("movies.csv", "utf-8"), ("movies.csv", "latin-1")],
)
def test_genre_year_and_decade_where_they_are_described(name: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "u.genre").write_text("Action|0\nDrama|1\nWar|2\n\n")
    (tmp_path / name).write_text(FILMS[name], encoding=encoding)
    items = ["8", "7", "9", "10", "not among them", "7"]
    found = described(tmp_path, items)
    assert found is not None
    assert np.diff(found.indptr).tolist() == [0, 4, 2, 0, 0, 4]
    assert names_of(found, 1) == names_of(found, 5) == ["decade=199", "genre=Drama", "genre=War", "year=1994"]
    assert names_of(found, 2) == ["decade=199", "genre=War"], "what one item alone has says nothing of others"
    assert names_of(found, 0) == names_of(found, 3) == []


def test_folders_without_films_and_lists_of_other_things_say_nothing(tmp_path: Path) -> None:
    assert described(tmp_path, ["7"]) is None
    (tmp_path / "movies.csv").write_text("id,name\n7,Up\n")
    found = described(tmp_path, ["7"])
    assert found is not None
    assert (found.names, found.indptr.tolist()) == ([], [0, 0])
