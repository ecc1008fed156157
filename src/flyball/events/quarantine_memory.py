"""The quarantine in this process only, for tests and simulations."""

import threading
from collections import Counter
from collections.abc import Sequence

import msgspec

from flyball.core import Url
from flyball.events.quarantine import EntryState, Quarantined


class MemoryQuarantine:
    """`memory://`."""

    def __init__(self, url: Url) -> None:
        self._entries: dict[int, Quarantined] = {}
        self._known: set[tuple[str, int, bytes]] = set()
        self._last = 0
        self._guard = threading.Lock()

    def put(self, entries: Sequence[Quarantined]) -> int:
        with self._guard:
            before = len(self._entries)
            for entry in entries:
                if _identity(entry) not in self._known:
                    self._known.add(_identity(entry))
                    self._last += 1
                    self._entries[self._last] = msgspec.structs.replace(entry, id=self._last)
            return len(self._entries) - before

    def list(
        self, *, reason: str | None = None, state: str | None = "open", after: int = 0, limit: int = 100
    ) -> list[Quarantined]:
        with self._guard:
            chosen = [
                entry
                for entry in self._entries.values()
                if entry.id > after and reason in (None, entry.reason) and state in (None, entry.state)
            ]
        return chosen[:limit]

    def counts(self) -> dict[str, int]:
        with self._guard:
            return dict(sorted(Counter(e.reason for e in self._entries.values() if e.state == "open").items()))

    def mark(self, ids: Sequence[int], state: EntryState) -> None:
        with self._guard:
            for entry_id in ids:
                entry = self._entries.get(entry_id)
                if entry is not None and state == "dropped":
                    self._known.discard(_identity(entry))
                    del self._entries[entry_id]
                elif entry is not None:
                    self._entries[entry_id] = msgspec.structs.replace(entry, state=state)

    def restore(self, after: int, until: int, entries: Sequence[Quarantined]) -> None:
        """See `RestorableQuarantine`."""
        with self._guard:
            others = [entry for entry in self._entries.values() if not after < entry.id <= until]
            kept = sorted([*others, *entries], key=lambda entry: entry.id)
            self._entries = {entry.id: entry for entry in kept}
            self._known = set(map(_identity, kept))
            self._last = max([self._last, *self._entries])

    def close(self) -> None:
        """Nothing to close."""


def _identity(entry: Quarantined) -> tuple[str, int, bytes]:
    return entry.source, entry.position, entry.raw
