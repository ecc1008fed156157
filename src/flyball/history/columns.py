"""Converts records to columns: one frame for each event type, with column types exactly as declared."""

import enum
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from flyball.core import BadDeclaration, BadInput
from flyball.events import EventType, Lineage, Record, Upgrade

if TYPE_CHECKING:
    import polars as pl

META = ("at", "known_at", "partition", "offset", "key", "id", "flags")
"""The columns of each row besides the event's own fields; `id` is binary, 16 bytes."""

Row = tuple[Record, int, int]
"""A record with its partition and offset."""

_decode = msgspec.msgpack.Decoder(list[Any]).decode


def meta_types() -> dict[str, "pl.DataType | type[pl.DataType]"]:
    import polars as pl

    return {
        "at": pl.Int64,
        "known_at": pl.Int64,
        "partition": pl.Int32,
        "offset": pl.Int64,
        "key": pl.String,
        "id": pl.Binary,
        "flags": pl.Int64,
    }


def column_types(declared: EventType) -> dict[str, "pl.DataType | type[pl.DataType]"]:
    """{column: polars type} of a declared type: its fields in order, then `META`. Maps are JSON."""
    return {field.name: _type_of(field.annotation, declared.name) for field in declared.declared} | meta_types()


def frame_of(declared: EventType, rows: Sequence[Row]) -> "pl.DataFrame":
    """The rows as a frame. Raises `BadInput` for a record of another declaration (a `DeclaredLog` yields none)."""
    import polars as pl

    kinds = column_types(declared)
    fields = declared.fields
    others = {record.schema for record, _, _ in rows} - {declared.fingerprint, 0}
    if others:
        got = ", ".join(f"{schema:08x}" for schema in sorted(others))
        raise BadInput(f"schema of {declared.name} records", f"{declared.fingerprint:08x}, as declared", got)
    defaults = [_plain(field.default) for field in declared.declared]
    bodies: list[list[Any]] = []
    for record, _, _ in rows:
        body = _decode(record.body)
        bodies.append(body if len(body) == len(fields) else body[: len(fields)] + defaults[len(body) :])
    by_field = zip(*bodies, strict=True) if bodies else [()] * len(fields)
    values: dict[str, Sequence[Any]] = dict(zip(fields, by_field, strict=True))
    for field in declared.declared:
        if field.kind is dict:
            values[field.name] = [_json(value) for value in values[field.name]]
    columns = [pl.Series(name, values[name], dtype=kinds[name]) for name in fields]
    return pl.DataFrame([*columns, *_meta(rows)])


def raw_frame(rows: Sequence[Row]) -> "pl.DataFrame":
    """Rows of other declarations than today's: the bodies as stored, with the declaration they were written with."""
    import polars as pl

    stored = [
        pl.Series("body", [record.body for record, _, _ in rows], dtype=pl.Binary),
        pl.Series("schema", [record.schema for record, _, _ in rows], dtype=pl.Int64),
    ]
    return pl.DataFrame([*stored, *_meta(rows)])


def raw_rows(frame: "pl.DataFrame", name: str) -> list[Row]:
    """The rows of type `name` in a frame made by `raw_frame`."""
    columns = ("key", "at", "known_at", "id", "body", "flags", "schema", "partition", "offset")
    return [(Record(name, *row[:7]), row[7], row[8]) for row in frame.select(columns).iter_rows()]


def as_declared(frame: "pl.DataFrame", lineage: Lineage, schema: int) -> "pl.DataFrame":
    """A part written with an earlier declaration as today's columns; added fields have their first default.

    Raises `Refused` for a value that today's declaration does not allow.
    """
    import polars as pl

    before = {slot.index: name for name, slot in lineage.names[schema].items()}
    upgrade = Upgrade(lineage, lineage.versions[schema])
    maps = {field.name for field in lineage.declared.declared if field.kind is dict}
    for name in upgrade.change.narrower:
        for value in frame[before[lineage.current[name].index]].unique().to_list():
            upgrade.check(name, _from_json(value) if name in maps else value)
    columns = []
    for name, kind in column_types(lineage.declared).items():
        slot = lineage.current.get(name)
        former = name if slot is None else before.get(slot.index)
        if former is None:
            default = lineage.default_of(name)
            value = _json(default) if isinstance(default, dict) else default
            columns.append(pl.lit(value, dtype=kind).alias(name))
        else:
            columns.append(pl.col(former).cast(kind).alias(name))
    return frame.select(columns)


def _meta(rows: Sequence[Row]) -> list["pl.Series"]:
    import polars as pl

    records = [record for record, _, _ in rows]
    values: dict[str, list[Any]] = {
        "at": [record.at for record in records],
        "known_at": [record.known_at for record in records],
        "partition": [partition for _, partition, _ in rows],
        "offset": [offset for _, _, offset in rows],
        "key": [record.key for record in records],
        "id": [record.id for record in records],
        "flags": [record.flags for record in records],
    }
    return [pl.Series(name, values[name], dtype=kind) for name, kind in meta_types().items()]


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="sorted").decode()


def _from_json(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)


def _plain(default: Any) -> Any:
    if default is msgspec.NODEFAULT:
        return None
    return default.value if isinstance(default, enum.Enum) else default


def _type_of(annotation: Any, where: str) -> Any:
    import polars as pl

    origin = get_origin(annotation)
    if origin is Annotated:
        return _type_of(get_args(annotation)[0], where)
    if origin in (Union, types.UnionType):
        return _type_of(next(kind for kind in get_args(annotation) if kind is not type(None)), where)
    if origin is dict:
        return pl.String
    if origin is list:
        return pl.List(_type_of(get_args(annotation)[0], where))
    plain = {int: pl.Int64, float: pl.Float64, str: pl.String, bool: pl.Boolean, bytes: pl.Binary}
    if annotation in plain:
        return plain[annotation]
    choices = get_args(annotation) if origin is Literal else [choice.value for choice in annotation]
    kinds = {type(choice) for choice in choices}
    if len(kinds) == 1 and next(iter(kinds)) in plain:
        return plain[next(iter(kinds))]
    raise BadDeclaration(f"choice in event {where}", "of values of one type", sorted(map(repr, choices)))
