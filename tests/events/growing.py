"""Event types that change between events, and what is true of them: plain dicts by field name."""

from typing import Annotated, Any

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
}
_WIDER = {"int": ["wide", "float", "maybe"], "wide": ["float", "maybe"]}


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
            default, name = data.draw(_KINDS[kind][1]), next(self.fresh)
            self.fields.insert(data.draw(st.integers(0, len(self.fields))), [name, name, kind, default, ()])
        elif step == "back" and self.removed:
            field = self.removed.pop(data.draw(st.integers(0, len(self.removed) - 1)))
            if field[3] is NOTHING:
                field[3] = data.draw(_KINDS[field[2]][1])
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
                field[3] = data.draw(_KINDS[field[2]][1])

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
        shown = []
        for at, event in self.events:
            values = {}
            for first, name, kind, default, _ in self.fields:
                came_with = self.came_with[first]
                value = event.get(first, default if came_with is NOTHING else came_with)
                values[name] = float(value) if kind == "float" and value is not None else value
            shown.append((at, values))
        return shown


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
