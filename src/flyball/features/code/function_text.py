"""The text of one function's node, in which tokens stand for what it reads from outside.

Variables were named by `name_variables` before, so that neither their names nor those of what is read are in it.
"""

import ast
import builtins
import inspect
from collections.abc import Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any, Protocol

from flyball.features.code.function_nodes import parameter_names
from flyball.features.code.node_text import fields_of
from flyball.features.code.variables import FUNCTIONS, OF_CLASS, VARIABLE, number_keywords, parameters

_SEE_NAMES = {"dir", "eval", "exec", "globals", "locals", "vars"}
"""Built-in functions by which a function may see what its variables are called."""


class Outside(Protocol):
    """What the text of a function asks of the content it is part of."""

    def is_own(self, module: str | None) -> bool:
        """Whether the module is the user's own."""

    def has_attributes(self, value: Any) -> bool:
        """Whether it is the user's own module or class, of which only the used attributes count."""

    def undefined(self, label: str) -> Any:
        """What stands for a name that nothing defines."""


class NamedParameters:
    """The parameters that a call of an unknown function may name: what these are called is seen, so it counts."""

    def __init__(self) -> None:
        self._parameters: list[list[str]] = []
        self._keywords: set[str] = set()
        self._any_keyword = False

    def note_parameters(self, names: list[str]) -> None:
        """Keep what the parameters of a function are called, in case it is called by them."""
        self._parameters.append(names)

    def note_keyword(self, name: str | None) -> None:
        """Keep a keyword of a call of an unknown function; None for `**`."""
        if name is None:
            self._any_keyword = True
        else:
            self._keywords.add(name)

    def lines(self) -> list[str]:
        """A line with [number of the function, position, name] of each; none without any."""
        named = [
            [number, position, name]
            for number, names in enumerate(self._parameters)
            for position, name in enumerate(names)
            if self._any_keyword or name in self._keywords
        ]
        return [f"called by name {named}"] if named else []


class FunctionText:
    """The text of the node of `function`. `originals`: {field of its first argument: its oldest name}.

    `reads`: {chain of names: ((what messages call it, its value), its token)}, of what it reads from outside.
    `sees_names`: whether it may see what its variables are called.
    """

    def __init__(
        self, outside: Outside, named: NamedParameters, function: FunctionType, originals: Mapping[str, str]
    ) -> None:
        self._outside, self._named = outside, named
        self._function, self._originals = function, originals
        self._nonlocals = inspect.getclosurevars(function).nonlocals
        self._builtins = vars(builtins)
        self.reads: dict[str, tuple[tuple[str, Any], str]] = {}
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
            names = [getattr(parameter, "written", parameter.arg) for parameter in parameters(node.args)]
            self._named.note_parameters(names)
        if isinstance(node, ast.Call):
            node = self._call(node)
        fields = [f"{name}={self.of(value)}" for name, value in fields_of(node)]
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
        return ".".join(self._read(inner, names[::-1]))

    def _read(self, node: ast.Name, attributes: list[str]) -> list[str]:
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
            value = self._outside.undefined(label)
        while attributes and self._outside.has_attributes(value):
            label, attribute = f"{label}.{attributes[0]}", attributes[0]
            value = getattr(value, attribute) if hasattr(value, attribute) else self._outside.undefined(label)
            attributes = attributes[1:]
        _, token = self.reads.setdefault(label, ((label, value), f"@{len(self.reads)}"))
        return [f"Name({token})", *attributes]

    def _call(self, node: ast.Call) -> ast.Call:
        """The call with keywords that say which parameter they fill; those of an unknown function are noted."""
        called = self._called(node.func)
        node = ast.Call(node.func, node.args, [ast.keyword(keyword.arg, keyword.value) for keyword in node.keywords])
        if isinstance(called, FunctionType) and self._outside.is_own(called.__module__):
            number_keywords(node, parameter_names(called), called.__code__.co_posonlyargcount)
        if called is partial or not isinstance(called, BuiltinFunctionType | type):
            for keyword in node.keywords:
                if keyword.arg is None or not keyword.arg.startswith("#"):
                    self._named.note_keyword(keyword.arg)
        return node

    def _called(self, node: ast.AST) -> Any:
        """What is called, where names from outside say it; else None."""
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        self.of(node)  # takes up what it reads from outside
        name = ast.unparse(node)
        if name in self.reads:
            return self.reads[name][0][1]
        return self._builtins.get(name) if name not in self._function.__globals__ else None
