"""What a format of lines promises: how bytes become columns of declared fields."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol

import msgspec

from flyball.events.schema import Schema


class BadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that is no event, and why. `index`: among the lines that were parsed. `type`: of the event it was to be,
    "" where that is not known."""

    index: int
    reason: str
    detail: str
    type: str = ""


class EventBatch(msgspec.Struct, frozen=True):
    """Events of one type, a column for each field: `columns[f][i]` is the value of `fields[f]` in event i.

    `at[i]`: microseconds, None when the line has no time. `index[i]`: its line. `lax`: numbers are still text.
    """

    type: str
    fields: tuple[str, ...]
    columns: Sequence[Sequence[Any]]
    at: Sequence[int | None]
    index: Sequence[int]
    lax: bool = False


class BatchBuilder:
    """Gathers events of one type and the same fields, one by one, for a `EventBatch`."""

    def __init__(self, type: str, fields: tuple[str, ...], lax: bool = False) -> None:
        self.type, self.fields, self.lax = type, fields, lax
        self._rows: list[tuple[Any, ...]] = []
        self._at: list[int | None] = []
        self._index: list[int] = []

    def add(self, index: int, row: tuple[Any, ...], at: int | None) -> None:
        """One event, from line `index`."""
        self._index.append(index)
        self._rows.append(row)
        self._at.append(at)

    def batch(self) -> EventBatch:
        """What was gathered."""
        columns = list(zip(*self._rows, strict=True))
        return EventBatch(self.type, self.fields, columns, self._at, self._index, self.lax)


class Parsed(msgspec.Struct, frozen=True):
    """What lines turned out to be. Lines in neither list are blank or headers: not events."""

    batches: list[EventBatch]
    bad: list[BadLine]
    ignored: frozenset[str] = frozenset()


class Parser(Protocol):
    """Reads the lines of one source in order (a CSV's first line names the columns); lines come without line ends."""

    def parse(self, lines: Sequence[bytes]) -> Parsed: ...

    def header(self) -> bytes:
        """What `parse` must see before a later line of the same source to read it alike; often nothing."""
        ...


class Format(Protocol):
    """A way of writing events. A format for a log of your own is a class with these two methods."""

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        """A parser for one source; `only` names the event type when the lines do not tell it."""
        ...

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        """The stream as pieces of text that may break anywhere (Parquet is turned into JSON lines)."""
        ...
