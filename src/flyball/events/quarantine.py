"""The quarantine: bad lines with their raw bytes, the reason and their source."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

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


@runtime_checkable
class RestorableQuarantine(Protocol):
    """A quarantine that can become the copy of another one.

    `restore` replaces all entries with `after < id <= until` by these, ids and states included.
    """

    def restore(self, after: int, until: int, entries: Sequence[Quarantined]) -> None: ...


@runtime_checkable
class ErasableQuarantine(Protocol):
    """A quarantine in a store that keeps bytes of what was dropped. `rewrite`: after it none are left."""

    def rewrite(self) -> None: ...


QUARANTINE_BACKENDS = {
    "sqlite": "flyball.events.quarantine_sqlite:SqliteQuarantine",
    "postgresql": "flyball.events.quarantine_postgres:PostgresQuarantine",
    "memory": "flyball.events.quarantine_memory:MemoryQuarantine",
}


def open_quarantine(url: str) -> Quarantine:
    """Open the quarantine at `url`: `sqlite:///path/quarantine.db`, `postgresql://host/database?schema=shop` or
    `memory://`."""
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


class Which(msgspec.Struct, frozen=True):
    """Which open entries: all that are of this reason, source and time, where these are given.

    `ids`: only these. `source`: as it is stored, or its file name. `before_us`: those that came before this time.
    """

    ids: tuple[int, ...] | None = None
    reason: str | None = None
    source: str | None = None
    before_us: int | None = None

    def entries(self, quarantine: Quarantine) -> Iterator[list[Quarantined]]:
        """Yield pages of them; raises `NotFound` for an unknown id."""
        for page in open_entries(quarantine, self.ids, self.reason):
            if chosen := [entry for entry in page if self._takes(entry)]:
                yield chosen

    def _takes(self, entry: Quarantined) -> bool:
        if self.source is not None and self.source not in (entry.source, entry.source.rpartition("/")[2]):
            return False
        if self.reason is not None and entry.reason != self.reason:
            return False
        return self.before_us is None or entry.at_us < self.before_us


def count_entries(quarantine: Quarantine, which: Which) -> dict[tuple[str, str], int]:
    """{(reason, source): open entries}."""
    counts: Counter[tuple[str, str]] = Counter()
    for page in which.entries(quarantine):
        counts.update((entry.reason, entry.source) for entry in page)
    return dict(sorted(counts.items()))


def drop(quarantine: Quarantine, which: Which) -> int:
    """Delete open entries permanently; returns their number."""
    dropped = 0
    for page in which.entries(quarantine):
        quarantine.mark([entry.id for entry in page], "dropped")
        dropped += len(page)
    return dropped


def entries_between(quarantine: Quarantine, since_us: int, until_us: int) -> Iterator[Quarantined]:
    """The entries of `[since_us, until_us)` in any state, in the order in which they came.

    Entries come in order of time; where the clock was set back, some of that hour may be left out.
    """
    after = _last_before(quarantine, since_us)
    while page := quarantine.list(state=None, after=after, limit=_PAGE):
        for entry in page:
            if entry.at_us >= until_us:
                return
            if entry.at_us >= since_us:
                yield entry
        after = page[-1].id


def _last_before(quarantine: Quarantine, at_us: int) -> int:
    """An id behind which the first entry at `at_us` or later comes, by bisection; 0 if there is no earlier entry."""

    def next_before(after: int) -> int:
        """The id of the next entry, if it is before `at_us`, else 0."""
        entries = quarantine.list(state=None, after=after, limit=1)
        return entries[0].id if entries and entries[0].at_us < at_us else 0

    low, step = 0, 1
    while reached := next_before(low + step):
        low, step = reached, step * 2
    high = low + step
    while low + 1 < high:
        middle = (low + high) // 2
        reached = next_before(middle)
        low, high = (reached, high) if reached else (low, middle)
    return low
