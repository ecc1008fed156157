"""Tables in pipes, on wide and on narrow terminals."""

import ast
from pathlib import Path

import pytest

from flyball.cli import show

COLUMNS = ["version", "metric", "why"]
ROWS = [["v1", "0.174", "beats_random"], ["v10", "12.5", ""]]


def test_numbers_stand_under_each_other_and_lines_end_with_their_text() -> None:
    lines = show.table_lines(COLUMNS, ROWS, right=["metric"])
    assert lines == ["version  metric  why", "v1        0.174  beats_random", "v10        12.5"]


def test_a_table_as_wide_as_the_terminal_stays_one() -> None:
    widest = max(len(line) for line in show.table_lines(COLUMNS, ROWS))
    assert show.table_lines(COLUMNS, ROWS, width=widest) == show.table_lines(COLUMNS, ROWS)


def test_a_narrow_terminal_gets_records_without_empty_cells() -> None:
    assert show.table_lines(COLUMNS, ROWS, width=20) == [
        "version  v1",
        "metric   0.174",
        "why      beats_random",
        "",
        "version  v10",
        "metric   12.5",
    ]


def test_json_has_keys_of_text_whatever_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_json({"propensities": {11: 0.25, 2: 1.0}, "at": 3})
    assert capsys.readouterr().out == '{"at":3,"propensities":{"11":0.25,"2":1.0}}\n'


def test_where_columns_may_be_left_out_wide_shows_them() -> None:
    """The line that says so names --wide, so every command with such a table must have it."""
    calls = [
        (path.name, {keyword.arg for keyword in call.keywords})
        for path in Path(show.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "show_table"
    ]
    with_optional = [(name, keywords) for name, keywords in calls if "optional" in keywords]
    assert len(with_optional) > 5
    assert [name for name, keywords in with_optional if "wide" not in keywords] == []
