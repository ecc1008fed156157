"""The content of a Python function as text, for hashes: its parsed source, the same on every Python version.

Layout, comments, docstrings and annotations are left out. What the function uses from outside is included: values made
of numbers and texts (sets sorted, dicts in their order, which a function can see), Python functions by their source,
attributes of the user's own modules and classes by their value, built-in and installed names by their qualified name.
Anything else is refused.
"""

import ast
import datetime
import decimal
import enum
import fractions
import inspect
import operator
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from flyball.core import NOTHING, BadDeclaration, parse_source

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
_INSTALLED = {"site-packages", "dist-packages"}
_LEFT_OUT = {"ctx", "kind", "type_comment", "type_params", "annotation", "returns"}
_MUST = (
    "made of numbers and texts (also in tuples, lists, dicts, sets or enumerations), or a function: name what it needs "
    "of it as a constant of its own"
)

Chain = tuple[str, ...]
"""A chain of attributes: (b, c) for `a.b.c`."""


_parsed: "WeakKeyDictionary[FunctionType, tuple[str, dict[str, set[Chain]]]]" = WeakKeyDictionary()
"""A cache: {function: its text and the attributes it uses}, since parsing a file takes some 20 ms."""


def content_of(function: FunctionType) -> str:
    """Everything besides its arguments that the function's value depends on, as text.

    Raises `BadDeclaration` where the source cannot be read, or where it uses something that cannot be hashed.
    """
    try:
        return "\n".join(_Content(function).parts(function))
    except RecursionError:
        raise BadDeclaration("what a computed feature reads", _MUST, "a value that contains itself") from None


class _Content:
    """The content of one function and of what it uses. `seen`: {function: its number}, of those visited already."""

    def __init__(self, function: FunctionType) -> None:
        self._package = (function.__module__ or "").partition(".")[0]
        self._seen: dict[FunctionType, int] = {}

    def parts(self, function: FunctionType) -> Iterator[str]:
        self._seen[function] = len(self._seen)
        closed = inspect.getclosurevars(function)
        text, chains = _parse(function)
        for name, value in sorted(closed.nonlocals.items()):
            yield from self._read(name, value, chains.get(name, {()}))
        yield f"defaults {self._text('a default of a computed feature', function.__defaults__)}"
        if function.__kwdefaults__:
            yield f"defaults {self._text('a default of a computed feature', function.__kwdefaults__)}"
        yield text
        for name in sorted(_global_names(function.__code__)):
            if name not in function.__globals__ and name not in closed.builtins:
                raise BadDeclaration(f"{name} of a computed feature", "defined before the feature is declared", NOTHING)
            value = function.__globals__.get(name, closed.builtins.get(name))
            yield from self._read(name, value, chains.get(name, {()}))
        self._check_imports(function)

    def _read(self, name: str, value: Any, chains: set[Chain]) -> Iterator[str]:
        """The lines for a name's value, or, of the user's module or class, for the attributes that are used."""
        if isinstance(value, ModuleType) and not self._is_own(value.__name__):
            yield f"{name} is module {value.__name__}"
            return
        if isinstance(value, FunctionType) and value not in self._seen and self._is_own(value.__module__):
            yield from (f"{name}: {part}" for part in self.parts(value))
            return
        if not self._has_attributes(value):
            yield f"{name} {self._said(name, value)}"
            return
        for chain in sorted(chains):
            yield from self._attribute(name, value, chain)

    def _attribute(self, name: str, value: Any, chain: Chain) -> Iterator[str]:
        if not chain:
            raise BadDeclaration(f"{name}, which a computed feature reads", _MUST, value)
        attribute = f"{name}.{chain[0]}"
        if not hasattr(value, chain[0]):
            raise BadDeclaration(
                f"{attribute} of a computed feature", "defined before the feature is declared", NOTHING
            )
        yield from self._read(attribute, getattr(value, chain[0]), {chain[1:]})

    def _has_attributes(self, value: Any) -> bool:
        """Whether it is the user's own module or class, of which only the used attributes count."""
        if isinstance(value, type):
            return self._is_own(value.__module__) and not issubclass(value, enum.Enum)
        return isinstance(value, ModuleType)

    def _said(self, name: str, value: Any) -> str:
        text = self._text(f"{name}, which a computed feature reads", value)
        return text if text.startswith("is ") else f"= {text}"

    def _text(self, where: str, value: Any) -> str:
        """The content of one value."""
        if isinstance(value, enum.Enum):
            kind = type(value)
            return f"{self._text(where, kind)} {value.name} {self._text(where, value.value)}"
        if isinstance(value, type) and issubclass(value, enum.Enum) and self._is_own(value.__module__):
            members = ", ".join(
                f"{name}={self._text(where, member.value)}" for name, member in value.__members__.items()
            )
            return f"{value.__qualname__}({', '.join([members, *self._methods(value)])})"
        if type(value) in _PLAIN or isinstance(value, _BY_REPR):
            return repr(value)
        if isinstance(value, dict | MappingProxyType):
            pairs = [f"{self._text(where, key)}: {self._text(where, item)}" for key, item in value.items()]
            factory = f"default {self._text(where, value.default_factory)} " if isinstance(value, defaultdict) else ""
            return f"{self._kind(value, dict)}{factory}{{{', '.join(pairs)}}}"
        if isinstance(value, set | frozenset):
            named = "" if type(value) in (set, frozenset) else self._kind(value, set)
            return f"{named}set({', '.join(sorted(self._text(where, element) for element in value))})"
        if isinstance(value, list):
            return f"{self._kind(value, list)}[{', '.join(self._text(where, element) for element in value)}]"
        if isinstance(value, tuple):
            texts = [self._text(where, element) for element in value]
            named = "".join(f"{name} " for name in getattr(value, "_fields", ()))
            return f"{self._kind(value, tuple)}{named}({', '.join(texts)}{',' * (len(texts) == 1)})"
        if isinstance(value, re.Pattern):
            return f"re.compile({value.pattern!r}, {value.flags})"
        return self._function(where, value)

    def _function(self, where: str, value: Any) -> str:
        """The content of a callable; raises `BadDeclaration` for anything else."""
        if isinstance(value, FunctionType) and self._is_own(value.__module__):
            number = self._seen.get(value)
            return f"function {number}" if number is not None else f"function({'; '.join(self.parts(value))})"
        if isinstance(value, partial):
            bound = [self._text(where, part) for part in (value.func, value.args, value.keywords)]
            return f"partial({', '.join(bound)})"
        if isinstance(value, MethodType):
            owner = value.__self__
            if not (isinstance(owner, type) and not self._has_attributes(owner)):
                raise BadDeclaration(where, _MUST, value)
            return f"{self._text(where, owner)}.{value.__name__}"
        if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | type | None):
            return f"{self._text(where, value.__self__)}.{value.__name__}"
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType) and not isinstance(value, FunctionType):
            return f"{type(value).__qualname__} of {self._text(where, wrapped)}"
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        module = getattr(value, "__module__", None) or type(value).__module__
        if callable(value) and isinstance(name, str) and not self._is_own(module):
            return f"is {module}.{name}"
        raise BadDeclaration(where, _MUST, value)

    def _kind(self, value: Any, base: type) -> str:
        """The class of a container that is not exactly `base`, with the methods that the user's class defines."""
        kind = type(value)
        if kind is base:
            return ""
        own = [parent for parent in kind.__mro__ if self._is_own(parent.__module__)]
        if hasattr(kind, "_fields"):  # a named tuple: its own functions are those of every other
            own = [parent for parent in own if "_fields" not in vars(parent)]
        methods = [method for parent in own for method in self._methods(parent)]
        return f"{kind.__qualname__} " if not methods else f"{kind.__qualname__} ({', '.join(methods)}) "

    def _methods(self, kind: type) -> list[str]:
        """The methods that the user's class defines itself."""
        texts = []
        for name, value in sorted(vars(kind).items()):
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if isinstance(function, FunctionType) and self._is_own(function.__module__):
                texts.append(f"{name}: {self._function(kind.__qualname__, function)}")
        return texts

    def _check_imports(self, function: FunctionType) -> None:
        for code in _codes(function.__code__):
            for module in _imported(code):
                if self._is_own(module):
                    must = "imported at the top of the file, so that what is read of it can be followed"
                    raise BadDeclaration(f"{module or 'a module'} of a computed feature", must, "an import inside it")

    def _is_own(self, module: str | None) -> bool:
        """Whether the module is the user's own: of the function's package, or neither built in nor installed."""
        top = (module or "").partition(".")[0]
        if top in sys.stdlib_module_names or top == "builtins":
            return False
        return top == self._package or (top != "flyball" and not _is_installed(top))


def _is_installed(top: str) -> bool:
    module = sys.modules.get(top)
    try:
        spec = getattr(module, "__spec__", None) if module is not None else find_spec(top)
    except (ImportError, ValueError):
        return False
    paths = [getattr(module, "__file__", None), *(spec.submodule_search_locations or () if spec is not None else ())]
    paths.append(spec.origin if spec is not None else None)
    return any(_INSTALLED & set(Path(path).parts) for path in paths if path)


def _parse(function: FunctionType) -> tuple[str, dict[str, set[Chain]]]:
    parsed = _parsed.get(function)
    if parsed is None:
        node = _node_of(function)
        chains: dict[str, set[Chain]] = {}
        _add_chains(node, (), chains)
        parsed = _parsed[function] = _dump(node), chains
    return parsed


def _add_chains(node: ast.AST, after: Chain, chains: dict[str, set[Chain]]) -> None:
    """Add {name: attribute chains used} for the names under the node; () where the name itself is used."""
    if isinstance(node, ast.Attribute):
        _add_chains(node.value, (node.attr, *after), chains)
    elif isinstance(node, ast.Name):
        chains.setdefault(node.id, set()).add(after)
    else:
        for field, value in ast.iter_fields(node):
            if field not in (*_LEFT_OUT, "decorator_list"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        _add_chains(child, (), chains)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _imported(code: CodeType) -> list[str]:
    """The modules that the code imports when it runs; "" for a relative import."""
    import dis

    return [str(step.argval) for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"]


def _global_names(code: CodeType) -> set[str]:
    """The global names that the code, or a function inside it, uses."""
    import dis

    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname.startswith("LOAD_GLOBAL")}
    return names.union(*(_global_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _node_of(function: FunctionType) -> ast.AST:
    """The function's own node in its parsed file."""
    must = "a function whose source can be read, defined in a file"
    try:
        lines, _ = inspect.findsource(function)
        tree = parse_source("".join(lines))
    except (OSError, TypeError, SyntaxError) as error:
        raise BadDeclaration("a computed feature", must, str(error)) from None
    code = function.__code__
    nodes = [node for node in ast.walk(tree) if _may_be(node, code)]
    if not nodes:
        raise BadDeclaration("a computed feature", must, textwrap.shorten(repr(function), 80))
    return min(nodes, key=lambda node: _extent(node))


def _may_be(node: ast.AST, code: CodeType) -> bool:
    """Whether all of the code's instructions are within the node, which is of the code's kind and starts on its
    line."""
    if isinstance(node, ast.Lambda):
        if code.co_name != "<lambda>" or node.lineno != code.co_firstlineno:
            return False
        start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
        body = (node.body.lineno, node.body.col_offset)
        positions = [
            (line, column, end_line, end_column)
            for line, end_line, column, end_column in code.co_positions()
            if line is not None
            and column is not None
            and end_line is not None
            and end_column is not None
            and (line, column) != (end_line, end_column)
        ]
        inside = all(start <= (line, column) and (last, stop) <= end for line, column, last, stop in positions)
        return inside and any((line, column) >= body for line, column, _, _ in positions)
    if isinstance(node, ast.FunctionDef):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    return False


def _extent(node: ast.AST) -> tuple[int, int]:
    lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0)
    return lines, getattr(node, "end_col_offset", 0) - getattr(node, "col_offset", 0)


def _dump(node: Any) -> str:
    """The node as text, without parts that do not change the value and without empty fields of newer Python
    versions."""
    if isinstance(node, list):
        return "[" + ", ".join(_dump(child) for child in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name in _LEFT_OUT or value is None or value == []:
            if isinstance(node, ast.Constant) and name == "value":
                fields.append(f"{name}={value!r}")
            continue
        if name == "name" and isinstance(node, ast.FunctionDef):
            continue  # a function's name does not change its value
        if name == "body" and isinstance(node, ast.FunctionDef):
            value = value[1:] if _is_docstring(value[0]) else value
        fields.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({', '.join(fields)})"


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
