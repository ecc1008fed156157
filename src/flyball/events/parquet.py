"""Parquet files, each row read as a JSON line of its columns."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from flyball.core import BadInput
from flyball.events.cells import read_cell
from flyball.events.columns import SourceColumns
from flyball.events.formats import Parser
from flyball.events.json_lines import JsonParser, Recognized
from flyball.events.schema import Schema

if TYPE_CHECKING:
    import polars

_ROWS = 10_000
_PER_DAY = {"d": 1, "ms": 86_400_000, "us": 86_400_000_000}
"""By unit; 64 bits of nanoseconds hold no year that a calendar does not have."""
_CALENDAR_DAYS = (
    date.min.toordinal() - date(1970, 1, 1).toordinal(),
    date.max.toordinal() - date(1970, 1, 1).toordinal(),
)
"""The days since 1970 of the first year and of the last one that a date can have."""


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
            sound, strange = _without_strange_times(piece)
            yield b"".join(
                encode({**{name: _plain(value) for name, value in row.items()}, **strange.get(number, {})}) + b"\n"
                for number, row in enumerate(sound.iter_rows(named=True))
            )


class _RowParser(JsonParser):
    """Reads rows, in which every column has a value or null."""

    names_ids = False

    def _document(self, line: bytes) -> tuple[dict[str, Any], Recognized]:
        row = self._object(line)
        recognized = declared, ours, *_ = self._recognize_row(row)
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
            declared, *_ = self._recognize({name: value for name, value in row.items() if value is not None})
        except BadInput:
            return self._recognize(row)
        return self._recognize(row, declared.name)


def _without_strange_times(frame: "polars.DataFrame") -> "tuple[polars.DataFrame, dict[int, dict[str, str]]]":
    """The frame with null for times that no calendar has, such as a year of 20423; {row: {column: that time in words}}.

    One of them would make the whole file unreadable; so its row alone goes to quarantine.
    """
    import polars

    strange: dict[int, dict[str, str]] = {}
    units = {name: _unit_of(kind) for name, kind in frame.schema.items()}
    for name, unit in units.items():
        if unit not in _PER_DAY:
            continue
        numbers = frame[name].to_physical()
        low, high = (bound * _PER_DAY[unit] for bound in _CALENDAR_DAYS)
        outside = ((numbers < low) | (numbers >= high)).fill_null(value=False)
        if outside.any():
            for row in outside.arg_true().to_list():
                strange.setdefault(row, {})[name] = f"{numbers[row]} {unit} since 1970"
            frame = frame.with_columns(polars.when(~outside).then(polars.col(name)).alias(name))
    return frame, strange


def _unit_of(kind: "polars.DataType") -> str:
    """The unit in which times of a column are numbers; "" for other columns."""
    import polars

    if isinstance(kind, polars.Datetime):
        return kind.time_unit
    return "d" if isinstance(kind, polars.Date) else ""


def _plain(value: Any) -> Any:
    """Dates and times as ISO 8601, decimal numbers as numbers; everything else as it is."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value
