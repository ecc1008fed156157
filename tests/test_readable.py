"""A failing property shows events: their type, fields and times."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flyball as fb
from flyball.events import Record, Schema


class Sale(fb.Event):
    buyer: Annotated[int, fb.Ref("buyer")]
    title: str
    pieces: int = 1


SCHEMA = Schema([Sale])


def sold(buyer: int, title: str = "ink", at: int = 5) -> Record:
    return SCHEMA.check("sale", {"buyer": buyer, "title": title, "pieces": 2}, at, at + 3)


def test_a_record_shows_its_event_with_the_names_of_its_fields() -> None:
    record = sold(7)
    shown = f"sale(buyer=7, title='ink', pieces=2), key='7', at=5, known_at=8, id={record.id[:4].hex()}"
    assert repr(record) == f"Record({shown})"
    assert repr([record]) == f"[{record!r}]"


def test_a_record_of_an_undeclared_type_shows_its_values() -> None:
    assert repr(Record("thing", "a", 1, 2, bytes(16), b"\x91\x05")) == (
        "Record(thing([5]), key='a', at=1, known_at=2, id=00000000)"
    )
    assert "thing('c1')" in repr(Record("thing", "a", 1, 2, bytes(16), b"\xc1"))


def test_records_that_differ_are_shown_differently() -> None:
    records = [sold(7), sold(8), sold(7, "pen"), sold(7, at=6)]
    assert len({repr(record) for record in records}) == len(records)


@st.composite
def days(draw: st.DrawFn) -> list[Record]:
    return [sold(draw(st.integers(1, 9)), at=at) for at in range(draw(st.integers(1, 3)))]


@pytest.mark.parametrize("records", [st.lists(st.builds(sold, st.integers(1, 9))), days()], ids=["built", "composed"])
def test_a_failing_property_prints_events(records: st.SearchStrategy[list[Record]]) -> None:
    @given(records)
    def law(records: list[Record]) -> None:
        assert not records

    with pytest.raises(AssertionError) as failure:
        law()
    printed = "\n".join([str(failure.value), *failure.value.__notes__])
    assert "sale(buyer=1, title='ink', pieces=2), key='1'" in printed
    assert "\\x" not in printed
