"""The text of a value that code reads from outside: numbers and texts by themselves, functions by their source.

Sets are sorted, dicts in their order, which a function can see; what is built in or installed counts by its public
name. Anything else is refused.
"""

import datetime
import decimal
import enum
import fractions
import operator
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

from flyball.core import BadDeclaration
from flyball.features.code.public_name import public_name

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))
_BY_REPR = (
    range,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    fractions.Fraction,
    operator.attrgetter,
    operator.itemgetter,
)
MUST = (
    "made of numbers and texts (also in tuples, lists, dicts, sets or enumerations), or a function: name what it needs "
    "of it as a constant of its own"
)


class ValueText(ABC):
    """The texts of values. `where`, of each: what messages call it."""

    def __init__(self) -> None:
        self._seen: dict[FunctionType, int] = {}  # the number of each that was visited already

    @abstractmethod
    def is_own(self, module: str | None) -> bool:
        """Whether the module is the user's own."""

    @abstractmethod
    def has_attributes(self, value: Any) -> bool:
        """Whether it is the user's own module or class, of which only the used attributes count."""

    @abstractmethod
    def function_lines(self, function: FunctionType) -> Iterator[str]:
        """The lines of one function of the user's own, which is noted as seen."""

    def value_text(self, where: str, value: Any) -> str:
        """The content of one value; raises `BadDeclaration` for one that has none."""
        if isinstance(value, enum.Enum):
            kind = type(value)
            return f"{self.value_text(where, kind)} {value.name} {self.value_text(where, value.value)}"
        if isinstance(value, type) and issubclass(value, enum.Enum) and self.is_own(value.__module__):
            members = ", ".join(
                f"{name}={self.value_text(where, member.value)}" for name, member in value.__members__.items()
            )
            return f"{value.__qualname__}({', '.join([members, *self._methods(value)])})"
        if type(value) in _PLAIN or isinstance(value, _BY_REPR):
            return repr(value)
        if isinstance(value, dict | MappingProxyType | set | frozenset | list | tuple):
            return self._container_text(where, value)
        if isinstance(value, re.Pattern):
            return f"re.compile({value.pattern!r}, {value.flags})"
        return self._callable_text(where, value)

    def _container_text(self, where: str, value: Any) -> str:
        if isinstance(value, dict | MappingProxyType):
            pairs = [f"{self.value_text(where, key)}: {self.value_text(where, item)}" for key, item in value.items()]
            factory = value.default_factory if isinstance(value, defaultdict) else None
            default = f"default {self.value_text(where, factory)} " if isinstance(value, defaultdict) else ""
            return f"{self._container_name(value, dict)}{default}{{{', '.join(pairs)}}}"
        if isinstance(value, set | frozenset):
            name = "" if type(value) in (set, frozenset) else self._container_name(value, set)
            return f"{name}set({', '.join(sorted(self.value_text(where, element) for element in value))})"
        if isinstance(value, list):
            name = self._container_name(value, list)
            return f"{name}[{', '.join(self.value_text(where, element) for element in value)}]"
        texts = [self.value_text(where, element) for element in value]
        fields = "".join(f"{name} " for name in getattr(value, "_fields", ()))
        return f"{self._container_name(value, tuple)}{fields}({', '.join(texts)}{',' * (len(texts) == 1)})"

    def _container_name(self, value: Any, base: type) -> str:
        """The class of a container that is not exactly `base`, with the methods that the user's class defines."""
        kind = type(value)
        if kind is base:
            return ""
        own = [parent for parent in kind.__mro__ if self.is_own(parent.__module__)]
        if hasattr(kind, "_fields"):  # a named tuple: its own functions are those of every other
            own = [parent for parent in own if "_fields" not in vars(parent)]
        methods = [method for parent in own for method in self._methods(parent)]
        return f"{kind.__qualname__} " if not methods else f"{kind.__qualname__} ({', '.join(methods)}) "

    def _methods(self, kind: type) -> list[str]:
        """The methods that the user's class defines itself."""
        texts = []
        for name, value in sorted(vars(kind).items()):
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if isinstance(function, FunctionType) and self.is_own(function.__module__):
                texts.append(f"{name}: {self._callable_text(kind.__qualname__, function)}")
        return texts

    def _callable_text(self, where: str, value: Any) -> str:
        """The content of a callable; raises `BadDeclaration` for anything else."""
        if isinstance(value, FunctionType) and self.is_own(value.__module__):
            number = self._seen.get(value)
            return f"function {number}" if number is not None else f"function({'; '.join(self.function_lines(value))})"
        if isinstance(value, partial):
            bound = [self.value_text(where, part) for part in (value.func, value.args, value.keywords)]
            return f"partial({', '.join(bound)})"
        if isinstance(value, MethodType):
            owner = value.__self__
            if not (isinstance(owner, type) and not self.has_attributes(owner)):
                raise BadDeclaration(where, MUST, value)
            return f"{self.value_text(where, owner)}.{value.__name__}"
        if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | type | None):
            return f"{self.value_text(where, value.__self__)}.{value.__name__}"
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType) and not isinstance(value, FunctionType):
            return f"{type(value).__qualname__} of {self.value_text(where, wrapped)}"
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        module = getattr(value, "__module__", None) or type(value).__module__
        if callable(value) and isinstance(name, str) and not self.is_own(module):
            return f"is {public_name(value, module, name)}"
        raise BadDeclaration(where, MUST, value)
