"""Whether a row of a table, or a line that reads as a row, is about one of the people: by equality of its cells."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from unicodedata import normalize

import msgspec

from flyball.removal.people import Person

SURE = 6
"""An id of this many characters or more is taken for that of the person wherever it stands as a word; a shorter one
only where the text says of which entity it is, or where it is all of a text in a document."""
EntityColumns = Mapping[str, frozenset[str]]
"""{column: the entities that it names}."""


class RowReader:
    """Reads which rows are about the people: the whole cell of a column of their entity is an id.

    In a row without such a column an id of `SURE` characters or more may be the whole cell of any, unless it is written
    like a number, which may be an amount.
    """

    def __init__(self, people: Iterable[Person], columns: EntityColumns) -> None:
        self.people = list(people)
        self.entities = frozenset(person.entity for person in self.people)
        self._columns: dict[str, frozenset[str]] = {}
        for name, entities in columns.items():
            self._columns[_folded(name)] = self._columns.get(_folded(name), frozenset()) | entities
        self._ids = {entity: {p.id for p in self.people if p.entity == entity} for entity in self.entities}
        self._sure = {person.id for person in self.people if len(person.id) >= SURE and not person.id.isdecimal()}

    def entities_of(self, column: str) -> frozenset[str]:
        """The entities that a column names, in any case, and with or without `id` at its end.

        >>> sorted(RowReader([], {"user": frozenset(["user"])}).entities_of("User ID"))
        ['user']
        """
        name = _folded(column)
        for form in (name, name.removesuffix("id"), name.removesuffix("ids")):
            if form in self._columns:
                return self._columns[form]
        return frozenset()

    def names(self, row: Any) -> bool | None:
        """Whether a row is about one of the people; None where it has no column of some of their entities."""
        missing, texts = set(self.entities), False
        for name, cell in _cells(row):
            entities = self.entities_of(name)
            if any(_is_id(cell, self._ids[entity]) for entity in entities & self.entities):
                return True
            texts = texts or _is_id(cell, self._sure)
            missing -= entities
        if not missing:
            return False
        return True if texts else None


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _cells(row: Any) -> Iterator[tuple[str, Any]]:
    """(column, value) of a row, also of rows within it."""
    if isinstance(row, str) and row.startswith(("{", "[{")):
        row = read_json(row.encode(errors="surrogateescape"))
    if isinstance(row, list):
        for member in row:
            yield from _cells(member)
    elif isinstance(row, dict):
        for name, cell in row.items():
            yield name, cell
            yield from _cells(cell)


def read_json(line: bytes) -> Any:
    """The value of a text in JSON; None of another text."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_id(cell: Any, ids: set[str]) -> bool:
    """Whether a cell is an id, also one that is quoted for spreadsheets, or a list with it."""
    if isinstance(cell, list):
        return any(_is_id(member, ids) for member in cell)
    if isinstance(cell, float) and cell.is_integer():  # whole numbers beside missing ones
        return str(int(cell)) in ids
    if not isinstance(cell, str):
        return cell is not None and not isinstance(cell, dict) and str(cell) in ids
    if not ids.isdisjoint((cell, cell.strip(), cell.removeprefix("'"), normalize("NFC", cell))):
        return True
    if cell.startswith("["):
        return isinstance(members := read_json(cell.encode(errors="surrogateescape")), list) and _is_id(members, ids)
    return "|" in cell and not ids.isdisjoint(cell.split("|"))
