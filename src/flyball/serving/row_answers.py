"""Answers rows of a file with the present release, without a service: here, or in a task of `compute`.

Promises: the same rows at the same time give the same answers, wherever they are computed.
"""

import contextlib
import gc
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from flyball.app import AppSource
from flyball.core import BadInput, ManualClock, SystemStopwatch, find_zone
from flyball.events import FIRST_US, LAST_US, Offsets, TimeReader
from flyball.releases import current
from flyball.runtime import Runtime, open_runtime
from flyball.serving.answer_parts import FileRow, columns_of, write_rows
from flyball.serving.answering.engine import LevelAnswer, holds_any
from flyball.serving.answering.request import RequestReader
from flyball.serving.metrics import ServingMetrics
from flyball.serving.versions.refresher import Refresher
from flyball.settings import Settings


class BadRow(msgspec.Struct, frozen=True):
    """What stands in the place of a row that cannot be read, and why."""

    reason: str


class PartNote(msgspec.Struct):
    """What is known of a written part."""

    rows: int = 0
    failed: int = 0
    first_failure: str = ""
    levels: dict[str, int] = {}
    versions: dict[str, int] = {}
    offsets: list[list[int]] = []
    unknown: list[str] = []
    quoted: int = 0


class RowAnswerer:
    """Answers requests with the present release; those that name no time are made at `now_us`."""

    def __init__(self, runtime: Runtime, now_us: int) -> None:
        self._runtime, about = runtime, runtime.app.task.about
        self._clock = ManualClock(now_us)
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

    def answers(self, read: Sequence[FileRow | BadRow], part: int) -> tuple[list[FileRow], PartNote]:
        """The rows with their answers, and the description of the part."""
        reader = RequestReader(self._about.request, self._clock, random.Random(part))
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
        note = PartNote(len(rows), len(failures), next(iter(failures.values()), ""))
        note.unknown = sorted(set(columns_of(rows)) - {*self._fields, "at"})
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


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
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


def write_answers(
    answerer: RowAnswerer, rows: Sequence[FileRow | BadRow], number: int, path: Path, format: str, as_is: bool
) -> PartNote:
    """Answer the rows of part `number` and write them to `path`."""
    with without_collector():
        answered, note = answerer.answers(rows, number)
        note.quoted = write_rows(path, format, answered, as_is)
    return note


def answer_rows(
    source: AppSource,
    settings: Settings,
    now_us: int,
    rows: Sequence[FileRow | BadRow],
    number: int,
    format: str,
    as_is: bool,
) -> tuple[bytes, PartNote]:
    """As a task: the bytes of the written part, and its note. Only what it reads from stores must be reachable."""
    runtime = open_runtime(source, settings, ManualClock(now_us))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"part.{format}"
        note = write_answers(RowAnswerer(runtime, now_us), rows, number, path, format, as_is)
        return path.read_bytes(), note
