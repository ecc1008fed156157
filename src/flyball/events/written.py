"""The declarations that records were written with, stored in the log beside them."""

import enum
import types
from base64 import b64decode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from flyball.events.types import Ref

_LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class FieldKind(msgspec.Struct, frozen=True, omit_defaults=True):
    """The type of a field's values. `name`: int, float, str, bool, bytes, choice, list, map or number_or_text.

    `item`: the kind of the values of a list or map. `limits`: as in `msgspec.Meta`.
    """

    name: str
    optional: bool = False
    entity: str | None = None
    choices: tuple[Any, ...] = ()
    item: "FieldKind | None" = None
    limits: dict[str, int | float | str] = {}


class WrittenField(msgspec.Struct, frozen=True, omit_defaults=True):
    """A declared field. `former`: its former names."""

    name: str
    kind: FieldKind
    required: bool
    default: Any = None
    former: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bytes that were stored in JSON, as in the manifest of the history, are base64 there."""
        if self.kind.name == "bytes" and isinstance(self.default, str):
            msgspec.structs.force_setattr(self, "default", b64decode(self.default))


class WrittenType(msgspec.Struct, frozen=True, omit_defaults=True):
    """A declared event type; bodies hold `fields` in this order, without trailing values that equal their defaults.

    `closes`: fingerprints of declarations that must not be written any more once this one is in use, since it allows
    less. `base`: the base class, "Event" or "Profile"; "" where it was not stored. `natural_key`: the fields that
    identified its events, () for all and `at`; None where it was not stored.
    """

    name: str
    fields: tuple[WrittenField, ...]
    former: tuple[str, ...] = ()
    closes: tuple[int, ...] = ()
    base: str = ""
    natural_key: tuple[str, ...] | None = None

    @property
    def fingerprint(self) -> int:
        """32 bits that distinguish the declarations of one type; never 0."""
        layout = [[field.name, field.kind, field.required, field.default] for field in self.fields]
        return int.from_bytes(blake2b(_encode([self.name, layout]), digest_size=4).digest()) or 1

    @property
    def refs(self) -> tuple[tuple[str, str], ...]:
        """(field, entity) of the references, in order."""
        return tuple((field.name, field.kind.entity) for field in self.fields if field.kind.entity is not None)


def kind_of(annotation: Any) -> FieldKind:
    """The kind of an annotation that `read_type` accepts."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        kind = kind_of(inner)
        limits = dict(kind.limits)
        for mark in marks:
            if isinstance(mark, msgspec.Meta):
                limits |= {name: value for name in _LIMITS if (value := getattr(mark, name)) is not None}
        entity = next((mark.entity for mark in marks if isinstance(mark, Ref)), kind.entity)
        return msgspec.structs.replace(kind, limits=limits, entity=entity)
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        kind = kind_of(members[0]) if len(members) == 1 else FieldKind("number_or_text")
        return msgspec.structs.replace(kind, optional=len(members) < len(get_args(annotation)))
    if origin is list:
        return FieldKind("list", item=kind_of(get_args(annotation)[0]))
    if origin is dict:
        return FieldKind("map", item=kind_of(get_args(annotation)[1]))
    if origin is Literal:
        return FieldKind("choice", choices=_sorted(get_args(annotation)))
    if issubclass(annotation, enum.Enum):
        return FieldKind("choice", choices=_sorted([choice.value for choice in annotation]))
    return FieldKind(annotation.__name__)


def text_of(kind: FieldKind) -> str:
    """A kind in Python's notation.

    >>> text_of(FieldKind("int", optional=True, limits={"ge": 1, "le": 5}))
    'int (ge=1, le=5) | None'
    """
    words = {
        "choice": f"one of {', '.join(map(repr, kind.choices))}",
        "list": f"list[{text_of(kind.item)}]" if kind.item else "",
        "map": f"dict[str, {text_of(kind.item)}]" if kind.item else "",
        "number_or_text": "str | int | float",
    }
    text = words.get(kind.name, kind.name)
    if kind.entity is not None:
        text = f"{text}, Ref({kind.entity!r})"
    if kind.limits:
        text = f"{text} ({', '.join(f'{name}={value!r}' for name, value in kind.limits.items())})"
    return f"{text} | None" if kind.optional else text


def _sorted(choices: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(sorted(choices, key=lambda choice: (str(type(choice)), choice)))
