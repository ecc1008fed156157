"""The content of a class that users write, as text, for hashes: its parsed source and that of all it reaches.

As of functions (`content_of`), with two differences. A class of the user's own that is used is followed as a whole, and
so are its bases; of library classes the name counts. A value that has no text of its own, such as an object, counts by
the statements of its file that make and change it. The name of the class is left out: what is renamed is the same.
"""

import ast
import enum
import hashlib
import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from flyball.core import NOTHING, BadDeclaration
from flyball.features.code.class_members import members_left_out
from flyball.features.code.class_nodes import METHODS, class_node, file_of, function_in, names_bound_by, scope_of
from flyball.features.code.function_content import FunctionContent
from flyball.features.code.function_nodes import imported_by, node_of
from flyball.features.code.modules import file_of_module, file_of_scope, package_of_scope, parsed_module, tree_of
from flyball.features.code.node_text import is_docstring, with_names
from flyball.features.code.ownership import is_own_code
from flyball.features.code.public_name import public_name
from flyball.features.code.statements import (
    imported_by_text,
    module_of,
    modules_imported,
    reads_by_text,
    statements_that_change,
)
from flyball.features.code.value_text import MUST

_VALUES = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)

Scope = Mapping[str, Any]
"""{name: value} of a file."""

Result = TypeVar("Result")


def content_of_class(kind: type, without: Collection[str] = (), fields: Collection[str] = ()) -> str:
    """Everything that what the methods of `kind` give depends on, besides their arguments, as text.

    `without`: members that are left out, with the methods that only these use, unless other methods use them. `fields`:
    names whose defaults are left out, since each object has a value of its own. Raises `BadDeclaration` where the
    source cannot be read, or where it uses something that has neither a text nor a statement that makes it.
    """
    try:
        content = ClassContent(kind.__module__, f"model {kind.__qualname__}")
        left_out = members_left_out(kind, content.own_parents(kind), without)
        return "\n".join([*content.class_lines(kind, left_out, fields), *content.named.lines()])
    except RecursionError:
        raise BadDeclaration(f"what model {kind.__qualname__} reads", MUST, "a value that contains itself") from None


class ClassContent(FunctionContent):
    """The content of classes of `module`, whose package is taken for the user's own. `what`: whose code it is.

    A class or function that was visited already is named by its number.
    """

    def __init__(self, module: str, what: str) -> None:
        super().__init__(module, what)
        self._classes: dict[type, int] = {}
        self._scopes: list[Scope] = []
        self._assigned_names: set[tuple[str, str]] = set()
        self._modules: set[str] = set()

    def is_own(self, module: str | None) -> bool:
        """Whether the module is the user's own, as Flyball's example applications are."""
        return is_own_code(module, self._package)

    def has_attributes(self, value: Any) -> bool:
        """Whether it is the user's own module; classes count as a whole."""
        return isinstance(value, ModuleType) and self.is_own(value.__name__)

    def undefined(self, label: str) -> Any:
        """What stands for a name that nothing defines."""
        return NOTHING

    def own_parents(self, kind: type) -> list[type]:
        """The class and its bases, those of the user's own."""
        return [parent for parent in kind.__mro__ if self.is_own(parent.__module__)]

    def class_lines(self, kind: type, left_out: Collection[str] = (), fields: Collection[str] = ()) -> Iterator[str]:
        """The lines of a class and of its bases, the class first; of those of libraries the names that it names."""
        own = self.own_parents(kind)
        for parent in own:
            self._classes.setdefault(parent, len(self._classes))
        named = {base for parent in own for base in parent.__bases__}
        for parent in kind.__mro__:
            if parent in own:
                yield from self._own_class_lines(parent, left_out, fields)
            elif parent in named and parent is not object:
                yield f"base {public_name(parent, parent.__module__, parent.__qualname__)}"

    def function_lines(self, function: FunctionType) -> Iterator[str]:
        """The lines of a function; names are looked up in its file."""
        with self._names_of(function.__globals__):
            yield from super().function_lines(function)

    def value_text(self, where: str, value: Any) -> str:
        """As of every value; a class of the user's own as a whole, an array of numbers by its bytes."""
        if isinstance(value, type) and self.is_own(value.__module__) and not issubclass(value, enum.Enum):
            number = self._classes.get(value)
            return f"class {number}" if number is not None else f"class({'; '.join(self.class_lines(value))})"
        if type(value).__module__ == "numpy" and hasattr(value, "tobytes") and not value.dtype.hasobject:
            return f"numpy {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
        return super().value_text(where, value)

    def _callable_text(self, where: str, value: Any) -> str:
        """As of every callable; of a function that is wrapped by an object its decorators too."""
        text, wrapped = super()._callable_text(where, value), getattr(value, "__wrapped__", None)
        if isinstance(value, FunctionType) or not isinstance(wrapped, FunctionType):
            return text
        return f"{text} {with_names(getattr(node_of(wrapped, self.what), 'decorator_list', []))}"

    def _own_class_lines(self, kind: type, left_out: Collection[str], fields: Collection[str]) -> Iterator[str]:
        node, scope, skipped = class_node(kind), scope_of(kind), {*left_out, *fields}
        with self._names_of(scope):
            arguments = [*node.decorator_list, *node.keywords]
            yield f"class {with_names(arguments)}"
            for argument in arguments:
                yield from self._lines_of_names_in(argument)
            for statement in sorted(node.body, key=lambda part: getattr(part, "name", "")):
                names = names_bound_by(statement)
                if not (is_docstring(statement) or (names and names <= skipped)):
                    yield from self._member_lines(kind, statement)
            bound = {name for statement in node.body for name in names_bound_by(statement)}
            yield from self._lines_set_later(kind, skipped, bound)
            if "<locals>" in kind.__qualname__:
                for name in [name for name, value in scope.items() if value is kind]:
                    yield from self._assigning_lines(name, kind)

    def _member_lines(self, kind: type, statement: ast.stmt) -> Iterator[str]:
        """The lines of one statement of a class: of a method by its function, whose variables may be renamed."""
        name = getattr(statement, "name", "")
        member = vars(kind).get(name)
        function = function_in(member) if isinstance(statement, METHODS) else None
        is_own = function is not None and self.is_own(function.__module__)
        if is_own:
            yield f"{name}: {type(member).__name__} {self.value_text(name, function)}"
        if function is None or not is_own or function.__code__.co_filename != file_of(kind):
            yield with_names(statement)
            yield from self._lines_of_names_in(statement)
        decorators = getattr(statement, "decorator_list", [])
        yield f"decorators {with_names(decorators)}"
        for decorator in decorators:
            yield from self._lines_of_names_in(decorator)

    def _lines_set_later(self, kind: type, skipped: Collection[str], bound: Collection[str]) -> Iterator[str]:
        """The values of attributes of the class as they are now: its file, or another, may have set them since."""
        for name, value in sorted(vars(kind).items()):
            if name in skipped or (name.startswith("__") and name.endswith("__")) or name == "_abc_impl":
                continue
            counts = isinstance(value, _VALUES) or (name not in bound and isinstance(value, FunctionType))
            text = self._or_none(partial(self.value_text, name, value)) if counts else None
            if text is not None:
                yield f"attribute {name} = {text}"
            elif name not in bound and not inspect.isdatadescriptor(value):
                yield from self._changing_lines(kind.__name__, self._scopes[-1])

    def _lines_of_names_in(self, node: ast.AST) -> Iterator[str]:
        """The lines for what a node that was not renamed reads of its file."""
        for label, value in sorted(_values_read(node, self._scopes[-1], self.has_attributes).items()):
            yield from self._read_lines(label, label, value)

    def _read_lines(self, token: str, label: str, value: Any) -> Iterator[str]:
        if value is NOTHING:
            yield f"{token} is not defined"
        elif self.has_attributes(value):
            yield f"{token}: {self._module_text(value.__name__)}"
        else:
            by_value = super()._read_lines
            lines = self._or_none(lambda: list(by_value(token, label, value)))
            yield from (
                [f"{token}: {line}" for line in self._assigning_lines(label, value)] if lines is None else lines
            )

    def _or_none(self, make: Callable[[], Result]) -> Result | None:
        """What `make` gives; None where a value has no text, and then nothing counts as seen by it."""
        before = dict(self._seen), dict(self._classes)
        try:
            return make()
        except (BadDeclaration, RecursionError):
            self._seen, self._classes = before
            return None

    def _assigning_lines(self, label: str, value: Any) -> Iterator[str]:
        """The statements of the file that make the value of a name, and what they use."""
        *modules, name = label.split(".")
        scope = self._scopes[-1]
        for module in modules:
            scope = vars(scope[module] if isinstance(scope[module], ModuleType) else sys.modules[module])
        file = file_of_scope(scope)
        if (file, name) in self._assigned_names:
            return
        self._assigned_names.add((file, name))
        nodes = [node for node in tree_of(file).body if _binds(node, name, scope)] if file else []
        if modules:
            yield from self._changing_lines(label, self._scopes[-1])
        yield from self._changing_lines(name, scope)
        if not nodes:
            raise BadDeclaration(f"{label}, which {self.what} reads", f"{MUST}, or made by its file", value)
        for node in nodes:
            module = module_of(node, package_of_scope(scope)) if isinstance(node, ast.ImportFrom) else ""
            if isinstance(node, ast.ImportFrom) and self.is_own(module):
                source = next((alias.name for alias in node.names if name in (alias.asname, alias.name)), name)
                with self._names_of(vars(sys.modules[module])):
                    yield from self._assigning_lines(source, value)
                continue
            yield with_names(node)
            with self._names_of(scope):
                yield from self._lines_of_names_in(node)

    def _changing_lines(self, label: str, scope: Scope) -> Iterator[str]:
        """The statements of a file that change what a name of it holds, and what they use."""
        file = file_of_scope(scope)
        for node in statements_that_change(tree_of(file), label) if file else ():
            yield f"then {with_names(node)}"
            with self._names_of(scope):
                yield from self._lines_of_names_in(node)

    def _import_lines(self, function: FunctionType) -> Iterator[str]:
        for module in imported_by(function):
            if not module:
                yield from super()._import_lines(function)
            elif self.is_own(module):
                yield f"module {self._module_text(module)}"

    def _by_text_lines(self, function: FunctionType, node: ast.AST) -> Iterator[str]:
        """The modules that are imported by a text, and the whole file where its names are looked up so."""
        for module in imported_by_text(node):
            if module is None:
                yield from super()._by_text_lines(function, node)
            elif self.is_own(module):
                yield f"module {self._module_text(module)}"
        if reads_by_text(node):
            tree = tree_of(file_of_scope(function.__globals__))
            yield f"file {with_names(tree)}"
            yield from self._texts_of_imported(tree, package_of_scope(function.__globals__))

    def _module_text(self, module: str) -> str:
        """The parsed text of a module, and of the user's own modules that it imports."""
        if module in self._modules:
            return f"module {module}"
        self._modules.add(module)
        tree, package = parsed_module(module, self.what)
        return "; ".join([with_names(tree), *self._texts_of_imported(tree, package)])

    def _texts_of_imported(self, tree: ast.Module, package: str) -> Iterator[str]:
        for module in modules_imported(tree, package):
            if self.is_own(module) and file_of_module(module) is not None:
                yield self._module_text(module)

    @contextmanager
    def _names_of(self, scope: Scope) -> Iterator[None]:
        """Names are looked up in `scope`."""
        self._scopes.append(scope)
        try:
            yield
        finally:
            self._scopes.pop()


def _binds(node: ast.stmt, name: str, scope: Scope) -> bool:
    """Whether a statement of a file gives the name its value; by `import *` where the module has it."""
    names = names_bound_by(node)
    if "*" in names and isinstance(node, ast.ImportFrom):
        return name in vars(sys.modules.get(module_of(node, package_of_scope(scope)), object))
    return name in names


def _values_read(node: ast.AST, scope: Scope, is_module: Callable[[Any], bool]) -> dict[str, Any]:
    """{name, with attributes of the user's own modules: its value} of the names under a node that `scope` has."""
    values = {}
    for child in ast.walk(node):
        names: list[str] = []
        while isinstance(child, ast.Attribute):
            names, child = [child.attr, *names], child.value
        if isinstance(child, ast.Name) and child.id in scope:
            label, value = child.id, scope[child.id]
            while names and is_module(value):
                label, value = f"{label}.{names[0]}", getattr(value, names[0], NOTHING)
                names = names[1:]
            values[label] = value
    return values
