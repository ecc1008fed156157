"""The quarantine: bad lines with their raw bytes, the reason and their source."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from flyball.core import NotFound, load_backend, parse_url

_PAGE = 5_000

EntryState = Literal["open", "released", "dropped"]


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """One bad line. `position`: its line in `source`, from 1. `header`, `only_type`: needed to read it again.

    `lag_us`: of history, from `at` to `known_at`; -1 for live lines. `state`: "open", or "released" once a retry has
    put it into the log. `id` 0: not stored yet.
    """

    at_us: int
    reason: str
    detail: str
    raw: bytes
    source: str
    position: int
    format: str
    only_type: str = ""
    header: bytes = b""
    lag_us: int = -1
    state: str = "open"
    id: int = 0


class Quarantine(Protocol):
    """Bad lines, kept once each: the same bytes at the same position of the same source are one entry.

    `put` stores the new ones durably and returns their number. `list` returns entries with an id greater than `after`,
    ordered by id. `counts`: {reason: open entries}. `mark` sets entries to "released", or removes them when "dropped".
    """

    def put(self, entries: Sequence[Quarantined]) -> int: ...

    def list(
        self, *, reason: str | None = None, state: str | None = "open", after: int = 0, limit: int = 100
    ) -> list[Quarantined]: ...

    def counts(self) -> dict[str, int]: ...

    def mark(self, ids: Sequence[int], state: EntryState) -> None: ...

    def close(self) -> None: ...


QUARANTINE_BACKENDS = {
    "sqlite": "flyball.events.quarantine_sqlite:SqliteQuarantine",
    "memory": "flyball.events.quarantine_memory:MemoryQuarantine",
}


def open_quarantine(url: str) -> Quarantine:
    """Open the quarantine at `url`: `sqlite:///path/quarantine.db` or `memory://`."""
    parsed = parse_url(url)
    quarantine: Quarantine = load_backend("quarantine", QUARANTINE_BACKENDS, parsed.scheme)(parsed)
    return quarantine


def entry_of(quarantine: Quarantine, entry_id: int) -> Quarantined:
    """One entry in any state; raises `NotFound`."""
    entries = quarantine.list(state=None, after=entry_id - 1, limit=1)
    if not entries or entries[0].id != entry_id:
        raise NotFound("quarantine entry", str(entry_id), next_step="flyball quarantine list shows those there are")
    return entries[0]


def open_entries(
    quarantine: Quarantine, ids: Sequence[int] | None = None, reason: str | None = None
) -> Iterator[list[Quarantined]]:
    """Yield pages of open entries: all of them, those of one reason, or `ids` (raises `NotFound` for an unknown
    one)."""
    if ids is not None:
        yield [entry for entry in (entry_of(quarantine, entry_id) for entry_id in ids) if entry.state == "open"]
        return
    after = 0
    while page := quarantine.list(reason=reason, after=after, limit=_PAGE):
        yield page
        after = page[-1].id


def drop(quarantine: Quarantine, ids: Sequence[int] | None = None, reason: str | None = None) -> int:
    """Delete open entries permanently; returns their number."""
    dropped = 0
    for page in open_entries(quarantine, ids, reason):
        quarantine.mark([entry.id for entry in page], "dropped")
        dropped += len(page)
    return dropped
