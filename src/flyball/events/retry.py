"""Checks quarantined lines again, after the declaration, the format or the catalog has changed."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from flyball.core import BadInput, NotFound
from flyball.events.batches import batch_of_source
from flyball.events.builtin_formats import find_format
from flyball.events.checking import LineChecker
from flyball.events.formats import Format
from flyball.events.ingest import Tally, parse_and_append
from flyball.events.inlet import IngestMode, Inlet
from flyball.events.quarantine import Quarantined, open_entries


class RetryReport(msgspec.Struct, frozen=True):
    """The counts of a retry: `still_bad` lines stay in quarantine, the others are released.

    `unreadable`: why some could not be read at all, such as a format or type that is no longer declared.
    """

    tried: int
    accepted: int
    duplicates: int
    still_bad: int
    unreadable: list[str] = []


def retry(
    inlet: Inlet,
    *,
    formats: Mapping[str, Format] | None = None,
    ids: Sequence[int] | None = None,
    reason: str | None = None,
    mode: IngestMode | None = None,
) -> RetryReport:
    """Check open entries again (`ids`: only these) and append the valid ones. After a kill, a second call duplicates
    none.

    A live line becomes known now, not when it happened: no earlier response can have seen it. A line of history keeps
    its lag. `mode` overrides this. Truncated lines cannot be read again.
    """
    tally, still_bad = Tally(), 0
    unreadable: dict[str, None] = {}
    inlet.catalog.catch_up(inlet.log)
    for page in open_entries(inlet.quarantine, ids, reason):
        for _, entries in groupby(page, key=_read_alike):
            alike = list(entries)
            try:
                still_bad += _retry(alike, inlet, formats, mode, tally)
            except (NotFound, BadInput) as error:
                unreadable[str(error)] = None
                still_bad += len(alike)
    accepted = sum(tally.accepted.values())
    return RetryReport(accepted + tally.duplicates + still_bad, accepted, tally.duplicates, still_bad, list(unreadable))


def _read_alike(entry: Quarantined) -> tuple[str, str, bytes, int, str]:
    return entry.format, entry.only_type, entry.header, entry.lag_us, batch_of_source(entry.source)


def _retry(
    entries: Sequence[Quarantined],
    inlet: Inlet,
    formats: Mapping[str, Format] | None,
    mode: IngestMode | None,
    tally: Tally,
) -> int:
    """The number of `entries`, all read with the same parser, that stay bad; raises when they cannot be read."""
    first = entries[0]
    chosen: IngestMode = mode or ("live" if first.lag_us < 0 else "history")
    batch = batch_of_source(first.source)
    checker = LineChecker(inlet.schema, inlet.catalog, chosen, max(first.lag_us, 0), ages=False, batch=batch)
    parser = find_format(first.format, formats).parser(inlet.schema, first.only_type or None)
    if first.header:
        parser.parse([first.header])
    uncut = [entry for entry in entries if entry.reason != "too_long"]
    _, bad = parse_and_append([entry.raw for entry in uncut], parser, checker, inlet, tally)
    bad_indices = {line.index for line in bad}
    released = [entry.id for index, entry in enumerate(uncut) if index not in bad_indices]
    inlet.quarantine.mark(released, "released")
    return len(entries) - len(released)
