"""Parquet files, each row read as a JSON line of its columns."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, BinaryIO

import msgspec

from flyball.core import BadInput
from flyball.events.columns import SourceColumns
from flyball.events.formats import Parser
from flyball.events.json_lines import JsonParser
from flyball.events.schema import Schema

_ROWS = 10_000


class Parquet(msgspec.Struct, frozen=True):
    """A Parquet file; each row is read as a JSON line of its columns."""

    columns: SourceColumns = SourceColumns()

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        return JsonParser(schema, self.columns, only)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        import polars  # slow to import, and needed only here

        try:
            frame = polars.read_parquet(stream)
        except polars.exceptions.PolarsError as error:
            raise BadInput("Parquet file", "readable", str(error)) from None
        encode = msgspec.json.Encoder().encode
        for piece in frame.iter_slices(_ROWS):
            yield b"".join(encode(_plain(row)) + b"\n" for row in piece.iter_rows(named=True))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Dates and times as ISO 8601; everything else as it is."""
    return {
        name: value.isoformat() if isinstance(value, date | datetime) else value
        for name, value in row.items()
        if value is not None
    }
