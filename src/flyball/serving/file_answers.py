"""Answers a file of requests, which may be larger than memory; restartable, with the lineage of the answers.

The file is answered in parts of `PART_ROWS` rows, each written atomically into `<out>.parts`. A run that ends
early is taken up at the first part that is missing, as long as the input, the release and the columns are the same;
otherwise it starts again. When the last part is there, they are combined.
"""

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import msgspec

from flyball.compute import Compute, Needs, run_tasks
from flyball.core import (
    BadInput,
    FileLock,
    NotFound,
    counted_units,
    json_fault,
    sha256_file,
    write_atomic,
)
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.serving.answer_parts import FileRow, join_parts
from flyball.serving.row_answers import BadRow, PartNote, RowAnswerer, answer_rows, write_answers

PART_ROWS = 5_000
_AT_A_TIME = 4
"""How many parts are read ahead for each task that runs."""
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


class BatchReport(msgspec.Struct, frozen=True):
    """The result of a file; also its lineage, kept in `<out>.lineage.json`.

    `levels`, `versions`: {name: answered rows}. `artifacts`: {version: sha256 of its manifest}; `snapshots`:
    {version: the snapshot that it learned from}. `offsets`: [first, last] offsets of the log that answers were made
    from. `reused`: rows that an earlier run had answered. `failed`: invalid requests, and rows that nothing can answer,
    with the first reason. `unknown`: columns that no field of the request has. `quoted`: cells of a CSV that got an
    apostrophe, since a spreadsheet would run them as formulas.
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
    quoted: int = 0


def answer_file(
    runtime: Runtime,
    source: Path,
    out: Path,
    show_progress: Callable[[str], None] = lambda text: None,
    part_rows: int = PART_ROWS,
    as_is: bool = False,
    compute: Compute | None = None,
) -> BatchReport:
    """Answer every row of `source` (CSV, JSON lines or Parquet, by its ending) into `out`, by what is known now.

    A row's columns that the request has are its fields, empty ones of CSV are left out; all columns are carried
    over. A column `at` says when each request is made, read as times of events are: hours, weekdays and windows of
    features are of that time. A row that cannot be read, or is no request, has an error in place of an answer.
    Answers are not recorded: they were not shown to users, so no outcome may count for or against a version.
    `as_is`: leave cells of a CSV that a spreadsheet would run as formulas. `compute`: where parts are answered, with
    the same bytes; None for this process.
    Raises `NotFound` and `BadInput` for the files, `HomeBusy` while another process answers into `out`.
    """
    if not source.is_file():
        raise NotFound("file", str(source), next_step="name one of rows: CSV, JSON lines or Parquet")
    run = _FileRun(runtime, source, out, part_rows, as_is)
    if out.exists() and out.samefile(source):
        raise BadInput("--out", "another file than the requests, which would be lost", str(out))
    name = hashlib.sha256(str(out.absolute()).encode()).hexdigest()[:12]
    with FileLock(runtime.layout.run / f"predict-{name}.lock", f"flyball predict --out {out}"):
        return _answer_parts(run, show_progress, compute)


def _answer_parts(run: "_FileRun", show_progress: Callable[[str], None], compute: Compute | None) -> BatchReport:
    """Answer the parts that are missing, combine all and remove them."""
    run.begin()
    answered_rows = 0
    notes: dict[int, PartNote] = {}
    for number, note in run.here() if compute is None else run.elsewhere(compute):
        notes[number] = note
        answered_rows += note.rows
        show_progress(f"{counted_units(answered_rows, 'row')} answered")
    join_parts(run.folder, run.out, run.writes)
    report = run.report([notes[number] for number in sorted(notes)])
    path = run.out.with_name(f"{run.out.name}.lineage.json")
    write_atomic(path, msgspec.json.format(msgspec.json.encode(report), indent=1))
    shutil.rmtree(run.folder)
    return report


class _FileRun:
    """One file on its way: its parts lie in `folder`, whose notes say which are complete."""

    def __init__(self, runtime: Runtime, source: Path, out: Path, part_rows: int, as_is: bool) -> None:
        self._runtime, self._source, self.out = runtime, source, out
        self._reads, self.writes = format_of(source), format_of(out)
        self._part_rows, self._as_is = part_rows, as_is
        self.folder = out.with_name(f"{out.name}.parts")
        self._now_us, self._reused = runtime.clock.now_us(), 0

    def begin(self) -> None:
        """Keep the parts of an earlier run that has all in common with this one, remove others."""
        release = current(self._runtime.registry)
        self._sha256 = sha256_file(self._source)
        fields = [name for name in self._runtime.app.task.about.request.__struct_fields__ if name != "at"]
        plan = {
            "app": self._runtime.app.name,
            "input_sha256": self._sha256,
            "release": [release.champion, release.previous, release.arrangement],
            "format": self.writes,
            "part_rows": self._part_rows,
            "fields": fields,
            "as_is": self._as_is,
        }
        _begin(self.folder, plan)

    def here(self) -> Iterator[tuple[int, PartNote]]:
        """Answer the missing parts in this process, in order."""
        answerer = RowAnswerer(self._runtime, self._now_us)
        for number, rows in enumerate(chunks(rows_of(self._source, self._reads), self._part_rows)):
            note = self._kept(number)
            if note is None:
                note = write_answers(answerer, rows, number, self._path(number), self.writes, self._as_is)
                self._complete(number, note)
            yield number, note

    def elsewhere(self, compute: Compute) -> Iterator[tuple[int, PartNote]]:
        """Answer the missing parts as tasks, so many at a time that memory holds their rows. A task that fails costs
        its own part: the others are kept. Raises what the first one raised, when the others are done."""
        missing = self._missing()
        failure: Exception | None = None
        while failure is None and (group := list(islice(missing, _AT_A_TIME * compute.slots(Needs())))):
            calls = [call for _, _, call in group if call]
            yield from ((number, note) for number, note, _ in group if note is not None)
            numbers = [number for number, _, call in group if call]
            for index, outcome in run_tasks(compute, answer_rows, calls, imports=["flyball.serving"]):
                if isinstance(outcome, Exception):
                    failure = failure or outcome
                    continue
                content, note = outcome
                write_atomic(self._path(numbers[index]), content)
                self._complete(numbers[index], note)
                yield numbers[index], note
        if failure is not None:
            raise failure

    def _missing(self) -> Iterator[tuple[int, PartNote | None, tuple[Any, ...]]]:
        """Each part with the note of an earlier run, or with what its task is called with."""
        source, settings = self._runtime.source, self._runtime.settings
        for number, rows in enumerate(chunks(rows_of(self._source, self._reads), self._part_rows)):
            note = self._kept(number)
            call = (source, settings, self._now_us, rows, number, self.writes, self._as_is)
            yield number, note, call if note is None else ()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.{self.writes}"

    def _kept(self, number: int) -> PartNote | None:
        path = self.folder / f"{number:06d}.json"
        if not path.exists():
            return None
        note = msgspec.json.decode(path.read_bytes(), type=PartNote)
        self._reused += note.rows
        return note

    def _complete(self, number: int, note: PartNote) -> None:
        write_atomic(self.folder / f"{number:06d}.json", msgspec.json.encode(note))  # after its rows

    def report(self, parts: Sequence[PartNote]) -> BatchReport:
        """All parts together."""
        versions = _added([part.versions for part in parts])
        known = {name: self._runtime.registry.version(name) for name in versions if name}
        offsets = [offset for part in parts for offset in part.offsets]
        return BatchReport(
            app=self._runtime.app.name,
            input=str(self._source),
            input_sha256=self._sha256,
            out=str(self.out),
            rows=sum(part.rows for part in parts),
            failed=sum(part.failed for part in parts),
            first_failure=next((part.first_failure for part in parts if part.failed), ""),
            reused=self._reused,
            levels=_added([part.levels for part in parts]),
            versions=versions,
            artifacts={name: version.artifact_files.get("manifest.json", "") for name, version in known.items()},
            snapshots={name: version.snapshot for name, version in known.items()},
            offsets=[offsets[0], offsets[-1]] if offsets else [],
            began_us=self._now_us,
            ended_us=self._runtime.clock.now_us(),
            unknown=sorted({name for part in parts for name in part.unknown}),
            quoted=sum(part.quoted for part in parts),
        )


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
