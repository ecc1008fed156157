"""Event types that change between events, and what is true of them: plain dicts by field name."""

from typing import Annotated, Any, Literal

from hypothesis import strategies as st

from flyball.events import Event, Ref, integer, renamed

User = Annotated[int, Ref("user"), integer(1, 999)]
NOTHING = object()


def declare(name: str = "Rate", /, *, former: tuple[str, ...] = (), **fields: Any) -> type[Event]:
    """An event class; a field is its annotation, or (annotation, default)."""
    members: dict[str, Any] = {"__annotations__": {}, "__module__": __name__, "former_names": former}
    for field, declared in fields.items():
        annotation, default = declared if isinstance(declared, tuple) else (declared, NOTHING)
        members["__annotations__"][field] = annotation
        if default is not NOTHING:
            members[field] = default
    made: type[Event] = type(Event)(name, (Event,), members, kw_only=True)  # type: ignore[call-arg]
    return made


_KINDS: dict[str, tuple[Any, Any]] = {
    "int": (Annotated[int, integer(0, 9)], st.integers(0, 9)),
    "wide": (Annotated[int, integer(-9, 99)], st.integers(-9, 99)),
    "float": (float, st.sampled_from([0.0, 1.0, 2.5, 7.0])),
    "text": (str, st.sampled_from(["", "a", "b"])),
    "maybe": (int | None, st.sampled_from([None, 0, 5])),
    "choice": (Literal["a", "b"], st.sampled_from(["a", "b"])),
    "bytes": (bytes, st.sampled_from([b"", b"\x00a"])),
    "ints": (list[int], st.sampled_from([[], [1], [2, 1]])),
    "floats": (list[float], st.sampled_from([[], [1.0], [2.0, 1.0], [2.5]])),
    "map": (dict[str, str | int | float], st.sampled_from([{}, {"x": "1", "y": 1}])),
    "maybe_map": (dict[str, str | int | float] | None, st.sampled_from([None, {}, {"x": "1", "y": 1}])),
}
_WIDER = {
    "int": ["wide", "float", "maybe"],
    "wide": ["float", "maybe"],
    "choice": ["text"],
    "ints": ["floats"],
    "map": ["maybe_map"],
}
_NARROWER = {"maybe": "wide", "text": "choice", "maybe_map": "map", "wide": "int"}
_KINDS_ALLOW = {
    "wide": lambda value: value is not None,
    "int": lambda value: 0 <= value <= 9,
    "choice": lambda value: value in ("a", "b"),
    "map": lambda value: value is not None,
}
"""{kind: whether it allows a value of the kind that it is narrower than}"""
_EMPTY = {"ints": [], "floats": [], "map": {}, "maybe_map": {}}
"""The only defaults that a class may have of kinds that can be changed in place."""


class Model:
    """What is true: each event a dict by the first names of its fields; a field's default is the one it came with."""

    def __init__(self) -> None:
        self.fields: list[list[Any]] = [["a", "a", "int", NOTHING, ()]]  # first name, name, kind, default, former
        self.came_with: dict[str, Any] = {}
        self.removed: list[list[Any]] = []
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.keys: set[Any] = set()
        self.fresh = iter(f"f{number}" for number in range(1_000))

    def declare(self) -> type[Event]:
        fields: dict[str, Any] = {}
        for _, name, kind, default, former in self.fields:
            annotation = _KINDS[kind][0]
            annotation = Annotated[annotation, renamed(*former)] if former else annotation
            fields[name] = annotation if default is NOTHING else (annotation, default)
        return declare("Thing", user=User, **fields)

    def change(self, step: str, data: st.DataObject) -> None:
        if step == "add":
            kind = data.draw(st.sampled_from(sorted(_KINDS)))
            default, name = _default(kind, data), next(self.fresh)
            self.fields.insert(data.draw(st.integers(0, len(self.fields))), [name, name, kind, default, ()])
        elif step == "back" and self.removed:
            field = self.removed.pop(data.draw(st.integers(0, len(self.removed) - 1)))
            if field[3] is NOTHING:
                field[3] = _default(field[2], data)
            self.fields.append(field)
        elif not self.fields:
            return
        elif step == "reorder":
            self.fields = data.draw(st.permutations(self.fields))
        else:
            field = self.fields[data.draw(st.integers(0, len(self.fields) - 1))]
            if step == "remove":
                self.fields.remove(field)
                self.removed.append(field)
            elif step == "rename":
                field[4] = (*field[4], field[1])
                field[1] = next(self.fresh)
            elif step == "widen" and field[2] in _WIDER:
                field[2] = data.draw(st.sampled_from(_WIDER[field[2]]))
                if field[3] is not NOTHING and field[2] == "float":
                    field[3] = float(field[3])
            elif step == "default":
                field[3] = _default(field[2], data)
            elif field[0] not in self.came_with:
                return
            elif step == "narrow" and field[2] in _NARROWER:
                self._narrow(field, _NARROWER[field[2]], data)
            elif step == "no default" and field is self.fields[0] and self.came_with[field[0]] is not NOTHING:
                field[3] = NOTHING

    def _narrow(self, field: list[Any], kind: str, data: st.DataObject) -> None:
        """Allow less where every value, the default with which the field came too, is still allowed."""
        values = [self._value(event, field) for _, event in self.events]
        came_with = self.came_with[field[0]]
        if all(map(_KINDS_ALLOW[kind], values if came_with is NOTHING else [*values, came_with])):
            field[2] = kind
            field[3] = field[3] if field[3] is NOTHING else _default(kind, data)

    def put(self, at: int, data: st.DataObject) -> tuple[dict[str, Any], bool]:
        """(an event as it would be sent, whether it is new)."""
        sent: dict[str, Any] = {}
        event: dict[str, Any] = {}
        for first, _, _, default, _ in self.fields:
            self.came_with.setdefault(first, default)
        for first, name, kind, default, _ in self.fields:
            value = data.draw(_KINDS[kind][1])
            if default is not NOTHING and data.draw(st.booleans()):
                value = default
            else:
                sent[name] = value
            event[first] = value
        key = (
            at,
            frozenset(
                (name, _whole(value))
                for name, value in event.items()
                if self.came_with[name] is NOTHING or value != self.came_with[name]
            ),
        )
        new = key not in self.keys
        if new:
            self.keys.add(key)
            self.events.append((at, event))
        return sent, new

    def seen(self) -> list[tuple[int, dict[str, Any]]]:
        """Every event as today's declaration shows it."""
        return [(at, {field[1]: self._value(event, field) for field in self.fields}) for at, event in self.events]

    def _value(self, event: dict[str, Any], field: list[Any]) -> Any:
        first, _, kind, default, _ = field
        came_with = self.came_with[first]
        return _as_kind(kind, event.get(first, default if came_with is NOTHING else came_with))


def _default(kind: str, data: st.DataObject) -> Any:
    return _EMPTY[kind] if kind in _EMPTY else data.draw(_KINDS[kind][1])


def _as_kind(kind: str, value: Any) -> Any:
    """A value of a kind, or of one that it is wider than."""
    if kind == "float" and value is not None:
        return float(value)
    return [float(number) for number in value] if kind == "floats" else value


def _whole(value: Any) -> Any:
    """A value as it identifies an event: the same for 1 and 1.0, also in a list."""
    if isinstance(value, list):
        return tuple(map(_whole, value))
    if isinstance(value, dict):
        return tuple(sorted(value.items()))
    return int(value) if isinstance(value, float) and value.is_integer() else value
