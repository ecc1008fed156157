"""Answers a file of requests, which may be larger than memory; restartable, with the lineage of the answers.

The file is answered in parts of `PART_ROWS` rows, each written atomically into `<out>.parts`. A run that ends
early is taken up at the first part that is missing, as long as the input, the release and the columns are the same;
otherwise it starts again. When the last part is there, they are combined.
"""

import contextlib
import csv
import gc
import hashlib
import io
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import (
    BadInput,
    FileLock,
    NotFound,
    SystemStopwatch,
    counted_units,
    find_zone,
    json_fault,
    sha256_file,
    write_atomic,
)
from flyball.events import FIRST_US, LAST_US, Offsets, TimeReader
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.serving.answering.engine import LevelAnswer, holds_any
from flyball.serving.answering.request import RequestReader
from flyball.serving.metrics import ServingMetrics
from flyball.serving.versions.refresher import Refresher

PART_ROWS = 5_000
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

FileRow = dict[str, Any]


class BadRow(msgspec.Struct, frozen=True):
    """What stands in the place of a row that cannot be read, and why."""

    reason: str


class BatchReport(msgspec.Struct, frozen=True):
    """The result of a file; also its lineage, kept in `<out>.lineage.json`.

    `levels`, `versions`: {name: answered rows}. `artifacts`: {version: sha256 of its manifest}; `snapshots`:
    {version: the snapshot that it learned from}. `offsets`: [first, last] offsets of the log that answers were made
    from. `reused`: rows that an earlier run had answered. `failed`: invalid requests, and rows that nothing can answer,
    with the first reason. `unknown`: columns that no field of the request has.
    """

    app: str
    input: str
    input_sha256: str
    out: str
    rows: int
    failed: int
    first_failure: str
    reused: int
    levels: dict[str, int]
    versions: dict[str, int]
    artifacts: dict[str, str]
    snapshots: dict[str, str]
    offsets: list[list[int]]
    began_us: int
    ended_us: int
    unknown: list[str] = []


class _Part(msgspec.Struct):
    """What is known of a written part."""

    rows: int = 0
    failed: int = 0
    first_failure: str = ""
    levels: dict[str, int] = {}
    versions: dict[str, int] = {}
    offsets: list[list[int]] = []
    unknown: list[str] = []


def answer_file(
    runtime: Runtime,
    source: Path,
    out: Path,
    show_progress: Callable[[str], None] = lambda text: None,
    part_rows: int = PART_ROWS,
) -> BatchReport:
    """Answer every row of `source` (CSV, JSON lines or Parquet, by its ending) into `out`, by what is known now.

    A row's columns that the request has are its fields, empty ones of CSV are left out; all columns are carried
    over. A column `at` says when each request is made, read as times of events are: hours, weekdays and windows of
    features are of that time. A row that cannot be read, or is no request, has an error in place of an answer.
    Answers are not recorded: they were not shown to users, so no outcome may count for or against a version.
    Raises `NotFound` and `BadInput` for the files, `HomeBusy` while another process answers into `out`.
    """
    if not source.is_file():
        raise NotFound("file", str(source), next_step="name one of rows: CSV, JSON lines or Parquet")
    reads, writes = format_of(source), format_of(out)
    if out.exists() and out.samefile(source):
        raise BadInput("--out", "another file than the requests, which would be lost", str(out))
    name = hashlib.sha256(str(out.absolute()).encode()).hexdigest()[:12]
    with FileLock(runtime.layout.run / f"predict-{name}.lock", f"flyball predict --out {out}"):
        return _answer_parts(runtime, source, out, reads, writes, show_progress, part_rows)


def _answer_parts(
    runtime: Runtime,
    source: Path,
    out: Path,
    reads: str,
    writes: str,
    show_progress: Callable[[str], None],
    part_rows: int,
) -> BatchReport:
    """Answer the parts that are missing, combine all and remove them."""
    engine_of = _Answerer(runtime)
    plan = engine_of.plan(source, writes, part_rows)
    folder, began_us = out.with_name(f"{out.name}.parts"), runtime.clock.now_us()
    _begin(folder, plan)
    parts: list[_Part] = []
    reused = answered_rows = 0
    with _without_collector():
        for number, rows in enumerate(chunks(rows_of(source, reads), part_rows)):
            path, note = folder / f"{number:06d}.{writes}", folder / f"{number:06d}.json"
            if note.exists():
                parts.append(msgspec.json.decode(note.read_bytes(), type=_Part))
                reused += parts[-1].rows
            else:
                answered, part = engine_of.answers(rows, number)
                _write(path, writes, answered)
                write_atomic(note, msgspec.json.encode(part))  # after its rows: a part with this file is complete
                parts.append(part)
            answered_rows += parts[-1].rows
            show_progress(f"{counted_units(answered_rows, 'row')} answered")
        _join(folder, out, writes)
    report = engine_of.report(source, out, plan, parts, reused, began_us)
    write_atomic(out.with_name(f"{out.name}.lineage.json"), msgspec.json.format(msgspec.json.encode(report), indent=1))
    shutil.rmtree(folder)
    return report


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the garbage collector off: rows have no cycles, and traversing them takes more than half of the time of a
    row.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def format_of(path: Path) -> str:
    """The format of a file, by its ending; raises `BadInput`."""
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise BadInput("file", f"named with one of {', '.join(FORMATS)}", path.name)
    return file_format


def rows_of(path: Path, format: str) -> Iterator[FileRow | BadRow]:
    """The rows of a file, read as they are asked for."""
    if format == "csv":
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield from _csv_rows(file)
    elif format == "jsonl":
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield msgspec.json.decode(line, type=dict[str, Any])
                    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                        yield BadRow(f"line {number} must be a JSON object: {json_fault(line, error)}")
    else:
        import polars as pl

        frame, start = pl.scan_parquet(path), 0
        while (part := frame.slice(start, PART_ROWS).collect()).height:
            yield from part.iter_rows(named=True)
            start += part.height


def _csv_rows(file: Iterable[str]) -> Iterator[FileRow | BadRow]:
    """Rows as from `csv.DictReader`, in a third of its time; None for columns that a row lacks."""
    rows = filter(None, csv.reader(file))  # blank lines are no rows
    names = next(rows, [])
    width = len(names)
    for number, row in enumerate(rows, 1):
        if len(row) > width:
            yield BadRow(f"row {number} must be as long as the header, {width} columns, got {len(row)}")
        else:
            yield dict(zip(names, row, strict=True)) if len(row) == width else dict(zip_longest(names, row))


def chunks(rows: Iterator[FileRow | BadRow], size: int) -> Iterator[list[FileRow | BadRow]]:
    """The rows, so many at a time.

    >>> [len(part) for part in chunks(iter([{}] * 5), 2)]
    [2, 2, 1]
    """
    while part := list(islice(rows, size)):
        yield part


class _Answerer:
    """Answers requests with the present release, without a service."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, about = runtime, runtime.app.task.about
        metrics = ServingMetrics(runtime.counters_folder / "once", "batch", SystemStopwatch())
        refresher = Refresher(runtime, metrics, runtime.clock)
        refresher.step()
        self._engine, self._about, self._refresher = refresher.engine, about, refresher
        self._times = TimeReader(find_zone(runtime.settings.zone), "", "")
        self._fields = [name for name in about.request.__struct_fields__ if name != "at"]
        # values are named by the version that gives them: the file may declare another kind since
        champion = current(runtime.registry).champion or ""
        named = runtime.about_of(champion) if champion in refresher.engine.serving.pipelines else about
        self._unpredicted: FileRow = {f"predicted_{name}": None for name in named.values}

    def plan(self, source: Path, writes: str, part_rows: int) -> dict[str, Any]:
        """The properties that all parts must have in common."""
        release = current(self._runtime.registry)
        return {
            "app": self._runtime.app.name,
            "input_sha256": sha256_file(source),
            "release": [release.champion, release.previous, release.arrangement],
            "format": writes,
            "part_rows": part_rows,
            "fields": self._fields,
        }

    def answers(self, read: Sequence[FileRow | BadRow], part: int) -> tuple[list[FileRow], _Part]:
        """The rows with their answers, and the description of the part."""
        reader = RequestReader(self._about.request, self._runtime.clock, random.Random(part))
        requests, answerable, failures = [], [], dict[int, str]()
        names, absent = self._fields, (None, "")
        rows = [{} if isinstance(row, BadRow) else row for row in read]
        for index, row in enumerate(rows):
            if isinstance(unread := read[index], BadRow):
                failures[index] = unread.reason
                continue
            fields = {name: value for name in names if (value := row.get(name)) not in absent}
            try:
                requests.append(reader.read(fields, strict=False, at_us=_time_in(row, self._times)))
                answerable.append(index)
            except BadInput as error:
                failures[index] = str(error)
        answers = dict(zip(answerable, self._engine.respond(requests), strict=True))
        for index, answer in answers.items():
            if not holds_any(self._about, answer.response):
                failures[index] = self._refresher.why_unanswered()
        failures = dict(sorted(failures.items()))
        note = _Part(len(rows), len(failures), next(iter(failures.values()), ""))
        note.unknown = sorted(set(_names(_shapes(rows))) - {*self._fields, "at"})
        note.levels = dict(Counter(answer.level for answer in answers.values()))
        note.versions = dict(Counter(answer.version for answer in answers.values()))
        note.offsets = [list(_offsets_of(answers[index])) for index in answerable[:1] + answerable[-1:]]
        return [
            {**row, **self._columns(answers.get(index)), "error": failures.get(index)} for index, row in enumerate(rows)
        ], note

    def _columns(self, answer: LevelAnswer | None) -> FileRow:
        """What a row gets; nothing but names for one that is no request."""
        columns: FileRow = {"items": None} if self._about.items else {}
        columns |= self._unpredicted
        if answer is None:
            return columns | dict.fromkeys(["decision", "level", "version"])
        response = answer.response
        if self._about.items:
            columns["items"] = ",".join([item.item for item in response.items])
        names = self._runtime.about_of(answer.version, answer.arrangement).values
        columns |= {f"predicted_{name}": value for name, value in zip(names, response.values, strict=False)}
        columns["decision"], columns["level"], columns["version"] = response.decision, answer.level, answer.version
        return columns

    def report(
        self, source: Path, out: Path, plan: Mapping[str, Any], parts: Sequence[_Part], reused: int, began_us: int
    ) -> BatchReport:
        """All parts together."""
        versions = _added([part.versions for part in parts])
        known = {name: self._runtime.registry.version(name) for name in versions if name}
        offsets = [offset for part in parts for offset in part.offsets]
        return BatchReport(
            app=self._runtime.app.name,
            input=str(source),
            input_sha256=plan["input_sha256"],
            out=str(out),
            rows=sum(part.rows for part in parts),
            failed=sum(part.failed for part in parts),
            first_failure=next((part.first_failure for part in parts if part.failed), ""),
            reused=reused,
            levels=_added([part.levels for part in parts]),
            versions=versions,
            artifacts={name: version.artifact_files.get("manifest.json", "") for name, version in known.items()},
            snapshots={name: version.snapshot for name, version in known.items()},
            offsets=[offsets[0], offsets[-1]] if offsets else [],
            began_us=began_us,
            ended_us=self._runtime.clock.now_us(),
            unknown=sorted({name for part in parts for name in part.unknown}),
        )


def _offsets_of(answer: LevelAnswer) -> Offsets:
    """The state of the log that an answer was made from."""
    reads = answer.response.reads
    return reads[0].offsets if reads else answer.offsets


def _time_in(row: FileRow, times: TimeReader) -> int | None:
    """The time of a row's request; None without one. Raises `BadInput`."""
    at_us = times.timestamp_us(row.get("at"))
    if at_us is not None and not FIRST_US <= at_us < LAST_US:
        raise BadInput("time at", "within 1970..2099", row["at"])
    return at_us


def _added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part_counts in counts:
        for name, count in part_counts.items():
            total[name] = total.get(name, 0) + count
    return total


def _begin(folder: Path, plan: Mapping[str, Any]) -> None:
    """Keep the parts of an earlier run of the same plan, remove those of another."""
    path, plan_bytes = folder / "plan", msgspec.json.encode(plan)
    if path.exists() and path.read_bytes() == plan_bytes:
        return
    if folder.exists():
        shutil.rmtree(folder)
    write_atomic(path, plan_bytes)


def _write(path: Path, format: str, rows: Sequence[FileRow]) -> None:
    """Write a part, atomically."""
    partial = path.with_name(f".{path.name}.partial")
    if format == "csv":
        with open(partial, "w", newline="", encoding="utf-8") as file:
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


def _shapes(rows: Sequence[FileRow]) -> list[tuple[str, ...]]:
    """The columns of each row, each combination once, in the order of its first occurrence; most rows
    have the same."""
    return list(dict.fromkeys(map(tuple, rows)))


def _names(shapes: Sequence[tuple[str, ...]]) -> list[str]:
    """All columns, in the order of their first occurrence."""
    return list(dict.fromkeys(name for names in shapes for name in names))


def _join(folder: Path, out: Path, format: str) -> None:
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
