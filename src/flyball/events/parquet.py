"""Parquet files, each row read as a JSON line of its columns."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from flyball.core import BadInput
from flyball.events.cells import read_cell
from flyball.events.columns import SourceColumns
from flyball.events.formats import Parser
from flyball.events.json_lines import JsonParser, Recognized
from flyball.events.schema import Schema

_ROWS = 10_000


class Parquet(msgspec.Struct, frozen=True):
    """A Parquet file; each row is read as a JSON line of its columns. A null of an optional field is None; maps are
    texts in JSON, as in the history and in exports."""

    columns: SourceColumns = SourceColumns()

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        return _RowParser(schema, self.columns, only)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        import polars  # slow to import, and needed only here

        try:
            frame = polars.read_parquet(stream)
        except polars.exceptions.PolarsError as error:
            raise BadInput("Parquet file", "readable", str(error)) from None
        encode = msgspec.json.Encoder().encode
        for piece in frame.iter_slices(_ROWS):
            yield b"".join(
                encode({name: _plain(value) for name, value in row.items()}) + b"\n"
                for row in piece.iter_rows(named=True)
            )


class _RowParser(JsonParser):
    """Reads rows, in which every column has a value or null."""

    def _document(self, line: bytes) -> tuple[dict[str, Any], Recognized]:
        row = self._object(line)
        recognized = declared, ours, _ = self._recognize_row(row)
        fields = {field.name: field for field in declared.declared}
        document = {}
        for name, value in row.items():
            field = fields.get(ours.get(name, ""))
            if field is None or field.name in self._read:
                cell = value
            else:
                cell = read_cell(value, field)
            if cell is not None or (field is not None and field.optional):
                document[name] = cell
        return document, recognized

    def _recognize_row(self, row: dict[str, Any]) -> Recognized:
        """What the columns mean: for the type that those with a value belong to, or else all of them."""
        try:
            declared, _, _ = self._recognize({name: value for name, value in row.items() if value is not None})
        except BadInput:
            return self._recognize(row)
        return self._recognize(row, declared.name)


def _plain(value: Any) -> Any:
    """Dates and times as ISO 8601, decimal numbers as numbers; everything else as it is."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value
