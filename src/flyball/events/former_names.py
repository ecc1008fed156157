"""Finds the present names of event types and fields that an earlier declaration names."""

from collections.abc import Mapping, Sequence

from flyball.core import Refused
from flyball.events.declared import read_type
from flyball.events.evolution import Lineage, rows_of
from flyball.events.types import Event
from flyball.events.written import WrittenType


class FormerNames:
    """Looks up former names among today's `types`, by the same lineages by which records are read.

    `written`: the declarations that the log's records were written with, oldest first. `then`: {class name: the type as
    declared at that time}, where known.
    """

    def __init__(
        self,
        types: Sequence[type[Event]],
        written: Sequence[WrittenType] = (),
        then: Mapping[str, WrittenType] | None = None,
    ) -> None:
        self._types = {cls.__name__.lower(): cls for cls in types}
        self._written, self._then = tuple(written), dict(then or {})

    def type_of(self, name: str) -> type[Event]:
        """The type whose class is or was called `name`; raises `Refused` when there is none."""
        own = self._types.get(name.lower())
        if own is not None:
            return own
        for cls in self._types.values():
            declared = read_type(cls)
            rows = rows_of(declared, self._written)
            former = {*declared.former, *(former_name for row in rows for former_name in (row.name, *row.former))}
            if name.lower() in former:
                return cls
        declared_now = ", ".join(cls.__name__ for cls in self._types.values())
        raise Refused(
            f"event type {name} must be declared, since the version was learned from it, got {declared_now}: "
            "declare it again, or release a version learned since"
        )

    def field_of(self, name: str, field: str) -> str:
        """Today's name of the former `field` of the class `name`.

        Raises `Refused` when it is no longer declared, and when the name is ambiguous.
        """
        if field == "at":
            return field
        cls = self.type_of(name)
        lineage = self._lineage(name, cls)
        then = self._then.get(name)
        versions = [then.fingerprint] if then is not None else list(lineage.versions)
        slots = {lineage.names[version][field].index for version in versions if field in lineage.names[version]}
        if len(slots) > 1:
            raise Refused(
                f"field {field} of {cls.__name__} must have meant the same ever since the version was learned from "
                "it, got a name that two fields had: release a version learned since"
            )
        today = [field_name for field_name, slot in lineage.current.items() if slot.index in slots]
        if not slots:  # no record was written with it
            today = [
                written_field.name for written_field in lineage.declared.written.fields if field in written_field.former
            ]
        if not today:
            raise Refused(
                f"field {field} of {cls.__name__} must be declared, since the version was learned from it, got "
                f"{', '.join(lineage.declared.fields)}: declare it again, or release a version learned since"
            )
        return today[0]

    def _lineage(self, name: str, cls: type[Event]) -> Lineage:
        declared = read_type(cls)
        rows = rows_of(declared, self._written)
        then = self._then.get(name)
        if then is not None and then.fingerprint not in {declared.fingerprint, *(row.fingerprint for row in rows)}:
            rows.append(then)
        return Lineage(declared, rows)
