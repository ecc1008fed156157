"""Whether a row of a table, or a line that reads as a row, is about one of the people: by equality of its cells."""

from collections.abc import Iterable
from typing import Any

from flyball.events import EntityColumns, NamedColumns, cell_texts, cells_of
from flyball.removal.people import Person

SURE = 6
"""An id of this many characters or more is taken for that of the person wherever it stands as a word; a shorter one
only where the text says of which entity it is, or where it is all of a text in a document."""


class RowReader:
    """Reads which rows are about the people: the whole cell of a column of their entity is an id.

    In a row without such a column an id of `SURE` characters or more may be the whole cell of any, unless it is written
    like a number, which may be an amount.
    """

    def __init__(self, people: Iterable[Person], columns: EntityColumns) -> None:
        self.people = list(people)
        self.entities = frozenset(person.entity for person in self.people)
        self.entities_of = NamedColumns(columns).entities_of
        self._ids = {entity: {p.id for p in self.people if p.entity == entity} for entity in self.entities}
        self._sure = {person.id for person in self.people if len(person.id) >= SURE and not person.id.isdecimal()}

    def names(self, row: Any) -> bool | None:
        """Whether a row is about one of the people; None where it has no column of some of their entities."""
        missing, texts = set(self.entities), False
        for name, cell in cells_of(row):
            entities = self.entities_of(name)
            if any(_is_id(cell, self._ids[entity]) for entity in entities & self.entities):
                return True
            texts = texts or _is_id(cell, self._sure)
            missing -= entities
        if not missing:
            return False
        return True if texts else None


def _is_id(cell: Any, ids: set[str]) -> bool:
    return any(text in ids for text in cell_texts(cell))
