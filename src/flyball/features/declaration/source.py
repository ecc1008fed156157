"""The content of a Python function as text, for hashes: its parsed source, the same on every Python version.

Layout, comments, docstrings and annotations are left out, and so is what variables, parameters and constants are
called: a renaming changes nothing. What the function uses from outside is included by its value: numbers and texts
(sets sorted, dicts in their order, which a function can see), Python functions by their source, attributes of the
user's own modules and classes by their value, built-in and installed names by their qualified name. Anything else is
refused.
"""

import ast
import builtins
import copy
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
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from flyball.core import NOTHING, BadDeclaration, parse_source
from flyball.features.declaration.scopes import (
    FUNCTIONS,
    OF_CLASS,
    VARIABLE,
    name_variables,
    number_keywords,
    parameters,
)
from flyball.features.declaration.statements import imported_by_text, reads_by_text

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
MUST = (
    "made of numbers and texts (also in tuples, lists, dicts, sets or enumerations), or a function: name what it needs "
    "of it as a constant of its own"
)

_SEE_NAMES = {"dir", "eval", "exec", "globals", "locals", "vars"}
"""Built-in functions by which a function may see what its variables are called."""

_parsed: "WeakKeyDictionary[FunctionType, ast.AST]" = WeakKeyDictionary()
"""A cache: {function: its node with named variables}, since parsing a file takes some 20 ms."""

_texts: "WeakKeyDictionary[FunctionType, str]" = WeakKeyDictionary()
"""A cache, for the same reason: {function: its source without layout}."""


def content_of(function: FunctionType, originals: Mapping[str, str] | None = None) -> str:
    """Everything besides its arguments that the function's value depends on, as text.

    The names of its variables and of what it reads from outside are no part of it. `originals`: {field of its first
    argument: its oldest name}; such an attribute counts under that name, so that a declared renaming changes nothing.
    Raises `BadDeclaration` where the source cannot be read, or where it uses something that cannot be hashed.
    """
    content = Content(function.__module__, "a computed feature", originals)
    try:
        return "\n".join([*content.parts(function), *content.called_by_name()])
    except RecursionError:
        raise BadDeclaration("what a computed feature reads", MUST, "a value that contains itself") from None


def source_of(function: FunctionType) -> dict[str, Any]:
    """The function for people: {"function": its source without layout, "reads": {name: value that it reads}}.

    Raises `BadDeclaration` as `content_of` does.
    """
    reads: dict[str, str] = {}
    _add_values(function, Content(function.__module__, "a computed feature"), reads)
    return {"function": _written(function), **({"reads": reads} if reads else {})}


def _add_values(function: FunctionType, content: "Content", reads: dict[str, str]) -> None:
    """Add {name: value as text} of what the function, and the user's functions that it calls, read from outside."""
    text = _Text(content, function, {})
    text.of(_parse(function, content.what))
    for (label, value), _ in text.outside.values():
        if label in reads or isinstance(value, ModuleType):
            continue
        if isinstance(value, FunctionType) and content.is_own(value.__module__):
            reads[label] = _written(value)
            _add_values(value, content, reads)
        elif not content.has_attributes(value):
            reads[label] = content.text_of(label, value)


def _written(function: FunctionType) -> str:
    text = _texts.get(function)
    if text is None:
        node = node_of(function, "a computed feature")
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        text = _texts[function] = ast.unparse(node)
    return text


class Content:
    """The content of functions of `module` and of what they use. `what`: whose code it is, in messages."""

    def __init__(self, module: str | None, what: str, originals: Mapping[str, str] | None = None) -> None:
        self.what = what
        self._package = (module or "").partition(".")[0]
        self._seen: dict[FunctionType, int] = {}  # the number of each that was visited already
        self._originals = originals or {}
        self._parameters: list[list[str]] = []
        self._keywords: set[str] = set()
        self._splat = False

    def parts(self, function: FunctionType) -> Iterator[str]:
        """The lines of one function: its defaults, its source and the values that it reads from outside, in the order
        in which they occur."""
        originals = {} if self._seen else self._originals
        self._seen[function] = len(self._seen)
        text = _Text(self, function, originals)
        yield f"defaults {self._text(f'a default of {self.what}', function.__defaults__)}"
        if function.__kwdefaults__:
            names, named_defaults = _parameter_names(function), function.__kwdefaults__
            values = [(position, named_defaults[name]) for position, name in enumerate(names) if name in named_defaults]
            yield f"defaults {self._text(f'a default of {self.what}', values)}"
        yield text.of(_parse(function, self.what))
        if text.sees_names:
            yield with_names(node_of(function, self.what))
        for (label, value), token in text.outside.values():
            yield from self._read(token, label, value)
        attributes = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
        if attributes:
            yield f"attributes {self._text(f'an attribute of a function of {self.what}', attributes)}"
        yield from self._imports(function)
        yield from self._by_text(function, node_of(function, self.what))

    def note_parameters(self, names: list[str]) -> None:
        """Keep what the parameters of a function are called, in case it is called by them."""
        self._parameters.append(names)

    def note_keyword(self, name: str | None) -> None:
        """Keep a keyword of a call of an unknown function; None for `**`."""
        self._splat = self._splat or name is None
        self._keywords.update([] if name is None else [name])

    def called_by_name(self) -> list[str]:
        """A line for the parameters that a call of an unknown function may name: these names are seen."""
        named = [
            [number, position, name]
            for number, names in enumerate(self._parameters)
            for position, name in enumerate(names)
            if self._splat or name in self._keywords
        ]
        return [f"called by name {named}"] if named else []

    def text_of(self, label: str, value: Any) -> str:
        """The text of one value from outside."""
        return self._text(f"{label}, which {self.what} reads", value)

    def _read(self, token: str, label: str, value: Any) -> Iterator[str]:
        """The lines for a value from outside, which stands in the source as `token`."""
        if isinstance(value, ModuleType) and not self.is_own(value.__name__):
            yield f"{token} is module {value.__name__}"
        elif isinstance(value, FunctionType) and value not in self._seen and self.is_own(value.__module__):
            yield from (f"{token}: {part}" for part in self.parts(value))
        elif self.has_attributes(value):
            raise BadDeclaration(f"{label}, which {self.what} reads", MUST, value)
        else:
            text = self.text_of(label, value)
            yield f"{token} {text}" if text.startswith("is ") else f"{token} = {text}"

    def has_attributes(self, value: Any) -> bool:
        """Whether it is the user's own module or class, of which only the used attributes count."""
        if isinstance(value, type):
            return self.is_own(value.__module__) and not issubclass(value, enum.Enum)
        return isinstance(value, ModuleType) and self.is_own(value.__name__)

    def _text(self, where: str, value: Any) -> str:
        """The content of one value."""
        if isinstance(value, enum.Enum):
            kind = type(value)
            return f"{self._text(where, kind)} {value.name} {self._text(where, value.value)}"
        if isinstance(value, type) and issubclass(value, enum.Enum) and self.is_own(value.__module__):
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
        if isinstance(value, FunctionType) and self.is_own(value.__module__):
            number = self._seen.get(value)
            return f"function {number}" if number is not None else f"function({'; '.join(self.parts(value))})"
        if isinstance(value, partial):
            bound = [self._text(where, part) for part in (value.func, value.args, value.keywords)]
            return f"partial({', '.join(bound)})"
        if isinstance(value, MethodType):
            owner = value.__self__
            if not (isinstance(owner, type) and not self.has_attributes(owner)):
                raise BadDeclaration(where, MUST, value)
            return f"{self._text(where, owner)}.{value.__name__}"
        if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | type | None):
            return f"{self._text(where, value.__self__)}.{value.__name__}"
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType) and not isinstance(value, FunctionType):
            return f"{type(value).__qualname__} of {self._text(where, wrapped)}"
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
        module = getattr(value, "__module__", None) or type(value).__module__
        if callable(value) and isinstance(name, str) and not self.is_own(module):
            return f"is {module}.{name}"
        raise BadDeclaration(where, MUST, value)

    def _kind(self, value: Any, base: type) -> str:
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
                texts.append(f"{name}: {self._function(kind.__qualname__, function)}")
        return texts

    def undefined(self, label: str) -> Any:
        """What stands for a name that nothing defines; raises `BadDeclaration`."""
        raise BadDeclaration(f"{label} of {self.what}", "defined before the feature is declared", NOTHING)

    def _imports(self, function: FunctionType) -> Iterator[str]:
        """The lines for what a function imports when it runs."""
        for module in imported_by(function):
            if self.is_own(module):
                must = "imported at the top of the file, so that what is read of it can be followed"
                raise BadDeclaration(f"{module or 'a module'} of {self.what}", must, "an import inside it")
        yield from ()

    def _by_text(self, function: FunctionType, node: ast.AST) -> Iterator[str]:
        """The lines for what a function finds by texts when it runs: a module, or a name of its file."""
        if any(module is None or self.is_own(module) for module in imported_by_text(node)):
            must = "imported by a statement, with its name, so that what is read of it can be followed"
            raise BadDeclaration(f"a module of {self.what}", must, "a call that imports it")
        if reads_by_text(node):
            must = "read by its name, so that it can be followed"
            raise BadDeclaration(f"what {self.what} reads", must, "a call of eval, exec or globals")
        yield from ()

    def is_own(self, module: str | None) -> bool:
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


@lru_cache(maxsize=4)
def parsed_file(text: str) -> ast.Module:
    """The parsed text of a file, of the last few; nobody may change it. Raises `SyntaxError`."""
    return parse_source(text)


def _parse(function: FunctionType, what: str) -> ast.AST:
    node = _parsed.get(function)
    if node is None:
        node = copy.deepcopy(node_of(function, what))
        name_variables(node)
        _parsed[function] = node
    return node


def imported_by(function: FunctionType) -> list[str]:
    """The modules that a function imports when it runs; "" for a relative import."""
    return [module for code in _codes(function.__code__) for module in _imported(code)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _imported(code: CodeType) -> list[str]:
    """The modules that the code imports when it runs; "" for a relative import."""
    import dis

    return [str(step.argval) for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"]


def node_of(function: FunctionType, what: str) -> ast.AST:
    """The function's own node in its parsed file."""
    must = "a function whose source can be read, defined in a file"
    try:
        lines, _ = inspect.findsource(function)
        tree = parsed_file("".join(lines))
    except (OSError, TypeError, SyntaxError) as error:
        raise BadDeclaration(what, must, str(error)) from None
    code = function.__code__
    nodes = [node for node in ast.walk(tree) if _may_be(node, code)]
    if not nodes:
        raise BadDeclaration(what, must, textwrap.shorten(repr(function), 80))
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


class _Text:
    """The text of one function's node. `outside`: {chain of names: ((what messages call it, its value), its token)}, of
    what it reads from outside."""

    def __init__(self, content: Content, function: FunctionType, originals: Mapping[str, str]) -> None:
        self._content, self._function, self._originals = content, function, originals
        self._nonlocals = inspect.getclosurevars(function).nonlocals
        self._builtins = vars(builtins)
        self.outside: dict[str, tuple[tuple[str, Any], str]] = {}
        self.sees_names = False

    def of(self, node: Any) -> str:
        """The node as text, without parts that do not change the value and without empty fields of newer Python
        versions."""
        if isinstance(node, list):
            return "[" + ", ".join(self.of(child) for child in node) + "]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, ast.Name | ast.Attribute):
            return self._chain(node)
        if isinstance(node, FUNCTIONS):
            written = [getattr(parameter, "written", parameter.arg) for parameter in parameters(node.args)]
            self._content.note_parameters(written)
        if isinstance(node, ast.Call):
            node = self._call(node)
        fields = [f"{name}={self.of(value)}" for name, value in _fields(node)]
        return f"{type(node).__name__}({', '.join(fields)})"

    def _chain(self, node: ast.Name | ast.Attribute) -> str:
        """A name with attributes: what it reads from outside as a token, the rest as it is."""
        names: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            return f"Attribute(value={self.of(inner)}, attr={'.'.join(reversed(names))!r})"
        if inner.id[0] in (VARIABLE, OF_CLASS):
            if inner.id == f"{VARIABLE}0" and names:  # the first argument
                names[-1] = self._originals.get(names[-1], names[-1])
            return ".".join([f"Name({inner.id})", *reversed(names)])
        return ".".join(self._outside(inner, names[::-1]))

    def _outside(self, node: ast.Name, attributes: list[str]) -> list[str]:
        """The token of what is read, and the attributes that are read of it when the function runs."""
        label = node.id
        if label in self._nonlocals:
            value = self._nonlocals[label]
        elif label in self._function.__globals__:
            value = self._function.__globals__[label]
        elif label in self._builtins:
            self.sees_names = self.sees_names or label in _SEE_NAMES
            return [f"Name({label})", *attributes]
        elif not isinstance(node.ctx, ast.Load):
            return [f"Name({label})", *attributes]
        else:
            value = self._content.undefined(label)
        while attributes and self._content.has_attributes(value):
            label, attribute = f"{label}.{attributes[0]}", attributes[0]
            value = getattr(value, attribute) if hasattr(value, attribute) else self._content.undefined(label)
            attributes = attributes[1:]
        _, token = self.outside.setdefault(label, ((label, value), f"@{len(self.outside)}"))
        return [f"Name({token})", *attributes]

    def _call(self, node: ast.Call) -> ast.Call:
        """The call with keywords that say which parameter they fill; those of an unknown function are noted."""
        called = self._called(node.func)
        node = ast.Call(node.func, node.args, [ast.keyword(keyword.arg, keyword.value) for keyword in node.keywords])
        if isinstance(called, FunctionType) and self._content.is_own(called.__module__):
            number_keywords(node, _parameter_names(called), called.__code__.co_posonlyargcount)
        if called is partial or not isinstance(called, BuiltinFunctionType | type):
            for keyword in node.keywords:
                if keyword.arg is None or not keyword.arg.startswith("#"):
                    self._content.note_keyword(keyword.arg)
        return node

    def _called(self, node: ast.AST) -> Any:
        """What is called, where names from outside say it; else None."""
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        self.of(node)  # takes up what it reads from outside
        name = ast.unparse(node)
        if name in self.outside:
            return self.outside[name][0][1]
        return self._builtins.get(name) if name not in self._function.__globals__ else None


_DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


def _fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """The fields of a node that its value depends on."""
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.Constant) and name == "value":
            yield name, value
        elif name in _LEFT_OUT or value is None or value == []:
            continue
        elif name == "body" and isinstance(node, _DOCUMENTED) and is_docstring(value[0]):
            yield name, value[1:]
        else:
            yield name, value


def with_names(node: Any) -> str:
    """The node as text with the names as they are written."""
    if isinstance(node, list):
        return "[" + ", ".join(with_names(child) for child in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    return f"{type(node).__name__}({', '.join(f'{name}={with_names(value)}' for name, value in _fields(node))})"


def _parameter_names(function: FunctionType) -> list[str]:
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def is_docstring(statement: ast.stmt) -> bool:
    """Whether the statement is a text alone."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
