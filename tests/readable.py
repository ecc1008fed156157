"""Records in failure messages as the events they hold, instead of msgpack bytes."""

from collections.abc import Iterator
from functools import cache

import msgspec

from flyball.core import BadDeclaration
from flyball.events import Event, Record, Schema


def readable(record: Record) -> str:
    """The event in a record, by the declaration that it was written with, if that is one of this process."""
    try:
        values = msgspec.msgpack.decode(record.body)
    except msgspec.DecodeError:
        values = record.body.hex()
    names = _names_of(record.schema, sum(1 for _ in _declared(Event)))
    if isinstance(values, list) and len(values) <= len(names):
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(names, values, strict=False))
    else:
        fields = repr(values)
    flags = f", flags={record.flags:#x}" if record.flags else ""
    return (
        f"Record({record.type}({fields}), key={record.key!r}, at={record.at}, known_at={record.known_at}{flags}, "
        f"id={record.id[:4].hex()})"
    )


@cache
def _names_of(schema: int, declared: int) -> tuple[str, ...]:
    """The fields of the declaration with this fingerprint; looked for again once more types are `declared`."""
    for cls in _declared(Event):
        try:
            written = next(iter(Schema([cls]).types.values())).written
        except (BadDeclaration, StopIteration):
            continue  # a test's wrong declaration, or a joined type: no log holds it
        if written.fingerprint == schema:
            return tuple(field.name for field in written.fields)
    return ()


def _declared(cls: type[Event]) -> Iterator[type[Event]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _declared(sub)


def install() -> None:
    """Have every record shown so."""
    Record.__repr__ = readable  # type: ignore[method-assign]
