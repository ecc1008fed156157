"""Parses and checks lines into records and bad lines with reasons. Writes nothing."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from flyball.events.catalog import EntityCatalog
from flyball.events.checks import Known
from flyball.events.client_ids import name_in_request
from flyball.events.formats import NOT_ALLOWED, BadLine, EventBatch, Parsed, Parser
from flyball.events.inlet import IngestMode
from flyball.events.lines import MAX_LINE
from flyball.events.log import IMPORTED, Record
from flyball.events.rejection import Rejection, future_text
from flyball.events.schema import Schema
from flyball.events.source_names import source_flags


class Checked(msgspec.Struct, frozen=True):
    """`records[i]`: of line i, None for a bad or blank line or a header. `ignored`: columns that no field uses."""

    records: list[Record | None]
    bad: list[BadLine]
    ignored: frozenset[str]


class LineChecker(msgspec.Struct, frozen=True):
    """Checks lines against a schema. Without a `catalog` every reference counts as known.

    `lag_us`: of history, from `at` to `known_at`. `ages`: whether live events may be rejected as too old. Events in the
    future are always rejected. `source`: where they come from, "" for nowhere in particular.
    `key`: under which the request with all of the lines may come again. `batch`: with which they are ingested. `types`:
    as in `LineSource`.
    """

    schema: Schema
    catalog: EntityCatalog | None
    mode: IngestMode
    lag_us: int = 0
    ages: bool = True
    source: str = ""
    key: str = ""
    batch: str = ""
    types: tuple[str, ...] = ()

    def check(self, parser: Parser, lines: Sequence[bytes], now_us: int) -> Checked:
        """The records and bad lines among `lines`, checked at time `now_us`."""
        bad: list[BadLine] = []
        if max(map(len, lines), default=0) > MAX_LINE:
            detail = f"line must be at most {MAX_LINE} bytes"
            bad = [BadLine(index, "too_long", detail) for index, line in enumerate(lines) if len(line) > MAX_LINE]
        parsed = parser.parse([b"" if len(line) > MAX_LINE else line for line in lines] if bad else lines)
        parsed = Parsed(parsed.batches, bad + parsed.bad, parsed.ignored)
        return self.check_parsed(parsed if not self.types else self._allowed(parsed), len(lines), now_us)

    def check_parsed(self, parsed: Parsed, lines: int, now_us: int) -> Checked:
        """As `check`, for `lines` lines that are parsed already."""
        bad = list(parsed.bad)
        records = self._records(parsed.batches, lines, now_us, bad)
        return Checked(records, sorted(bad, key=lambda line: line.index), parsed.ignored)

    def _allowed(self, parsed: Parsed) -> Parsed:
        """What was parsed, with lines of other types than `types` as bad ones, and those whose type cannot be read:
        kept in quarantine, they would be events of any type as soon as another declaration can read them."""
        former = {name: declared.name for declared in self.schema.types.values() for name in declared.former}
        may = {name if name in self.schema.types else former.get(name, name) for name in self.types}
        bad = [
            wrong
            if wrong.type in may
            else self._refused(wrong.index, wrong.type, wrong.type or f"none that can be read: {wrong.detail}")
            for wrong in parsed.bad
        ]
        others = [batch for batch in parsed.batches if batch.type not in may]
        bad += [self._refused(index, batch.type, batch.type) for batch in others for index in batch.index]
        return Parsed([batch for batch in parsed.batches if batch.type in may], bad, parsed.ignored)

    def _refused(self, index: int, name: str, got: str) -> BadLine:
        return BadLine(index, NOT_ALLOWED, f"event type must be {' or '.join(self.types)}, got {got}", name)

    def _records(
        self, batches: Sequence[EventBatch], lines: int, now_us: int, bad: list[BadLine]
    ) -> list[Record | None]:
        """The records by line; rejections are added to `bad`. Events that make entities known are checked first, so
        that they count for the others."""
        by_line: list[Record | None] = [None] * lines
        catalog = self.catalog
        known: Known = catalog.known() if catalog else {}
        makers = catalog.makers if catalog else frozenset()
        for batch in sorted(batches, key=lambda batch: batch.type not in makers):
            records, rejected = self._check(batch, now_us, catalog.without_own(known, batch.type) if catalog else {})
            bad += [BadLine(batch.index[row], wrong.reason, wrong.detail, batch.type) for row, wrong in rejected]
            if len(records) == lines:
                by_line = records
            else:
                for index, record in zip(batch.index, records, strict=True):
                    by_line[index] = record
            if catalog is not None and batch.type in makers:
                known = catalog.with_new(known, [record for record in records if record is not None])
        return by_line

    def _check(
        self, batch: EventBatch, now_us: int, known: Known
    ) -> tuple[list[Record | None], list[tuple[int, Rejection]]]:
        live = self.mode == "live"
        ats: Sequence[Any] = batch.at if None not in batch.at else self._with_times(batch, now_us)
        known_ats = [now_us] * len(ats) if live else [at + self.lag_us if type(at) is int else now_us for at in ats]
        records, rejected = self.schema.check_many(
            batch.type,
            batch.fields,
            batch.columns,
            ats,
            known_ats,
            flags=(0 if live else IMPORTED) | (source_flags(self.source) if self.source else 0),
            live=live and self.ages,
            lax=batch.lax,
            known=known,
        )
        if not (live and self.ages):
            _reject_future(records, rejected, now_us, self.schema.future_us)
        names = batch.names
        if self.key:
            names = [
                name or name_in_request(self.key, index)
                for name, index in zip(names or [b""] * len(ats), batch.index, strict=True)
            ]
        if any(names):
            records = self.schema.with_client_ids(records, names, [at is not None for at in batch.at])
        if self.batch:
            records = [None if record is None else replace(record, batch=self.batch) for record in records]
        return records, rejected

    def _with_times(self, batch: EventBatch, now_us: int) -> list[Any]:
        """The event times. A missing one is now for live events, 0 for profiles of history, and None for other
        history."""
        declared = self.schema.types.get(batch.type)
        if self.mode == "live":
            missing: Any = now_us
        else:
            missing = 0 if declared is not None and declared.is_profile else None
        return [missing if at is None else at for at in batch.at]


def _reject_future(
    records: list[Record | None], rejected: list[tuple[int, Rejection]], now_us: int, future_us: int
) -> None:
    """Reject history in the future: a line with a wrong year would be the latest event for decades."""
    latest_us = now_us + future_us
    for row, record in enumerate(records):
        if record is not None and record.at > latest_us:
            detail = future_text(record.at, now_us, future_us)
            records[row] = None
            rejected.append((row, Rejection("future", detail)))
