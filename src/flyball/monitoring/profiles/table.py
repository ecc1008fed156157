"""The profile of a table: one profile for each column."""

import polars as pl
from msgspec import Struct

from flyball.monitoring.profiles.column import ColumnProfile


class TableProfile(Struct, frozen=True):
    """The number of rows, and the profile of each column by its name.

    >>> table = pl.DataFrame({"stars": [4, None, 5]})
    >>> profile = TableProfile.of(table).merge(TableProfile.of(table))
    >>> profile.rows, profile.columns["stars"].missing, profile.columns["stars"].numbers.mean
    (6, 2, 4.5)
    """

    rows: int = 0
    columns: dict[str, ColumnProfile] = {}

    @classmethod
    def of(cls, table: pl.DataFrame) -> "TableProfile":
        """The profile of `table`."""
        return cls(len(table), {name: ColumnProfile.of(table[name]) for name in table.columns})

    def merge(self, other: "TableProfile") -> "TableProfile":
        """The profile of both tables, one below the other; a column that one of them lacks is missing in its rows."""
        names = dict.fromkeys([*self.columns, *other.columns])
        return TableProfile(
            self.rows + other.rows, {name: self.column(name).merge(other.column(name)) for name in names}
        )

    def column(self, name: str) -> ColumnProfile:
        """The profile of a column; all missing if the table lacks it."""
        return self.columns.get(name) or ColumnProfile(self.rows, self.rows)
