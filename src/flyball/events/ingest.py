"""Lines in, events in the log: parsed, checked, flagged, deduplicated, appended; the bad ones into quarantine.

Promises: memory stays the same however long the stream; killed at any instant and started again from the beginning,
no event is lost or doubled, since identities decide what is new.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from flyball.core import Clock, Stopwatch, SystemStopwatch
from flyball.events.catalog import Catalogue
from flyball.events.checks import Known, Rejected
from flyball.events.formats import BadLine, EventBatch, Format, Parser
from flyball.events.lines import MAX_LINE, split_lines
from flyball.events.log import IMPORTED, Appends, EventLog, Record
from flyball.events.quarantine import Quarantine, Quarantined
from flyball.events.schema import Schema

IngestMode = Literal["live", "history"]


class IngestReport(msgspec.Struct, frozen=True):
    """What became of a stream: `read` = the sums of `accepted` and `quarantined` plus `duplicates`.

    `accepted`: {event type: written}; `flagged`: {event type: written with a reference to an unknown entity};
    `quarantined`: {reason: lines}; `ignored`: columns that no declared field uses.
    """

    read: int
    accepted: dict[str, int]
    flagged: dict[str, int]
    quarantined: dict[str, int]
    duplicates: int
    seconds: float
    ignored: list[str] = []

    @property
    def events_per_s(self) -> float:
        """Lines read a second."""
        return self.read / self.seconds if self.seconds else 0.0


class Verdict(msgspec.Struct, frozen=True):
    """What became of one line: "accepted", "duplicate" or "quarantined"; `flags` names unknown references."""

    verdict: str
    reason: str = ""
    detail: str = ""
    type: str = ""
    id: str = ""
    unknown: tuple[str, ...] = ()


class Inlet(msgspec.Struct, frozen=True):
    """Where events go in: what checks them, what keeps them, and how they become known.

    `lag_us`: of history, from `at` to `known_at`. `ages`: whether live events may be too old. None may lie ahead.
    """

    schema: Schema
    log: Appends
    catalogue: Catalogue
    clock: Clock
    mode: IngestMode
    lag_us: int = 0
    ages: bool = True


class LineSource(msgspec.Struct, frozen=True):
    """Where lines come from, and how they are to be read; kept with every bad one. `lag_us`: -1 when live."""

    source: str
    format_name: str
    only: str
    lag_us: int


def ingest(
    pieces: Iterable[bytes],
    *,
    format: Format,
    schema: Schema,
    log: EventLog,
    quarantine: Quarantine,
    catalogue: Catalogue,
    clock: Clock,
    mode: IngestMode,
    lag_us: int = 0,
    source: str,
    format_name: str = "",
    only: str | None = None,
    progress: Callable[[IngestReport], None] | None = None,
    between: Callable[[], None] | None = None,
    stopwatch: Stopwatch | None = None,
) -> IngestReport:
    """Take in a stream of bytes that may break anywhere (`Format.lines` gives it) and report.

    `progress` is called after each append with the report so far; `between` too, to slow a bulk load down (wait in
    it until consumers have come near). Raises `BadInput` when the stream as a whole cannot be read, `StoreUnavailable`
    when the log cannot take it: everything appended before stays, and the same call again goes on.
    """
    watch = stopwatch or SystemStopwatch()
    start_s = watch.read_s()
    inlet = Inlet(schema, log, catalogue, clock, mode, lag_us)
    origin = LineSource(source, format_name, only or "", -1 if mode == "live" else lag_us)
    catalogue.catch_up(log)
    tally = Tally()
    parser = format.parser(schema, only)
    position = 1
    for lines in split_lines(pieces):
        _take(inlet, parser, lines, origin, position, quarantine, tally)
        position += len(lines)
        if progress is not None:
            progress(tally.report(watch.read_s() - start_s))
        if between is not None:
            between()
    return tally.report(watch.read_s() - start_s)


def ingest_lines(
    lines: Sequence[bytes],
    *,
    format: Format,
    schema: Schema,
    log: Appends,
    quarantine: Quarantine,
    catalogue: Catalogue,
    clock: Clock,
    mode: IngestMode = "live",
    lag_us: int = 0,
    source: str,
    format_name: str = "",
    only: str | None = None,
) -> list[Verdict]:
    """Take in lines and tell for each event what became of it, in order; blank lines and headers have no verdict.

    Hand an `Appender` as `log` to share commits with other callers. What other processes made known since the last
    `Catalogue.catch_up` counts as it was noted there.
    """
    inlet = Inlet(schema, log, catalogue, clock, mode, lag_us)
    origin = LineSource(source, format_name, only or "", -1 if mode == "live" else lag_us)
    tally = Tally(verdicts={})
    _take(inlet, format.parser(schema, only), lines, origin, 1, quarantine, tally)
    return tally.in_order()


def _take(
    inlet: Inlet,
    parser: Parser,
    lines: Sequence[bytes],
    origin: LineSource,
    first: int,
    quarantine: Quarantine,
    tally: "Tally",
) -> None:
    """Take in `lines`, whose first has position `first` in its source; the bad ones go to quarantine."""
    now_us = inlet.clock.now_us()
    bad = parse_and_append(inlet, parser, lines, tally)
    quarantine.put(
        [
            Quarantined(
                now_us,
                one.reason,
                one.detail,
                lines[one.index][:MAX_LINE],
                origin.source,
                first + one.index,
                origin.format_name,
                origin.only,
                parser.header(),
                origin.lag_us,
            )
            for one in bad
        ]
    )


def parse_and_append(inlet: Inlet, parser: Parser, lines: Sequence[bytes], tally: "Tally") -> list[BadLine]:
    """Parse and check `lines`, append the good ones in one transaction, return the bad ones by line."""
    now_us = inlet.clock.now_us()
    bad: list[BadLine] = []
    if max(map(len, lines), default=0) > MAX_LINE:
        detail = f"line must be at most {MAX_LINE} bytes"
        bad = [BadLine(index, "too_long", detail) for index, line in enumerate(lines) if len(line) > MAX_LINE]
    parsed = parser.parse([b"" if len(line) > MAX_LINE else line for line in lines] if bad else lines)
    bad += parsed.bad
    slots = _check(inlet, parsed.batches, len(lines), now_us, bad)
    indices = [index for index, record in enumerate(slots) if record is not None]
    records = [record for record in slots if record is not None]
    repeats = set(inlet.log.append(records).duplicates) if records else set()
    inlet.catalogue.learn(records)
    tally.add_records(inlet.schema, indices, records, repeats)
    tally.add_bad(bad)
    tally.ignored |= parsed.ignored
    return sorted(bad, key=lambda one: one.index)


def _check(
    inlet: Inlet, batches: Sequence[EventBatch], lines: int, now_us: int, bad: list[BadLine]
) -> list[Record | None]:
    """The records by line; rejections go to `bad`. What makes entities known is checked first: it counts at once."""
    slots: list[Record | None] = [None] * lines
    known: Known = inlet.catalogue.known()
    makers = inlet.catalogue.makers
    live = inlet.mode == "live"
    for batch in sorted(batches, key=lambda batch: batch.type not in makers):
        ats: Sequence[Any] = batch.at
        if None in batch.at:
            ats = _missing_times(batch, inlet, now_us)
        known_ats = [now_us] * len(ats) if live else [at + inlet.lag_us if type(at) is int else now_us for at in ats]
        records, rejected = inlet.schema.check_many(
            batch.type,
            batch.fields,
            batch.columns,
            ats,
            known_ats,
            flags=0 if live else IMPORTED,
            live=live and inlet.ages,
            lax=batch.lax,
            known=inlet.catalogue.without_own(known, batch.type),
        )
        if not (live and inlet.ages):
            _refuse_future(records, rejected, now_us, inlet.schema.future_us)
        bad += [BadLine(batch.index[place], error.reason, error.detail) for place, error in rejected]
        if len(records) == lines:
            slots = records
        else:
            for index, record in zip(batch.index, records, strict=True):
                slots[index] = record
        if batch.type in makers:
            known = inlet.catalogue.with_new(known, [record for record in records if record is not None])
    return slots


def _refuse_future(
    records: list[Record | None], rejected: list[tuple[int, Rejected]], now_us: int, future_us: int
) -> None:
    """What has not happened yet is no history either: a line with a wrong year would be the latest for decades."""
    latest_us = now_us + future_us
    for place, record in enumerate(records):
        if record is not None and record.at > latest_us:
            detail = f"time must be at most {future_us} us after {now_us} us, which is now, got {record.at} us"
            records[place] = None
            rejected.append((place, Rejected("future", detail)))


def _missing_times(batch: EventBatch, inlet: Inlet, now_us: int) -> list[Any]:
    """An event without a time happened now when live; a profile of history is known since ever."""
    declared = inlet.schema.types.get(batch.type)
    if inlet.mode == "live":
        missing: Any = now_us
    else:
        missing = 0 if declared is not None and declared.is_profile else None
    return [missing if at is None else at for at in batch.at]


class Tally:
    """Counts so far; with `verdicts`, also what became of each line."""

    def __init__(self, verdicts: dict[int, Verdict] | None = None) -> None:
        self.accepted: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()
        self.duplicates = 0
        self.ignored: set[str] = set()
        self.verdicts = verdicts

    def add_records(self, schema: Schema, indices: Sequence[int], records: Sequence[Record], repeats: set[int]) -> None:
        new = records if not repeats else [record for place, record in enumerate(records) if place not in repeats]
        self.accepted.update([record.type for record in new])
        self.flagged.update([record.type for record in new if record.flags & ~IMPORTED])
        self.duplicates += len(repeats)
        if self.verdicts is None:
            return
        for place, (index, record) in enumerate(zip(indices, records, strict=True)):
            refs = schema.types[record.type].refs
            unknown = tuple(field for bit, (field, _) in enumerate(refs) if record.flags >> bit & 1)
            verdict = "duplicate" if place in repeats else "accepted"
            self.verdicts[index] = Verdict(verdict, type=record.type, id=record.id.hex(), unknown=unknown)

    def add_bad(self, bad: Sequence[BadLine]) -> None:
        self.quarantined.update([one.reason for one in bad])
        if self.verdicts is not None:
            self.verdicts.update({one.index: Verdict("quarantined", one.reason, one.detail) for one in bad})

    def in_order(self) -> list[Verdict]:
        """The verdicts by line."""
        verdicts = self.verdicts or {}
        return [verdicts[index] for index in sorted(verdicts)]

    def report(self, seconds: float) -> IngestReport:
        read = sum(self.accepted.values()) + sum(self.quarantined.values()) + self.duplicates
        return IngestReport(
            read,
            dict(self.accepted),
            dict(self.flagged),
            dict(self.quarantined),
            self.duplicates,
            seconds,
            sorted(self.ignored),
        )
