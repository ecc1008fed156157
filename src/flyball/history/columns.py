"""Records as columns: one frame per event type, with the exact types of its declaration."""

import enum
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from flyball.core import BadDeclaration
from flyball.events import EventType, Record

if TYPE_CHECKING:
    import polars as pl

META = ("at", "known_at", "partition", "offset", "key", "id", "flags")
"""What each row has besides the event's own fields; `id` is binary of 16 bytes."""

UNDECLARED = "_undeclared"
"""Where records of types that are not declared (any more) are kept, as they lie in the log."""

Row = tuple[Record, int, int]
"""A record with its partition and offset."""

_decode = msgspec.msgpack.Decoder(list[Any]).decode


def meta_types() -> dict[str, "pl.DataType | type[pl.DataType]"]:
    import polars as pl

    return {
        "at": pl.Int64, "known_at": pl.Int64, "partition": pl.Int32, "offset": pl.Int64,
        "key": pl.String, "id": pl.Binary, "flags": pl.Int64,
    }  # fmt: skip


def column_types(declared: EventType) -> dict[str, "pl.DataType | type[pl.DataType]"]:
    """{column: polars type} of a declared type: its fields in order, then `META`."""
    return {field.name: _type_of(field.annotation, declared.name) for field in declared.declared} | meta_types()


def frame_of(declared: EventType, rows: Sequence[Row]) -> "pl.DataFrame":
    """The rows as a frame."""
    import polars as pl

    kinds = column_types(declared)
    fields = declared.fields
    defaults = [_plain(field.default) for field in declared.declared]
    bodies: list[list[Any]] = []
    for record, _, _ in rows:
        body = _decode(record.body)
        bodies.append(body if len(body) == len(fields) else body[: len(fields)] + defaults[len(body) :])
    values: dict[str, Sequence[Any]] = dict(zip(fields, zip(*bodies, strict=True), strict=True))
    columns = [pl.Series(name, values[name], dtype=kinds[name]) for name in fields]
    return pl.DataFrame([*columns, *_meta(rows)])


def undeclared_frame(rows: Sequence[Row]) -> "pl.DataFrame":
    """Rows of types unknown to the schema: type and body as stored."""
    import polars as pl

    kept = [
        pl.Series("type", [record.type for record, _, _ in rows], dtype=pl.String),
        pl.Series("body", [record.body for record, _, _ in rows], dtype=pl.Binary),
    ]
    return pl.DataFrame([*kept, *_meta(rows)])


def fitted(frame: "pl.DataFrame", declared: EventType) -> "pl.DataFrame":
    """A stored part with at least the columns the type has now: what came later is at its default."""
    import polars as pl

    defaults = {field.name: _plain(field.default) for field in declared.declared}
    columns = []
    for name, kind in column_types(declared).items():
        if name not in frame.columns:
            columns.append(pl.lit(defaults.get(name), dtype=kind).alias(name))
        elif frame.schema[name] != kind:
            columns.append(pl.col(name).cast(kind))
    return frame.with_columns(columns)


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
    if origin is list:
        return pl.List(_type_of(get_args(annotation)[0], where))
    plain = {int: pl.Int64, float: pl.Float64, str: pl.String, bool: pl.Boolean}
    if annotation in plain:
        return plain[annotation]
    choices = get_args(annotation) if origin is Literal else [choice.value for choice in annotation]
    kinds = {type(choice) for choice in choices}
    if len(kinds) == 1 and next(iter(kinds)) in plain:
        return plain[next(iter(kinds))]
    raise BadDeclaration(f"choice in event {where}", "of values of one type", sorted(map(repr, choices)))
