"""Takes the rows about people out of the tables in a home: CSV with a header, JSON lines and Parquet."""

import csv
import io
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import write_atomic
from flyball.events import read_json
from flyball.home import HomeLayout
from flyball.removal.contents import encoding_of, kind_of
from flyball.removal.rows import RowReader
from flyball.removal.texts import STORE_FOLDERS, Redaction, is_own, is_table

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_OTHER_DELIMITERS = (",", ";", "\t", "|")
_OWN_STORES = (".db", ".mdb")


class CleanedTables(msgspec.Struct, frozen=True):
    """`rows`: how many rows were removed, by file; `unread`: the files that hold an id and could not be cleaned."""

    rows: dict[str, int] = {}
    unread: list[str] = []


class _Cleaned(msgspec.Struct, frozen=True):
    """`rows`: how many were removed from a file; `still_holds`: an id stands in it that no known column explains."""

    rows: int = 0
    still_holds: bool = False


def clean_tables(layout: HomeLayout, redaction: Redaction, reader: RowReader) -> CleanedTables:
    """Remove the rows that name one of the people from the tables in the home and its folders.

    Those that hold an id and cannot be read so are left and listed: without a column of the entity, packed, damaged,
    of a format of bytes, or copies of a store in a folder of their own.
    """
    rows, unread = dict[str, int](), list[str]()
    for path in sorted(layout.folder.rglob("*")):
        inside = path.relative_to(layout.folder)
        if not path.is_file() or inside.parts[0] in STORE_FOLDERS or is_own(inside):
            continue
        cleaned = _clean_table(path, inside, redaction, reader)
        if cleaned.rows:
            rows[inside.as_posix()] = cleaned.rows
        if cleaned.still_holds:
            unread.append(inside.as_posix())
    return CleanedTables(rows, unread)


def _clean_table(path: Path, inside: Path, redaction: Redaction, reader: RowReader) -> _Cleaned:
    content = path.read_bytes()
    kind = kind_of(content)
    if kind == "parquet" or path.suffix == ".parquet":
        return _clean_parquet(path, redaction, reader)
    if kind != "text":
        is_store = path.suffix in _OWN_STORES or kind == "database"
        return _Cleaned(still_holds=redaction.may_hold(content) if is_store else redaction.holds(content))
    if path.suffix == ".json":
        return _clean_json(path, redaction, reader)
    if path.suffix in _DELIMITERS:
        return _clean_csv(path, redaction, reader)
    if is_table(inside):
        return _clean_lines(path, redaction, reader)
    return _Cleaned(still_holds=encoding_of(content).startswith("utf-16") and redaction.holds(content))


def _clean_csv(path: Path, redaction: Redaction, reader: RowReader) -> _Cleaned:
    """Whether it still holds an id: in any cell without a column of the entity, else outside of the columns."""
    content = path.read_bytes()
    encoding = encoding_of(content)
    try:
        kept, rows, is_known = rows_without(content.decode(encoding), reader, _DELIMITERS[path.suffix])
    except csv.Error:  # a cell of more than 131,072 characters, such as after a quote that is not closed
        return _Cleaned(still_holds=redaction.holds(content))
    cleaned = kept.encode(encoding)
    if rows:
        write_atomic(path, cleaned)
    text = kept.encode("latin-1" if encoding == "latin-1" else "utf-8")
    return _Cleaned(rows, _is_left(text, redaction) if is_known else redaction.holds(cleaned))


def _is_left(line: bytes, redaction: Redaction) -> bool:
    return not redaction.rows([line])


def rows_without(text: str, reader: RowReader, delimiter: str = ",") -> tuple[str, int, bool]:
    """A table without the rows that name one of the people, how many were removed, and whether it has columns of all
    their entities. The delimiter is that with which the header has most of them.

    >>> from flyball.removal.people import Person
    >>> rows_without("n;user\\n1;7\\n7;8\\n", RowReader([Person("user", "7")], {"user": frozenset(["user"])}))
    ('n;user\\n7;8\\n', 1, True)
    """
    lines = io.StringIO(text, newline="").readlines()
    if not lines:
        return text, 0, True

    def known(delimiter: str) -> frozenset[str]:
        names = next(csv.reader(lines[:1], delimiter=delimiter), [])
        return frozenset[str]().union(*map(reader.entities_of, names)) & reader.entities

    delimiter = max((delimiter, *_OTHER_DELIMITERS), key=lambda delimiter: len(known(delimiter)))
    parsed, kept, begun, removed = csv.reader(lines, delimiter=delimiter), list[str](), 0, 0
    header: list[str] | None = None
    for row in parsed:
        raw, begun = lines[begun : parsed.line_num], parsed.line_num
        if header is None:
            header, is_about = row, False
        else:
            is_about = bool(reader.names([{name: cell} for name, cell in zip(header, row, strict=False)]))
        removed += is_about
        kept += [] if is_about else raw
    return "".join(kept), removed, known(delimiter) >= reader.entities


def _clean_lines(path: Path, redaction: Redaction, reader: RowReader) -> _Cleaned:
    """The same of lines in JSON; of another line its text is searched."""
    content = path.read_bytes()
    if encoding_of(content).startswith("utf-16"):
        return _Cleaned(still_holds=redaction.holds(content))
    kept, rows, still_holds = list[bytes](), 0, False
    for line in content.splitlines(keepends=True):
        value = read_json(line)
        verdict = reader.names(value)
        if verdict or (value is None and _is_left(line, redaction)):
            rows += 1
            continue
        kept.append(line)
        still_holds = still_holds or (redaction.holds(line) if verdict is None else _is_left(line, redaction))
    if rows:
        write_atomic(path, b"".join(kept))
    return _Cleaned(rows, still_holds)


def _clean_json(path: Path, redaction: Redaction, reader: RowReader) -> _Cleaned:
    """The same of a document in JSON with rows in its lists; other texts in it are not looked at here."""
    content = path.read_bytes()
    if encoding_of(content).startswith("utf-16"):
        return _Cleaned(still_holds=redaction.holds(content))
    document = read_json(content)
    kept = _emptied(_pruned(document, reader), reader)
    if kept != document:
        write_atomic(path, msgspec.json.encode(kept))
        return _Cleaned(_objects_in(document) - _objects_in(kept) or 1)
    is_rows = isinstance(document, list) and any(isinstance(row, dict) for row in document)
    return _Cleaned(still_holds=is_rows and reader.names(document) is None and redaction.holds(content))


def _objects_in(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_objects_in, value))
    return 1 + sum(map(_objects_in, value.values())) if isinstance(value, dict) else 0


def _pruned(value: Any, reader: RowReader) -> Any:
    """A document without the rows of its lists, the innermost ones first, that name one of the people."""
    if isinstance(value, list):
        kept = (_pruned(member, reader) for member in value)
        return [member for member in kept if not (isinstance(member, dict) and reader.names(member))]
    if isinstance(value, dict):
        return {name: _pruned(member, reader) for name, member in value.items()}
    return value


def _emptied(value: Any, reader: RowReader) -> Any:
    """A document whose objects outside of lists are empty where they are about one of the people."""
    if not isinstance(value, dict):
        return value
    kept = {name: _emptied(member, reader) for name, member in value.items()}
    return {} if reader.names(kept) else kept


def _clean_parquet(path: Path, redaction: Redaction, reader: RowReader) -> _Cleaned:
    """The same of a Parquet file; one that cannot be read counts as holding an id."""
    import polars as pl

    try:
        frame = pl.read_parquet(path, memory_map=False)
    except (pl.exceptions.PolarsError, OSError):  # damaged, or of another format
        return _Cleaned(still_holds=True)
    kept, still_holds = list[int](), False
    for index, row in enumerate(frame.iter_rows(named=True)):
        if (verdict := reader.names(row)) is True:
            continue
        kept.append(index)
        line = msgspec.json.encode(row, enc_hook=str)
        still_holds = still_holds or (redaction.holds(line) if verdict is None else _is_left(line, redaction))
    if len(kept) < frame.height:
        temporary = path.with_name(f".{path.name}.tmp")
        frame[kept].write_parquet(temporary)
        temporary.replace(path)
    return _Cleaned(frame.height - len(kept), still_holds)
