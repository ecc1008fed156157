"""The rule, common to all backends, by which declarations may be written to a log (see `WrittenSchemas`)."""

from collections.abc import Iterable, Sequence

from flyball.core import Refused
from flyball.events.written import WrittenType


class SchemasInUse:
    """The declarations that one handle of a log knows: `count` stored ones, and those offered."""

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[int, int] = {}
        self._closed: dict[int, int] = {}
        self._offered: dict[int, WrittenType] = {}
        self._offered_at = 0

    def learn(self, rows: Sequence[WrittenType]) -> None:
        """Add the stored declarations beyond the first `count`."""
        for row in rows:
            self.count += 1
            self._last[row.fingerprint] = self.count
            self._closed.pop(row.fingerprint, None)
            self._closed |= dict.fromkeys(row.closes, self.count)

    def is_new(self, row: WrittenType) -> bool:
        """Whether a stored declaration changes what is in use; two writers may have stored the same at once."""
        return row.fingerprint not in self._last or row.fingerprint in self._closed

    def offer(self, types: Iterable[WrittenType]) -> None:
        """Declare what may be stored from now on."""
        self._offered = {written.fingerprint: written for written in types}
        self._offered_at = self.count

    def to_store(self, schemas: Iterable[int]) -> list[WrittenType]:
        """The declarations to store before records with these schemas; raises `Refused` when they must not be
        written."""
        needed = []
        for schema in sorted(schemas):
            closed = self._closed.get(schema)
            if schema == 0 or (schema in self._last and closed is None):
                continue
            if closed is not None and closed > self._offered_at:
                raise Refused(
                    "events must be written as their type is declared now, got a process whose declaration was "
                    "replaced by a narrower one since it started: start it again with the present application file"
                )
            if schema not in self._offered:
                raise Refused(f"events must be written with a declaration that the log was offered, got {schema:08x}")
            needed.append(self._offered[schema])
        return needed
