"""Checks the arguments of a model's constructor; errors name the parameter."""

from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, dataclass_transform, get_args, get_origin, get_type_hints

import msgspec

from flyball.core import BadDeclaration

_TAKES = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "text"),
    bool: (bool, "True or False"),
}


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class CheckedParameters(msgspec.StructMeta):
    """The metaclass of structs whose constructor raises `BadDeclaration` for an unknown name or a wrong type.

    Types are checked for numbers, texts and booleans. msgspec's own error names neither the class nor its parameters,
    and msgspec checks types only while decoding.
    """

    def __call__(cls, *values: Any, **named: Any) -> Any:
        """A new struct, after a check of its parameters."""
        fields = cls.__struct_fields__
        for name in named:
            if name not in fields:
                raise BadDeclaration(
                    f"a parameter of {cls.__name__}", f"one of {', '.join(fields)}" if fields else "left out", name
                )
        hints = _hints(cls)
        for name, value in {**dict(zip(fields, values, strict=False)), **named}.items():
            _check(f"{cls.__name__}'s {name}", hints[name], value)
        return super().__call__(*values, **named)


@cache
def _hints(model: type) -> dict[str, Any]:
    """The types of its parameters, cached: models that contain others construct them for every response."""
    try:
        return get_type_hints(model)
    except NameError as error:  # its parameters could not be decoded from an artifact either
        raise BadDeclaration(
            f"annotations of {model.__name__}",
            "names that exist when the program runs (not for type checkers alone)",
            str(error),
        ) from None


def _check(where: str, hint: Any, value: object) -> None:
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    plain = [kind for kind in kinds if kind is not NoneType]
    if any(kind not in _TAKES for kind in plain) or (value is None and NoneType in kinds):
        return  # the model itself checks values of other types
    if not any(isinstance(value, _TAKES[kind][0]) for kind in plain):
        words = [_TAKES[kind][1] for kind in plain] + ["None"] * (NoneType in kinds)
        raise BadDeclaration(where, " or ".join(words), value)
