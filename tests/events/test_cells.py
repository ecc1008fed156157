"""Cells of tables hold lists and maps as JSON; what does not read so names its field."""

import pytest

from flyball.core import BadInput
from flyball.events import Event, read_type
from flyball.events.cells import read_cell


class Shown(Event):
    """One field of each kind that a cell may hold as JSON, and one that it holds as it is."""

    keyed = False
    items: list[str]
    parts: dict[str, str | int | float]
    note: str


ITEMS, PARTS, NOTE = read_type(Shown).declared


def test_json_is_read_where_a_list_or_a_map_is_declared() -> None:
    assert read_cell('["a|b", ""]', ITEMS) == ["a|b", ""]
    assert read_cell('{"x": 1, "y": "z"}', PARTS) == {"x": 1, "y": "z"}
    assert read_cell('["a"]', NOTE) == '["a"]'
    assert read_cell(["a"], ITEMS) == ["a"]


def test_a_list_that_is_no_json_stays_text_and_a_map_is_refused() -> None:
    assert read_cell("[a]|b", ITEMS) == "[a]|b"
    with pytest.raises(BadInput, match=r"value of parts must be a JSON object, got 'x=1'"):
        read_cell("x=1", PARTS)
