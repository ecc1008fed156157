"""Event types and fields in a log that the application no longer declares."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from flyball.events.evolution import Lineage
from flyball.events.log import EventLog
from flyball.events.reading import read_where
from flyball.events.schema import FIRST_US, Schema
from flyball.events.written import WrittenType


class Undeclared(msgspec.Struct, frozen=True):
    """An event type in the log that no class declares, or, with `field`, a field that `cls` no longer declares.

    `type`, `field`: their last names in the log. `cls`: "" for a type. `new_fields`: fields of `cls` that no event was
    written with yet: it may be one of these, renamed. `events`: the number of events with it, None when not counted.
    """

    type: str
    field: str = ""
    cls: str = ""
    new_fields: tuple[str, ...] = ()
    events: int | None = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"field {self.cls}.{self.field}" if self.field else f"event type {self.type}"

    def text(self) -> str:
        """Its name, its number of events, and what to do if it was only renamed.

        >>> Undeclared("rate", events=1804).text()
        'event type rate, 1,804 events: if its class has another name now, say there former_names = ("rate",)'
        """
        counted = "" if self.events is None else f", {self.events:,} events"
        if not self.field:
            return f'{self.name}{counted}: if its class has another name now, say there former_names = ("{self.type}",)'
        new = f" (perhaps {' or '.join(self.new_fields)})" if self.new_fields else ""
        return f'{self.name}{counted}: if it has another name now{new}, say there fb.renamed("{self.field}")'


def undeclared(schema: Schema) -> list[Undeclared]:
    """What records written with `schema.written` have and `schema` does not declare; types first, without counts."""
    return [type_or_field for type_or_field, _ in _with_schemas(schema)]


def count_undeclared(log: EventLog, schema: Schema) -> list[Undeclared]:
    """As `undeclared`, with the numbers of events in `log`. Reads every block that may contain one."""
    rows = log.schemas.stored()
    undeclared_schemas = _with_schemas(schema.after(rows))
    schemas = {fingerprint for _, fingerprints in undeclared_schemas for fingerprint in fingerprints}
    types = {row.name: FIRST_US for row in rows if row.fingerprint in schemas}
    counts: Counter[int] = Counter()
    if types:
        for part, end in enumerate(log.ends()):
            for piece in read_where(log, part, 0, end, types):
                counts.update(record.schema for record in piece.records)
    return [
        msgspec.structs.replace(type_or_field, events=sum(counts[fingerprint] for fingerprint in fingerprints))
        for type_or_field, fingerprints in undeclared_schemas
    ]


def _with_schemas(schema: Schema) -> list[tuple[Undeclared, set[int]]]:
    """Each undeclared type or field with the fingerprints of the declarations that had it."""
    declared = {fingerprint for lineage in schema.lineages.values() for fingerprint in lineage.versions}
    types: dict[str, set[int]] = {}
    for name, row in _latest_names(schema.written, declared):
        types.setdefault(name, set()).add(row.fingerprint)
    undeclared_schemas = [(Undeclared(name), fingerprints) for name, fingerprints in types.items()]
    for lineage in schema.lineages.values():
        undeclared_schemas += _lost_fields(lineage, {row.fingerprint for row in schema.written})
    return undeclared_schemas


def _latest_names(rows: Sequence[WrittenType], declared: set[int]) -> list[tuple[str, WrittenType]]:
    """(last name of the type, declaration) of the stored declarations that belong to no class."""
    renamed = {former: row.name for row in rows for former in row.former}
    latest = []
    for row in rows:
        name, before = row.name, set[str]()
        while name in renamed and name not in before:
            before.add(name)
            name = renamed[name]
        if row.fingerprint not in declared:
            latest.append((name, row))
    return latest


def _lost_fields(lineage: Lineage, written: set[int]) -> list[tuple[Undeclared, set[int]]]:
    declared, current = lineage.declared, {slot.index for slot in lineage.current.values()}
    used = {slot.index for version in written & lineage.names.keys() for slot in lineage.names[version].values()}
    new = tuple(name for name, slot in lineage.current.items() if slot.index not in used)
    lost = []
    for slot in lineage.slots:
        names = {
            fingerprint: name
            for fingerprint, fields in lineage.names.items()
            for name, field in fields.items()
            if field.index == slot.index and fingerprint in written
        }
        if slot.index not in current and names:
            last = list(names.values())[-1]
            lost.append((Undeclared(declared.name, last, declared.cls.__name__, new), set(names)))
    return lost
