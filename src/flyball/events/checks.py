"""The compiled checks of one event type: one event, with the reason for its rejection, or many valid ones at once."""

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, Literal, get_origin

import msgspec
from msgspec.structs import replace

from flyball.core import StoreCorrupt
from flyball.events.client_ids import client_id, is_name_of_request, is_own_name
from flyball.events.column_checks import COLUMN_CHECKS, MAX_INTEGER, MIN_INTEGER, ColumnCheck
from flyball.events.declared import EventType, Field
from flyball.events.evolution import Lineage
from flyball.events.identity_hash import ENCODER, IdentityHash
from flyball.events.log import Record
from flyball.events.rejection import Rejected, Rejection, detail_of, empty_cell, reason_of, rejected_from
from flyball.events.types import Event

MAX_KEY_BYTES = 400
"""The longest reference, which becomes part of a store's key; LMDB allows 511 bytes."""

Known = Mapping[str, Container[str]]
"""{kind of entity: known keys}; a kind that is absent is not checked."""


class Check:
    """The compiled checks of one event type. `check` decides; `check_many` only accepts, and leaves doubtful rows to
    it."""

    def __init__(self, lineage: Lineage) -> None:
        declared = lineage.declared
        self.type, self.names = declared, declared.fields
        fields = declared.declared
        self._shape = _struct(declared.name, fields, _as_declared)
        self._columns = [COLUMN_CHECKS.get(field.kind, ColumnCheck)(field) for field in fields]
        self._stored = msgspec.msgpack.Decoder(_struct(declared.name, fields, _bare, array_like=True))
        self._encode = ENCODER.encode
        self._schema = declared.fingerprint
        self._ref_indices = [self.names.index(field) for field, _ in declared.refs]
        self._list_indices = [(self.names.index(field), entity) for field, entity in declared.list_refs]
        self._ref_texts = [field.name for field in fields if field.entity is not None and field.kind is str]
        self._integers = [(index, field.name) for index, field in enumerate(fields) if field.kind is int]
        self._reals = [(index, field.name) for index, field in enumerate(fields) if field.kind is float]
        self._crossed = declared.cls.check is not Event.check
        self.slow = (
            self._crossed
            or any(field.kind not in COLUMN_CHECKS or field.optional or not field.required for field in fields)
            or not declared.refs
        )
        self._make = _maker(declared)
        self._listed = [list[field.annotation] for field in declared.declared]  # type: ignore[name-defined]
        self._identity = IdentityHash(lineage)
        self._origin = lineage.origin.encode()

    def check(self, fields: Mapping[str, Any], at: int, known_at: int, flags: int, lax: bool, known: Known) -> Record:
        """The record of one event; raises `Rejected`."""
        sent = {name: fields[name] for name in self.names if name in fields}
        for name in self._ref_texts:
            if type(sent.get(name)) is int:
                sent[name] = str(sent[name])
        try:
            shaped = msgspec.convert(sent, self._shape, strict=not lax)
        except msgspec.ValidationError as error:
            raise rejected_from(str(error), sent, self.type, lax) from None
        values = msgspec.structs.astuple(shaped)
        self._check_values(values)
        if self._crossed:
            wrong = self._make(at, shaped).check()
            if wrong is not None:
                raise Rejected("inconsistent", wrong)
        try:
            body = self._encode(self._trimmed(values))
        except (UnicodeEncodeError, OverflowError) as error:
            raise Rejected("bad_text", f"text must be storable as UTF-8: {error}"[:300]) from None
        for bit, (index, (_, entity)) in enumerate(zip(self._ref_indices, self.type.refs, strict=True)):
            key = values[index]
            if key is not None and entity in known and str(key) not in known[entity]:
                flags |= 1 << bit
        for bit, (index, entity) in enumerate(self._list_indices, len(self._ref_indices)):
            if entity in known and any(str(key) not in known[entity] for key in values[index] or ()):
                flags |= 1 << bit
        identity = self._identity.of(body, values, at)
        key = str(values[self._ref_indices[0]]) if self._ref_indices else identity.hex()
        return Record(self.type.name, key, at, known_at, identity, body, flags, self._schema)

    def with_client_id(self, record: Record, name: bytes, timed: bool) -> Record:
        """The record with the id that its sender gave it. `timed`: whether it came with its time.

        It is the record's identity too, where that would depend on when the event arrived, or the sender names this one
        event by a field and the type declares no natural key.
        """
        if is_own_name(name):  # the same id of another type is another one
            name += b"\0" + self._origin
        client = client_id(name, self._identity.content(record.body, self._values_of(record.body)))
        declared = self.type.cls.natural_key
        own = not declared and is_own_name(name)
        arrived = not timed or is_name_of_request(name)
        if not own and not (arrived and "at" in self.type.natural_key):
            return replace(record, client_id=client)
        return replace(record, id=client, client_id=client, key=record.key if self._ref_indices else client.hex())

    def _values_of(self, body: bytes) -> tuple[Any, ...]:
        """The values in a body that was just made."""
        return () if self._identity.plain else msgspec.structs.astuple(self._stored.decode(body))

    def check_many(
        self,
        columns: Sequence[Sequence[Any]],
        ats: Sequence[int],
        known_ats: Iterable[int],
        flags: int,
        lax: bool,
        known: Known,
    ) -> list[Record] | None:
        """Records of rows that are all valid, checked a column at a time; None when `check` must decide."""
        if self.slow:
            return None
        try:
            checked = [column(values, lax) for column, values in zip(self._columns, columns, strict=True)]
        except (msgspec.ValidationError, TypeError, Rejected):
            return None
        keys = [checked[p] if type(checked[p][0]) is str else list(map(str, checked[p])) for p in self._ref_indices]
        if not all(map(_keys_fit, keys)):
            return None
        try:
            bodies = list(map(self._encode, zip(*checked, strict=True)))
        except (UnicodeEncodeError, OverflowError):
            return None
        ids = self._identity.many(bodies, checked, ats)
        marks = self._flags(keys, known, flags)
        names, schemas = repeat(self.type.name), repeat(self._schema)
        return list(map(Record, names, keys[0], ats, known_ats, ids, bodies, marks, schemas))

    def refused(self, columns: Sequence[Sequence[Any]], lax: bool) -> dict[int, Rejection]:
        """{row: rejection} of rows with a value that its field does not allow, as `check` would give; checks distinct
        values.

        Conditions on a whole row are left to `check`; so are columns with unhashable values.
        """
        refused: dict[int, Rejection] = {}
        for field, listed, column in zip(self.type.declared, self._listed, columns, strict=True):
            try:
                distinct = set(zip(map(type, column), column, strict=True))
            except TypeError:
                return {}
            if self._all_fine(field, listed, [value for _, value in distinct], lax):
                continue
            wrong = {}
            for kind, value in distinct:
                rejection = self._refusal(field, value, lax)
                if rejection is not None:
                    wrong[kind, value] = rejection
            if wrong:
                for row, key in enumerate(zip(map(type, column), column, strict=True)):
                    if key in wrong:
                        refused.setdefault(row, wrong[key])
        return refused

    def _all_fine(self, field: Field, listed: Any, values: list[Any], lax: bool) -> bool:
        """Whether the field allows all the values, checked as one `listed` (a list of its type), which is much
        faster."""
        if field.name in self._ref_texts:
            values = [str(value) if type(value) is int else value for value in values]
        try:
            msgspec.convert(values, listed, strict=not lax)
        except msgspec.ValidationError:
            return False
        return True

    def _refusal(self, field: Field, value: Any, lax: bool) -> Rejection | None:
        if type(value) is int and field.name in self._ref_texts:
            value = str(value)
        try:
            msgspec.convert(value, field.annotation, strict=not lax)
        except msgspec.ValidationError as error:
            if lax and value == "":
                return Rejection("missing_field", empty_cell(field.name))
            return Rejection(reason_of(str(error)), detail_of(field, str(error), value))
        return None

    def decode(self, record: Record) -> Event:
        """The event of a record that was written with this declaration."""
        if record.schema != self._schema and record.schema:
            raise StoreCorrupt(
                f"{record.type} record at {record.at} us", "read as it is declared now", f"schema {record.schema:08x}"
            )
        try:
            return self._make(record.at, self._stored.decode(record.body))
        except msgspec.DecodeError as error:
            raise StoreCorrupt(f"body of a {record.type} record", "msgpack of its fields", str(error)) from None

    def _flags(self, keys: Sequence[Sequence[str]], known: Known, common: int) -> Iterable[int]:
        """The flags of each row: its references to unknown entities, and the flags `common` to all."""
        flags: list[int] | None = None
        for bit, ((_, entity), column) in enumerate(zip(self.type.refs, keys, strict=True)):
            if entity not in known:
                continue
            have = known[entity]
            unknown = {key for key in set(column) if key not in have}
            if not unknown:
                continue
            marks = [common | 1 << bit if key in unknown else common for key in column]
            flags = marks if flags is None else [left | right for left, right in zip(flags, marks, strict=True)]
        return repeat(common) if flags is None else flags

    def _trimmed(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Without trailing values that equal their defaults, so that a field added later changes no earlier
        identity."""
        fields, end = self.type.declared, len(values)
        while end and not fields[end - 1].required and values[end - 1] == fields[end - 1].default:
            end -= 1
        return values[:end]

    def _check_values(self, values: tuple[Any, ...]) -> None:
        for index, name in self._integers:
            value = values[index]
            if value is not None and not MIN_INTEGER <= value <= MAX_INTEGER:
                raise Rejected("out_of_range", f"{name} must fit 64 bits, got {str(value)[:40]}")
        for index, name in self._reals:
            value = values[index]
            if value is not None and not math.isfinite(value):
                raise Rejected("out_of_range", f"{name} must be finite, got {value}")
        for index in self._ref_indices:
            value = values[index]
            if type(value) is str and not key_fits(value):
                raise Rejected("bad_text", f"{self.names[index]} must be 1 to {MAX_KEY_BYTES} bytes, got {len(value)}")
        for index, _ in self._list_indices:
            for key in values[index] or ():
                if type(key) is str and not key_fits(key):
                    raise Rejected(
                        "bad_text", f"keys in {self.names[index]} must be 1 to {MAX_KEY_BYTES} bytes, got {len(key)}"
                    )


def key_fits(key: str) -> bool:
    """Whether a text can be the key of an entity."""
    return 0 < len(key.encode(errors="replace")) <= MAX_KEY_BYTES


def _keys_fit(column: Sequence[str]) -> bool:
    lengths = set(map(len, column))
    if 0 in lengths:
        return False
    return max(lengths) * 4 <= MAX_KEY_BYTES or all(
        len(key.encode(errors="replace")) <= MAX_KEY_BYTES for key in column
    )


def _struct(name: str, fields: Sequence[Field], kind_of: Callable[[Field], Any], *, array_like: bool = False) -> Any:
    members: list[Any] = []
    for field in fields:
        kind = kind_of(field)
        if field.required:
            members.append((field.name, kind))
        elif isinstance(field.default, list):
            members.append((field.name, kind, msgspec.field(default_factory=field.default.copy)))
        else:
            members.append((field.name, kind, field.default))
    return msgspec.defstruct(f"{name}_row", members, array_like=array_like, kw_only=True, frozen=True, gc=False)


def _as_declared(field: Field) -> Any:
    return field.annotation


def _bare(field: Field) -> Any:
    """The type without limits: stored records must be readable even when the declaration has become stricter."""
    kind = list[Any] if field.kind is list else Any if get_origin(field.kind) is Literal else field.kind
    return kind | None if field.optional else kind


def _maker(declared: EventType) -> Callable[[int, Any], Event]:
    """A function (at, row) that builds the event; generated code, since a call with ** is twice as slow."""
    arguments = ", ".join(f"{name}=row.{name}" for name in declared.fields)
    scope: dict[str, Any] = {"cls": declared.cls}
    exec(f"def make(at, row): return cls(at=at, {arguments})", scope)  # names of fields # noqa: S102 # nosec B102
    make: Callable[[int, Any], Event] = scope["make"]
    return make
