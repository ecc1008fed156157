"""How a source's columns are called and written, and which event type a set of columns is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

import msgspec

from flyball.core import BadDeclaration, BadInput, NotFound, find_zone
from flyball.events.declared import EventType
from flyball.events.schema import Schema
from flyball.events.timestamps import UNIT_NS, TimeReader, check_pattern

CellReader = Callable[[Any], Any]


class SourceColumns(msgspec.Struct, frozen=True):
    """How a source's columns are called here and how they are written; made and checked by `fb.columns`.

    `rename`: {their name: ours}, "at" being the event time; our own names are read as they are. `read`: {our name:
    function} applied to a value first, such as `lambda text: text[:4]`. `zone`: of times without an offset. `unit`: of
    times that are numbers: us, ms, s or ns; "" for us, of which those are refused that look like another. `at_format`:
    of times that are text, as `datetime.strptime` takes it.
    Of CSV: `delimiter` ("": the one by which the header's names are those of an event type), `quote`, `decimal` mark
    ("": point, or a comma that can mean nothing else).
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
        """What reads the event times."""
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
    """Checked; raises `BadDeclaration` naming the argument."""
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
    """Which event type a source's columns are. Raises `BadDeclaration` where `columns` names a field that none has."""

    def __init__(self, schema: Schema, columns: SourceColumns, only: str | None) -> None:
        if only is not None and only not in schema.types:
            raise NotFound("event type", only, list(schema.types))
        fields = {"at", *(name for declared in schema.types.values() for name in declared.fields)}
        for argument, names in (("rename", columns.rename.values()), ("read", columns.read)):
            for name in names:
                if name not in fields:
                    raise BadDeclaration(f"{argument} of fb.columns", f"about one of {', '.join(sorted(fields))}", name)
        self._types = [schema.types[only]] if only is not None else list(schema.types.values())
        self._rename = columns.rename

    def our_names(self, theirs: Sequence[str]) -> list[str | None]:
        """Our name of each column; None for a column whose name is taken by an exact one."""
        exact = set(theirs)
        renamed: list[str | None] = []
        for name in theirs:
            ours = self._rename.get(name, name)
            renamed.append(None if ours != name and ours in exact else ours)
        return renamed

    def find(self, present: Iterable[str]) -> EventType:
        """The one type whose required fields are among `present`; the one that uses most of them when several nest.

        Between an event and a profile that use the same columns, a missing time speaks for the profile.
        """
        columns = set(present)
        fits = {t.name: columns.intersection(t.fields) for t in self._types if columns.issuperset(t.required)}
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
    """What an application's own reader makes of a value; what it cannot read is a bad line, not the end."""
    try:
        return read(value)
    except Exception as error:
        raise BadInput(f"value of {name}", f"readable ({type(error).__name__}: {error})", value) from None


def reason_of(error: BadInput) -> str:
    """The stable word for a line that could not be read."""
    return {"time": "bad_time", "type": "unknown_type", "columns": "unknown_type"}.get(error.what, "decode")
