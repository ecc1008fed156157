"""Writes the answers to a file of requests in parts, as CSV, JSON lines or Parquet, and combines them.

Promises: each file appears as a whole; no cell of a CSV runs in a spreadsheet, unless it is to be left as it is.
"""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import spreadsheet_cell

FileRow = dict[str, Any]


def write_rows(path: Path, format: str, rows: Sequence[FileRow], as_is: bool = False) -> int:
    """Write a part, atomically. Returns how many cells of a CSV got an apostrophe, as a spreadsheet would run them as
    formulas: none where they are left `as_is`."""
    quoted = 0
    partial = path.with_name(f".{path.name}.partial")
    if format == "csv":
        with open(partial, "w", newline="", encoding="utf-8") as file:
            if not as_is:
                rows, quoted = _safe(rows)
            shapes, writer = _shapes(rows), csv.writer(file)
            names = _names(shapes)
            writer.writerow(names)
            if len(shapes) == 1:
                writer.writerows(row.values() for row in rows)
            else:
                writer.writerows([row.get(name, "") for name in names] for row in rows)
    elif format == "jsonl":
        partial.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    else:
        import polars as pl

        pl.DataFrame(rows, infer_schema_length=None).write_parquet(partial)
    os.replace(partial, path)
    return quoted


def _safe(rows: Sequence[FileRow]) -> tuple[list[FileRow], int]:
    """The rows with names and cells that no spreadsheet runs, and the number of cells that were changed for it."""
    safe, quoted = [], 0
    for row in rows:
        cells = [spreadsheet_cell(cell) if type(cell) is str else cell for cell in row.values()]
        quoted += sum(new is not old for new, old in zip(cells, row.values(), strict=True))
        safe.append(dict(zip(map(spreadsheet_cell, row), cells, strict=True)))
    return safe, quoted


def columns_of(rows: Sequence[FileRow]) -> list[str]:
    """All columns, in the order of their first occurrence."""
    return _names(_shapes(rows))


def _shapes(rows: Sequence[FileRow]) -> list[tuple[str, ...]]:
    """The columns of each row, each combination once, in the order of its first occurrence; most rows
    have the same."""
    return list(dict.fromkeys(map(tuple, rows)))


def _names(shapes: Sequence[tuple[str, ...]]) -> list[str]:
    """All columns of rows of these shapes, in the order of their first occurrence."""
    return list(dict.fromkeys(name for names in shapes for name in names))


def join_parts(folder: Path, out: Path, format: str) -> None:
    """All parts as one file."""
    parts = sorted(folder.glob(f"*.{format}"))
    partial = out.with_name(f".{out.name}.partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    if format == "parquet":
        import polars as pl

        if parts:
            frames = [pl.scan_parquet(part) for part in parts]
            pl.concat(frames, how="diagonal_relaxed").sink_parquet(partial)
        else:
            pl.DataFrame().write_parquet(partial)
    elif format == "jsonl":
        with open(partial, "wb") as file:
            for part in parts:
                with open(part, "rb") as piece:
                    shutil.copyfileobj(piece, file)
    else:
        _join_csv(parts, partial)
    os.replace(partial, out)


def _header(path: Path) -> bytes:
    """The bytes of a CSV's header, in which names may contain line breaks."""
    with open(path, newline="", encoding="utf-8") as file:
        row = next(csv.reader(file))
    written = io.StringIO(newline="")
    csv.writer(written).writerow(row)
    return written.getvalue().encode()


def _join_csv(parts: Sequence[Path], out: Path) -> None:
    headers = list(dict.fromkeys(map(_header, parts)))
    if len(headers) == 1:
        with open(out, "wb") as joined:
            joined.write(headers[0])
            for part in parts:
                with open(part, "rb") as source:
                    source.seek(len(headers[0]))
                    shutil.copyfileobj(source, joined)
        return
    names = dict.fromkeys(name for header in headers for name in next(csv.reader(io.StringIO(header.decode()))))
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(names))
        writer.writeheader()
        for part in parts:
            with open(part, newline="", encoding="utf-8") as piece:
                writer.writerows(csv.DictReader(piece))
