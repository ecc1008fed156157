"""Converts records written with an earlier declaration to today's."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from flyball.core import Refused, StoreCorrupt
from flyball.events.checks import key_fits
from flyball.events.evolution import Lineage, TypeChange, change_of
from flyball.events.log import IMPORTED, Record
from flyball.events.source_names import SOURCE_FLAGS
from flyball.events.written import WrittenType, text_of

_decode = msgspec.msgpack.Decoder(list[Any]).decode
_encode = msgspec.msgpack.Encoder().encode


class Upgrade:
    """Converts records of one earlier declaration to today's, by field name, never by position."""

    def __init__(self, lineage: Lineage, written: WrittenType) -> None:
        self.change: TypeChange = change_of(lineage, written)
        self._declared, self.name = lineage.declared, written.name
        fields = lineage.declared.written.fields
        self._annotations = {field.name: field.annotation for field in lineage.declared.declared}
        self._texts = {field.name: text_of(field.kind) for field in fields}
        self._refs = {field.name for field in fields if field.kind.entity is not None}
        self._narrower = [(lineage.declared.fields.index(name), name) for name in self.change.narrower]
        self._old_defaults = [field.default for field in written.fields]
        self._trims = [(field.required, field.default) for field in fields]
        old_bits = {slot.index: bit for bit, slot in _flagged(written, lineage.names[written.fingerprint])}
        self._bits = [
            (1 << old_bits[slot.index], 1 << bit)
            for bit, slot in _flagged(lineage.declared.written, lineage.current)
            if slot.index in old_bits
        ]

    def record(self, record: Record) -> Record:
        """The record as declared today; raises `Refused` for a value that today's declaration does not allow."""
        values = self._values(record)
        for index, name in self._narrower:
            self.check(name, values[index])
        while values and not self._trims[len(values) - 1][0] and values[-1] == self._trims[len(values) - 1][1]:
            values.pop()
        flags = record.flags & (IMPORTED | SOURCE_FLAGS)
        for old, new in self._bits:
            if record.flags & old:
                flags |= new
        return msgspec.structs.replace(
            record, type=self._declared.name, body=_encode(values), flags=flags, schema=self._declared.fingerprint
        )

    def check(self, name: str, value: Any) -> None:
        """Raise `Refused` for a stored value that today's declaration of the field does not allow."""
        if self._wrong(name, value):
            got = f"{value!r}, written before: allow what was allowed then"
            raise Refused(f"{self.label(name)} must be {self.must(name)}, got {got}")

    def wrong(self, record: Record) -> dict[str, Any]:
        """{field: value} of the values that today's declaration does not allow."""
        values = self._values(record)
        return {name: values[index] for index, name in self._narrower if self._wrong(name, values[index])}

    def label(self, name: str) -> str:
        """A field's name in messages."""
        return f"{self._declared.cls.__name__}.{name}"

    def must(self, name: str) -> str:
        """What the value of a field must be, for messages."""
        return self._texts[name]

    def _values(self, record: Record) -> list[Any]:
        try:
            old = _decode(record.body)
        except msgspec.DecodeError as error:
            raise StoreCorrupt(f"body of a {record.type} record", "msgpack of its fields", str(error)) from None
        old += self._old_defaults[len(old) :]
        change = self.change
        values = [
            default if source is None else old[source]
            for source, default in zip(change.sources, change.defaults, strict=True)
        ]
        for index in change.to_float:
            values[index] = _as_float(values[index])
        return values

    def _wrong(self, name: str, value: Any) -> bool:
        try:
            msgspec.convert(value, self._annotations[name])
        except msgspec.ValidationError:
            return True
        return name in self._refs and isinstance(value, str) and not key_fits(value)


class Upgrades:
    """The upgrades from all earlier declarations of an application's types, by fingerprint."""

    def __init__(self, lineages: Iterable[Lineage]) -> None:
        self.current: set[int] = {0}
        self.by_schema: dict[int, Upgrade] = {}
        self.names: dict[str, set[str]] = {}
        for lineage in lineages:
            declared = lineage.declared
            self.current.add(declared.fingerprint)
            self.names[declared.name] = {version.name for version in lineage.versions.values()}
            for fingerprint, version in lineage.versions.items():
                if fingerprint != declared.fingerprint:
                    self.by_schema[fingerprint] = Upgrade(lineage, version)

    def record(self, record: Record) -> Record:
        """The record as declared today; unchanged when its type is not declared."""
        upgrade = self.by_schema.get(record.schema)
        return record if upgrade is None else upgrade.record(record)

    def names_of(self, types: Mapping[str, int]) -> dict[str, int]:
        """`types` with the former names under which records of each type may be stored."""
        return {former: value for name, value in types.items() for former in self.names.get(name, {name})}


def _flagged(written: WrittenType, slots: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """(bit of `Record.flags`, field) of the references: single values first, then lists."""
    values = [field.name for field in written.fields if field.kind.entity is not None]
    lists = [field.name for field in written.fields if field.kind.item is not None and field.kind.item.entity]
    return [(bit, slots[name]) for bit, name in enumerate(values + lists)]


def _as_float(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_float(item) for item in value]
    return float(value) if isinstance(value, int) else value
