"""Quarantined lines, checked again after the declaration, the format or the catalogue has changed."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from flyball.core import Clock
from flyball.events.builtin_formats import find_format
from flyball.events.catalog import Catalogue
from flyball.events.formats import Format
from flyball.events.ingest import IngestMode, Inlet, Tally, parse_and_append
from flyball.events.log import EventLog
from flyball.events.quarantine import Quarantine, Quarantined
from flyball.events.schema import Schema


class RetryReport(msgspec.Struct, frozen=True):
    """What became of the lines that were tried: `still_bad` stay in quarantine, the others are released."""

    tried: int
    accepted: int
    duplicates: int
    still_bad: int


def retry(
    quarantine: Quarantine,
    *,
    schema: Schema,
    log: EventLog,
    catalogue: Catalogue,
    clock: Clock,
    formats: Mapping[str, Format] | None = None,
    ids: Sequence[int] | None = None,
    reason: str | None = None,
    mode: IngestMode | None = None,
) -> RetryReport:
    """Check open entries again (`ids`: only these) and append the good ones. Killed and called again, none doubles.

    A line that came in live becomes known now, not when it happened: nothing served before can have seen it. One of
    history keeps its lag. `mode` overrides that. Lines that were cut for their length cannot be read again.
    """
    tally, still_bad = Tally(), 0
    catalogue.catch_up(log)
    for entry_group in _groups(quarantine, ids, reason):
        first = entry_group[0]
        chosen: IngestMode = mode or ("live" if first.lag_us < 0 else "history")
        inlet = Inlet(schema, log, catalogue, clock, chosen, max(first.lag_us, 0), ages=False)
        parser = find_format(first.format, formats).parser(schema, first.only_type or None)
        if first.header:
            parser.parse([first.header])
        whole = [entry for entry in entry_group if entry.reason != "too_long"]
        bad = {one.index for one in parse_and_append(inlet, parser, [entry.raw for entry in whole], tally)}
        quarantine.release(entry.id for index, entry in enumerate(whole) if index not in bad)
        still_bad += len(bad) + len(entry_group) - len(whole)
    accepted = sum(tally.accepted.values())
    return RetryReport(accepted + tally.duplicates + still_bad, accepted, tally.duplicates, still_bad)


def _groups(quarantine: Quarantine, ids: Sequence[int] | None, reason: str | None) -> Iterator[list[Quarantined]]:
    """Open entries that are read alike, some hundreds at a time."""
    after = 0
    while True:
        if ids is None:
            page = quarantine.list(reason=reason, after=after, limit=500)
        else:
            page = [entry for entry in map(quarantine.show, ids) if entry.state == "open"]
        for _, entries in groupby(page, key=lambda entry: (entry.format, entry.only_type, entry.header, entry.lag_us)):
            yield list(entries)
        if ids is not None or not page:
            return
        after = page[-1].id
