"""The names and notations of a source's columns, and the event type that a set of columns belongs to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

import msgspec

from flyball.core import BadDeclaration, BadInput, NotFound, find_zone
from flyball.events.declared import EventType
from flyball.events.original_names import field_names_now
from flyball.events.schema import Schema
from flyball.events.timestamps import UNIT_NS, TimeReader, check_pattern

CellReader = Callable[[Any], Any]


class SourceColumns(msgspec.Struct, frozen=True):
    """The names and notations of a source's columns; made and checked by `fb.columns`.

    `rename`: {source's name: declared name}, "at" being the event time; columns with declared names need no entry.
    `read`: {declared name: function}, applied to a value first, such as `lambda text: text[:4]`. `zone`: the zone of
    times without an offset. `unit`: the unit of times that are numbers: us, ms, s or ns; "": us, and a number that
    looks like another unit is an error. `at_format`: the pattern of times that are text, as for `datetime.strptime`.

    For CSV: `delimiter` ("": the one with which the header has the names of an event type), `quote`, and the `decimal`
    mark ("": a point, or a comma where it cannot be anything else).
    """

    rename: dict[str, str] = {}
    read: dict[str, CellReader] = {}
    zone: tzinfo = UTC
    unit: str = ""
    at_format: str = ""
    delimiter: str = ""
    quote: str = '"'
    decimal: str = ""

    def times(self) -> TimeReader:
        """The reader of event times."""
        return TimeReader(self.zone, self.unit, self.at_format, self.read.get("at"))


def source_columns(
    rename: Mapping[str, str] | None,
    read: Mapping[str, CellReader] | None,
    zone: tzinfo | str,
    unit: str,
    at_format: str,
    delimiter: str,
    quote: str,
    decimal: str,
) -> SourceColumns:
    """Check the arguments of `fb.columns`; raises `BadDeclaration` naming the argument."""
    for name, function in _mapping("read", read).items():
        if not callable(function):
            raise BadDeclaration(f"read of {name!r} in fb.columns", "a function of one value", function)
    for theirs, ours in _mapping("rename", rename).items():
        if not isinstance(ours, str):
            raise BadDeclaration(f"rename of {theirs!r} in fb.columns", "the name of a field, or at", ours)
    if unit and unit not in UNIT_NS:
        raise BadDeclaration("unit of fb.columns", f"one of {', '.join(UNIT_NS)}", unit)
    if at_format:
        _check_text("at_format", at_format)
        check_pattern(at_format)
    for argument, mark, optional in (("delimiter", delimiter, True), ("quote", quote, False)):
        if not (mark == "" and optional) and not _is_mark(mark):
            raise BadDeclaration(f"{argument} of fb.columns", "one character that is no letter or digit", mark)
    if quote == delimiter:
        raise BadDeclaration("quote of fb.columns", "another character than the delimiter", quote)
    if decimal not in ("", ".", ","):
        raise BadDeclaration("decimal of fb.columns", '"." or ","', decimal)
    return SourceColumns(
        dict(rename or {}), dict(read or {}), _zone_of(zone), unit, at_format, delimiter, quote, decimal
    )


def _mapping(argument: str, value: Any) -> Mapping[Any, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise BadDeclaration(f"{argument} of fb.columns", "a dict by name", value)
    return value or {}


def _check_text(argument: str, value: Any) -> None:
    if not isinstance(value, str):
        raise BadDeclaration(f"{argument} of fb.columns", "text", value)


def _is_mark(mark: Any) -> bool:
    return isinstance(mark, str) and len(mark) == 1 and not mark.isalnum() and mark not in "\r\n"


def _zone_of(zone: Any) -> tzinfo:
    if isinstance(zone, tzinfo):
        return zone
    try:
        return find_zone(zone)
    except (BadInput, TypeError):
        must = "a name such as Europe/Berlin, or a tzinfo"
        raise BadDeclaration("zone of fb.columns", must, zone) from None


class TypeFinder:
    """Finds the event type of a source's columns. Raises `BadDeclaration` when `columns` names an unknown field."""

    def __init__(self, schema: Schema, columns: SourceColumns, only: str | None) -> None:
        if only is not None and only not in schema.types:
            raise NotFound("event type", only, list(schema.types))
        own = {"at", *(name for declared in schema.types.values() for name in declared.fields)}
        for argument, names in (("rename", columns.rename.values()), ("read", columns.read)):
            fields = own | {"id"} if argument == "rename" else own
            for name in names:
                if name not in fields:
                    raise BadDeclaration(f"{argument} of fb.columns", f"about one of {', '.join(sorted(fields))}", name)
        self._types = [schema.types[only]] if only is not None else list(schema.types.values())
        self._rename = columns.rename
        former = {name: declared for declared in schema.types.values() for name in declared.former}
        self._by_name = former | dict(schema.types)

    def our_names(self, theirs: Sequence[str]) -> list[str | None]:
        """The declared name of each column; None for a renamed column whose new name is also a column."""
        exact = set(theirs)
        renamed: list[str | None] = []
        for name in theirs:
            ours = self._rename.get(name, name)
            renamed.append(None if ours != name and ours in exact else ours)
        return renamed

    def fields_of(self, declared: EventType, names: Sequence[str | None]) -> list[str | None]:
        """The field of a type, or "at", that each declared name means, also under a former name; None for no field.

        Where a field's present name is among `names`, its former names mean nothing.
        """
        now, exact = field_names_now(declared.cls), set(names)
        fields = [None if name is None else now.get(name) for name in names]
        return [None if field != name and field in exact else field for name, field in zip(names, fields, strict=True)]

    def id_of(self, declared: EventType, theirs: Sequence[str], *, named: bool) -> str:
        """The column that says which event it is, "" where there is none; `named`: one called `id` is it, also where
        `rename` does not say so. A profile has none, and a type with a field `id` either."""
        if declared.is_profile or "id" in field_names_now(declared.cls):
            return ""
        renamed = next((name for name in theirs if self._rename.get(name) == "id"), "")
        return renamed or ("id" if named and "id" in theirs and "id" not in self._rename else "")

    def type_called(self, name: str) -> EventType | None:
        """The type of this name, present or former; None where there is none."""
        return self._by_name.get(name)

    def find(self, present: Iterable[str]) -> EventType:
        """The type whose required fields are among `present`; of several, the one that uses all columns of the others.

        Of an event and a profile that use the same columns, the profile when there is no time. Raises `BadInput`.
        """
        columns = set(present)
        used = {t.name: set(self.fields_of(t, tuple(columns))) - {None} for t in self._types}
        fits = {t.name: used[t.name] for t in self._types if used[t.name].issuperset(t.required)}
        best = [t for t in self._types if t.name in fits and not any(fits[t.name] < other for other in fits.values())]
        if len(best) > 1 and "at" not in columns:
            best = [declared for declared in best if declared.is_profile] or best
        if len(best) == 1:
            return best[0]
        shown = ", ".join(sorted(columns))
        if not best:
            needs = "; ".join(f"{t.name}: {', '.join(t.required)}" for t in self._types)
            raise BadInput("columns", f"those of an event type ({needs})", shown)
        names = ", ".join(sorted(declared.name for declared in best))
        raise BadInput("columns", f"those of one event type, say which with --type ({names})", shown)


def apply_reader(read: CellReader, name: str, value: Any) -> Any:
    """The value that an application's reader returns; raises `BadInput`, whatever the reader raises."""
    try:
        return read(value)
    except Exception as error:
        raise BadInput(f"value of {name}", f"readable ({type(error).__name__}: {error})", value) from None


def reason_of(error: BadInput) -> str:
    """The stable reason for a line that could not be read."""
    return {"time": "bad_time", "type": "unknown_type", "columns": "unknown_type", "id": "bad_text"}.get(
        error.what, "decode"
    )
