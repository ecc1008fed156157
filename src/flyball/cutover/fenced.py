"""The stores of a home behind its gate."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flyball.core import Refused, StoreUnavailable
from flyball.cutover.gate import Moved, WriteGate
from flyball.events import (
    Appended,
    EventLog,
    ForwardingLog,
    Quarantine,
    Quarantined,
    Record,
    WrittenSchemas,
    WrittenType,
    open_log,
    open_quarantine,
)
from flyball.home import HomeLayout
from flyball.registry import Database
from flyball.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

Store = TypeVar("Store")


class _Behind(Generic[Store]):
    """A store behind a gate, and the next one, where the home was moved while this process had it open.

    `follows`: whether it follows a move from before it was opened: the home that a process was led to may have been
    moved on since.
    """

    def __init__(self, gate: WriteGate, store: Store, reopen: Callable[[Path], Store], follows: bool) -> None:
        self._gate, self._store, self._reopen = gate, store, reopen
        self._was = None if follows else gate.was
        self._next: tuple[Moved, Store] | None = None

    @contextmanager
    def writing(self) -> Iterator[Store]:
        """The store to write to now; raises what `WriteGate.writing` does, and `Refused` where it was moved before."""
        with self._gate.writing() as moved:
            yield self._store if moved is None else self._moved(moved)

    def _moved(self, moved: Moved) -> Store:
        if moved == self._was:
            raise Refused(moved_message(moved))
        if self._next is None or self._next[0] != moved:
            self._next = moved, self._reopen(Path(moved.home))
        return self._next[1]


class FencedLog(ForwardingLog):
    """A log behind the gate of its home: appends of a process that had it open follow it to where it was moved.

    Reads stay where they are, since their offsets are those of this log. `store`: the setting of the log, "events" or
    "predictions".
    """

    def __init__(self, log: EventLog, gate: WriteGate, store: str, follows: bool = False) -> None:
        super().__init__(log)
        self._schemas = _Schemas(log.schemas)
        self._behind = _Behind(gate, log, lambda home: self._reopened(home, store), follows)

    @property
    def schemas(self) -> "_Schemas":
        return self._schemas

    def append(self, records: Sequence[Record]) -> Appended:
        with self._behind.writing() as log:
            return log.append(records)

    def _reopened(self, home: Path, store: str) -> EventLog:
        gate = WriteGate(HomeLayout(home))
        log = FencedLog(open_log(getattr(load_settings(home), store)), gate, store, follows=True)
        log.schemas.offer(self.schemas.offered)
        return log


class _Schemas(WrittenSchemas):
    """Remembers what was offered, for the log of the home that it is moved to."""

    def __init__(self, schemas: WrittenSchemas) -> None:
        self._schemas, self.offered = schemas, list[WrittenType]()

    def stored(self) -> list[WrittenType]:
        return self._schemas.stored()

    def offer(self, types: Sequence[WrittenType]) -> None:
        self._schemas.offer(types)
        self.offered = list(types)


class FencedQuarantine:
    """A quarantine behind the gate of its home: new lines of a process that had it open follow it, marks do not."""

    def __init__(self, quarantine: Quarantine, gate: WriteGate, follows: bool = False) -> None:
        self._quarantine = quarantine
        self._behind = _Behind(gate, quarantine, self._reopened, follows)
        self.list, self.counts, self.close = quarantine.list, quarantine.counts, quarantine.close

    def put(self, entries: Sequence[Quarantined]) -> int:
        if not entries:  # a gate that closes just now must not fail a request whose events are all in the log
            return 0
        with self._behind.writing() as quarantine:
            return quarantine.put(entries)

    @staticmethod
    def _reopened(home: Path) -> Quarantine:
        gate = WriteGate(HomeLayout(home))
        return FencedQuarantine(open_quarantine(load_settings(home).quarantine), gate, follows=True)

    def mark(self, ids: Sequence[int], state: Any) -> None:
        with self._behind.writing() as quarantine:
            if quarantine is not self._quarantine:
                raise StoreUnavailable(
                    "lines must be marked where they were listed, got a home that was moved: list again"
                )
            quarantine.mark(ids, state)


class FencedDatabase:
    """A registry's database behind the gate of its home. Once this is moved, changes are refused: they were decided on
    by what is here."""

    def __init__(self, database: Database, gate: WriteGate) -> None:
        self._database, self._gate = database, gate
        self.now_us_sql, self.pause_limit_sql = database.now_us_sql, database.pause_limit_sql

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]:
        return self._database.rows(sql, **values)

    def writing(self) -> "AbstractContextManager[Connection]":
        return self._writing()

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _writing(self) -> "Iterator[Connection]":
        with self._gate.writing() as moved:
            if moved is not None:
                raise StoreUnavailable(moved_message(moved))
            with self._database.writing() as connection:
                yield connection


def moved_message(moved: Moved) -> str:
    """What to do in a home that was moved."""
    return f"this home must be in use to be written to, got one that was moved to {moved.home}: use --home {moved.home}"
