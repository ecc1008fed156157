"""Event types whose events in a log were identified by another natural key than the application declares."""

import msgspec

from flyball.events.evolution import Lineage
from flyball.events.original_names import field_names_now
from flyball.events.schema import Schema
from flyball.events.written import WrittenType


class IdentityChange(msgspec.Struct, frozen=True):
    """Class `cls`, and the fields that its events were identified by when they were written, and are now."""

    cls: str
    before: tuple[str, ...]
    now: tuple[str, ...]

    def text(self) -> str:
        """What changed, what comes of it, and what to do.

        >>> IdentityChange("Order", ("number", "at"), ("number",)).text()
        'events of Order were identified by number, at, now by number: one that is sent again is another event; \
declare natural_key as it was, or ingest none of them again'
        """
        return (
            f"events of {self.cls} were identified by {', '.join(self.before)}, now by {', '.join(self.now)}: one that "
            "is sent again is another event; declare natural_key as it was, or ingest none of them again"
        )


def identity_changes(schema: Schema) -> list[IdentityChange]:
    """Each type whose records, written with `schema.written`, got their ids by another natural key; the latest such."""
    changes = (_change(lineage, written) for lineage in schema.lineages.values() for written in _rows(schema, lineage))
    return list({change.cls: change for change in changes if change is not None}.values())


def _rows(schema: Schema, lineage: Lineage) -> list[WrittenType]:
    return [row for row in schema.written if row.fingerprint in lineage.versions]


def _change(lineage: Lineage, written: WrittenType) -> IdentityChange | None:
    declared, names = lineage.declared, field_names_now(lineage.declared.cls)
    if written.natural_key is None or not (written.natural_key or declared.cls.natural_key):
        return None  # not kept, or all fields as ever: an identity does not change when its type evolves
    before = written.natural_key or (*(field.name for field in written.fields), "at")
    before = tuple(names.get(name, name) for name in before)
    return (
        None
        if {*before} == {*declared.natural_key}
        else IdentityChange(declared.cls.__name__, before, declared.natural_key)
    )
