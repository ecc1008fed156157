"""A log whose records are read as their types are declared today, whatever declaration they were written with.

Promises: a body is never read in the field order of another declaration. Records that cannot be read as declared are
refused when the log is opened, before anything is read or written; the message names the type, the field, both
declarations and what to do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from flyball.core import Refused, StoreCorrupt
from flyball.events.evolution import rows_of
from flyball.events.log import EventLog, Slice
from flyball.events.reading import read_where
from flyball.events.schema import FIRST_US, Schema
from flyball.events.upgrade import Upgrades
from flyball.events.upgraded_log import UpgradedLog


class DeclaredLog(UpgradedLog):
    """`log` as `schema` declares its types; `schema` here is the one to check new events with. A `SearchableLog`.

    `name`: the log's name in messages. Raises `Refused` when records in it cannot be read as declared. Where a
    declaration allows less than an earlier one, all stored values are checked once.
    """

    def __init__(self, log: EventLog, schema: Schema, name: str = "the event log") -> None:
        super().__init__(log)
        self._name = name
        self._learn(schema)
        problems = self._problems or _stored_problems(log, self._upgrades)
        if problems:
            raise Refused(_message(name, problems))
        self._offer()

    def _stored_types(self, types: Mapping[str, int]) -> Mapping[str, int]:
        return self._upgrades.names_of(types)

    def _learn(self, schema: Schema) -> None:
        self.schema = schema.after(self._log.schemas.stored())
        self._problems = declaration_problems(self.schema)
        self._upgrades = Upgrades(self.schema.lineages.values())
        self._fine = self._upgrades.current | {row.fingerprint for row in self.schema.written} - set(
            self._upgrades.by_schema
        )

    def _offer(self) -> None:
        offered = []
        for lineage in self.schema.lineages.values():
            narrower = [
                fingerprint
                for fingerprint in lineage.versions
                if fingerprint in self._upgrades.by_schema and self._upgrades.by_schema[fingerprint].change.narrower
            ]
            offered.append(msgspec.structs.replace(lineage.declared.written, closes=tuple(narrower)))
        self._log.schemas.offer(offered)

    def _as_declared(self, piece: Slice) -> Slice:
        schemas = {record.schema for record in piece.records}
        if schemas <= self._fine:
            return piece
        if not schemas <= self._fine | self._upgrades.by_schema.keys():
            self._learn_newer(schemas)
        upgraded = self._upgrades.record
        return msgspec.structs.replace(
            piece, records=[upgraded(record) for record in piece.records], stored=piece.records
        )

    def _learn_newer(self, schemas: set[int]) -> None:
        """Read declarations that another process has added to the log since it was opened."""
        self._learn(self.schema)
        if self._problems:
            raise Refused(
                f"{_message(self._name, self._problems)}\nIf the application file was changed while this process ran, "
                "start it again."
            )
        unknown = schemas - self._fine - self._upgrades.by_schema.keys()
        if unknown:
            raise StoreCorrupt(
                f"a record in {self._name}",
                "written with a declaration that the log holds",
                ", ".join(f"{fingerprint:08x}" for fingerprint in sorted(unknown)),
            )


def refuse_unreadable(schema: Schema, name: str) -> None:
    """Raise `Refused` when records of `name`, written with `schema.written`, cannot be read as declared."""
    problems = declaration_problems(schema)
    if problems:
        raise Refused(_message(name, problems))


def declaration_problems(schema: Schema) -> list[str]:
    """The reasons why records written with `schema.written` cannot be read as declared now; empty when they can."""
    problems: list[str] = []
    owners: Counter[int] = Counter()
    problems += _base_problems(schema)
    for lineage in schema.lineages.values():
        problems += lineage.problems
        owners.update(lineage.versions.keys())
    for upgrade in Upgrades(schema.lineages.values()).by_schema.values():
        problems += upgrade.change.problems
    for lineage in schema.lineages.values():
        for fingerprint, version in lineage.versions.items():
            if owners[fingerprint] > 1:
                problems.append(
                    f"event type {version.name!r} must be one class only, got {lineage.declared.cls.__name__} and "
                    "another: give the new class a name that no event type had before"
                )
    return list(dict.fromkeys(problems))


def _base_problems(schema: Schema) -> list[str]:
    """Types that changed between profile, event and joined event: attributes, catalogs and features were derived from
    them as they were."""
    problems, rows_of_classes = [], set[int]()
    for lineage in schema.lineages.values():
        declared, rows = lineage.declared.written, rows_of(lineage.declared, schema.written)
        rows_of_classes |= {row.fingerprint for row in rows}
        problems += [
            f"{lineage.declared.cls.__name__} must stay a class of fb.{row.base}, got fb.{declared.base}: declare it "
            "as before, or give the new class a name that no event type had before"
            for row in rows
            if row.base not in ("", declared.base)
        ]
    problems += [
        f"{schema.joined[row.name].cls.__name__} must not be joined, since the log holds events of that name: declare "
        "its class again, or give the joined type another name"
        for row in schema.written
        if row.name in schema.joined and row.fingerprint not in rows_of_classes
    ]
    return problems


def log_problems(log: EventLog, schema: Schema) -> list[str]:
    """The reasons why records in `log` cannot be read as declared now; checks stored values where necessary."""
    schema = schema.after(log.schemas.stored())
    return declaration_problems(schema) or _stored_problems(log, Upgrades(schema.lineages.values()))


def _stored_problems(log: EventLog, upgrades: Upgrades) -> list[str]:
    """Stored values that a narrower declaration does not allow. The log remembers what was checked already."""
    problems: list[str] = []
    narrower = {fingerprint: upgrade for fingerprint, upgrade in upgrades.by_schema.items() if upgrade.change.narrower}
    if not narrower:
        return []
    group = f"values allowed by {'-'.join(f'{allowed:08x}' for allowed in sorted(upgrades.current - {0}))}"
    after, ends = log.groups.committed(group), log.ends()
    wrong: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    types = dict.fromkeys((upgrade.name for upgrade in narrower.values()), FIRST_US)
    for part, (start, end) in enumerate(zip(after, ends, strict=True)):
        for piece in read_where(log, part, start, end, types):
            for offset, record in enumerate(piece.records, piece.first):
                upgrade = narrower.get(record.schema)
                for name, value in (upgrade.wrong(record) if upgrade else {}).items():
                    assert upgrade is not None  # it named the fields
                    about = (upgrade.label(name), upgrade.must(name))
                    wrong[about] += 1
                    first.setdefault(about, f"{value!r} at offset {offset} of partition {part}")
    if not wrong:
        log.groups.commit(group, ends)
    for (label, must), count in wrong.items():
        problems.append(
            f"{label} must be {must}, got {first[label, must]}, one of {count} such records written before: allow what "
            "it allowed then, or give the new field another name and a default"
        )
    return problems


def _message(name: str, problems: Sequence[str]) -> str:
    lines = "\n".join(f"- {problem}" for problem in problems)
    return f"records in {name} must be readable as the event types are declared now, got:\n{lines}"
