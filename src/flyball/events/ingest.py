"""Lines in, events in the log: parsed, checked, flagged, deduplicated, appended; the bad ones into quarantine.

Promises: memory stays the same however long the stream; killed at any time and started again from the beginning,
no event is lost or doubled, since identities decide what is new.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from flyball.core import Stopwatch, SystemStopwatch
from flyball.events.checking import Checked, LineChecker
from flyball.events.early_stop import ENOUGH_AT_THE_END, MostlyBad, Stopped
from flyball.events.formats import BadLine, EventBatch, Parsed, Parser
from flyball.events.inlet import Inlet, LineSource
from flyball.events.lines import MAX_LINE, split_lines
from flyball.events.log import IMPORTED, Record
from flyball.events.quarantine import Quarantined
from flyball.events.schema import Schema


class IngestReport(msgspec.Struct, frozen=True):
    """What became of a stream: `read` = the sums of `accepted` and `quarantined` plus `duplicates`.

    `accepted`: {event type: written}; `flagged`: {event type: written with a reference to an unknown entity};
    `quarantined`: {reason: lines}; `ignored`: columns that no declared field uses. `likely`: what is likely wrong where
    most of the first lines were bad.
    """

    read: int
    accepted: dict[str, int]
    flagged: dict[str, int]
    quarantined: dict[str, int]
    duplicates: int
    seconds: float
    ignored: list[str] = []
    likely: str = ""

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
    """Take in a stream of bytes that may break anywhere (`Format.lines` gives it) and report.

    `progress` is called after each append with the report so far; `between` too, to slow a bulk load down (wait in
    it until consumers have come near). Raises `BadInput` when the stream as a whole cannot be read, `StoreUnavailable`
    when the log cannot take it, and with `stop_early` `Stopped` when most of the first lines are bad: everything
    appended before stays, and the same call again goes on.
    """
    watch = stopwatch or SystemStopwatch()
    start_s = watch.read_s()
    inlet.catalog.catch_up(inlet.log)
    taker, position = _Taker(source, inlet), 1
    tally, first_lines = taker.tally, taker.first_lines
    for lines in split_lines(pieces):
        taker.take(lines, position)
        position += len(lines)
        if progress is not None:
            progress(tally.report(watch.read_s() - start_s))
        if stop_early and (likely := first_lines.finding()):
            raise Stopped(likely, tally.read, sum(tally.accepted.values()), sum(tally.quarantined.values()))
        if between is not None:
            between()
    return tally.report(watch.read_s() - start_s, first_lines.finding(ENOUGH_AT_THE_END))


class LineVerdicts(msgspec.Struct, frozen=True):
    """What became of each event, in order; `ignored`: columns that no declared field uses."""

    verdicts: list[Verdict]
    ignored: tuple[str, ...]


def ingest_lines(lines: Sequence[bytes], source: LineSource, inlet: Inlet) -> LineVerdicts:
    """Take in lines and report for each event what became of it; blank lines and headers have no verdict.

    Have an `Appender` in the inlet to share commits with other callers. What other processes made known since the
    last `EntityCatalog.catch_up` counts as it was noted there.
    """
    taker = _Taker(source, inlet, Tally(verdicts={}))
    taker.take(lines, 1)
    return LineVerdicts(taker.tally.in_order(), tuple(sorted(taker.tally.ignored)))


def ingest_batch(batch: EventBatch, line: Callable[[int], bytes], source: LineSource, inlet: Inlet) -> None:
    """Take in events that were read already, as if each had come as its `line`, which is made only for quarantine."""
    now_us = inlet.clock.now_us()
    checker = LineChecker(inlet.schema, inlet.catalog, source.mode, source.lag_us)
    checked = checker.check_parsed(Parsed([batch], []), len(batch.at), now_us)
    _append(checked, inlet, Tally())
    inlet.quarantine.put(
        [_quarantined(wrong, line(wrong.index)[:MAX_LINE], wrong.index + 1, source, now_us) for wrong in checked.bad]
    )


class _Taker:
    """Takes in the lines of one source."""

    def __init__(self, source: LineSource, inlet: Inlet, tally: "Tally | None" = None) -> None:
        self._source, self._inlet = source, inlet
        self.tally, self.first_lines = tally or Tally(), MostlyBad()
        self._parser = source.format.parser(inlet.schema, source.only)
        self._checker = LineChecker(inlet.schema, inlet.catalog, source.mode, source.lag_us)

    def take(self, lines: Sequence[bytes], first: int) -> None:
        """Append the good ones of `lines`, whose first has position `first`; the bad ones go to quarantine.

        Returns nothing of them: records held while the next ones are made cost 4 to 10 % of the CPU.
        """
        source, now_us = self._source, self._inlet.clock.now_us()
        records, bad = parse_and_append(lines, self._parser, self._checker, self._inlet, self.tally)
        self.first_lines.add((record.type for record in records), bad)
        header = self._parser.header()
        self._inlet.quarantine.put(
            [
                _quarantined(wrong, lines[wrong.index][:MAX_LINE], first + wrong.index, source, now_us, header)
                for wrong in bad
            ]
        )


def _quarantined(
    wrong: BadLine, line: bytes, position: int, source: LineSource, now_us: int, header: bytes = b""
) -> Quarantined:
    lag_us = -1 if source.mode == "live" else source.lag_us
    return Quarantined(
        now_us,
        wrong.reason,
        wrong.detail,
        line,
        source.name,
        position,
        source.format_name,
        source.only or "",
        header,
        lag_us,
    )


def parse_and_append(
    lines: Sequence[bytes], parser: Parser, checker: LineChecker, inlet: Inlet, tally: "Tally"
) -> tuple[list[Record], list[BadLine]]:
    """Parse and check `lines`, append the good ones in one transaction; returns the good and, by line, the bad ones."""
    checked = checker.check(parser, lines, inlet.clock.now_us())
    return _append(checked, inlet, tally), checked.bad


def _append(checked: Checked, inlet: Inlet, tally: "Tally") -> list[Record]:
    """Append the good ones in one transaction, and count all."""
    indices = [index for index, record in enumerate(checked.records) if record is not None]
    records = [record for record in checked.records if record is not None]
    duplicates = set(inlet.appends.append(records).duplicates) if records else set()
    inlet.catalog.learn(records)
    tally.add_records(inlet.schema, indices, records, duplicates)
    tally.add_bad(checked.bad)
    tally.ignored |= checked.ignored
    return records


class Tally:
    """Counts so far; with `verdicts`, also what became of each line."""

    def __init__(self, verdicts: dict[int, Verdict] | None = None) -> None:
        self.accepted: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()
        self.duplicates = 0
        self.ignored: set[str] = set()
        self.verdicts = verdicts

    @property
    def read(self) -> int:
        """Lines that were neither blank nor headers."""
        return sum(self.accepted.values()) + sum(self.quarantined.values()) + self.duplicates

    def add_records(
        self, schema: Schema, indices: Sequence[int], records: Sequence[Record], duplicates: set[int]
    ) -> None:
        new = records if not duplicates else [record for row, record in enumerate(records) if row not in duplicates]
        self.accepted.update([record.type for record in new])
        self.flagged.update([record.type for record in new if record.flags & ~IMPORTED])
        self.duplicates += len(duplicates)
        if self.verdicts is None:
            return
        for row, (index, record) in enumerate(zip(indices, records, strict=True)):
            refs = schema.types[record.type].flagged
            unknown = tuple(field for bit, (field, _) in enumerate(refs) if record.flags >> bit & 1)
            verdict = "duplicate" if row in duplicates else "accepted"
            self.verdicts[index] = Verdict(verdict, type=record.type, id=record.id.hex(), unknown=unknown)

    def add_bad(self, bad: Sequence[BadLine]) -> None:
        self.quarantined.update([line.reason for line in bad])
        if self.verdicts is not None:
            self.verdicts.update({line.index: Verdict("quarantined", line.reason, line.detail) for line in bad})

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
        )
