"""The profile of a table: one profile for each column."""

import numpy as np
import polars as pl
from msgspec import Struct

from flyball.monitoring.profiles.column import ColumnProfile
from flyball.statistics import DistinctCount


class TableProfile(Struct, frozen=True):
    """The number of rows, and the profile of each column by its name. `keys`: whose rows they are, such as users.

    >>> table = pl.DataFrame({"stars": [4, None, 5]})
    >>> profile = TableProfile.of(table).merge(TableProfile.of(table))
    >>> profile.rows, profile.columns["stars"].missing, profile.columns["stars"].numbers.mean
    (6, 2, 4.5)
    """

    rows: int = 0
    columns: dict[str, ColumnProfile] = {}
    keys: DistinctCount = DistinctCount()

    @classmethod
    def of(cls, table: pl.DataFrame, keys: pl.Series | None = None) -> "TableProfile":
        """The profile of `table`; `keys`: whose row each is, shape (rows,), texts."""
        if keys is None or not len(table):
            return cls(len(table), {name: ColumnProfile.of(table[name]) for name in table.columns})
        numbers = keys.fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
        columns = {name: ColumnProfile.of(table[name], numbers) for name in table.columns}
        return cls(len(table), columns, DistinctCount().add(keys.unique().hash(1).to_numpy()))

    def merge(self, other: "TableProfile") -> "TableProfile":
        """The profile of both tables, one below the other; a column that one of them lacks is missing in its rows."""
        names = dict.fromkeys([*self.columns, *other.columns])
        return TableProfile(
            self.rows + other.rows,
            {name: self.column(name).merge(other.column(name)) for name in names},
            self.keys.merge(other.keys),
        )

    def beside(self, other: "TableProfile") -> "TableProfile":
        """The profile of one table, `other` that of further columns of the same rows."""
        return TableProfile(self.rows, self.columns | other.columns, self.keys)

    def only(self, *names: str) -> "TableProfile":
        """The profile with the columns `names` alone, as far as the table has them."""
        return TableProfile(self.rows, {name: self.columns[name] for name in names if name in self.columns}, self.keys)

    def column(self, name: str) -> ColumnProfile:
        """The profile of a column; all missing if the table lacks it."""
        return self.columns.get(name) or ColumnProfile(self.rows, self.rows)
