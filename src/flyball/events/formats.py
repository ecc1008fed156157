"""How bytes become fields: what a format promises, and JSON lines, CSV and Parquet with their columns' other names."""

import csv
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any, BinaryIO, Protocol

import msgspec

from flyball.core import BadInput, NotFound, parse_timestamp
from flyball.events.declared import EventType, Field
from flyball.events.schema import Schema


class Bad(msgspec.Struct, frozen=True):
    """A line that is no event, and why; `index` is its place among the lines that were parsed."""

    index: int
    reason: str
    detail: str


class Batch(msgspec.Struct, frozen=True):
    """Events of one type, a column for each field: `columns[f][i]` is the value of `fields[f]` in event i.

    `at[i]`: microseconds, None when the line has no time. `index[i]`: its line. `lax`: numbers are still text.
    """

    type: str
    fields: tuple[str, ...]
    columns: Sequence[Sequence[Any]]
    at: Sequence[int | None]
    index: Sequence[int]
    lax: bool = False


class Rows:
    """Gathers events of one type and the same fields, one by one, for a `Batch`."""

    def __init__(self, type: str, fields: tuple[str, ...], lax: bool = False) -> None:
        self.type, self.fields, self.lax = type, fields, lax
        self._rows: list[tuple[Any, ...]] = []
        self._at: list[int | None] = []
        self._index: list[int] = []

    def add(self, index: int, row: tuple[Any, ...], at: int | None) -> None:
        """One event, from line `index`."""
        self._index.append(index)
        self._rows.append(row)
        self._at.append(at)

    def batch(self) -> Batch:
        """What was gathered."""
        columns = list(zip(*self._rows, strict=True))
        return Batch(self.type, self.fields, columns, self._at, self._index, self.lax)


class Parsed(msgspec.Struct, frozen=True):
    """What lines turned out to be. Lines in neither list are blank or headers: not events."""

    batches: list[Batch]
    bad: list[Bad]
    ignored: frozenset[str] = frozenset()


class Parser(Protocol):
    """Reads the lines of one source in order (a CSV's first line names the columns); lines come without line ends."""

    def parse(self, lines: Sequence[bytes]) -> Parsed: ...

    def header(self) -> bytes:
        """What `parse` must see before a later line of the same source to read it alike; often nothing."""
        ...


class Format(Protocol):
    """A way of writing events. A format for a log of your own is a class with these two methods."""

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        """A parser for one source; `only` names the event type when the lines do not tell it."""
        ...

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        """The stream as pieces of text that may break anywhere (Parquet is turned into JSON lines)."""
        ...


Reader = Callable[[Any], Any]


class Columns(msgspec.Struct, frozen=True):
    """How a source's columns are called here. `rename`: {their name: ours}, "at" being the time; our own names are
    read as they are. `read`: {our name: function} applied to a value first, such as `lambda text: text[:4]`.
    `zone`: for times without an offset. `unit`: of times that are numbers: us, ms or s.
    """

    rename: dict[str, str] = {}
    read: dict[str, Reader] = {}
    zone: tzinfo = UTC
    unit: str = "us"


_UNIT_US = {"us": 1, "ms": 1_000, "s": 1_000_000}
_NUMBER = re.compile(r"-?[0-9]{1,18}\Z")


class JsonLines(msgspec.Struct, frozen=True):
    """One JSON object a line: `{"type": "watch", "at": "2026-01-31T12:00:00Z", "user": 7, ...}`.

    `at` is ISO 8601 or microseconds; `type` may be left out when the fields tell it.
    """

    columns: Columns = Columns()

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        return _JsonParser(schema, self.columns, only)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        return read_pieces(stream)


class Csv(msgspec.Struct, frozen=True):
    """Comma-separated values whose first line names the columns. Empty cells of optional fields are missing values,
    lists are split on |. One line is one row: a quoted cell may not hold a line end."""

    columns: Columns = Columns()

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        return _CsvParser(schema, self.columns, only)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        return read_pieces(stream)


class Parquet(msgspec.Struct, frozen=True):
    """A Parquet file; each row is read as a JSON line of its columns."""

    columns: Columns = Columns()

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        return _JsonParser(schema, self.columns, only)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        import polars  # heavy, and only here

        try:
            frame = polars.read_parquet(stream)
        except polars.exceptions.PolarsError as error:
            raise BadInput("Parquet file", "readable", str(error)) from None
        encode = msgspec.json.Encoder().encode
        for piece in frame.iter_slices(10_000):
            yield b"".join(encode(_plain(row)) + b"\n" for row in piece.iter_rows(named=True))


FORMATS: dict[str, Format] = {"jsonl": JsonLines(), "csv": Csv(), "parquet": Parquet()}
"""The formats that need no declaration."""


def columns(
    rename: Mapping[str, str] | None = None,
    read: Mapping[str, Reader] | None = None,
    zone: tzinfo = UTC,
    unit: str = "us",
) -> dict[str, Format]:
    """The built-in formats for sources that call their columns by other names; see `Columns`."""
    if unit not in _UNIT_US:
        raise BadInput("unit", f"one of {', '.join(_UNIT_US)}", unit)
    names = Columns(dict(rename or {}), dict(read or {}), zone, unit)
    return {"jsonl": JsonLines(names), "csv": Csv(names), "parquet": Parquet(names)}


def formats_in(zone: tzinfo, further: Mapping[str, Format] | None = None) -> dict[str, Format]:
    """The built-in formats and `further` ones (which may replace them), those that take a zone with `zone` for times
    that name none. UTC, the default of all, leaves each format the zone it was declared with."""
    formats = {**FORMATS, **(further or {})}
    return formats if zone is UTC else {name: _in_zone(one, zone) for name, one in formats.items()}


def _in_zone(found: Any, zone: tzinfo) -> Any:
    if not isinstance(found, msgspec.Struct):
        return found
    if "zone" in found.__struct_fields__:
        return msgspec.structs.replace(found, zone=zone)
    if isinstance(found, JsonLines | Csv | Parquet):
        return msgspec.structs.replace(found, columns=msgspec.structs.replace(found.columns, zone=zone))
    return found


def find_format(name: str, further: Mapping[str, Format] | None = None) -> Format:
    """The format called `name`, an application's own first; raises `NotFound`."""
    known = {**FORMATS, **(further or {})}
    if name not in known:
        raise NotFound("format", name, sorted(known))
    return known[name]


def read_pieces(stream: BinaryIO, size: int = 1 << 21) -> Iterator[bytes]:
    """Bytes as they come, unpacked when they are gzip. A pipe is not waited for until `size` bytes are there."""
    read = getattr(stream, "read1", stream.read)
    piece = read(size)
    if piece[:2] == b"\x1f\x8b":
        yield from _unpacked(piece, stream, size)
        return
    while piece:
        yield piece
        piece = read(size)


def _unpacked(first: bytes, stream: BinaryIO, size: int) -> Iterator[bytes]:
    """The text of one gzip member after another."""
    inflate, piece = zlib.decompressobj(wbits=31), first
    try:
        while piece:
            while piece:
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
                yield inflate.decompress(piece, size)
                piece = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            piece = stream.read(size)
    except zlib.error as error:
        raise BadInput("gzip stream", "intact", str(error)) from None
    if not inflate.eof:
        raise BadInput("gzip stream", "whole", "one that was cut")


class _Typing:
    """Which event type a set of columns is."""

    def __init__(self, schema: Schema, names: Columns, only: str | None) -> None:
        if only is not None and only not in schema.types:
            raise NotFound("event type", only, list(schema.types))
        self._types = [schema.types[only]] if only is not None else list(schema.types.values())
        self._only = only
        self._names = names

    def ours(self, theirs: Sequence[str]) -> list[str | None]:
        """Our name of each column; None for a column whose name is taken by an exact one."""
        exact = set(theirs)
        renamed = []
        for name in theirs:
            ours = self._names.rename.get(name, name)
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

    def instant(self, value: Any) -> int | None:
        """Microseconds of a time cell; None when there is none. Raises `BadInput`."""
        if value is None or value == "":
            return None
        if type(value) is int:
            return value * _UNIT_US[self._names.unit]
        if type(value) is float and self._names.unit != "us":
            return round(value * _UNIT_US[self._names.unit])
        if type(value) is str:
            if _NUMBER.match(value):
                return int(value) * _UNIT_US[self._names.unit]
            return parse_timestamp(value, self._names.zone)
        raise BadInput("time", "ISO 8601 text or a number", value)


class _JsonParser:
    def __init__(self, schema: Schema, names: Columns, only: str | None) -> None:
        self._schema, self._names, self._only = schema, names, only
        self._typing = _Typing(schema, names, only)
        self._known: dict[tuple[str, ...], tuple[EventType, dict[str, str], frozenset[str]] | BadInput] = {}
        self._decode = msgspec.json.Decoder().decode

    def header(self) -> bytes:
        return b""

    def parse(self, lines: Sequence[bytes]) -> Parsed:
        events: dict[tuple[str, tuple[str, ...]], Rows] = {}
        bad: list[Bad] = []
        ignored: set[str] = set()
        for index, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                self._take(index, line, events, ignored)
            except BadInput as error:
                bad.append(Bad(index, _reason(error), str(error)))
        return Parsed([rows.batch() for rows in events.values()], bad, frozenset(ignored))

    def _take(self, index: int, line: bytes, events: dict[Any, Rows], ignored: set[str]) -> None:
        try:
            given = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput("line", f"JSON ({error})", line[:80], "") from None
        if not isinstance(given, dict):
            raise BadInput("line", "a JSON object", given)
        declared, ours, extra = self._recognise(given)
        ignored |= extra
        read = self._names.read
        fields = tuple(ours[name] for name in given if ours.get(name, "at") != "at")
        row = tuple(
            _number(_apply(read[ours[name]], ours[name], value), declared, ours[name]) if ours[name] in read else value
            for name, value in given.items()
            if ours.get(name, "at") != "at"
        )
        at = next((value for name, value in given.items() if ours.get(name) == "at"), None)
        instant = self._typing.instant(at)
        rows = events.get((declared.name, fields))
        if rows is None:
            rows = events[declared.name, fields] = Rows(declared.name, fields)
        rows.add(index, row, instant)

    def _recognise(self, given: dict[str, Any]) -> tuple[EventType, dict[str, str], frozenset[str]]:
        """The type, {their name: our name} of declared fields and the time, and the columns that are ignored."""
        named = given.get("type") if self._only is None else self._only
        if not (
            named is None or isinstance(named, str) or any("type" in t.fields for t in self._schema.types.values())
        ):
            raise BadInput("type", f"one of {', '.join(self._schema.types)}", named)
        key = (str(named) if isinstance(named, str) else "", *given)
        found = self._known.get(key)
        if found is None:
            try:
                found = self._look_up(named, list(given))
            except BadInput as error:
                found = error
            if len(self._known) < 10_000:
                self._known[key] = found
        if isinstance(found, BadInput):
            raise found
        return found

    def _look_up(self, named: object, theirs: list[str]) -> tuple[EventType, dict[str, str], frozenset[str]]:
        ours = dict(zip(theirs, self._typing.ours(theirs), strict=True))
        types = self._schema.types
        if isinstance(named, str) and named in types:
            declared = types[named]
        elif isinstance(named, str) and not any("type" in declared.fields for declared in types.values()):
            raise BadInput("type", f"one of {', '.join(types)}", named)
        else:
            declared = self._typing.find(name for name in ours.values() if name is not None)
        used = {name: mine for name, mine in ours.items() if mine == "at" or mine in declared.fields}
        return declared, {k: v for k, v in used.items() if v is not None}, frozenset(ours) - set(used) - {"type"}


class _CsvParser:
    def __init__(self, schema: Schema, names: Columns, only: str | None) -> None:
        self._typing, self._names = _Typing(schema, names, only), names
        self._header = b""
        self._type: EventType | None = None
        self._places: list[tuple[int, Field]] = []
        self._at: int | None = None
        self._width = 0
        self._ignored: frozenset[str] = frozenset()

    def header(self) -> bytes:
        return self._header

    def parse(self, lines: Sequence[bytes]) -> Parsed:
        bad: list[Bad] = []
        rows: Rows | None = None
        for index, line in enumerate(lines):
            if not line.strip():
                continue
            if self._type is None:
                self._start(line)
                continue
            if rows is None:
                rows = Rows(self._type.name, tuple(field.name for _, field in self._places), lax=True)
            try:
                row, at = self._row(line)
            except BadInput as error:
                bad.append(Bad(index, _reason(error), str(error)))
                continue
            rows.add(index, row, at)
        return Parsed([rows.batch()] if rows is not None else [], bad, self._ignored)

    def _start(self, line: bytes) -> None:
        """The header: raises `BadInput` when its columns are no event type's, since then no line can be read."""
        theirs = [name.strip() for name in _cells(line)]
        ours = self._typing.ours(theirs)
        self._type = self._typing.find(name for name in ours if name is not None)
        declared = {field.name: field for field in self._type.declared}
        self._places = [
            (place, declared[name]) for place, name in enumerate(ours) if name is not None and name in declared
        ]
        self._at = ours.index("at") if "at" in ours else None
        self._width, self._header = len(theirs), line
        used = {theirs[place] for place, _ in self._places} | ({theirs[self._at]} if self._at is not None else set())
        self._ignored = frozenset(theirs) - used

    def _row(self, line: bytes) -> tuple[tuple[Any, ...], int | None]:
        cells = _cells(line)
        if len(cells) != self._width:
            raise BadInput("row", f"{self._width} cells", f"{len(cells)} cells")
        row = tuple(self._value(cells[place], field) for place, field in self._places)
        return row, self._typing.instant(cells[self._at]) if self._at is not None else None

    def _value(self, cell: str, field: Field) -> Any:
        if cell == "" and (field.optional or not field.required):
            return None if field.optional else field.default
        read = self._names.read.get(field.name)
        if read is not None:
            return _apply(read, field.name, cell)
        return cell.split("|") if field.kind is list else cell


def _cells(line: bytes) -> list[str]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise BadInput("line", f"UTF-8 ({error.reason})", line[:80]) from None
    if '"' not in text:
        return text.split(",")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise BadInput("line", f"comma-separated values ({error})", text) from None
    return rows[0]


def _apply(read: Reader, name: str, value: Any) -> Any:
    """What an application's own reader makes of a value; what it cannot read is a bad line, not the end."""
    try:
        return read(value)
    except Exception as error:
        raise BadInput(f"value of {name}", f"readable ({type(error).__name__}: {error})", value) from None


def _number(value: Any, declared: EventType, name: str) -> Any:
    """What a reader made: text where a number is declared is read as one."""
    field = next(field for field in declared.declared if field.name == name)
    if type(value) is not str or field.kind not in (int, float):
        return value
    try:
        return msgspec.convert(value, field.kind, strict=False)
    except msgspec.ValidationError:
        return value


def _reason(error: BadInput) -> str:
    """The stable word for a line that could not be read."""
    return {"time": "bad_time", "type": "unknown_type", "columns": "unknown_type"}.get(error.what, "decode")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Dates and times as ISO 8601; everything else as it is."""
    return {
        name: value.isoformat() if isinstance(value, date | datetime) else value
        for name, value in row.items()
        if value is not None
    }
