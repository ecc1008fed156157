"""Declared types compiled to fast checks, natural-key identities and decoding."""

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

from flyball.core import BadDeclaration, NotFound, format_duration, format_timestamp
from flyball.events.checks import Check, Known
from flyball.events.declared import EventType, read_type
from flyball.events.evolution import Lineage, rows_of
from flyball.events.joined import join_of, logged_types
from flyball.events.log import Record
from flyball.events.rejection import Rejected, Rejection, future_text
from flyball.events.types import Event
from flyball.events.written import WrittenType

FIRST_US = 0
LAST_US = 4_102_444_800_000_000
"""The end of the range of event times: [1970, 2100)."""


_PART = 64


class Schema:
    """The event types of an application. `types`: {lower-case class name: declaration}; `joined`: the same of joined
    types, which are in no log.

    `future_us`: how far `at` of a live event may be after `known_at`; `oldest_us`: how far before it (None: any).
    `written`: the declarations that a log's records were written with (`EventLog.schemas`), oldest first; identities
    stay as they were. Raises `BadDeclaration` for a declaration that cannot be compiled.
    """

    def __init__(
        self,
        event_types: Sequence[type[Event]],
        *,
        future_us: int = 300_000_000,
        oldest_us: int | None = None,
        written: Sequence[WrittenType] = (),
    ) -> None:
        self.future_us, self.oldest_us, self.written = future_us, oldest_us, tuple(written)
        self._after: Schema | None = None
        self._checks: dict[str, Check] = {}
        self._joined: dict[str, Check] = {}
        self.types: dict[str, EventType] = {}
        self.joined: dict[str, EventType] = {}
        self.lineages: dict[str, Lineage] = {}
        for cls in event_types:
            declared = read_type(cls)
            if declared.name in self.types or declared.name in self.joined:
                raise BadDeclaration("event types", "of different names", f"{declared.name!r} twice")
            if join_of(cls) is not None:
                self.joined[declared.name] = declared
                self._joined[declared.name] = Check(Lineage(declared))
                continue
            self.types[declared.name] = declared
            lineage = Lineage(declared, rows_of(declared, self.written))
            self.lineages[declared.name] = lineage
            self._checks[declared.name] = Check(lineage)
        for declared in self.joined.values():
            for side in logged_types([declared.cls]):
                if side not in [kind.cls for kind in self.types.values()]:
                    must = "of two event types that are declared, too"
                    raise BadDeclaration(f"joined type {declared.cls.__name__}", must, side.__name__)
        for declared in self.types.values():
            for name in declared.former:
                if name in self.types:
                    raise BadDeclaration(
                        f"{declared.cls.__name__}.former_names", "names that no declared event type has", name
                    )

    def after(self, written: Sequence[WrittenType]) -> "Schema":
        """The same declarations, for a log whose records were written with `written`."""
        latest = self._after
        if latest is None or latest.written != tuple(written):  # a reader of history asks for the same each time
            types = [declared.cls for declared in (*self.types.values(), *self.joined.values())]
            latest = Schema(types, future_us=self.future_us, oldest_us=self.oldest_us, written=written)
            self._after = latest
        return latest

    def check(
        self,
        name: str,
        fields: Mapping[str, Any],
        at: Any,
        known_at: int,
        *,
        flags: int = 0,
        live: bool = False,
        lax: bool = False,
        known: Known | None = None,
    ) -> Record:
        """The record of one event; raises `Rejected`. Undeclared fields are ignored.

        `live`: check `at` against `known_at`; `lax`: read numbers from text; `known`: the known entities, for the
        flags.
        """
        self._check_time(at, known_at, live)
        return self._check_of(name).check(fields, at, known_at, flags, lax, known or {})

    def check_many(
        self,
        name: str,
        names: Sequence[str],
        columns: Sequence[Sequence[Any]],
        ats: Sequence[Any],
        known_ats: Sequence[int],
        *,
        flags: int = 0,
        live: bool = False,
        lax: bool = False,
        known: Known | None = None,
    ) -> tuple[list[Record | None], list[tuple[int, Rejection]]]:
        """As `check` for many events of one type, faster. `columns[i]`: the values of field `names[i]`; `flags`: of
        all.

        Returns (the records, None where rejected; [(row, rejection)]).
        """
        check = self._checks.get(name)
        if check is None or tuple(names) != check.names or check.slow:
            return self._check_singly(name, names, columns, ats, known_ats, flags, live, lax, known)
        return self._check_quickly(check, columns, ats, known_ats, flags, live, lax, known)

    def with_client_ids(
        self, records: Sequence[Record | None], names: Sequence[bytes], timed: Sequence[bool]
    ) -> list[Record | None]:
        """The records with the ids that their senders gave them. `names`: of each, b"" for none; `timed`: whether it
        came with its time."""
        return [
            record
            if record is None or not name or self.types[record.type].is_profile
            else self._checks[record.type].with_client_id(record, name, has_time)
            for record, name, has_time in zip(records, names, timed, strict=True)
        ]

    def join_record(self, name: str, fields: Mapping[str, Any], at: int, known_at: int) -> Record:
        """The record of an event of a joined type, for consumers: it is never written to a log."""
        return self._joined[name].check(fields, at, known_at, 0, False, {})

    def type_of(self, event: type[Event]) -> EventType | None:
        """The declaration of an event type, which may be joined; None for one that is not declared."""
        return next((kind for kind in (*self.types.values(), *self.joined.values()) if kind.cls is event), None)

    def decode(self, record: Record) -> Event:
        """The event of a record; raises `NotFound` for a type that is not declared."""
        return self._check_of_record(record.type).decode(record)

    def decode_many(self, records: Sequence[Record]) -> list[Event]:
        """The events of records, in order."""
        decoders = {name: check.decode for name, check in (*self._checks.items(), *self._joined.items())}
        try:
            return [decoders[record.type](record) for record in records]
        except KeyError as error:
            raise NotFound("event type", str(error.args[0]), list(self.types)) from None

    def _check_quickly(
        self,
        check: Check,
        columns: Sequence[Sequence[Any]],
        ats: Sequence[Any],
        known_ats: Sequence[int],
        flags: int,
        live: bool,
        lax: bool,
        known: Known | None,
    ) -> tuple[list[Record | None], list[tuple[int, Rejection]]]:
        """Check all rows at once; where that fails, without rows whose time or values are rejected; then in smaller
        parts, the smallest row by row."""
        if ats and self._times_fine(ats, known_ats, live):
            quick = check.check_many(columns, ats, known_ats, flags, lax, known or {})
            if quick is not None:
                return list(quick), []
        if len(ats) <= _PART:
            return self._check_singly(check.type.name, check.names, columns, ats, known_ats, flags, live, lax, known)
        refused = self._untimely(ats, known_ats, live) or check.refused(columns, lax)
        if refused:
            return self._check_others(refused, check, columns, ats, known_ats, flags, live, lax, known)
        records: list[Record | None] = []
        rejected: list[tuple[int, Rejection]] = []
        size = max(_PART, len(ats) // 16)
        for start in range(0, len(ats), size):
            part = slice(start, start + size)
            cut = [column[part] for column in columns]
            some, wrong = self._check_quickly(check, cut, ats[part], known_ats[part], flags, live, lax, known)
            records += some
            rejected += [(start + index, error) for index, error in wrong]
        return records, rejected

    def _check_others(
        self,
        refused: Mapping[int, Rejection],
        check: Check,
        columns: Sequence[Sequence[Any]],
        ats: Sequence[Any],
        known_ats: Sequence[int],
        flags: int,
        live: bool,
        lax: bool,
        known: Known | None,
    ) -> tuple[list[Record | None], list[tuple[int, Rejection]]]:
        """Check the rows that are not `refused`; returns the records and all rejections."""
        records: list[Record | None] = [None] * len(ats)
        rejected = list(refused.items())
        rows = [row for row in range(len(ats)) if row not in refused]
        if rows:
            chosen = [[column[row] for row in rows] for column in columns]
            some, wrong = self._check_quickly(
                check, chosen, [ats[row] for row in rows], [known_ats[row] for row in rows], flags, live, lax, known
            )
            for row, record in zip(rows, some, strict=True):
                records[row] = record
            rejected += [(rows[index], rejection) for index, rejection in wrong]
        return records, rejected

    def _check_singly(
        self,
        name: str,
        names: Sequence[str],
        columns: Sequence[Sequence[Any]],
        ats: Sequence[Any],
        known_ats: Sequence[int],
        flags: int,
        live: bool,
        lax: bool,
        known: Known | None,
    ) -> tuple[list[Record | None], list[tuple[int, Rejection]]]:
        records: list[Record | None] = []
        rejected: list[tuple[int, Rejection]] = []
        rows = zip(*columns, strict=True) if columns else repeat((), len(ats))
        for index, (row, at, known_at) in enumerate(zip(rows, ats, known_ats, strict=True)):
            try:
                fields = dict(zip(names, row, strict=True))
                records.append(self.check(name, fields, at, known_at, flags=flags, live=live, lax=lax, known=known))
            except Rejected as error:
                records.append(None)
                rejected.append((index, Rejection(error.reason, error.detail)))
        return records, rejected

    def _times_fine(self, ats: Sequence[Any], known_ats: Sequence[int], live: bool) -> bool:
        if set(map(type, ats)) != {int}:  # True is an integer too
            return False
        low, high = min(ats), max(ats)
        if low < FIRST_US or high >= LAST_US:
            return False
        if not live:
            return True
        if high > min(known_ats) + self.future_us:
            return False
        return self.oldest_us is None or low >= max(known_ats) - self.oldest_us

    def _untimely(self, ats: Sequence[Any], known_ats: Sequence[int], live: bool) -> dict[int, Rejection]:
        """{row: rejection} of rows with an invalid time."""
        if self._times_fine(ats, known_ats, live):
            return {}
        refused = {}
        for row, (at, known_at) in enumerate(zip(ats, known_ats, strict=True)):
            try:
                self._check_time(at, known_at, live)
            except Rejected as error:
                refused[row] = Rejection(error.reason, error.detail)
        return refused

    def _check_time(self, at: Any, known_at: int, live: bool) -> None:
        if type(at) is not int:
            raise Rejected("bad_time", f"time must be whole microseconds, got {at!r}"[:200])
        if not FIRST_US <= at < LAST_US:
            raise Rejected("bad_time", f"time must be in 1970..2099, got {at} us since 1970")
        if live and at > known_at + self.future_us:
            raise Rejected("future", future_text(at, known_at, self.future_us))
        if live and self.oldest_us is not None and at < known_at - self.oldest_us:
            oldest = f"{format_duration(self.oldest_us)} before it arrived, at {format_timestamp(known_at)}"
            raise Rejected("too_old", f"time must be at most {oldest}, got {format_timestamp(at)}")

    def _check_of(self, name: str) -> Check:
        check = self._checks.get(name)
        if check is None:
            raise Rejected("unknown_type", f"event type must be one of {', '.join(self.types)}, got {name!r}"[:300])
        return check

    def _check_of_record(self, name: str) -> Check:
        check = self._checks.get(name) or self._joined.get(name)
        if check is None:
            raise NotFound("event type", name, list(self.types))
        return check
