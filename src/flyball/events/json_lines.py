"""JSON lines: one object a line."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from flyball.core import BadInput, json_fault
from flyball.events.client_ids import check_client_id, own_name
from flyball.events.columns import CellReader, SourceColumns, TypeFinder, apply_reader, reason_of
from flyball.events.declared import EventType
from flyball.events.formats import BadLine, BatchBuilder, Parsed, Parser
from flyball.events.pieces import read_pieces
from flyball.events.schema import Schema

_REMEMBERED = 10_000
"""The most sets of names whose event type is cached, so that a stream of ever new names does not fill the memory."""

Recognized = tuple[EventType, dict[str, str], frozenset[str], str]
"""The type, {name in the source: declared name} of fields and time, the columns that are ignored, and the one with the
event's id."""


class JsonLines(msgspec.Struct, frozen=True):
    """One JSON object a line: `{"type": "watch", "at": "2026-01-31T12:00:00Z", "user": 7, ...}`.

    `at` is ISO 8601 or microseconds; `type` may be omitted where the fields belong to one event type only; `id` is what
    the sender calls this one event, unless the type has a field of that name.
    """

    columns: SourceColumns = SourceColumns()

    def parser(self, schema: Schema, only: str | None = None) -> Parser:
        return JsonParser(schema, self.columns, only)

    def lines(self, stream: BinaryIO) -> Iterator[bytes]:
        return read_pieces(stream)


class JsonParser:
    """Reads the lines of one source."""

    names_ids = True
    """Whether a column called `id` is the event's id, also where `rename` does not say so."""

    def __init__(self, schema: Schema, columns: SourceColumns, only: str | None) -> None:
        self._schema, self._read, self._only = schema, columns.read, only
        self._finder, self._times = TypeFinder(schema, columns, only), columns.times()
        self._recognized: dict[tuple[str, ...], Recognized | BadInput] = {}
        self._decode = msgspec.json.Decoder().decode
        self._has_type_field = any("type" in declared.fields for declared in schema.types.values())

    def header(self) -> bytes:
        return b""

    def parse(self, lines: Sequence[bytes]) -> Parsed:
        builders: dict[tuple[str, tuple[str, ...]], BatchBuilder] = {}
        bad: list[BadLine] = []
        ignored: set[str] = set()
        for index, line in enumerate(lines):
            if not line.strip():
                continue
            kind = ""
            try:
                document, recognized = self._document(line)
                kind = recognized[0].name
                self._add(index, document, recognized, builders, ignored)
            except BadInput as error:
                bad.append(BadLine(index, reason_of(error), str(error), kind))
        return Parsed([builder.batch() for builder in builders.values()], bad, frozenset(ignored))

    def _add(
        self,
        index: int,
        document: dict[str, Any],
        recognized: Recognized,
        builders: dict[Any, BatchBuilder],
        ignored: set[str],
    ) -> None:
        declared, ours, extra, id_name = recognized
        ignored |= extra
        read = self._read
        fields = tuple(ours[name] for name in document if ours.get(name, "at") != "at")
        row = tuple(
            _read(read[ours[name]], declared, ours[name], value) if ours[name] in read else value
            for name, value in document.items()
            if ours.get(name, "at") != "at"
        )
        at = next((value for name, value in document.items() if ours.get(name) == "at"), None)
        at_us = self._times.timestamp_us(at)
        builder = builders.get((declared.name, fields))
        if builder is None:
            builder = builders[declared.name, fields] = BatchBuilder(declared.name, fields)
        said = check_client_id(document.get(id_name)) if id_name else ""
        builder.add(index, row, at_us, own_name(said) if said else b"")

    def _document(self, line: bytes) -> tuple[dict[str, Any], Recognized]:
        """The object of a line, and what its names mean."""
        document = self._object(line)
        return document, self._recognize(document)

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            document = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput("line", f"JSON ({json_fault(line, error)})", line[:80], "") from None
        if not isinstance(document, dict):
            raise BadInput("line", "a JSON object", document)
        return document

    def _recognize(self, document: dict[str, Any], only: str | None = None) -> Recognized:
        """What the names of a document mean, of type `only` where it is known."""
        only = only or self._only
        named = document.get("type") if only is None else only
        if not (named is None or isinstance(named, str) or self._has_type_field):
            raise BadInput("type", f"one of {', '.join(self._schema.types)}", named)
        key = (str(named) if isinstance(named, str) else "", *document)
        recognized = self._recognized.get(key)
        if recognized is None:
            try:
                recognized = self._look_up(named, list(document))
            except BadInput as error:
                recognized = error
            if len(self._recognized) < _REMEMBERED:
                self._recognized[key] = recognized
        if isinstance(recognized, BadInput):
            raise recognized
        return recognized

    def _look_up(self, named: object, theirs: list[str]) -> Recognized:
        ours = dict(zip(theirs, self._finder.our_names(theirs), strict=True))
        types = self._schema.types
        called = self._finder.type_called(named) if isinstance(named, str) else None
        if called is not None:
            declared = called
        elif isinstance(named, str) and not self._has_type_field:
            raise BadInput("type", f"one of {', '.join(types)}", named)
        else:
            declared = self._finder.find(name for name in ours.values() if name is not None)
        fields = self._finder.fields_of(declared, list(ours.values()))
        used = {name: field for name, field in zip(ours, fields, strict=True) if field is not None}
        id_name = self._finder.id_of(declared, theirs, named=self.names_ids)
        return declared, used, frozenset(ours) - set(used) - {"type", id_name}, id_name


def _read(reader: CellReader, declared: EventType, name: str, value: Any) -> Any:
    """The value that a reader returns; text is parsed where a number is declared. None stays None in optional
    fields."""
    field = next(field for field in declared.declared if field.name == name)
    if value is None and field.optional:
        return None
    value = apply_reader(reader, name, value)
    if type(value) is not str or field.kind not in (int, float):
        return value
    try:
        return msgspec.convert(value, field.kind, strict=False)
    except msgspec.ValidationError:
        return value
