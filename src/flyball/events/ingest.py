"""Ingests lines: parses, checks, flags, deduplicates and appends them; bad lines go to quarantine.

Promises: constant memory, however long the stream; after a kill at any time and a restart from the beginning no event
is lost or duplicated, since identities decide what is new.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from flyball.core import Stopwatch, SystemStopwatch
from flyball.events.batches import source_with_batch
from flyball.events.checking import Checked, LineChecker
from flyball.events.client_ids import CONFLICT
from flyball.events.early_stop import ENOUGH_AT_THE_END, MostlyBad, Stopped
from flyball.events.erased import ERASED
from flyball.events.formats import KEPT_NOWHERE, NOT_ALLOWED, BadLine, EventBatch, Parsed, Parser
from flyball.events.inlet import Inlet, LineSource
from flyball.events.lines import MAX_LINE, split_lines
from flyball.events.log import IMPORTED, Appended, Record
from flyball.events.quarantine import Quarantined
from flyball.events.schema import Schema
from flyball.events.source_names import SOURCE_FLAGS

MAX_IGNORED = 100
"""Columns that no field uses, of which a report names no more."""


class IngestReport(msgspec.Struct, frozen=True):
    """The counts of an ingested stream: `read` = the sums of `accepted` and `quarantined` plus `duplicates` and
    `erased`.

    `accepted`: {event type: written}; `flagged`: {event type: written with a reference to an unknown entity};
    `quarantined`: {reason: lines}; `erased`: lines about people who were erased, kept nowhere; `ignored`: columns that
    no declared field uses, at most `MAX_IGNORED`; `likely`: the likely cause when most of the first lines were bad.
    """

    read: int
    accepted: dict[str, int]
    flagged: dict[str, int]
    quarantined: dict[str, int]
    duplicates: int
    seconds: float
    ignored: list[str] = []
    likely: str = ""
    erased: int = 0

    @property
    def events_per_s(self) -> float:
        """Lines read per second."""
        return self.read / self.seconds if self.seconds else 0.0


class Verdict(msgspec.Struct, frozen=True):
    """The result of one line: "accepted", "duplicate", "quarantined", "erased" or "not_allowed"; `unknown` names
    references to unknown entities."""

    verdict: str
    reason: str = ""
    detail: str = ""
    type: str = ""
    id: str = ""
    unknown: tuple[str, ...] = ()


def ingest(
    pieces: Iterable[bytes],
    source: LineSource,
    inlet: Inlet,
    *,
    stop_early: bool = False,
    progress: Callable[[IngestReport], None] | None = None,
    between: Callable[[], None] | None = None,
    stopwatch: Stopwatch | None = None,
) -> IngestReport:
    """Ingest a stream of bytes in chunks that may break anywhere (as `Format.lines` yields them).

    `progress` is called after each append with the report so far; so is `between`, which may wait until consumers have
    caught up. Raises `BadInput` when the stream as a whole cannot be read, `StoreUnavailable` when the log cannot be
    written, and with `stop_early` `Stopped` when most of the first lines are bad. What was appended before stays in the
    log, and the same call continues.
    """
    watch = stopwatch or SystemStopwatch()
    start_s = watch.read_s()
    inlet.catalog.catch_up(inlet.log)
    taker, position = LineTaker(source, inlet), 1
    tally, first_lines = taker.tally, taker.first_lines
    for lines in split_lines(pieces):
        taker.take(lines, range(position, position + len(lines)))
        position += len(lines)
        if progress is not None:
            progress(tally.report(watch.read_s() - start_s))
        if stop_early and (likely := first_lines.finding()):
            raise Stopped(likely, tally.read, sum(tally.accepted.values()), sum(tally.quarantined.values()))
        if between is not None:
            between()
    return tally.report(watch.read_s() - start_s, first_lines.finding(ENOUGH_AT_THE_END))


class LineVerdicts(msgspec.Struct, frozen=True):
    """The result of each line, in order; `ignored`: columns that no declared field uses."""

    verdicts: list[Verdict]
    ignored: tuple[str, ...]


def ingest_lines(lines: Sequence[bytes], source: LineSource, inlet: Inlet) -> LineVerdicts:
    """Ingest lines and return a verdict for each event; blank lines and headers have none.

    Use an inlet with an `Appender` to share commits with other callers. Entities that other processes made known since
    the last `EntityCatalog.catch_up` may still count as unknown.
    """
    taker = LineTaker(source, inlet, Tally(verdicts={}))
    taker.take(lines, range(1, len(lines) + 1))
    return LineVerdicts(taker.tally.in_order(), tuple(sorted(taker.tally.ignored)))


def ingest_batch(batch: EventBatch, line: Callable[[int], bytes], source: LineSource, inlet: Inlet) -> None:
    """Ingest events that are parsed already. `line(i)`: the text of event i, called only for lines that go to
    quarantine."""
    now_us = inlet.clock.now_us()
    checker = _checker(inlet, source)
    checked = checker.check_parsed(Parsed([batch], []), len(batch.at), now_us)
    with _none_erased_meanwhile(inlet):
        _, bad = _append(_without_named_lines(checked, line, inlet), inlet, Tally())
        inlet.quarantine.put(
            [
                _quarantined(wrong, line(wrong.index)[:MAX_LINE], wrong.index + 1, source, now_us)
                for wrong in bad
                if wrong.reason not in KEPT_NOWHERE
            ]
        )


def _none_erased_meanwhile(inlet: Inlet) -> AbstractContextManager[None]:
    """The time from the check whether people were erased until what was checked is stored."""
    return nullcontext() if inlet.erased is None else inlet.erased.holding()


def _checker(inlet: Inlet, source: LineSource) -> LineChecker:
    """What checks the lines of a source, whose name is noted."""
    if inlet.sources is not None:
        inlet.sources.note(source.label or source.name)
    label = source.label or source.name
    return LineChecker(
        inlet.schema,
        inlet.catalog,
        source.mode,
        source.lag_us,
        source=label,
        key=source.key,
        batch=source.batch,
        types=source.types,
    )


class LineTaker:
    """Ingests the lines of one source."""

    def __init__(
        self, source: LineSource, inlet: Inlet, tally: "Tally | None" = None, parser: Parser | None = None
    ) -> None:
        self._source, self._inlet = source, inlet
        self.tally, self.first_lines = tally or Tally(), MostlyBad()
        self._parser = source.format.parser(inlet.schema, source.only) if parser is None else parser
        self._checker = _checker(inlet, source)

    def take(self, lines: Sequence[bytes], positions: Sequence[int], name: str = "") -> None:
        """Append the valid lines; the bad ones go to quarantine. `name`: of the source, where it has several.

        Returns no records: keeping them while the next ones are made costs 4 to 10 % of the CPU.
        """
        source, now_us = self._source, self._inlet.clock.now_us()
        source = msgspec.structs.replace(source, name=name) if name else source
        checked, inlet = self._checker.check(self._parser, lines, now_us), self._inlet
        header = self._parser.header()
        with _none_erased_meanwhile(inlet):
            records, bad = _append(_without_named_lines(checked, lines.__getitem__, inlet, header), inlet, self.tally)
            inlet.quarantine.put(
                [
                    _quarantined(wrong, lines[wrong.index][:MAX_LINE], positions[wrong.index], source, now_us, header)
                    for wrong in bad
                    if wrong.reason not in KEPT_NOWHERE
                ]
            )
        self.first_lines.add((record.type for record in records), bad)


def _quarantined(
    wrong: BadLine, line: bytes, position: int, source: LineSource, now_us: int, header: bytes = b""
) -> Quarantined:
    lag_us = -1 if source.mode == "live" else source.lag_us
    return Quarantined(
        now_us,
        wrong.reason,
        wrong.detail,
        line,
        source_with_batch(source.name, source.batch),
        position,
        source.format_name,
        source.only or "",
        header,
        lag_us,
    )


def parse_and_append(
    lines: Sequence[bytes], parser: Parser, checker: LineChecker, inlet: Inlet, tally: "Tally"
) -> tuple[list[Record], list[BadLine]]:
    """Parse and check `lines` and append the valid ones in one transaction; returns the records and the bad lines."""
    checked = checker.check(parser, lines, inlet.clock.now_us())
    with _none_erased_meanwhile(inlet):
        return _append(checked, inlet, tally)


def _append(checked: Checked, inlet: Inlet, tally: "Tally") -> tuple[list[Record], list[BadLine]]:
    """Append the valid records in one transaction, and count all lines; returns the records and the bad lines."""
    refused = [] if inlet.erased is None else inlet.erased.among(inlet.schema, checked.records)
    if refused:
        checked = _without_erased(checked, refused)
    indices = [index for index, record in enumerate(checked.records) if record is not None]
    records = [record for record in checked.records if record is not None]
    appended = inlet.appends.append(records) if records else Appended(0, [])
    duplicates, bad = set(appended.duplicates), checked.bad
    if appended.conflicts:
        wrong = set(appended.conflicts)
        bad = [*bad, *(BadLine(indices[row], "conflict", CONFLICT, records[row].type) for row in wrong)]
        bad.sort(key=lambda line: line.index)
        kept = [row for row in range(len(records)) if row not in wrong]
        duplicates = {number for number, row in enumerate(kept) if row in duplicates}
        indices, records = [indices[row] for row in kept], [records[row] for row in kept]
    inlet.catalog.learn(records)
    tally.add_records(inlet.schema, indices, records, duplicates)
    tally.add_bad(bad)
    tally.add_ignored(checked.ignored)
    return records, bad


def _without_erased(checked: Checked, refused: Sequence[int]) -> Checked:
    """What was checked without events of people who were erased: bad lines whose content nobody keeps."""
    records = list(checked.records)
    wrong = list(checked.bad)
    for index in refused:
        record = records[index]
        if record is not None:
            wrong.append(BadLine(index, ERASED, _WAS_ERASED, record.type))
            records[index] = None
    wrong.sort(key=lambda line: line.index)
    return msgspec.structs.replace(checked, records=records, bad=wrong)


def _without_named_lines(checked: Checked, line: Callable[[int], bytes], inlet: Inlet, header: bytes = b"") -> Checked:
    """What was checked, with bad lines that name somebody who was erased counted as such: nobody keeps their content.
    `header`: the one of the lines, where they have one."""
    kept = [number for number, wrong in enumerate(checked.bad) if wrong.reason not in KEPT_NOWHERE]
    if inlet.erased is None or not kept:
        return checked
    named = inlet.erased.among_lines(inlet.schema, [line(checked.bad[number].index) for number in kept], header)
    if not named:
        return checked
    bad = list(checked.bad)
    for number in map(kept.__getitem__, named):
        bad[number] = BadLine(bad[number].index, ERASED, _LINE_WAS_ERASED)
    return msgspec.structs.replace(checked, bad=bad)


_LINE_WAS_ERASED = "is no valid event, and names somebody who was erased; it is counted and kept nowhere"
_WAS_ERASED = "names somebody who was erased after it had happened; it is counted and kept nowhere"


class Tally:
    """The counts so far; with `verdicts`, also the result of each line."""

    def __init__(self, verdicts: dict[int, Verdict] | None = None) -> None:
        self.accepted: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()
        self.duplicates, self.erased, self.not_allowed = 0, 0, 0
        self.ignored: set[str] = set()
        self.verdicts = verdicts

    @property
    def read(self) -> int:
        """Lines that were neither blank nor headers."""
        kept = sum(self.accepted.values()) + sum(self.quarantined.values()) + self.duplicates
        return kept + self.erased + self.not_allowed

    def add_records(
        self, schema: Schema, indices: Sequence[int], records: Sequence[Record], duplicates: set[int]
    ) -> None:
        new = records if not duplicates else [record for row, record in enumerate(records) if row not in duplicates]
        self.accepted.update([record.type for record in new])
        self.flagged.update([record.type for record in new if record.flags & ~(IMPORTED | SOURCE_FLAGS)])
        self.duplicates += len(duplicates)
        if self.verdicts is None:
            return
        for row, (index, record) in enumerate(zip(indices, records, strict=True)):
            refs = schema.types[record.type].flagged
            unknown = tuple(field for bit, (field, _) in enumerate(refs) if record.flags >> bit & 1)
            verdict = "duplicate" if row in duplicates else "accepted"
            self.verdicts[index] = Verdict(verdict, type=record.type, id=record.id.hex(), unknown=unknown)

    def add_bad(self, bad: Sequence[BadLine]) -> None:
        self.quarantined.update([line.reason for line in bad if line.reason not in KEPT_NOWHERE])
        self.erased += sum(line.reason == ERASED for line in bad)
        self.not_allowed += sum(line.reason == NOT_ALLOWED for line in bad)
        if self.verdicts is not None:
            for line in bad:
                verdict = line.reason if line.reason in KEPT_NOWHERE else "quarantined"
                kind = line.type if line.reason == NOT_ALLOWED else ""
                self.verdicts[line.index] = Verdict(verdict, line.reason, line.detail, kind)

    def add_ignored(self, names: Iterable[str]) -> None:
        """Note columns that no field uses, up to `MAX_IGNORED`: each line may have other ones."""
        for name in sorted(names):
            if len(self.ignored) >= MAX_IGNORED:
                return
            self.ignored.add(name)

    def in_order(self) -> list[Verdict]:
        """The verdicts by line."""
        verdicts = self.verdicts or {}
        return [verdicts[index] for index in sorted(verdicts)]

    def report(self, seconds: float, likely: str = "") -> IngestReport:
        return IngestReport(
            self.read,
            dict(self.accepted),
            dict(self.flagged),
            dict(self.quarantined),
            self.duplicates,
            seconds,
            sorted(self.ignored),
            likely,
            self.erased,
        )
