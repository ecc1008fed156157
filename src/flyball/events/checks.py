"""The compiled checks of one event type: one event, with the reason for its rejection, or many valid ones at once."""

import math
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from itertools import repeat
from typing import Any, Literal, get_args, get_origin

import msgspec

from flyball.core import FlyballError, StoreCorrupt, requirement
from flyball.events.declared import EventType, Field
from flyball.events.evolution import Lineage, Slot
from flyball.events.log import Record
from flyball.events.types import Event
from flyball.events.written import FieldKind

MAX_KEY_BYTES = 400
"""The longest reference, which becomes part of a store's key; LMDB allows 511 bytes."""

_MAX_INTEGER = 2**63 - 1
_MIN_INTEGER = -(2**63)
_KEPT_TEXTS = 200_000

Known = Mapping[str, Container[str]]
"""{kind of entity: known keys}; a kind that is absent is not checked."""


class Rejected(FlyballError):
    """An event that fails a check. `reason` is one stable word; `detail` says what the value must be and what it is.

    Reasons: decode, unknown_type, missing_field, wrong_type, out_of_range, bad_text, bad_choice, bad_time, future,
    too_old, inconsistent; formats add their own.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
"""Deterministic, since the keys of a JSON object have no order: the same map must give the same bytes and identity."""


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """Why an event was rejected, as a value.

    Not an exception: thousands of these would keep their frames alive, which the garbage collector would traverse again
    and again (measured: 28 us a line instead of 5).
    """

    reason: str
    detail: str


class Check:
    """The compiled checks of one event type. `check` decides; `check_many` only accepts, and leaves doubtful rows to
    it."""

    def __init__(self, lineage: Lineage) -> None:
        declared = lineage.declared
        self.type, self.names = declared, declared.fields
        fields = declared.declared
        self._shape = _struct(declared.name, fields, _as_declared)
        self._columns = [_COLUMNS.get(field.kind, _IntegerColumn)(field) for field in fields]
        self._stored = msgspec.msgpack.Decoder(_struct(declared.name, fields, _bare, array_like=True))
        self._encode = _ENCODER.encode
        self._schema = declared.fingerprint
        self._ref_indices = [self.names.index(field) for field, _ in declared.refs]
        self._list_indices = [(self.names.index(field), entity) for field, entity in declared.list_refs]
        self._ref_texts = [field.name for field in fields if field.entity is not None and field.kind is str]
        self._integers = [(index, field.name) for index, field in enumerate(fields) if field.kind is int]
        self._reals = [(index, field.name) for index, field in enumerate(fields) if field.kind is float]
        self._crossed = declared.cls.check is not Event.check
        self.slow = (
            self._crossed
            or any(field.kind not in _COLUMNS or field.optional or not field.required for field in fields)
            or not declared.refs
        )
        self._make = _maker(declared)
        self._listed = [list[field.annotation] for field in declared.declared]  # type: ignore[name-defined]
        self._identity = _Identity(lineage)

    def check(self, fields: Mapping[str, Any], at: int, known_at: int, flags: int, lax: bool, known: Known) -> Record:
        """The record of one event; raises `Rejected`."""
        sent = {name: fields[name] for name in self.names if name in fields}
        for name in self._ref_texts:
            if type(sent.get(name)) is int:
                sent[name] = str(sent[name])
        try:
            shaped = msgspec.convert(sent, self._shape, strict=not lax)
        except msgspec.ValidationError as error:
            raise _rejection(str(error), sent, self.type, lax) from None
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
                return Rejection("missing_field", _empty(field.name))
            return Rejection(_reason_of(str(error)), _detail(field, str(error), value))
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
            if value is not None and not _MIN_INTEGER <= value <= _MAX_INTEGER:
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


class _Identity:
    """An event's identity: 16 bytes, a hash of the type's name and the natural key.

    When `at` belongs to the key, the first four bytes are its second instead, so that events of similar times are close
    together in the index and a search touches few pages. An identity does not change when its type evolves: names,
    order, kinds and defaults of the hashed fields are those of their first use.
    """

    def __init__(self, lineage: Lineage) -> None:
        declared = lineage.declared
        self._encode = _ENCODER.encode
        self._timed = "at" in declared.natural_key
        self._all = set(declared.natural_key) - {"at"} == set(declared.fields)
        self._all_plain = self._all and lineage.plain
        self._base = blake2b(self._encode(lineage.origin), digest_size=12 if self._timed else 16)
        indices = {lineage.current[name].index: index for index, name in enumerate(declared.fields)}
        named = {lineage.current[name].index for name in declared.natural_key if name != "at"}
        self._slots = [(slot, indices.get(slot.index)) for slot in lineage.slots if self._all or slot.index in named]

    def of(self, body: bytes, values: Sequence[Any], at: int) -> bytes:
        """The identity of one event with this body (its values, trimmed)."""
        state = self._base.copy()
        state.update(body if self._all_plain else self._key(values))
        if not self._timed:
            return state.digest()
        before, after = _timestamp_bytes(at)
        state.update(after)
        return before + state.digest()

    def _key(self, values: Sequence[Any]) -> bytes:
        """The natural key, fields in the order of their first use; of a whole event without fields at their first
        defaults."""
        key = [
            (_absent(slot) if index is None else _as_first(values[index], slot.first.kind))
            for slot, index in self._slots
        ]
        while self._all and key:
            first = self._slots[len(key) - 1][0].first
            if first.required or msgspec.to_builtins(key[-1], builtin_types=(bytes,)) != first.default:
                break
            key.pop()
        return self._encode(key)

    def many(self, bodies: Sequence[bytes], columns: Sequence[Sequence[Any]], ats: Sequence[int]) -> list[bytes]:
        """`of` for every row."""
        keys: Sequence[bytes] = bodies
        if not self._all_plain:
            keys = [self._key(row) for row in zip(*columns, strict=True)]
        copy, ids = self._base.copy, []
        if not self._timed:
            for key in keys:
                state = copy()
                state.update(key)
                ids.append(state.digest())
            return ids
        edges = {at: _timestamp_bytes(at) for at in set(ats)}
        for key, at in zip(keys, ats, strict=True):
            before, after = edges[at]
            state = copy()
            state.update(key + after)
            ids.append(before + state.digest())
        return ids


_REMOVED = msgspec.msgpack.Ext(0, b"")
"""Stands in a natural key for a field that was removed from the type; no value is encoded like this."""


def _absent(slot: Slot) -> Any:
    return _REMOVED if slot.first.required else slot.first.default


def _as_first(value: Any, kind: FieldKind) -> Any:
    """The value as its field was declared first: a whole float becomes an integer, also in a list."""
    if kind.item is not None and isinstance(value, list):
        return [_as_first(element, kind.item) for element in value]
    return int(value) if kind.name == "int" and type(value) is float and value.is_integer() else value


def _keys_fit(column: Sequence[str]) -> bool:
    lengths = set(map(len, column))
    if 0 in lengths:
        return False
    return max(lengths) * 4 <= MAX_KEY_BYTES or all(
        len(key.encode(errors="replace")) <= MAX_KEY_BYTES for key in column
    )


def _timestamp_bytes(at: int) -> tuple[bytes, bytes]:
    return (at // 1_000_000).to_bytes(4, "big"), at.to_bytes(8, "big")


class _Column:
    """Checks a column of values against the type of its field."""

    def __init__(self, field: Field) -> None:
        self._type = list[field.annotation]  # type: ignore[name-defined]  # a type made at run time

    def __call__(self, column: Sequence[Any], lax: bool) -> Sequence[Any]:
        values: list[Any] = msgspec.convert(column, self._type, strict=not lax)
        return values


class _IntegerColumn(_Column):
    """Checks a column of whole numbers."""

    def __call__(self, column: Sequence[Any], lax: bool) -> list[Any]:
        numbers: list[Any] = msgspec.convert(column, self._type, strict=not lax)
        if min(numbers) < _MIN_INTEGER or max(numbers) > _MAX_INTEGER:
            raise Rejected("out_of_range", "whole numbers must fit 64 bits")
        return numbers


class _TextColumn(_Column):
    """Checks a column of texts: only distinct ones that have not passed before, since keys recur."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self._passed: set[str] = set()

    def __call__(self, column: Sequence[Any], lax: bool) -> Sequence[Any]:
        fresh = set(column) - self._passed
        msgspec.convert(list(fresh), self._type)
        if len(self._passed) > _KEPT_TEXTS:
            self._passed.clear()
        self._passed |= fresh
        return column


class _RealColumn(_Column):
    """Checks a column of floats; whole numbers become floats."""

    def __call__(self, column: Sequence[Any], lax: bool) -> list[Any]:
        numbers: list[Any] = msgspec.convert(column, self._type, strict=not lax)
        if not all(map(math.isfinite, numbers)):
            raise Rejected("out_of_range", "numbers must be finite")
        return numbers


_COLUMNS: dict[Any, Any] = {int: _IntegerColumn, str: _TextColumn, float: _RealColumn, bool: _Column}
"""{kind of a required field: the class that checks its columns}."""


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
    exec(f"def make(at, row): return cls(at=at, {arguments})", scope)
    make: Callable[[int, Any], Event] = scope["make"]
    return make


def _rejection(message: str, sent: Mapping[str, Any], declared: EventType, lax: bool) -> Rejected:
    """msgspec's message as a rejection with a stable reason; the value is added."""
    text, _, path = message.partition(" - at `$.")
    name = path.rstrip("`").split("[")[0].split(".")[0]
    missing = _MISSING.match(text)
    if missing is not None and not path:
        return Rejected("missing_field", f"{missing[1]} must be given")
    if lax and sent.get(name) == "":
        return Rejected("missing_field", _empty(name))
    field = next((field for field in declared.declared if field.name == name), None)
    if field is None or name not in sent:
        return Rejected(_reason_of(text), f"{declared.name} must be {requirement(text)}, got {dict(sent)!r}"[:300])
    return Rejected(_reason_of(text), _detail(field, message, sent[name]))


def _empty(name: str) -> str:
    """Of a cell where a value must be."""
    return f"{name} must be given, got an empty cell"


_MISSING = re.compile(r"Object missing required field `(\w+)`")


def _detail(field: Field, message: str, value: Any) -> str:
    """What the field, or the element of its list that the message is about, must be, and what it is."""
    choices = choices_of(field.kind) if "enum value" in message else ()
    must = f"one of {', '.join(map(str, choices))}" if choices else requirement(message)
    element = _ELEMENT.search(message)
    where = field.name
    if element is not None and isinstance(value, list):
        where, value = f"{where}[{element[1]}]", value[int(element[1])]
    return f"{where} must be {must}, got {value!r}"[:300]


_ELEMENT = re.compile(r" - at `\$(?:\.\w+)?\[(\d+)\]`\Z")


def choices_of(kind: Any) -> tuple[Any, ...]:
    """What a value of this type may be, where it is a choice of texts or numbers; () for any other type.

    >>> choices_of(Literal["small", "large"] | None)
    ('small', 'large')
    """
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(member.value for member in kind)
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(choice for member in get_args(kind) for choice in choices_of(member))


def _reason_of(text: str) -> str:
    if "missing required field" in text:
        return "missing_field"
    if "enum value" in text:
        return "bad_choice"
    if "Number out of range" in text:
        return "out_of_range"
    if "matching regex" in text or "`str` of length" in text:
        return "bad_text"
    if any(sign in text for sign in (" >= ", " <= ", " < ", " > ", "multiple of", "of length")):
        return "out_of_range"
    return "wrong_type"
