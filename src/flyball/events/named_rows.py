"""Which cells of a row may name somebody: columns by the entity that they refer to, cells by the ids they may be."""

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any
from unicodedata import normalize

import msgspec

from flyball.events.schema import Schema

DELIMITERS = ",;\t|"
"""The recognized delimiters of CSV, in the order in which they are tried."""

EntityColumns = Mapping[str, frozenset[str]]
"""{column: the entities that it names}."""


def entity_columns(schema: Schema) -> dict[str, frozenset[str]]:
    """The fields that refer to an entity, and the entities by their own names."""
    columns: dict[str, frozenset[str]] = {}
    for declared in schema.types.values():
        for field, entity in declared.flagged:
            for name in (field, entity):
                columns[name] = columns.get(name, frozenset()) | {entity}
    return columns


class NamedColumns:
    """Finds the entities of columns, in any case, and with or without `id` at the end of their names."""

    def __init__(self, columns: EntityColumns) -> None:
        self._columns: dict[str, frozenset[str]] = {}
        for name, entities in columns.items():
            self._columns[_folded(name)] = self._columns.get(_folded(name), frozenset()) | entities
        self.entities = frozenset[str]().union(*columns.values())

    def entities_of(self, column: str) -> frozenset[str]:
        """The entities that a column names.

        >>> sorted(NamedColumns({"user": frozenset(["user"])}).entities_of("User ID"))
        ['user']
        """
        name = _folded(column)
        for form in (name, name.removesuffix("id"), name.removesuffix("ids")):
            if form in self._columns:
                return self._columns[form]
        return frozenset()

    def row_of(self, line: bytes, header: bytes = b"") -> Any:
        """A line in JSON, or in CSV under its header, as what `cells_of` takes; None for another text."""
        if not header:
            return read_json(line)
        names, cells = (text.decode(errors="surrogateescape") for text in (header.removeprefix(b"\xef\xbb\xbf"), line))
        rows = list[dict[str, str]]()
        for delimiter in DELIMITERS:
            try:
                read = [next(csv.reader([text], delimiter=delimiter), []) for text in (names, cells)]
            except csv.Error:
                return None
            rows.append(dict(zip(*read, strict=False)))
        return max(rows, key=lambda row: sum(bool(self.entities_of(name)) for name in row))


def cells_of(row: Any) -> Iterator[tuple[str, Any]]:
    """(column, value) of a row, also of rows within it."""
    if isinstance(row, str) and row.startswith(("{", "[{")):
        row = read_json(row.encode(errors="surrogateescape"))
    if isinstance(row, list):
        for member in row:
            yield from cells_of(member)
    elif isinstance(row, dict):
        for name, cell in row.items():
            yield name, cell
            yield from cells_of(cell)


def cell_texts(cell: Any) -> Iterator[str]:
    """Every id that a cell may be: also one that is quoted for spreadsheets, or a member of a list.

    >>> sorted(set(cell_texts("a|b-7"))), list(cell_texts(7.0))
    (['a', 'a|b-7', 'b-7'], ['7'])
    """
    if isinstance(cell, list):
        for member in cell:
            yield from cell_texts(member)
    elif isinstance(cell, float) and cell.is_integer():  # whole numbers beside missing ones
        yield str(int(cell))
    elif isinstance(cell, str):
        yield from (cell, cell.strip(), cell.removeprefix("'"), normalize("NFC", cell))
        if cell.startswith("[") and isinstance(members := read_json(cell.encode(errors="surrogateescape")), list):
            yield from cell_texts(members)
        if "|" in cell:
            yield from cell.split("|")
    elif cell is not None and not isinstance(cell, dict):
        yield str(cell)


def read_json(line: bytes) -> Any:
    """The value of a text in JSON; None of another text."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
