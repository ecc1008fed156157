"""Declared types compiled to fast checks, natural-key identities and decoding."""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, get_origin

import msgspec

from flyball.core import BadDeclaration, FlyballError, NotFound, StoreCorrupt
from flyball.events.declared import EventType, Field, read_type
from flyball.events.log import Record
from flyball.events.types import Event

FIRST_US = 0
LAST_US = 4_102_444_800_000_000
"""Instants an event may carry: [1970, 2100)."""

MAX_KEY_BYTES = 400
"""References become keys of stores; LMDB's longest key is 511 bytes."""

_MAX_WHOLE = 2**64 - 1
_MIN_WHOLE = -(2**63)

Known = Mapping[str, Container[str]]
"""Per kind of entity the keys that are known; a kind that is absent is not checked."""


class Rejected(FlyballError):
    """An event that fails a check. `reason` is one stable word, `detail` says what must be and what was got.

    Reasons: decode, unknown_type, missing_field, wrong_type, out_of_range, bad_text, bad_choice, bad_time, future,
    too_old, inconsistent; formats add their own.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class Schema:
    """The event types of an application. `types` maps the lower-case class name to its declaration.

    `future_us`: how far ahead of `known_at` a live event may lie. `oldest_us`: how far behind it may lie (None: any).
    Raises `BadDeclaration` for a declaration that cannot be checked.
    """

    def __init__(
        self, event_types: Sequence[type[Event]], *, future_us: int = 300_000_000, oldest_us: int | None = None
    ) -> None:
        self.future_us, self.oldest_us = future_us, oldest_us
        self._checks: dict[str, _Check] = {}
        self.types: dict[str, EventType] = {}
        for cls in event_types:
            declared = read_type(cls)
            if declared.name in self.types:
                raise BadDeclaration("event types", "of different names", f"{declared.name!r} twice")
            self.types[declared.name] = declared
            self._checks[declared.name] = _Check(declared)

    def check(
        self,
        name: str,
        fields: Mapping[str, Any],
        at: Any,
        known_at: int,
        *,
        flags: int = 0,
        live: bool = False,
        lax: bool = False,
        known: Known | None = None,
    ) -> Record:
        """The record of one event, or raises `Rejected`. Fields that are not declared are left out.

        `live` adds the checks against `known_at`; `lax` reads numbers from text; `known` sets the flags.
        """
        self._check_time(at, known_at, live)
        return self._check_of(name).one(fields, at, known_at, flags, lax, known or {})

    def check_many(
        self,
        name: str,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        ats: Sequence[Any],
        known_ats: Sequence[int],
        *,
        live: bool = False,
        lax: bool = False,
        known: Known | None = None,
    ) -> tuple[list[Record | None], list[tuple[int, Rejected]]]:
        """`check` over rows of one type, faster: (records, None where rejected; rejections by row)."""
        check = self._checks.get(name)
        if check is not None and tuple(names) == check.names and self._times_fine(ats, known_ats, live):
            records = check.many(rows, ats, known_ats, lax, known or {})
            if records is not None:
                return records, []
        return self._check_singly(name, names, rows, ats, known_ats, live, lax, known)

    def decode(self, record: Record) -> Event:
        """The event in a record; raises `NotFound` for a type that is not declared."""
        return self._check_of_record(record.type).decode(record)

    def decode_many(self, records: Sequence[Record]) -> list[Event]:
        """The events in records, in order."""
        decoders = {name: check.decode for name, check in self._checks.items()}
        try:
            return [decoders[record.type](record) for record in records]
        except KeyError as error:
            raise NotFound("event type", str(error.args[0]), list(self.types)) from None

    def _check_singly(
        self,
        name: str,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        ats: Sequence[Any],
        known_ats: Sequence[int],
        live: bool,
        lax: bool,
        known: Known | None,
    ) -> tuple[list[Record | None], list[tuple[int, Rejected]]]:
        records: list[Record | None] = []
        rejected: list[tuple[int, Rejected]] = []
        for index, (row, at, known_at) in enumerate(zip(rows, ats, known_ats, strict=True)):
            try:
                fields = dict(zip(names, row, strict=True))
                records.append(self.check(name, fields, at, known_at, live=live, lax=lax, known=known))
            except Rejected as error:
                records.append(None)
                rejected.append((index, error))
        return records, rejected

    def _times_fine(self, ats: Sequence[Any], known_ats: Sequence[int], live: bool) -> bool:
        if not ats:
            return True
        try:
            low, high = min(ats), max(ats)
        except TypeError:
            return False
        if not (type(low) is int and type(high) is int and low >= FIRST_US and high < LAST_US):
            return False
        if not live:
            return True
        if high > min(known_ats) + self.future_us:
            return False
        return self.oldest_us is None or low >= max(known_ats) - self.oldest_us

    def _check_time(self, at: Any, known_at: int, live: bool) -> None:
        if type(at) is not int:
            raise Rejected("bad_time", f"time must be whole microseconds, got {at!r}"[:200])
        if not FIRST_US <= at < LAST_US:
            raise Rejected("bad_time", f"time must be in 1970..2099, got {at} us")
        if live and at > known_at + self.future_us:
            raise Rejected("future", f"time must be at most {self.future_us} us after {known_at} us, got {at} us")
        if live and self.oldest_us is not None and at < known_at - self.oldest_us:
            raise Rejected("too_old", f"time must be at most {self.oldest_us} us before {known_at} us, got {at} us")

    def _check_of(self, name: str) -> "_Check":
        check = self._checks.get(name)
        if check is None:
            raise Rejected("unknown_type", f"event type must be one of {', '.join(self.types)}, got {name!r}"[:300])
        return check

    def _check_of_record(self, name: str) -> "_Check":
        check = self._checks.get(name)
        if check is None:
            raise NotFound("event type", name, list(self.types))
        return check


class _Check:
    """One type, compiled."""

    def __init__(self, declared: EventType) -> None:
        self.type = declared
        self.names = declared.fields
        fields = declared.declared
        self._shape = _struct(declared.name, fields, array_like=False)
        self._row = _struct(declared.name, fields, array_like=True)
        self._rows = list[self._row]  # type: ignore[name-defined]  # a type made at run time
        self._stored = msgspec.msgpack.Decoder(_struct(declared.name, fields, array_like=True, bare=True))
        self._encode = msgspec.msgpack.Encoder().encode
        self._ref_places = [self.names.index(field) for field, _ in declared.refs]
        self._texts = [field.name for field in fields if field.entity is not None and field.kind is str]
        self._wholes = [(place, field) for place, field in enumerate(fields) if field.kind is int]
        self._reals = [(place, field) for place, field in enumerate(fields) if field.kind is float]
        self._lists = any(field.kind is list for field in fields)
        self._trims = [field.default for field in fields if not field.required]
        self._cross = declared.cls.check is not Event.check
        self._make = _maker(declared)
        self._id_of = _identity(declared)

    def one(self, fields: Mapping[str, Any], at: int, known_at: int, flags: int, lax: bool, known: Known) -> Record:
        given = {name: fields[name] for name in self.names if name in fields}
        for name in self._texts:
            if type(given.get(name)) is int:
                given[name] = str(given[name])
        try:
            shaped = msgspec.convert(given, self._shape, strict=not lax)
        except msgspec.ValidationError as error:
            raise _reason_of(str(error), given) from None
        values = msgspec.structs.astuple(shaped)
        self._check_values(values)
        if self._cross:
            wrong = self._make(at, shaped).check()
            if wrong is not None:
                raise Rejected("inconsistent", wrong)
        try:
            body = self._encode(self._trimmed(values))
        except (UnicodeEncodeError, OverflowError) as error:
            raise Rejected("bad_text", f"text must be storable as UTF-8: {error}"[:300]) from None
        for place, (_, entity) in enumerate(self.type.refs):
            key = values[self._ref_places[place]]
            if key is not None and entity in known and str(key) not in known[entity]:
                flags |= 1 << place
        key = str(values[self._ref_places[0]])
        return Record(self.type.name, key, at, known_at, self._id_of(body, values, at), body, flags)

    def many(
        self, rows: Sequence[Sequence[Any]], ats: Sequence[int], known_ats: Sequence[int], lax: bool, known: Known
    ) -> list[Record | None] | None:
        """Records of rows that are all fine; None when any needs the slow judgement of `one`."""
        if self._cross or self._reals or self._lists:
            return None
        try:
            shaped = msgspec.convert(rows, self._rows, strict=not lax)
        except msgspec.ValidationError:
            return None
        records: list[Record | None] = []
        encode, id_of, name, trims = self._encode, self._id_of, self.type.name, bool(self._trims)
        astuple = msgspec.structs.astuple
        for row, at, known_at in zip(shaped, ats, known_ats, strict=True):
            values = astuple(row)
            try:
                self._check_values(values)
                body = encode(self._trimmed(values) if trims else values)
            except (Rejected, UnicodeEncodeError, OverflowError):
                return None
            flags = 0
            for place, (_, entity) in enumerate(self.type.refs):
                key = values[self._ref_places[place]]
                if key is not None and entity in known and str(key) not in known[entity]:
                    flags |= 1 << place
            records.append(
                Record(name, str(values[self._ref_places[0]]), at, known_at, id_of(body, values, at), body, flags)
            )
        return records

    def decode(self, record: Record) -> Event:
        try:
            return self._make(record.at, self._stored.decode(record.body))
        except msgspec.DecodeError as error:
            raise StoreCorrupt(f"body of a {record.type} record", "msgpack of its fields", str(error)) from None

    def _trimmed(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Without trailing fields at their defaults: a field added later changes no old identity."""
        end = len(values)
        defaults = self._trims
        fields = self.type.declared
        if not defaults:
            return values
        while end and not fields[end - 1].required and values[end - 1] == fields[end - 1].default:
            end -= 1
        return values[:end]

    def _check_values(self, values: tuple[Any, ...]) -> None:
        for place, field in self._wholes:
            value = values[place]
            if value is not None and not _MIN_WHOLE <= value <= _MAX_WHOLE:
                raise Rejected("out_of_range", f"{field.name} must fit 64 bits, got {value}"[:200])
        for place, field in self._reals:
            value = values[place]
            if value is not None and not math.isfinite(value):
                raise Rejected("out_of_range", f"{field.name} must be finite, got {value}")
        for place in self._ref_places:
            value = values[place]
            if type(value) is str:
                _check_key(self.names[place], value)


def _check_key(name: str, key: str) -> None:
    if not key or (len(key) * 4 > MAX_KEY_BYTES and len(key.encode(errors="replace")) > MAX_KEY_BYTES):
        raise Rejected("bad_text", f"{name} must be 1 to {MAX_KEY_BYTES} bytes, got {len(key)} characters")


def _struct(name: str, fields: Sequence[Field], *, array_like: bool, bare: bool = False) -> Any:
    members: list[Any] = []
    for field in fields:
        kind = _bare(field) if bare else field.annotation
        if field.required:
            members.append((field.name, kind))
        elif isinstance(field.default, list):
            members.append((field.name, kind, msgspec.field(default_factory=field.default.copy)))
        else:
            members.append((field.name, kind, field.default))
    return msgspec.defstruct(f"{name}_row", members, array_like=array_like, kw_only=True, frozen=True, gc=False)


def _bare(field: Field) -> Any:
    """Without limits: what lies in the log is given back even when the declaration has become stricter."""
    kind = list[Any] if field.kind is list else Any if get_origin(field.kind) is Literal else field.kind
    return kind | None if field.optional else kind


def _maker(declared: EventType) -> Callable[[int, Any], Event]:
    """A function (at, row) that builds the event; written out, since a call with ** is twice as slow."""
    arguments = ", ".join(f"{name}=row.{name}" for name in declared.fields)
    scope: dict[str, Any] = {"cls": declared.cls}
    exec(f"def make(at, row): return cls(at=at, {arguments})", scope)
    make: Callable[[int, Any], Event] = scope["make"]
    return make


def _identity(declared: EventType) -> Callable[[bytes, tuple[Any, ...], int], bytes]:
    """A function (body, values, at) giving the 16 bytes of an event's identity.

    They hash the type's name and the natural key. When `at` belongs to the key, the first four bytes are its second
    instead: events of one time then lie together in the index of identities, and a search touches a few pages.
    """
    encode = msgspec.msgpack.Encoder().encode
    names = declared.fields
    timed = "at" in declared.natural_key
    whole = set(declared.natural_key) - {"at"} == set(names)
    base = blake2b(encode(declared.name), digest_size=12 if timed else 16)
    places = [names.index(name) for name in declared.natural_key if name != "at"]

    def identity(body: bytes, values: tuple[Any, ...], at: int) -> bytes:
        state = base.copy()
        state.update(body if whole else encode([values[place] for place in places]))
        if not timed:
            return state.digest()
        state.update(at.to_bytes(8, "big"))
        return (at // 1_000_000).to_bytes(4, "big") + state.digest()

    return identity


def _reason_of(message: str, given: Mapping[str, Any]) -> Rejected:
    """msgspec's message as a stable reason; the value that was got is added."""
    text, _, path = message.partition(" - at `$.")
    name = path.rstrip("`").split("[")[0].split(".")[0]
    detail = f"{name}: {text}, got {given[name]!r}"[:300] if name in given else text
    if "missing required field" in text:
        return Rejected("missing_field", detail)
    if "enum value" in text:
        return Rejected("bad_choice", detail)
    if "matching regex" in text or "`str` of length" in text:
        return Rejected("bad_text", detail)
    if (
        " >= " in text
        or " <= " in text
        or " < " in text
        or " > " in text
        or "multiple of" in text
        or "of length" in text
    ):
        return Rejected("out_of_range", detail)
    return Rejected("wrong_type", detail)
