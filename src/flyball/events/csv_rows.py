"""CSV: a header that names the columns, then a row a line."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from flyball.core import BadInput
from flyball.events.cells import read_cell
from flyball.events.client_ids import check_client_id, own_name
from flyball.events.columns import SourceColumns, TypeFinder, apply_reader, reason_of
from flyball.events.declared import EventType, Field
from flyball.events.formats import BadLine, BatchBuilder, Parsed, Parser
from flyball.events.named_rows import DELIMITERS
from flyball.events.pieces import read_pieces
from flyball.events.schema import Schema

_COMMA_NUMBER = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*\Z")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9][0-9]{0,2},[0-9]{3}\s*\Z")


class Csv(msgspec.Struct, frozen=True):
    """Delimited text whose first line names the columns. Empty cells of optional fields are missing values; lists are
    split on | or are JSON, maps are JSON. One line is one row: a quoted cell may not hold a line end."""

    columns: SourceColumns = SourceColumns()

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        return _CsvParser(schema, self.columns, only)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        return read_pieces(stream)


class _CsvParser:
    def __init__(self, schema: Schema, columns: SourceColumns, only: str | None) -> None:
        self._finder, self._times, self._columns = TypeFinder(schema, columns, only), columns.times(), columns
        self._delimiter = columns.delimiter
        self._header = b""
        self._type: EventType | None = None
        self._cells: list[tuple[int, Field]] = []
        self._at: int | None = None
        self._id: int | None = None
        self._width = 0
        self._ignored: frozenset[str] = frozenset()

    def header(self) -> bytes:
        return self._header

    def parse(self, lines: Sequence[bytes]) -> Parsed:
        bad: list[BadLine] = []
        builder: BatchBuilder | None = None
        for index, line in enumerate(lines):
            if not line.strip():
                continue
            if self._type is None:
                self._start(line)
                continue
            if builder is None:
                builder = BatchBuilder(self._type.name, tuple(field.name for _, field in self._cells), lax=True)
            try:
                row, at_us, said = self._row(line)
            except BadInput as error:
                bad.append(BadLine(index, reason_of(error), str(error), self._type.name))
                continue
            builder.add(index, row, at_us, own_name(said) if said else b"")
        return Parsed([builder.batch()] if builder is not None else [], bad, self._ignored)

    def _start(self, line: bytes) -> None:
        """Read the header; raises `BadInput` when its columns belong to no event type, since then no line can be
        read."""
        self._delimiter, theirs, self._type = self._recognize(_decode(line))
        ours = self._finder.fields_of(self._type, self._finder.our_names(theirs))
        declared = {field.name: field for field in self._type.declared}
        self._cells = [
            (index, declared[name]) for index, name in enumerate(ours) if name is not None and name in declared
        ]
        self._at = ours.index("at") if "at" in ours else None
        self._width, self._header = len(theirs), line
        id_name = self._finder.id_of(self._type, theirs, named=False)
        self._id = theirs.index(id_name) if id_name else None
        used = {theirs[index] for index, _ in self._cells} | {id_name}
        used |= {theirs[self._at]} if self._at is not None else set()
        self._ignored = frozenset(theirs) - used

    def _recognize(self, header: str) -> tuple[str, list[str], EventType]:
        """The delimiter that gives most declared columns, with the columns and their event type."""
        read: dict[str, tuple[int, list[str], EventType]] = {}
        errors: dict[str, BadInput] = {}
        widths: dict[str, int] = {}
        for delimiter in dict.fromkeys((*self._columns.delimiter, *DELIMITERS)):
            if delimiter == self._columns.quote:
                continue
            try:
                names = [name.strip() for name in self._split(header, delimiter)]
                widths[delimiter] = len(names)
                ours = self._finder.our_names(names)
                declared = self._finder.find(name for name in ours if name is not None)
                used = set(self._finder.fields_of(declared, ours)) - {None}
                read[delimiter] = len(used), names, declared
            except BadInput as error:
                errors[delimiter] = error
        allowed = {d: columns_read for d, columns_read in read.items() if self._columns.delimiter in ("", d)}
        if allowed:
            delimiter = max(allowed, key=lambda delimiter_read: allowed[delimiter_read][0])  # of equal ones the first
            _, names, declared = allowed[delimiter]
            return delimiter, names, declared
        if read:
            likely = max(read, key=lambda delimiter_read: read[delimiter_read][0])
            name = read[likely][2].name
            must = f"delimited by {self._columns.delimiter!r} as declared, but {likely!r} would give {name}"
            raise BadInput("columns", must, header)
        raise errors[self._columns.delimiter or max(errors, key=lambda delimiter_read: widths.get(delimiter_read, 0))]

    def _row(self, line: bytes) -> tuple[tuple[Any, ...], int | None, str]:
        """The values, the time and the id of a line."""
        cells = self._split(_decode(line), self._delimiter)
        if len(cells) != self._width:
            raise BadInput("row", f"{self._width} cells", f"{len(cells)} cells")
        row = tuple([self._value(cells[index], field) for index, field in self._cells])
        at_us = self._times.timestamp_us(cells[self._at]) if self._at is not None else None
        said = check_client_id(cells[self._id] or None) if self._id is not None else ""
        return row, at_us, said

    def _value(self, cell: str, field: Field) -> Any:
        if cell == "" and (field.optional or not field.required):
            return None if field.optional else field.default
        read = self._columns.read.get(field.name)
        if read is not None:
            return apply_reader(read, field.name, cell)
        if field.kind is float and (self._columns.decimal == "," or "," in cell):
            return self._decimal(cell, field.name)
        value = read_cell(cell, field)
        return value.split("|") if field.kind is list and isinstance(value, str) else value

    def _decimal(self, cell: str, name: str) -> str:
        """A number with its decimal comma replaced by a point; raises `BadInput` where the comma is ambiguous."""
        mark = self._columns.decimal
        if mark == ",":
            if "." in cell:
                raise BadInput(f"value of {name}", "a number with a decimal comma", cell)
            return cell.replace(",", ".")
        if mark == "" and _COMMA_NUMBER.match(cell):
            if _THOUSANDS.match(cell):
                must = 'a number whose comma is declared: fb.columns(decimal=","), or "." where it marks thousands'
                raise BadInput(f"value of {name}", must, cell)
            return cell.replace(",", ".")
        return cell

    def _split(self, text: str, delimiter: str) -> list[str]:
        quote = self._columns.quote
        if quote not in text:
            return text.split(delimiter)
        try:
            stream = io.StringIO(text, newline="")
            rows = list(csv.reader(stream, delimiter=delimiter, quotechar=quote, strict=True))
        except csv.Error as error:
            raise BadInput("line", f"delimited values ({error})", text) from None
        return rows[0]


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise BadInput("line", f"UTF-8 ({error.reason})", line[:80]) from None
