"""Tables of different columns, one below the other."""

import polars as pl

from flyball.monitoring import TableProfile


def test_a_column_that_a_part_lacks_is_missing_in_its_rows() -> None:
    first = TableProfile.of(pl.DataFrame({"a": [1, 2], "b": ["x", None]}))
    second = TableProfile.of(pl.DataFrame({"a": [3], "c": [True]}))
    both = first.merge(second)
    assert both.rows == 3
    assert {name: (column.rows, column.missing) for name, column in both.columns.items()} == {
        "a": (3, 0),
        "b": (3, 2),
        "c": (3, 2),
    }


def test_a_changed_type_shows_both_kinds() -> None:
    first, second = TableProfile.of(pl.DataFrame({"a": [1, 2]})), TableProfile.of(pl.DataFrame({"a": ["x"]}))
    column = first.merge(second).columns["a"]
    assert (column.kinds, column.kind) == ({"number": 2, "text": 1}, "number")


def test_an_empty_table_changes_nothing() -> None:
    table = TableProfile.of(pl.DataFrame({"a": [1, 2]}))
    assert table.merge(TableProfile()) == TableProfile().merge(table) == table
