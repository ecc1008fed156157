"""The protocol of input formats, which turn bytes into columns of declared fields."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol

import msgspec

from flyball.events.erased import ERASED
from flyball.events.schema import Schema


class BadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that is no valid event, and why. `index`: its position among the parsed lines. `type`: the event type, ""
    where unknown."""

    index: int
    reason: str
    detail: str
    type: str = ""


NOT_ALLOWED = "not_allowed"
"""The reason for a line of an event type that its sender may not send."""

KEPT_NOWHERE = (ERASED, NOT_ALLOWED)
"""The reasons for which a line is counted, and goes neither into the log nor to quarantine."""


class EventBatch(msgspec.Struct, frozen=True):
    """Events of one type, a column for each field: `columns[f][i]` is the value of `fields[f]` in event i.

    `at[i]`: microseconds, None when the line has no time. `index[i]`: its line. `lax`: numbers may be text. `names[i]`:
    what its sender calls the event (`own_name`, `name_in_request`), b"" where it does not say; () where none does.
    """

    type: str
    fields: tuple[str, ...]
    columns: Sequence[Sequence[Any]]
    at: Sequence[int | None]
    index: Sequence[int]
    lax: bool = False
    names: Sequence[bytes] = ()


class BatchBuilder:
    """Collects events of one type and the same fields into an `EventBatch`."""

    def __init__(self, type: str, fields: tuple[str, ...], lax: bool = False) -> None:
        self.type, self.fields, self.lax = type, fields, lax
        self._rows: list[tuple[Any, ...]] = []
        self._at: list[int | None] = []
        self._index: list[int] = []
        self._names: list[bytes] = []

    def add(self, index: int, row: tuple[Any, ...], at: int | None, name: bytes = b"") -> None:
        """Add one event, from line `index`; `name`: what its sender calls it."""
        self._names.append(name)
        self._index.append(index)
        self._rows.append(row)
        self._at.append(at)

    def batch(self) -> EventBatch:
        """The events so far."""
        columns = list(zip(*self._rows, strict=True))
        return EventBatch(self.type, self.fields, columns, self._at, self._index, self.lax, self._names)


class Parsed(msgspec.Struct, frozen=True):
    """The result of parsing lines. Lines in neither list are blank or headers."""

    batches: list[EventBatch]
    bad: list[BadLine]
    ignored: frozenset[str] = frozenset()


class Parser(Protocol):
    """Parses the lines of one source in order (a CSV's first line names the columns); lines have no line ends."""

    def parse(self, lines: Sequence[bytes]) -> Parsed: ...

    def header(self) -> bytes:
        """What `parse` must get before a later line of the same source to read it in the same way; often empty."""
        ...


class Format(Protocol):
    """An input format. A format of your own is a class with these two methods."""

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        """A parser for one source; `only`: the event type, where the lines do not name it."""
        ...

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        """The stream's text in chunks that may break anywhere (Parquet is converted to JSON lines)."""
        ...
