"""Batches: events that were ingested under a name, so that they can be listed, and taken back as a whole.

Each record has the name of its batch. So a batch is what the log holds of it: an event that was in the log before is a
duplicate and stays with whatever brought it first. Lines in quarantine have it behind their source.
"""

import re
from collections import Counter
from collections.abc import Iterator

import msgspec

from flyball.core import BadInput
from flyball.events.log import EventLog, Record
from flyball.events.quarantine import Quarantine
from flyball.events.reading import read_where

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_SOURCE = re.compile(r" \(batch ([A-Za-z0-9][A-Za-z0-9._-]{0,99})\)\Z")
_PAGE = 5_000


class Batch(msgspec.Struct, frozen=True):
    """What the log and the quarantine hold of one batch. `events`: {type: count}; times are of when they became known,
    0 without events; `quarantined`: its lines there, by their ids."""

    name: str
    events: dict[str, int]
    first_us: int
    last_us: int
    quarantined: tuple[int, ...] = ()


def check_batch_name(name: str) -> str:
    """The name; raises `BadInput` for one that no batch can have."""
    if not _NAME.match(name):
        raise BadInput("name of a batch", "letters, digits and . _ -, at most 100, such as november-2026", name)
    return name


def source_with_batch(source: str, batch: str) -> str:
    """The source of a quarantined line, with its batch.

    >>> source_with_batch("/in/shop.csv", "november"), source_with_batch("http", "")
    ('/in/shop.csv (batch november)', 'http')
    """
    return f"{source} (batch {batch})" if batch else source


def batch_of_source(source: str) -> str:
    """The batch of a quarantined line, "" for none.

    >>> batch_of_source("/in/shop.csv (batch november)"), batch_of_source("http")
    ('november', '')
    """
    match = _SOURCE.search(source)
    return "" if match is None else match[1]


def batch_records(log: EventLog, name: str = "") -> Iterator[tuple[int, int, Record]]:
    """(partition, offset, record) of the records of a batch, or of all batches. Reads the log once."""
    for part, end in enumerate(log.ends()):
        for piece in read_where(log, part, 0, end):
            for offset, record in enumerate(piece.records, piece.first):
                if record.batch and name in ("", record.batch):
                    yield part, offset, record


def batches_in(log: EventLog, quarantine: Quarantine) -> list[Batch]:
    """All batches, the one that began earliest first."""
    counts: dict[str, Counter[str]] = {}
    first_us, last_us = dict[str, int](), dict[str, int]()
    for _, _, record in batch_records(log):
        name = record.batch
        counts.setdefault(name, Counter())[record.type] += 1
        first_us[name] = min(first_us.get(name, record.known_at), record.known_at)
        last_us[name] = max(last_us.get(name, record.known_at), record.known_at)
    lines = _lines_by_batch(quarantine)
    batches = [
        Batch(
            name,
            dict(sorted(counts.get(name, Counter()).items())),
            first_us.get(name, 0),
            last_us.get(name, 0),
            tuple(lines.get(name, ())),
        )
        for name in {**counts, **lines}
    ]
    return sorted(batches, key=lambda batch: (batch.first_us, batch.name))


def _lines_by_batch(quarantine: Quarantine) -> dict[str, list[int]]:
    """{batch: ids of its lines in quarantine, in any state}."""
    lines: dict[str, list[int]] = {}
    after = 0
    while page := quarantine.list(state=None, after=after, limit=_PAGE):
        for entry in page:
            if name := batch_of_source(entry.source):
                lines.setdefault(name, []).append(entry.id)
        after = page[-1].id
    return lines
