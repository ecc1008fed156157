"""Reads the declaration of an event type: fields, references, natural key. Errors name the class and the field."""

import enum
import re
import types
from functools import cache, cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from flyball.core import BadDeclaration, InWords, requirement
from flyball.events.types import Event, Profile, Ref, Renamed
from flyball.events.written import WrittenField, WrittenType, kind_of

_SCALARS = (int, float, str, bool, bytes)
_WORD = re.compile(r"\w+")


class Field(msgspec.Struct, frozen=True):
    """One declared field. `kind` is int, float, str, bool, bytes, list, dict, or the Enum or Literal type of a choice.

    `entity`: the kind of entity that it refers to; `item_entity`: the same of a list's values. `former`: former names.
    """

    name: str
    annotation: Any
    kind: Any
    optional: bool
    required: bool
    entity: str | None
    default: Any
    item_entity: str | None = None
    former: tuple[str, ...] = ()


class EventType(msgspec.Struct, frozen=True, dict=True):
    """A declared type: `name` is the class name in lower case; `fields` leaves out `at`; `refs` are (field, entity).

    `list_refs`: the same of fields that are lists of references. `key_field` is "" where no field is a reference.
    """

    name: str
    cls: type[Event]
    fields: tuple[str, ...]
    refs: tuple[tuple[str, str], ...]
    key_field: str
    is_profile: bool
    natural_key: tuple[str, ...]
    declared: tuple[Field, ...]
    list_refs: tuple[tuple[str, str], ...] = ()
    former: tuple[str, ...] = ()

    @property
    def flagged(self) -> tuple[tuple[str, str], ...]:
        """(field, entity) in the order of the bits of `Record.flags`, which mark entities unknown on arrival."""
        return self.refs + self.list_refs

    @cached_property
    def written(self) -> WrittenType:
        """The declaration as it is stored beside records that are written now."""
        fields = [
            WrittenField(
                field.name,
                kind_of(field.annotation),
                field.required,
                None if field.required else msgspec.to_builtins(field.default, builtin_types=(bytes,)),
                field.former,
            )
            for field in self.declared
        ]
        base = "Profile" if self.is_profile else "Event"
        return WrittenType(self.name, tuple(fields), self.former, base=base, natural_key=self.cls.natural_key)

    @cached_property
    def fingerprint(self) -> int:
        """Identifies this declaration among all of the type, in each record and in what is derived from records."""
        return self.written.fingerprint

    @property
    def required(self) -> tuple[str, ...]:
        """The fields without a default."""
        return tuple(field.name for field in self.declared if field.required)


def read_type(cls: type[Event]) -> EventType:
    """The declaration of `cls`; raises `BadDeclaration` naming the class and field."""
    if not (isinstance(cls, type) and issubclass(cls, Event)) or cls in (Event, Profile):
        raise BadDeclaration("an event type", "a subclass of Event or Profile", cls)
    return _read_type(cls)


@cache
def _read_type(cls: type[Event]) -> EventType:
    """Read once: what declares a feature or a label asks for the same few types again and again."""
    try:
        msgspec.json.schema_components([cls])
        infos = [info for info in msgspec.structs.fields(cls) if info.name != "at"]
    except (TypeError, NameError) as error:
        raise BadDeclaration(f"event type {cls.__name__}", "made of types that msgspec can check", str(error)) from None
    if "at" in cls.__annotations__:
        raise BadDeclaration(
            f"{cls.__name__}.at", "left out: every event has it, the time it happened", InWords("a field")
        )
    _check_annotated(cls)
    declared = tuple(_read_field(cls, info) for info in infos)
    refs = tuple((field.name, field.entity) for field in declared if field.entity is not None)
    names = tuple(field.name for field in declared)
    if not refs and (cls.keyed or issubclass(cls, Profile)):
        raise BadDeclaration(
            f"event type {cls.__name__}",
            "keyed: at least one field annotated with Ref(entity)",
            list(names),
        )
    if refs and not cls.keyed:
        raise BadDeclaration(f"{cls.__name__}.keyed", "True, since a field is a Ref", False)
    if issubclass(cls, Profile) and declared[0].name != refs[0][0]:
        raise BadDeclaration(f"first field of profile {cls.__name__}", "the Ref to its entity", declared[0].name)
    if refs:
        _check_first_ref(cls, next(field for field in declared if field.entity is not None))
    _check_former(cls, declared)
    return EventType(
        name=cls.__name__.lower(),
        cls=cls,
        fields=names,
        refs=refs,
        key_field=refs[0][0] if refs else "",
        is_profile=issubclass(cls, Profile),
        natural_key=_read_natural_key(cls, names),
        declared=declared,
        list_refs=tuple((field.name, field.item_entity) for field in declared if field.item_entity is not None),
        former=tuple(name.lower() for name in cls.former_names),
    )


def _check_annotated(cls: type[Event]) -> None:
    """Raise `BadDeclaration` for `name = value` without a type, which would be no field."""
    bases = [base for base in cls.__mro__ if base not in (*Event.__mro__, Profile)]
    inherited = {name for base in cls.__mro__ for name in getattr(base, "__annotations__", ())}
    settings = inherited - set(cls.__struct_fields__)  # such as natural_key
    for base in bases:
        for name, value in vars(base).items():
            is_annotated = name in getattr(base, "__annotations__", ()) or name in settings
            is_member = hasattr(value, "__get__") or getattr(value, "__qualname__", "") == f"{base.__qualname__}.{name}"
            if not (name.startswith("_") or is_annotated or is_member):
                must = f"written with its type to be a field, such as {_as_field(name, value)}"
                raise BadDeclaration(f"{cls.__name__}.{name}", f"{must} ({name}: ClassVar = ... is no field)", value)


def _as_field(name: str, value: Any) -> str:
    """How a field is declared whose default is the value, or whose type it is."""
    if isinstance(value, type):
        return f"{name}: {value.__name__}"
    if get_origin(value) is not None:
        return f"{name}: {str(value).replace('typing.', '')}"
    return f"{name}: {type(value).__name__ if value is not None else 'float | None'} = {value!r}"


def _check_former(cls: type[Event], fields: tuple[Field, ...]) -> None:
    """Raise `BadDeclaration` for a former name that is still in use: it would be ambiguous."""
    if not isinstance(cls.former_names, tuple) or cls.__name__.lower() in map(str.lower, cls.former_names):
        raise BadDeclaration(f"{cls.__name__}.former_names", "a tuple of names the class had before", cls.former_names)
    names = [field.name for field in fields]
    used_names = set(names)
    for field in fields:
        for name in field.former:
            if name in used_names:
                raise BadDeclaration(
                    f"{cls.__name__}.{field.name}", "renamed from a name that no other field has or had", name
                )
            used_names.add(name)


def defaults_in(cls: type[Event], *texts: str) -> list[tuple[str, str]]:
    """(field, default as text) of the fields with a default that occur in expressions, which are given as text.

    Events from before such a field was added have its default, so values derived by the expressions depend on it.
    """
    words = {word for text in texts for word in _WORD.findall(text)}
    defaults = cls.__struct_defaults__
    names = cls.__struct_fields__[len(cls.__struct_fields__) - len(defaults) :]
    return [
        (name, repr(default.factory() if hasattr(default, "factory") else default))
        for name, default in zip(names, defaults, strict=True)
        if name in words and default is not msgspec.NODEFAULT
    ]


def _check_first_ref(cls: type[Event], field: Field) -> None:
    if field.optional or not field.required:
        raise BadDeclaration(
            f"{cls.__name__}.{field.name}", "required: the log is partitioned by it", InWords("an optional field")
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
    read = _read_annotation(where, info.type)
    if (read.entity is not None and read.kind not in (int, str)) or (read.item_entity and read.item not in (int, str)):
        raise BadDeclaration(where, "int or str, being a Ref", info.type)
    if info.default is not msgspec.NODEFAULT:
        default = info.default
        _check_default(where, info.type, default)
    elif info.default_factory is not msgspec.NODEFAULT:
        default = info.default_factory()
    else:
        default = msgspec.NODEFAULT
    return Field(
        info.name,
        info.type,
        read.kind,
        read.optional,
        default is msgspec.NODEFAULT,
        read.entity,
        default,
        read.item_entity,
        read.former,
    )


def _check_default(where: str, annotation: Any, default: Any) -> None:
    """Check a default as if it had been sent; msgspec does not check defaults."""
    try:
        msgspec.convert(msgspec.to_builtins(default), annotation)
    except msgspec.ValidationError as error:
        raise BadDeclaration(f"default of {where}", requirement(str(error)), default) from None


def _check_choices(where: str, annotation: Any) -> None:
    """Raise `BadDeclaration` unless the values of a choice are of one type: they are one column of the history."""
    if annotation in _SCALARS:
        return
    is_literal = get_origin(annotation) is Literal
    choices = get_args(annotation) if is_literal else [choice.value for choice in annotation]
    kinds = {type(choice) for choice in choices}
    if len(kinds) != 1 or not kinds <= set(_SCALARS):
        raise BadDeclaration(f"choices of {where}", "one or more values of one type, text or numbers", list(choices))


class _Read(msgspec.Struct, frozen=True):
    """What an annotation says."""

    kind: Any
    optional: bool = False
    entity: str | None = None
    item: Any = None
    item_entity: str | None = None
    former: tuple[str, ...] = ()


def _read_annotation(where: str, annotation: Any) -> _Read:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        read = _read_annotation(where, inner)
        entity = next((mark.entity for mark in marks if isinstance(mark, Ref)), read.entity)
        former = tuple(name for mark in marks if isinstance(mark, Renamed) for name in mark.names)
        return msgspec.structs.replace(read, entity=entity, former=read.former + former)
    if origin in (Union, types.UnionType):
        members = get_args(annotation)
        member_types = [member for member in members if member is not type(None)]
        if len(member_types) == 1 and len(members) == 2:
            return msgspec.structs.replace(_read_annotation(where, member_types[0]), optional=True)
    elif origin is list:
        item = _read_annotation(where, get_args(annotation)[0])
        return _Read(list, item=item.kind, item_entity=item.entity)
    elif origin is dict:
        if get_args(annotation) in ((str, list[str]), (str, str | int | float)):
            return _Read(dict)
    elif (
        origin is Literal
        or annotation in _SCALARS
        or (isinstance(annotation, type) and issubclass(annotation, enum.Enum))
    ):
        _check_choices(where, annotation)
        return _Read(annotation)
    raise BadDeclaration(
        where,
        "int, float, str, bool, bytes, Literal, Enum, a list of these, one of these | None, dict[str, list[str]] or "
        "dict[str, str | int | float]",
        annotation,
    )
