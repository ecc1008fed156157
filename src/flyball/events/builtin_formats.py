"""The built-in formats, and `columns` for sources whose columns have other names or notations."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any

import msgspec

from flyball.core import NotFound
from flyball.events.columns import CellReader, source_columns
from flyball.events.csv_rows import Csv
from flyball.events.formats import Format
from flyball.events.json_lines import JsonLines
from flyball.events.parquet import Parquet

FORMATS: dict[str, Format] = {"jsonl": JsonLines(), "csv": Csv(), "parquet": Parquet()}
"""The built-in formats by name."""


def columns(
    rename: Mapping[str, str] | None = None,
    read: Mapping[str, CellReader] | None = None,
    zone: tzinfo | str = UTC,
    unit: str = "",
    *,
    at_format: str = "",
    delimiter: str = "",
    quote: str = '"',
    decimal: str = "",
) -> dict[str, Format]:
    """The built-in formats for sources whose columns have other names or notations; see `SourceColumns`.

    Raises `BadDeclaration` naming the argument.
    """
    declared = source_columns(rename, read, zone, unit, at_format, delimiter, quote, decimal)
    return {"jsonl": JsonLines(declared), "csv": Csv(declared), "parquet": Parquet(declared)}


def formats_in(zone: tzinfo, further: Mapping[str, Format] | None = None) -> dict[str, Format]:
    """The built-in formats and `further` ones (which may replace them); formats with a zone read times without one in
    `zone`. UTC, the default, keeps the zone that each format was declared with."""
    formats = {**FORMATS, **(further or {})}
    return formats if zone is UTC else {name: _in_zone(format, zone) for name, format in formats.items()}


def _in_zone(format: Any, zone: tzinfo) -> Any:
    if not isinstance(format, msgspec.Struct):
        return format
    if "zone" in format.__struct_fields__:
        return msgspec.structs.replace(format, zone=zone)
    if isinstance(format, JsonLines | Csv | Parquet):
        return msgspec.structs.replace(format, columns=msgspec.structs.replace(format.columns, zone=zone))
    return format


def find_format(name: str, further: Mapping[str, Format] | None = None) -> Format:
    """The format called `name`, `further` ones first; raises `NotFound`."""
    known = {**FORMATS, **(further or {})}
    if name not in known:
        raise NotFound("format", name, sorted(known))
    return known[name]
