"""MovieLens folders become events."""

from pathlib import Path

import pytest
from tests.data import real

from flyball.core import BadInput, NotFound
from flyball.history import movielens_events
from flyball.history.movielens import slug_of


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Toy Story (1995)", "toy+story+1995"),
        ("Lion King, The (1994)", "the+lion+king+1994"),
        ("Good, the Bad and the Ugly, The (1966)", "the+good_+the+bad+and+the+ugly+1966"),
        ("Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "amelie+fabuleux+destin+damelie+poulain_+le+2001"),
        ("Black Mirror", "black+mirror"),
        ("Se7en (a.k.a. Seven) (1995) ", "se7en+a.k.a.+seven+1995"),
        ("The OA (2016-2019)", "the+oa+2016"),
        ("七人の侍 (1954)", ""),
    ],
)
def test_slugs(title: str, slug: str) -> None:
    assert slug_of(title) == slug


def small(folder: Path) -> Path:
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n1,"Dune, The (1984)",A|B\n9,"Dune, The (1984)",(no genres listed)\n5,七,C\n'
    )
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n7,9,0.5,20\n3,1,3.5,20\n3,5,5.0,10\n3,9,4.0,20\n"
    )
    return folder


def test_the_latest_layout(tmp_path: Path) -> None:
    events = list(movielens_events(small(tmp_path)))
    assert events[:3] == [
        ("filmcard", {"film": "the+dune+1984", "title": "Dune, The (1984)", "year": 1984, "genres": ["A", "B"]}, 10**7),
        ("filmcard", {"film": "ml-5", "title": "七", "year": None, "genres": ["C"]}, 10**7),
        ("filmcard", {"film": "the+dune+1984-9", "title": "Dune, The (1984)", "year": 1984, "genres": []}, 10**7),
    ]
    assert [(fields["user"], fields["film"], fields["stars"], at) for _, fields, at in events[3:]] == [
        (3, "ml-5", 10, 10**7),
        (3, "the+dune+1984", 7, 2 * 10**7),
        (3, "the+dune+1984-9", 8, 2 * 10**7),
        (7, "the+dune+1984-9", 1, 2 * 10**7),
    ]
    whole = [fields["stars"] for name, fields, _ in movielens_events(tmp_path, scale=1) if name == "rate"]
    assert whole == [5, 4, 4, 1]


def test_broken_rows_and_other_folders_are_reported_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="u.data"):
        list(movielens_events(tmp_path))
    small(tmp_path)
    with (tmp_path / "ratings.csv").open("a") as file:
        file.write("3,1,great,30\n")
    with pytest.raises(BadInput, match=r"ratings.csv:6"):
        list(movielens_events(tmp_path))
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n7,77,0.5,20\n")
    with pytest.raises(BadInput, match="77"):
        list(movielens_events(tmp_path))


@pytest.mark.parametrize(
    ("name", "line"), [("u.data", "1\t1\tgreat\t9\n"), ("u.item", "1|The Dune (1984)|x\n"), ("u.user", "1|24\n")]
)
def test_no_file_stays_open_when_a_row_is_wrong(tmp_path: Path, name: str, line: str) -> None:
    marks = "|".join(["0"] * 19)
    (tmp_path / "u.data").write_text("1\t1\t5\t9\n")
    (tmp_path / "u.item").write_text(f"1|The Dune (1984)|1-Jan-1984||url|{marks}\n")
    (tmp_path / "u.user").write_text("1|24|M|writer|12345\n")
    assert len(list(movielens_events(tmp_path))) == 3
    (tmp_path / name).write_text(line + "1|2\n" * 5_000)  # more than a buffer beyond it
    with pytest.raises(BadInput, match=f"{name}:1") as message:
        list(movielens_events(tmp_path))
    assert message.tb is not None  # which holds every frame that was left
    held = Path("/proc/self/fd")
    if held.is_dir():
        assert not [each for each in held.iterdir() if each.is_symlink() and each.resolve() == tmp_path / name]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "films", "users", "ratings"), [("ml-100k", 1_682, 943, 100_000), ("ml-latest-small", 9_742, 0, 100_836)]
)
def test_the_real_folders(name: str, films: int, users: int, ratings: int) -> None:
    events = list(movielens_events(real(name)))
    counts = {kind: sum(1 for event in events if event[0] == kind) for kind in ("filmcard", "viewer", "rate")}
    assert counts == {"filmcard": films, "viewer": users, "rate": ratings}
    assert len({fields["film"] for kind, fields, _ in events if kind == "filmcard"}) == films
    assert [at for _, _, at in events] == sorted(at for _, _, at in events)
    assert {fields["stars"] for kind, fields, _ in events if kind == "rate"} == set(
        range(1, 6) if name == "ml-100k" else range(1, 11)
    )
