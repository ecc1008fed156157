"""Bad lines are about somebody who was erased by whole cells, as `erase` compares them, never by a part of an id."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyball.events import ErasedPeople, NamedColumns, Quarantined, cell_texts, open_quarantine
from flyball.removal import Person
from flyball.removal.quarantine import lines_about
from flyball.removal.rows import RowReader

from ..removal.homes import cinema

USER = {"user": frozenset(["user"])}
PART = st.text("abcüж019", min_size=2, max_size=5)
SIGN = st.sampled_from("-.@+_")
HEADER = b"user,film,minute"


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> ErasedPeople:
    return ErasedPeople(tmp_path_factory.mktemp("erased") / "erased.json")


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> object:
    return cinema(tmp_path_factory.mktemp("app")).schema


def lines_of(id: str) -> list[bytes]:
    """Bad lines of somebody, some of which read as a row."""
    text = json.dumps(id)
    return [
        f'{{"type":"watch","user":{text},"film":"f1","minute":"free"}}'.encode(),
        f'{{"type":"party","film":"f1","guests":["x",{text}],"minute":"free"}}'.encode(),
        f'{{"type":"watch","user":{json.dumps(id, ensure_ascii=False)},"film":"f1","minute":'.encode(),
        f"watch,{id},f1,free".encode(),
        f"watch\t{id}\tfree".encode(),
        f"GET /buy?user={id}&film=f1".encode(),
    ]


@st.composite
def nested(draw: st.DrawFn) -> tuple[str, str]:
    """(an id, a longer one that holds it beside signs of ids)."""
    parts = draw(st.lists(PART, min_size=1, max_size=2))
    id = parts[0] if len(parts) == 1 else f"{parts[0]}{draw(SIGN)}{parts[1]}"
    id = id.ljust(6, "7")
    before, after = draw(PART) + draw(SIGN), draw(SIGN) + draw(PART)
    return id, draw(st.sampled_from([id + after, before + id, before + id + after]))


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(nested())
def test_a_longer_id_is_somebody_else_in_every_line(erased: ErasedPeople, schema: object, ids: tuple[str, str]) -> None:
    id, longer = ids
    people = ErasedPeople(erased._path.with_name(f"{len(id)}-{id.encode().hex()}.json"))
    people.add([("user", id)], 1)
    assert people.among_lines(schema, lines_of(id)) == list(range(6))  # type: ignore[arg-type]
    assert people.among_lines(schema, lines_of(longer)) == []  # type: ignore[arg-type]
    rows = [f"{id},f1,free".encode(), f"{longer},f1,free".encode(), f'"{id}",f1'.encode()]
    assert people.among_lines(schema, rows, HEADER) == [0, 2]  # type: ignore[arg-type]


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(nested())
def test_a_line_is_refused_where_erase_would_take_it_out_of_quarantine(
    erased: ErasedPeople, schema: object, ids: tuple[str, str]
) -> None:
    id, longer = ids
    lines = [*lines_of(id), *lines_of(longer), f"said {id}. {longer}".encode(), f"said {longer}, no".encode()]
    people = ErasedPeople(erased._path.with_name(f"as-{id.encode().hex()}.json"))
    people.add([("user", id)], 1)
    quarantine = open_quarantine("memory://")
    quarantine.put([Quarantined(1, "bad", "", line, "web", at, "jsonl") for at, line in enumerate(lines)])
    columns = {**USER, "guests": frozenset(["user"])}
    taken = [number - 1 for number in lines_about(quarantine, RowReader([Person("user", id)], columns))]
    assert people.among_lines(schema, lines) == taken  # type: ignore[arg-type]


def test_free_text_of_a_row_is_not_compared(tmp_path: Path, schema: object) -> None:
    people = ErasedPeople(tmp_path / "erased.json")
    people.add([("user", "cust-100"), ("user", "42")], 1)
    others = [
        b'{"user":"cust-100-7","minute":"free","note":"as cust-100 said"}',
        b'{"user":"ben","minute":"42","note":"cust-100"}',
        b'{"user":420,"minute":"42"}',
        b"ordered by cust-100-7 of x.cust-100",
        b"watch,420,f1,42",
    ]
    assert people.among_lines(schema, others) == []  # type: ignore[arg-type]
    theirs = [
        b'{"user":42,"minute":"free"}',
        b'{"User ID":"cust-100","minute":"free"}',
        b'{"receiver":"42.0","user":7,"giver":"x","guests":[1,42]}',
        b"ordered by cust-100, today",
    ]
    assert people.among_lines(schema, theirs) == [0, 1, 2, 3]  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [b"n;user;film", b"n\tUser-ID\tfilm", b"\xef\xbb\xbfn|user|film", b"n,user,film"])
def test_a_line_of_csv_is_read_under_its_header(header: bytes) -> None:
    delimiter = next(sign for sign in ";\t|," if sign in header.decode(errors="replace"))
    columns = NamedColumns(USER)
    row = columns.row_of(delimiter.join(["1", '"a b"', "f1"]).encode(), header)
    (cell,) = [cell for name, cell in row.items() if columns.entities_of(name)]
    assert cell == "a b"


def test_a_cell_is_every_id_that_it_may_be() -> None:
    assert set(cell_texts(" '7")) == {" '7", "'7"}
    assert list(cell_texts([7, None, 7.5, {"a": 1}, True])) == ["7", "7.5", "True"]
    assert {"x", "y"} <= set(cell_texts('["x", "y"]'))
