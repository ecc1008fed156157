"""What a declared event type says, read once: fields, references, natural key. Mistakes are told with their place."""

import enum
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from flyball.core import BadDeclaration
from flyball.events.types import Event, Profile, Ref

_SCALARS = (int, float, str, bool)


class Field(msgspec.Struct, frozen=True):
    """One declared field. `kind` is int, float, str, bool, list, or the Enum or Literal type of a choice."""

    name: str
    annotation: Any
    kind: Any
    optional: bool
    required: bool
    entity: str | None
    default: Any


class EventType(msgspec.Struct, frozen=True):
    """A declared type: `name` is the class name in lower case; `fields` leaves out `at`; `refs` are (field, entity)."""

    name: str
    cls: type[Event]
    fields: tuple[str, ...]
    refs: tuple[tuple[str, str], ...]
    key_field: str
    is_profile: bool
    natural_key: tuple[str, ...]
    declared: tuple[Field, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """The fields without a default."""
        return tuple(field.name for field in self.declared if field.required)


def read_type(cls: type[Event]) -> EventType:
    """Read the declaration of `cls`; raises `BadDeclaration` that says what is wrong and where."""
    if not (isinstance(cls, type) and issubclass(cls, Event)) or cls in (Event, Profile):
        raise BadDeclaration("an event type", "a subclass of Event or Profile", cls)
    try:
        msgspec.json.schema_components([cls])
        infos = [info for info in msgspec.structs.fields(cls) if info.name != "at"]
    except (TypeError, NameError) as error:
        raise BadDeclaration(f"event type {cls.__name__}", "made of types that msgspec can check", str(error)) from None
    if "at" in cls.__annotations__:
        raise BadDeclaration(f"{cls.__name__}.at", "left out: every event has it, the instant it happened", "a field")
    declared = tuple(_read_field(cls, info) for info in infos)
    refs = tuple((field.name, field.entity) for field in declared if field.entity is not None)
    if not refs:
        raise BadDeclaration(
            f"event type {cls.__name__}",
            "keyed: at least one field annotated with Ref(entity)",
            [f.name for f in declared],
        )
    if declared[0].name != refs[0][0] and issubclass(cls, Profile):
        raise BadDeclaration(f"first field of profile {cls.__name__}", "the Ref to its entity", declared[0].name)
    names = tuple(field.name for field in declared)
    _check_first_ref(cls, next(field for field in declared if field.entity is not None))
    return EventType(
        name=cls.__name__.lower(),
        cls=cls,
        fields=names,
        refs=refs,
        key_field=refs[0][0],
        is_profile=issubclass(cls, Profile),
        natural_key=_read_natural_key(cls, names),
        declared=declared,
    )


def _check_first_ref(cls: type[Event], field: Field) -> None:
    if field.optional or not field.required:
        raise BadDeclaration(
            f"{cls.__name__}.{field.name}", "required: the log is partitioned by it", "an optional field"
        )


def _read_natural_key(cls: type[Event], names: tuple[str, ...]) -> tuple[str, ...]:
    key = cls.natural_key
    if not isinstance(key, tuple):
        raise BadDeclaration(f"{cls.__name__}.natural_key", "a tuple of field names", key)
    for name in key:
        if name != "at" and name not in names:
            raise BadDeclaration(f"{cls.__name__}.natural_key", f"made of {', '.join((*names, 'at'))}", name)
    return key or (*names, "at")


def _read_field(cls: type[Event], info: msgspec.structs.FieldInfo) -> Field:
    where = f"{cls.__name__}.{info.name}"
    kind, optional, entity = _read_annotation(where, info.type)
    if entity is not None and kind not in (int, str):
        raise BadDeclaration(where, "int or str, being a Ref", info.type)
    if info.default is not msgspec.NODEFAULT:
        default = info.default
        _check_default(where, info.type, default)
    elif info.default_factory is not msgspec.NODEFAULT:
        default = info.default_factory()
    else:
        default = msgspec.NODEFAULT
    return Field(info.name, info.type, kind, optional, default is msgspec.NODEFAULT, entity, default)


def _check_default(where: str, annotation: Any, default: Any) -> None:
    """A default is as good as what is sent: msgspec itself does not check it."""
    try:
        msgspec.convert(msgspec.to_builtins(default), annotation)
    except msgspec.ValidationError as error:
        raise BadDeclaration(f"default of {where}", f"a value that fits ({error})", default) from None


def _read_annotation(where: str, annotation: Any) -> tuple[Any, bool, str | None]:
    """(kind, optional, entity) of an annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        kind, optional, entity = _read_annotation(where, inner)
        return kind, optional, next((mark.entity for mark in marks if isinstance(mark, Ref)), entity)
    if origin in (Union, types.UnionType):
        members = get_args(annotation)
        rest = [member for member in members if member is not type(None)]
        if len(rest) == 1 and len(members) == 2:
            kind, _, entity = _read_annotation(where, rest[0])
            return kind, True, entity
    elif origin is list:
        (item,) = get_args(annotation)
        _read_annotation(where, item)
        return list, False, None
    elif (
        origin is Literal
        or annotation in _SCALARS
        or (isinstance(annotation, type) and issubclass(annotation, enum.Enum))
    ):
        return annotation, False, None
    raise BadDeclaration(
        where, "int, float, str, bool, Literal, Enum, a list of these, or one of these | None", annotation
    )
