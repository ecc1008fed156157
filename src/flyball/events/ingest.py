"""Lines in, events in the log: parsed, checked, flagged, deduplicated, appended; the bad ones into quarantine.

Promises: memory stays the same however long the stream; killed at any instant and started again from the beginning,
no event is lost or doubled, since identities decide what is new.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from flyball.core import Clock, Stopwatch, SystemStopwatch
from flyball.events.catalogue import Catalogue
from flyball.events.checks import Known
from flyball.events.formats import Batch, Format, Parser
from flyball.events.log import EventLog, Record
from flyball.events.quarantine import Quarantine, Quarantined
from flyball.events.schema import Schema

Mode = Literal["live", "history"]

MAX_LINE = 65_536
"""Bytes; a longer line goes to quarantine cut to this length."""

_CHUNK = 4_096
"""Lines that are appended at once: few enough that their objects stay in the processor's caches."""


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
    """Where events go in: what checks them and what keeps them. `lag_us`: of history, from `at` to `known_at`."""

    schema: Schema
    log: EventLog
    quarantine: Quarantine
    catalogue: Catalogue
    clock: Clock
    mode: Mode = "live"
    lag_us: int = 0


def ingest(
    pieces: Iterable[bytes],
    *,
    format: Format,
    schema: Schema,
    log: EventLog,
    quarantine: Quarantine,
    catalogue: Catalogue,
    clock: Clock,
    mode: Mode,
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
    it until followers have come near). Raises `BadInput` when the stream as a whole cannot be read, `StoreUnavailable`
    when the log cannot take it: everything appended before stays, and the same call again goes on.
    """
    watch = stopwatch or SystemStopwatch()
    start_s = watch.read_s()
    inlet = Inlet(schema, log, quarantine, catalogue, clock, mode, lag_us)
    catalogue.catch_up(log)
    tally = _Tally()
    parser = format.parser(schema, only)
    position = 0
    for lines in split_lines(pieces):
        take(inlet, parser, lines, source=source, first=position + 1, format_name=format_name, only=only, tally=tally)
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
    log: EventLog,
    quarantine: Quarantine,
    catalogue: Catalogue,
    clock: Clock,
    mode: Mode = "live",
    lag_us: int = 0,
    source: str,
    format_name: str = "",
    only: str | None = None,
) -> list[Verdict]:
    """Take in lines and tell for each event what became of it, in order; blank lines and headers have no verdict.

    `log` needs only `append` here: hand an `Appender` to share commits with other callers.
    """
    inlet = Inlet(schema, log, quarantine, catalogue, clock, mode, lag_us)
    tally = _Tally(verdicts={})
    held = [line if len(line) <= MAX_LINE else line[: MAX_LINE + 1] for line in lines]
    parser = format.parser(schema, only)
    take(inlet, parser, held, source=source, first=1, format_name=format_name, only=only, tally=tally)
    verdicts = tally.verdicts or {}
    return [verdicts[index] for index in sorted(verdicts)]


def take(
    inlet: Inlet,
    parser: Parser,
    lines: Sequence[bytes],
    *,
    source: str,
    first: int,
    format_name: str,
    only: str | None,
    tally: "_Tally",
) -> None:
    """Parse, check and append `lines`, whose first has position `first` in the source, in one transaction."""
    now_us = inlet.clock.now_us()
    long = (
        [index for index, line in enumerate(lines) if len(line) > MAX_LINE]
        if max(map(len, lines), default=0) > MAX_LINE
        else []
    )
    readable = lines if not long else [b"" if len(line) > MAX_LINE else line for line in lines]
    parsed = parser.parse(readable)
    bad = [(index, "too_long", f"line must be at most {MAX_LINE} bytes") for index in long]
    bad += [(one.index, one.reason, one.detail) for one in parsed.bad]
    tally.ignored |= parsed.ignored
    slots = _check(inlet, parsed.batches, len(lines), now_us, bad)
    _append(inlet, slots, tally)
    entries = [
        Quarantined(
            now_us,
            reason,
            detail,
            lines[index][:MAX_LINE],
            source,
            first + index,
            format_name,
            only or "",
            parser.header(),
        )
        for index, reason, detail in sorted(bad)
    ]
    inlet.quarantine.put(entries)
    tally.add_bad(bad)


def split_lines(pieces: Iterable[bytes], chunk: int = _CHUNK) -> Iterator[list[bytes]]:
    """Lists of up to `chunk` lines without their ends (LF or CR LF), a byte order mark at the start taken off.

    A line beyond `MAX_LINE` comes cut to one byte more, so that its length shows.
    """
    rest = b""
    skipping = False
    start = True
    for piece in pieces:
        if start and piece:
            piece, start = piece.removeprefix(b"\xef\xbb\xbf"), False
        lines = piece.replace(b"\r\n", b"\n").split(b"\n")
        if rest.endswith(b"\r") and piece.startswith(b"\n"):
            rest = rest[:-1]
        lines[0] = rest + lines[0]
        rest = lines.pop()
        if lines and skipping:
            del lines[0]
            skipping = False
        if skipping:
            rest = b""
        elif len(rest) > MAX_LINE + 1:
            lines.append(rest)
            rest, skipping = b"", True
        for begin in range(0, len(lines), chunk):
            yield _limited(lines[begin : begin + chunk])
    if rest:
        yield _limited([rest.removesuffix(b"\r")])


def _limited(lines: list[bytes]) -> list[bytes]:
    if max(map(len, lines)) <= MAX_LINE:
        return lines
    return [line[: MAX_LINE + 1] for line in lines]


def _check(
    inlet: Inlet, batches: Sequence[Batch], lines: int, now_us: int, bad: list[tuple[int, str, str]]
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
            live=live,
            lax=batch.lax,
            known=inlet.catalogue.without_own(known, batch.type),
        )
        bad += [(batch.index[place], error.reason, error.detail) for place, error in rejected]
        if len(records) == lines:
            slots = records
        else:
            for index, record in zip(batch.index, records, strict=True):
                slots[index] = record
        if batch.type in makers:
            known = inlet.catalogue.with_new(known, [record for record in records if record is not None])
    return slots


def _missing_times(batch: Batch, inlet: Inlet, now_us: int) -> list[Any]:
    """An event without a time happened now when live; a profile of history is known since ever."""
    declared = inlet.schema.types.get(batch.type)
    if inlet.mode == "live":
        missing: Any = now_us
    else:
        missing = 0 if declared is not None and declared.is_profile else None
    return [missing if at is None else at for at in batch.at]


def _append(inlet: Inlet, slots: Sequence[Record | None], tally: "_Tally") -> None:
    indices = [index for index, record in enumerate(slots) if record is not None]
    records = [record for record in slots if record is not None]
    repeats = set(inlet.log.append(records).duplicates) if records else set()
    inlet.catalogue.learn(records)
    tally.add_records(inlet.schema, indices, records, repeats)


class _Tally:
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
        self.flagged.update([record.type for record in new if record.flags])
        self.duplicates += len(repeats)
        if self.verdicts is None:
            return
        for place, (index, record) in enumerate(zip(indices, records, strict=True)):
            refs = schema.types[record.type].refs
            unknown = tuple(field for bit, (field, _) in enumerate(refs) if record.flags >> bit & 1)
            verdict = "duplicate" if place in repeats else "accepted"
            self.verdicts[index] = Verdict(verdict, type=record.type, id=record.id.hex(), unknown=unknown)

    def add_bad(self, bad: Sequence[tuple[int, str, str]]) -> None:
        self.quarantined.update(Counter(reason for _, reason, _ in bad))
        if self.verdicts is not None:
            self.verdicts.update({index: Verdict("quarantined", reason, detail) for index, reason, detail in bad})

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
