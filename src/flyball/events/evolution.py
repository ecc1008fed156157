"""Schema evolution: which field of an earlier declaration is which of today's, and which kinds are compatible."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flyball.events.declared import EventType
from flyball.events.written import FieldKind, WrittenField, WrittenType, text_of


class Slot(msgspec.Struct, frozen=True):
    """One field under all of its names. `first`: its first declaration; `index`: its position in order of first use."""

    index: int
    first: WrittenField


class Lineage:
    """The declarations of one type, oldest first, the present one last; `slots`: of each, by field name.

    A field is the same as an earlier one of its name or of a former name, also after it was removed and added again.
    `problems`: the renames that are ambiguous.
    """

    def __init__(self, declared: EventType, rows: Iterable[WrittenType] = ()) -> None:
        self.declared = declared
        self.versions: dict[int, WrittenType] = {}
        self.names: dict[int, dict[str, Slot]] = {}
        self.slots: list[Slot] = []
        self.problems: list[str] = []
        retired: dict[str, Slot] = {}
        current: dict[str, Slot] = {}
        for version in (*rows, declared.written):
            names = self._names(version, current, retired)
            retired |= {name: slot for name, slot in current.items() if slot not in names.values()}
            current = names
            self.versions[version.fingerprint] = version
            self.names[version.fingerprint] = names
        self.current = current
        self.origin = next(iter(self.versions.values())).name

    @property
    def plain(self) -> bool:
        """Whether identities are the same as those of a type that never changed."""
        fields = self.declared.written.fields
        return (
            self.origin == self.declared.name
            and len(self.slots) == len(fields)
            and all(
                self.current[field.name].index == index
                and (slot.first.required, slot.first.default) == (field.required, field.default)
                and slot.first.kind.name == field.kind.name
                and not _becomes_float(slot.first.kind, field.kind)
                for index, (slot, field) in enumerate(zip(self.slots, fields, strict=True))
            )
        )

    def default_of(self, name: str) -> Any:
        """The value of today's field `name` in records written before the field was added.

        It is the first default of the field: changing the default later does not change past events.
        """
        first = self.current[name].first
        today = next(field for field in self.declared.written.fields if field.name == name)
        return today.default if first.required else first.default

    def _names(self, version: WrittenType, current: Mapping[str, Slot], retired: Mapping[str, Slot]) -> dict[str, Slot]:
        fields = {field.name for field in version.fields}
        names: dict[str, Slot] = {}
        for field in version.fields:
            former = [name for name in field.former if name in current and name not in fields]
            if field.name in current and any(current[name] != current[field.name] for name in former):
                self.problems.append(
                    f"{self.declared.cls.__name__}.{field.name} must be either itself or renamed from {former[0]!r}: "
                    "records hold both; give it a name that no field had before"
                )
            slot = current.get(field.name) or next((current[name] for name in former), None)
            slot = slot or retired.get(field.name) or next((retired[n] for n in field.former if n in retired), None)
            if slot is None or slot in names.values():
                slot = Slot(len(self.slots), field)
                self.slots.append(slot)
            names[field.name] = slot
        return names


class TypeChange(msgspec.Struct, frozen=True):
    """The change from an earlier declaration to today's; `sources[i]`: the index in old bodies of today's field i, or
    None.

    `defaults`: of added fields. `problems`: the reasons why it cannot be read. `narrower`: fields that allow less
    today, whose stored values must be checked. `to_float`: indices of today's fields that were integers.
    """

    sources: tuple[int | None, ...]
    defaults: tuple[Any, ...]
    problems: tuple[str, ...]
    narrower: tuple[str, ...]
    to_float: tuple[int, ...]


def change_of(lineage: Lineage, written: WrittenType) -> TypeChange:
    """The change from an earlier declaration to today's."""
    declared = lineage.declared.written
    indices = {slot.index: index for index, slot in enumerate(lineage.names[written.fingerprint].values())}
    sources, defaults, problems, narrower, to_float = (
        list[int | None](),
        list[Any](),
        list[str](),
        list[str](),
        list[int](),
    )
    label = lineage.declared.cls.__name__
    for index, field in enumerate(declared.fields):
        source = indices.get(lineage.current[field.name].index)
        sources.append(source)
        defaults.append(lineage.default_of(field.name) if source is None else None)
        if source is None:
            problems += _added_problems(label, lineage, field)
            continue
        old = written.fields[source]
        verdict = compare(old.kind, field.kind)
        if verdict == "changed":
            problems.append(
                f"{label}.{field.name} must stay {text_of(old.kind)}, got {text_of(field.kind)}: declare it as before, "
                "or give the new field another name and a default"
            )
        elif verdict == "narrower":
            narrower.append(field.name)
        if _becomes_float(old.kind, field.kind):
            to_float.append(index)
    problems += _key_problems(label, lineage, written, declared)
    return TypeChange(tuple(sources), tuple(defaults), tuple(problems), tuple(narrower), tuple(to_float))


def _added_problems(label: str, lineage: Lineage, field: WrittenField) -> list[str]:
    """Why records from before a field was added cannot have the default with which it came; empty when they can."""
    if field.required and lineage.current[field.name].first.required:
        return [
            f"{label}.{field.name} ({text_of(field.kind)}) is new and has no default: give it one, such as "
            f"`{field.name}: ... | None = None`; or, if it is a field that had another name, declare that with "
            'fb.renamed("the old name")'
        ]
    default = lineage.default_of(field.name)
    annotation = next(declared.annotation for declared in lineage.declared.declared if declared.name == field.name)
    try:
        msgspec.convert(default, annotation)
    except msgspec.ValidationError:
        return [
            f"{label}.{field.name} must be {text_of(field.kind)}, got {default!r}, the default with which it came and "
            "which events from before it have: allow what it allowed then, or give the new field another name and a "
            "default"
        ]
    return []


def _key_problems(label: str, lineage: Lineage, written: WrittenType, declared: WrittenType) -> list[str]:
    if not written.refs and not declared.refs:
        return []
    old = written.refs[0] if written.refs else ("", "")
    new = declared.refs[0] if declared.refs else ("", "")
    same = (
        written.refs
        and declared.refs
        and lineage.names[written.fingerprint][old[0]] == lineage.current[new[0]]
        and old[1] == new[1]
    )
    if same:
        return []
    return [
        f"{label}: the first Ref must stay {old[0]!r} of entity {old[1]!r}, which the log is partitioned by, got "
        f"{new[0]!r} of {new[1]!r}: put it first again, or name a new event type"
    ]


def compare(old: FieldKind, new: FieldKind) -> str:
    """The relation of two kinds of values.

    "same" or "wider": every old value is allowed; "narrower": some may not be; "changed": the values are incompatible.
    """
    if old.entity is not None and new.entity is not None and old.entity != new.entity:
        return "changed"
    verdict = _compare_names(old, new)
    if verdict == "changed":
        return verdict
    if old.optional and not new.optional:
        verdict = "narrower"
    if new.entity is not None and old.entity is None:
        verdict = "narrower"
    if not all(_holds(name, limit, old) for name, limit in new.limits.items()):
        verdict = "narrower"
    return verdict


def _compare_names(old: FieldKind, new: FieldKind) -> str:
    if old.name == new.name:
        if old.name == "choice":
            return "wider" if set(map(_typed, old.choices)) <= set(map(_typed, new.choices)) else "narrower"
        if old.item is not None and new.item is not None:
            return compare(old.item, new.item)
        return "same"
    if old.name == "int" and new.name == "float":
        return "wider"
    if new.name == "number_or_text" and old.name in ("int", "float", "str"):
        return "wider"
    if old.name == "choice":
        return "wider" if all(type(choice).__name__ == new.name for choice in old.choices) else "changed"
    if new.name == "choice":
        return "narrower" if all(type(choice).__name__ == old.name for choice in new.choices) else "changed"
    return "changed"


def _becomes_float(old: FieldKind, new: FieldKind) -> bool:
    if old.item is not None and new.item is not None:
        return _becomes_float(old.item, new.item)
    return old.name == "int" and new.name == "float"


def _typed(choice: Any) -> tuple[str, Any]:
    return type(choice).__name__, choice


_AT_LEAST, _AT_MOST = ("ge", "gt", "min_length"), ("le", "lt", "max_length")


def _holds(name: str, limit: Any, old: FieldKind) -> bool:
    """Whether every value that the old kind allowed satisfies a limit."""
    if old.name == "choice":
        return False  # not decided here: stored values are checked
    old_limit = old.limits.get(name)
    if old_limit is not None and old_limit == limit:
        return True
    if name in _AT_LEAST:
        return old_limit is not None and old_limit >= limit
    if name in _AT_MOST:
        return old_limit is not None and old_limit <= limit
    return name == "min_length" and limit == 0


def rows_of(declared: EventType, rows: Sequence[WrittenType]) -> list[WrittenType]:
    """The earlier declarations of a type, under its present name and all former names."""
    names = {declared.name, *declared.former}
    while True:
        more = {name for row in rows if row.name in names for name in row.former} - names
        if not more:
            return [row for row in rows if row.name in names]
        names |= more
