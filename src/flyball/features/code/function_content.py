"""The content of a Python function as text, for hashes: its parsed source, the same on every Python version.

Layout, comments, docstrings and annotations are left out, and so is what variables, parameters and constants are
called: a renaming changes nothing. What the function uses from outside is included by its value: numbers and texts
(sets sorted, dicts in their order, which a function can see), Python functions by their source, attributes of the
user's own modules and classes by their value, built-in and installed names by their public name. Anything else is
refused.
"""

import ast
import enum
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

from flyball.core import NOTHING, BadDeclaration
from flyball.features.code.function_nodes import imported_by, node_of, parameter_names, renamed_node_of, written
from flyball.features.code.function_text import FunctionText, NamedParameters
from flyball.features.code.node_text import with_names
from flyball.features.code.ownership import is_own_module
from flyball.features.code.statements import imported_by_text, reads_by_text
from flyball.features.code.value_text import MUST, ValueText

_COMPUTED = "a computed feature"


def content_of(function: FunctionType, originals: Mapping[str, str] | None = None) -> str:
    """Everything besides its arguments that the function's value depends on, as text.

    The names of its variables and of what it reads from outside are no part of it. `originals`: {field of its first
    argument: its oldest name}; such an attribute counts under that name, so that a declared renaming changes nothing.
    Raises `BadDeclaration` where the source cannot be read, or where it uses something that cannot be hashed.
    """
    content = FunctionContent(function.__module__, _COMPUTED, originals)
    try:
        return "\n".join([*content.function_lines(function), *content.named.lines()])
    except RecursionError:
        raise BadDeclaration("what a computed feature reads", MUST, "a value that contains itself") from None


def source_of(function: FunctionType) -> dict[str, Any]:
    """The function for people: {"function": its source without layout, "reads": {name: value that it reads}}.

    Raises `BadDeclaration` as `content_of` does.
    """
    reads: dict[str, str] = {}
    _add_values(function, FunctionContent(function.__module__, _COMPUTED), reads)
    return {"function": written(function, _COMPUTED), **({"reads": reads} if reads else {})}


def _add_values(function: FunctionType, content: "FunctionContent", reads: dict[str, str]) -> None:
    """Add {name: value as text} of what the function, and the user's functions that it calls, read from outside."""
    text = FunctionText(content, content.named, function, {})
    text.of(renamed_node_of(function, content.what))
    for (label, value), _ in text.reads.values():
        if label in reads or isinstance(value, ModuleType):
            continue
        if isinstance(value, FunctionType) and content.is_own(value.__module__):
            reads[label] = written(value, _COMPUTED)
            _add_values(value, content, reads)
        elif not content.has_attributes(value):
            reads[label] = content.text_of_read(label, value)


class FunctionContent(ValueText):
    """The content of functions of `module` and of what they use. `what`: whose code it is, in messages."""

    def __init__(self, module: str | None, what: str, originals: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.what = what
        self.named = NamedParameters()
        self._package = (module or "").partition(".")[0]
        self._originals = originals or {}

    def function_lines(self, function: FunctionType) -> Iterator[str]:
        """The lines of one function: its defaults, its source and the values that it reads from outside, in the order
        in which they occur."""
        originals = {} if self._seen else self._originals
        self._seen[function] = len(self._seen)
        text = FunctionText(self, self.named, function, originals)
        yield from self._default_lines(function)
        yield text.of(renamed_node_of(function, self.what))
        if text.sees_names:
            yield with_names(node_of(function, self.what))
        for (label, value), token in text.reads.values():
            yield from self._read_lines(token, label, value)
        attributes = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
        if attributes:
            yield f"attributes {self.value_text(f'an attribute of a function of {self.what}', attributes)}"
        yield from self._import_lines(function)
        yield from self._by_text_lines(function, node_of(function, self.what))

    def text_of_read(self, label: str, value: Any) -> str:
        """The text of one value from outside."""
        return self.value_text(f"{label}, which {self.what} reads", value)

    def is_own(self, module: str | None) -> bool:
        """Whether the module is the user's own: of the function's package, or neither built in nor installed."""
        return is_own_module(module, self._package)

    def has_attributes(self, value: Any) -> bool:
        """Whether it is the user's own module or class, of which only the used attributes count."""
        if isinstance(value, type):
            return self.is_own(value.__module__) and not issubclass(value, enum.Enum)
        return isinstance(value, ModuleType) and self.is_own(value.__name__)

    def undefined(self, label: str) -> Any:
        """What stands for a name that nothing defines; raises `BadDeclaration`."""
        raise BadDeclaration(f"{label} of {self.what}", "defined before the feature is declared", NOTHING)

    def _default_lines(self, function: FunctionType) -> Iterator[str]:
        where, named_defaults = f"a default of {self.what}", function.__kwdefaults__
        yield f"defaults {self.value_text(where, function.__defaults__)}"
        if named_defaults:
            names = parameter_names(function)
            values = [(position, named_defaults[name]) for position, name in enumerate(names) if name in named_defaults]
            yield f"defaults {self.value_text(where, values)}"

    def _read_lines(self, token: str, label: str, value: Any) -> Iterator[str]:
        """The lines for a value from outside, which stands in the source as `token`."""
        if isinstance(value, ModuleType) and not self.is_own(value.__name__):
            yield f"{token} is module {value.__name__}"
        elif isinstance(value, FunctionType) and value not in self._seen and self.is_own(value.__module__):
            yield from (f"{token}: {line}" for line in self.function_lines(value))
        elif self.has_attributes(value):
            raise BadDeclaration(f"{label}, which {self.what} reads", MUST, value)
        else:
            text = self.text_of_read(label, value)
            yield f"{token} {text}" if text.startswith("is ") else f"{token} = {text}"

    def _import_lines(self, function: FunctionType) -> Iterator[str]:
        """The lines for what a function imports when it runs."""
        for module in imported_by(function):
            if self.is_own(module):
                must = "imported at the top of the file, so that what is read of it can be followed"
                raise BadDeclaration(f"{module or 'a module'} of {self.what}", must, "an import inside it")
        yield from ()

    def _by_text_lines(self, function: FunctionType, node: ast.AST) -> Iterator[str]:
        """The lines for what a function finds by texts when it runs: a module, or a name of its file."""
        if any(module is None or self.is_own(module) for module in imported_by_text(node)):
            must = "imported by a statement, with its name, so that what is read of it can be followed"
            raise BadDeclaration(f"a module of {self.what}", must, "a call that imports it")
        if reads_by_text(node):
            must = "read by its name, so that it can be followed"
            raise BadDeclaration(f"what {self.what} reads", must, "a call of eval, exec or globals")
        yield from ()
