"""Searches every byte of a home for an id, in each form in which a store may hold it."""

import io
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lmdb
import msgspec
import polars as pl


def forms_of(id: int) -> list[bytes]:
    """As text, as a number of msgpack, and as a whole number of 64 bits in both orders of bytes."""
    return [str(id).encode(), msgspec.msgpack.encode(id), struct.pack("<q", id), struct.pack(">q", id)]


def places_with(folder: Path, id: int) -> list[str]:
    """Where in a folder the id is: raw bytes of all files, cells of Parquet, rows of SQLite, pairs of LMDB."""
    forms, places = forms_of(id), list[str]()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        inside, content = path.relative_to(folder), path.read_bytes()
        places += [f"{inside}: {form!r}" for form in forms if form in content]
        values: Iterator[Any] = iter(())
        if path.suffix == ".parquet":
            values = iter([cell for row in pl.read_parquet(io.BytesIO(content)).rows() for cell in row])
        elif path.suffix == ".db":
            values = rows_of_file(path)
        elif path.name == "data.mdb":
            values = pairs_of(path.parent)
        places += [f"{inside}: decoded" for value in values if holds(value, id)]
    return places


def holds(value: Any, id: int) -> bool:
    """Whether a value, or a member of a list, has the id in one of its forms."""
    if isinstance(value, list | tuple):
        return any(holds(member, id) for member in value)
    if isinstance(value, bytes):
        return any(form in value for form in forms_of(id))
    return value == id or str(id) in str(value)


def rows_of_file(path: Path) -> Iterator[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            yield from connection.execute(f"SELECT * FROM {table}").fetchall()


def pairs_of(folder: Path) -> Iterator[Any]:
    with TemporaryDirectory() as copy:  # a process may open an environment once
        shutil.copy(folder / "data.mdb", copy)
        with lmdb.open(copy, readonly=True, lock=False, map_size=1 << 30) as environment, environment.begin() as view:
            yield from list(view.cursor())
