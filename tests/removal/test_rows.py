"""A cell names somebody where it is the id as a whole, in a column whose name means the entity."""

from typing import Any

import pytest

from flyball.removal import Person
from flyball.removal.rows import RowReader

READER = RowReader([Person("user", "zo\u00eb-1")], {"user": frozenset(["user"]), "request.user": frozenset(["user"])})


@pytest.mark.parametrize(
    "column", ["user", "USER", "User ID", "user_id", "userId", "\ufeffuser", "Request.User", "users"]
)
def test_a_column_is_known_however_its_name_is_written(column: str) -> None:
    assert bool(READER.entities_of(column)) == (column != "users")


@pytest.mark.parametrize(
    "cell",
    ["zo\u00eb-1", "zoe\u0308-1", " zo\u00eb-1", "'zo\u00eb-1", ["a", "zo\u00eb-1"], '["zo\u00eb-1"]', "a|zo\u00eb-1"],
)
def test_the_whole_cell_is_the_id(cell: Any) -> None:
    assert READER.names({"user": cell}) is True


@pytest.mark.parametrize(
    "cell", ["zo\u00eb-10", "zo\u00eb-1 jr", "a zo\u00eb-1", ["zo\u00eb-1-2"], '["zo\u00eb-1 x"]', None, 1.5]
)
def test_a_longer_cell_is_of_somebody_else(cell: Any) -> None:
    assert READER.names({"user": cell, "note": "zo\u00eb-1"}) is False


def test_without_a_column_a_long_id_counts_in_any_cell_but_no_number() -> None:
    reader = RowReader([Person("user", "zo\u00eb-12")], {"user": frozenset(["user"])})
    assert reader.names({"who": "zo\u00eb-12"}) is True
    assert reader.names({"who": "zo\u00eb-12-2"}) is None
    assert RowReader([Person("user", "100000")], {}).names({"amount": 100000}) is None
