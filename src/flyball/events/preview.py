"""Shows how the first lines of a source would be ingested; writes nothing."""

from collections.abc import Iterable
from typing import Any

import msgspec

from flyball.core import Clock
from flyball.events.checking import LineChecker
from flyball.events.early_stop import ENOUGH_AT_THE_END, MostlyBad
from flyball.events.inlet import LineSource
from flyball.events.lines import split_lines
from flyball.events.log import Record
from flyball.events.schema import Schema


class PreviewRow(msgspec.Struct, frozen=True):
    """One parsed line: its event's type, fields and event time, or why it would go to quarantine."""

    position: int
    type: str = ""
    fields: dict[str, Any] = {}
    at_us: int | None = None
    reason: str = ""
    detail: str = ""


class Preview(msgspec.Struct, frozen=True):
    """The first lines of a source: `rows` of them one by one, and counts of all that were parsed.

    `read` = the sums of `accepted` and `quarantined`; duplicates are not looked up. `examples`: {reason: the first line
    with it}. `likely`: the likely cause when most lines are bad.
    """

    rows: list[PreviewRow]
    read: int
    accepted: dict[str, int]
    quarantined: dict[str, int]
    examples: dict[str, PreviewRow]
    ignored: list[str]
    likely: str


def preview(
    pieces: Iterable[bytes], source: LineSource, schema: Schema, clock: Clock, *, lines: int = 1_000, rows: int = 5
) -> Preview:
    """Parse and check the first `lines` lines. Raises `BadInput` when the stream cannot be read as a whole."""
    parser = source.format.parser(schema, source.only)
    checker = LineChecker(schema, None, source.mode, source.lag_us)
    shown: list[PreviewRow] = []
    accepted: dict[str, int] = {}
    quarantined: dict[str, int] = {}
    examples: dict[str, PreviewRow] = {}
    ignored: set[str] = set()
    share, position = MostlyBad(), 1
    for chunk in split_lines(pieces, min(lines, 1_000)):
        checked = checker.check(parser, chunk, clock.now_us())
        records = {index: record for index, record in enumerate(checked.records) if record is not None}
        share.add([record.type for record in records.values()], checked.bad)
        first = list(records.items())[: max(0, rows - len(shown))]
        by_line = {index: _row(schema, position + index, record) for index, record in first}
        for bad in checked.bad:
            row = PreviewRow(position + bad.index, bad.type, reason=bad.reason, detail=bad.detail)
            examples.setdefault(bad.reason, row)
            quarantined[bad.reason] = quarantined.get(bad.reason, 0) + 1
            by_line[bad.index] = row
        for record in records.values():
            accepted[record.type] = accepted.get(record.type, 0) + 1
        shown += [by_line[index] for index in sorted(by_line)][: max(0, rows - len(shown))]
        ignored |= checked.ignored
        position += len(chunk)
        if position > lines:
            break
    read = sum(accepted.values()) + sum(quarantined.values())
    return Preview(shown, read, accepted, quarantined, examples, sorted(ignored), share.finding(ENOUGH_AT_THE_END))


def _row(schema: Schema, position: int, record: Record) -> PreviewRow:
    event = schema.decode(record)
    fields = {name: getattr(event, name) for name in schema.types[record.type].fields}
    return PreviewRow(position, record.type, fields, record.at)
