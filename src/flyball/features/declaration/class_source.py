"""The content of a class that users write, as text, for hashes: its parsed source and that of all it reaches.

As of functions (`content_of`), with two differences. A class of the user's own that is used is followed as a whole, and
so are its bases; of library classes the name counts. A value that has no text of its own, such as an object, counts by
the statements of its file that make and change it. The name of the class is left out: what is renamed is the same.
"""

import ast
import enum
import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from flyball.core import NOTHING, BadDeclaration
from flyball.features.declaration.source import (
    MUST,
    Content,
    imported_by,
    is_docstring,
    node_of,
    parsed_file,
    with_names,
)
from flyball.features.declaration.statements import (
    imported_by_text,
    module_of,
    modules_imported,
    reads_by_text,
    statements_that_change,
)

_APPS = "flyball.apps"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_VALUES = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)

Members = dict[str, list[ast.stmt]]


def is_own_code(module: str) -> bool:
    """Whether a module is the user's: not built in, of no installed package, and not of Flyball."""
    return ClassContent("", "").is_own(module)


def content_of_class(kind: type, but: Collection[str] = (), fields: Collection[str] = ()) -> str:
    """Everything that what the methods of `kind` give depends on, besides their arguments, as text.

    `but`: members that are left out, with the methods that only these use, unless other methods use them. `fields`:
    names whose defaults are left out, since each object has a value of its own. Raises `BadDeclaration` where the
    source cannot be read, or where it uses something that has neither a text nor a statement that makes it.
    """
    try:
        content = ClassContent(kind.__module__, f"model {kind.__qualname__}")
        parts = content.class_parts(kind, content.left_out(kind, but), fields)
        return "\n".join([*parts, *content.called_by_name()])
    except RecursionError:
        raise BadDeclaration(f"what model {kind.__qualname__} reads", MUST, "a value that contains itself") from None


class ClassContent(Content):
    """The content of classes of `module`, whose package is taken for the user's own. `what`: whose code it is.

    A class or function that was visited already is named by its number.
    """

    def __init__(self, module: str, what: str) -> None:
        super().__init__(module, what)
        self._classes: dict[type, int] = {}
        self._scopes: list[Mapping[str, Any]] = []
        self._assigned_names: set[tuple[str, str]] = set()
        self._modules: set[str] = set()

    def is_own(self, module: str | None) -> bool:
        """Whether the module is the user's own."""
        name = module or ""
        return name.startswith(_APPS) if name.partition(".")[0] == "flyball" else super().is_own(module)

    def left_out(self, kind: type, but: Collection[str]) -> set[str]:
        """Those of `but` that no other method of the class calls, and the methods that only these use."""
        members = self._members(kind)
        called = {name for own in _but(members, but) for node in own for name in _called_on_self(node)}
        left_out = {*but} - called
        if any(_looks_up_by_text(node) for own in _but(members, but) for node in own):
            return left_out
        inherited = {name for base in kind.__mro__ if not self.is_own(base.__module__) for name in dir(base)}
        methods = {name for name in members if not name.startswith("__")} - inherited
        trees = [_tree_of(_file_of(parent)) for parent in self._own_parents(kind)]
        while True:
            dropped = {id(node) for name in left_out for node in members.get(name, [])}
            used = {name for tree in trees for name in _names_used(tree, dropped)}
            only = {name for name in left_out for node in members.get(name, []) for name in _names_used(node, set())}
            more = (methods & only) - used - left_out
            if not more:
                return left_out
            left_out |= more

    def class_parts(self, kind: type, but: Collection[str] = (), fields: Collection[str] = ()) -> Iterator[str]:
        """The lines of a class and of its bases, the class first."""
        for parent in self._own_parents(kind):
            self._classes.setdefault(parent, len(self._classes))
        for parent in kind.__mro__:
            if self.is_own(parent.__module__):
                yield from self._own_class(parent, but, fields)
            elif parent is not object:
                yield f"base {parent.__module__.partition('.')[0]}.{parent.__qualname__}"

    def parts(self, function: FunctionType) -> Iterator[str]:
        """The lines of a function; names are looked up in its file."""
        with self._names_of(function.__globals__):
            yield from super().parts(function)

    def _own_parents(self, kind: type) -> list[type]:
        return [parent for parent in kind.__mro__ if self.is_own(parent.__module__)]

    def _members(self, kind: type) -> Members:
        """{name: the statements of the class and its own bases that define it}, of methods."""
        members: Members = {}
        for parent in self._own_parents(kind):
            for statement in _class_node(parent).body:
                if isinstance(statement, _FUNCTIONS):
                    members.setdefault(statement.name, []).append(statement)
        return members

    def _own_class(self, kind: type, but: Collection[str], fields: Collection[str]) -> Iterator[str]:
        node, scope = _class_node(kind), _scope_of(kind)
        with self._names_of(scope):
            arguments = [*node.decorator_list, *node.keywords]
            yield f"class {with_names(arguments)}"
            for argument in arguments:
                yield from self._names_in(argument)
            for statement in sorted(node.body, key=lambda part: getattr(part, "name", "")):
                names = _bound_by(statement)
                if is_docstring(statement) or (names and names <= {*but, *fields}):
                    continue
                yield from self._member(kind, statement)
            bound = {name for statement in node.body for name in _bound_by(statement)}
            yield from self._set_later(kind, {*but, *fields}, bound)
            if "<locals>" in kind.__qualname__:
                for name in [name for name, value in scope.items() if value is kind]:
                    yield from self._assigned(name, kind)

    def _set_later(self, kind: type, but: Collection[str], bound: Collection[str]) -> Iterator[str]:
        """The values of attributes of the class as they are now: its file, or another, may have set them since."""
        for name, value in sorted(vars(kind).items()):
            if name in but or (name.startswith("__") and name.endswith("__")) or name == "_abc_impl":
                continue
            counts = isinstance(value, _VALUES) or (name not in bound and isinstance(value, FunctionType))
            text = self._text_if_any(name, value) if counts else None
            if text is not None:
                yield f"attribute {name} = {text}"
            elif name not in bound and not inspect.isdatadescriptor(value):
                yield from self._changed(kind.__name__, self._scopes[-1])

    def _text_if_any(self, label: str, value: Any) -> str | None:
        """The text of a value; None where it has none."""
        before = dict(self._seen), dict(self._classes)
        try:
            return self._text(label, value)
        except (BadDeclaration, RecursionError):
            self._seen, self._classes = before
            return None

    def _member(self, kind: type, statement: ast.stmt) -> Iterator[str]:
        """The lines of one statement of a class: of a method by its function, whose variables may be renamed."""
        name = getattr(statement, "name", "")
        member = vars(kind).get(name)
        function = _function_in(member) if isinstance(statement, _FUNCTIONS) else None
        is_own = function is not None and self.is_own(function.__module__)
        if is_own:
            yield f"{name}: {type(member).__name__} {self._text(name, function)}"
        if function is None or not is_own or function.__code__.co_filename != _file_of(kind):
            yield with_names(statement)
            yield from self._names_in(statement)
        decorators = getattr(statement, "decorator_list", [])
        yield f"decorators {with_names(decorators)}"
        for decorator in decorators:
            yield from self._names_in(decorator)

    def _names_in(self, node: ast.AST) -> Iterator[str]:
        """The lines for what a node that was not renamed reads of its file."""
        for label, value in sorted(_values_read(node, self._scopes[-1], self.has_attributes).items()):
            yield from self._read(label, label, value)

    def has_attributes(self, value: Any) -> bool:
        """Whether it is the user's own module; classes count as a whole."""
        return isinstance(value, ModuleType) and self.is_own(value.__name__)

    def undefined(self, label: str) -> Any:
        """What stands for a name that nothing defines."""
        return NOTHING

    def _read(self, token: str, label: str, value: Any) -> Iterator[str]:
        if value is NOTHING:
            yield f"{token} is not defined"
        elif self.has_attributes(value):
            yield f"{token}: {self._module(value.__name__)}"
        else:
            before = dict(self._seen), dict(self._classes)
            try:
                lines = list(super()._read(token, label, value))
            except (BadDeclaration, RecursionError):
                self._seen, self._classes = before
                lines = [f"{token}: {line}" for line in self._assigned(label, value)]
            yield from lines

    def _assigned(self, label: str, value: Any) -> Iterator[str]:
        """The statements of the file that make the value of a name, and what they use."""
        *modules, name = label.split(".")
        scope = self._scopes[-1]
        for module in modules:
            scope = vars(scope[module] if isinstance(scope[module], ModuleType) else sys.modules[module])
        file = str(scope.get("__file__", ""))
        if (file, name) in self._assigned_names:
            return
        self._assigned_names.add((file, name))
        nodes = [node for node in _tree_of(file).body if self._binds(node, name, scope)] if file else []
        if modules:
            yield from self._changed(label, self._scopes[-1])
        yield from self._changed(name, scope)
        if not nodes:
            raise BadDeclaration(f"{label}, which {self.what} reads", f"{MUST}, or made by its file", value)
        for node in nodes:
            module = module_of(node, _package_of(scope)) if isinstance(node, ast.ImportFrom) else ""
            if isinstance(node, ast.ImportFrom) and self.is_own(module):
                source = next((alias.name for alias in node.names if name in (alias.asname, alias.name)), name)
                with self._names_of(vars(sys.modules[module])):
                    yield from self._assigned(source, value)
                continue
            yield with_names(node)
            with self._names_of(scope):
                yield from self._names_in(node)

    def _binds(self, node: ast.stmt, name: str, scope: Mapping[str, Any]) -> bool:
        """Whether a statement of a file gives the name its value; by `import *` where the module has it."""
        names = _bound_by(node)
        if "*" in names and isinstance(node, ast.ImportFrom):
            return name in vars(sys.modules.get(module_of(node, _package_of(scope)), object))
        return name in names

    def _changed(self, label: str, scope: Mapping[str, Any]) -> Iterator[str]:
        """The statements of a file that change what a name of it holds, and what they use."""
        file = str(scope.get("__file__", ""))
        for node in statements_that_change(_tree_of(file), label) if file else ():
            yield f"then {with_names(node)}"
            with self._names_of(scope):
                yield from self._names_in(node)

    def _text(self, where: str, value: Any) -> str:
        if isinstance(value, type) and self.is_own(value.__module__) and not issubclass(value, enum.Enum):
            number = self._classes.get(value)
            return f"class {number}" if number is not None else f"class({'; '.join(self.class_parts(value))})"
        if type(value).__module__ == "numpy" and hasattr(value, "tobytes") and not value.dtype.hasobject:
            return f"numpy {value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
        return super()._text(where, value)

    def _function(self, where: str, value: Any) -> str:
        """As of every callable; of a function that is wrapped by an object its decorators too."""
        text, wrapped = super()._function(where, value), getattr(value, "__wrapped__", None)
        if isinstance(value, FunctionType) or not isinstance(wrapped, FunctionType):
            return text
        return f"{text} {with_names(getattr(node_of(wrapped, self.what), 'decorator_list', []))}"

    def _imports(self, function: FunctionType) -> Iterator[str]:
        for module in imported_by(function):
            if not module:
                yield from super()._imports(function)
            elif self.is_own(module):
                yield f"module {self._module(module)}"

    def _by_text(self, function: FunctionType, node: ast.AST) -> Iterator[str]:
        """The modules that are imported by a text, and the whole file where its names are looked up so."""
        for module in imported_by_text(node):
            if module is None:
                yield from super()._by_text(function, node)
            elif self.is_own(module):
                yield f"module {self._module(module)}"
        if reads_by_text(node):
            tree = _tree_of(str(function.__globals__.get("__file__", "")))
            yield f"file {with_names(tree)}"
            yield from self._modules_of(tree, _package_of(function.__globals__))

    def _module(self, module: str) -> str:
        """The parsed text of a module, and of the user's own modules that it imports."""
        if module in self._modules:
            return f"module {module}"
        self._modules.add(module)
        tree, package = _module_parsed(module, self.what)
        return "; ".join([with_names(tree), *self._modules_of(tree, package)])

    def _modules_of(self, tree: ast.Module, package: str) -> Iterator[str]:
        for module in modules_imported(tree, package):
            if self.is_own(module) and _file_of_module(module) is not None:
                yield self._module(module)

    @contextmanager
    def _names_of(self, scope: Mapping[str, Any]) -> Iterator[None]:
        """Names are looked up in `scope`."""
        self._scopes.append(scope)
        try:
            yield
        finally:
            self._scopes.pop()


def _but(members: Members, but: Collection[str]) -> list[list[ast.stmt]]:
    return [nodes for name, nodes in members.items() if name not in but]


def _called_on_self(method: ast.stmt) -> Iterator[str]:
    """The attributes of its first argument, and of `super()`, that a method uses."""
    arguments = getattr(method, "args", None)
    first = arguments.args[0].arg if arguments is not None and arguments.args else ""
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute):
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            if isinstance(owner, ast.Name) and owner.id in (first, "super"):
                yield node.attr


def _names_used(node: ast.AST, but: set[int]) -> Iterator[str]:
    """The attributes and texts under a node, without those of the nodes of `but` (by `id`)."""
    if id(node) in but:
        return
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from _names_used(child, but)


def _bound_by(statement: ast.stmt) -> set[str]:
    """The names that a statement of a file or a class gives a value."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        return {statement.name}
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return names


def _function_in(member: Any) -> FunctionType | None:
    """The function of a method, property, class or static method."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, cached_property):
        member = member.func
    elif isinstance(member, classmethod | staticmethod):
        member = member.__func__
    elif not isinstance(member, FunctionType):
        member = getattr(member, "__wrapped__", None)
    return member if isinstance(member, FunctionType) else None


def _functions_of(kind: type) -> list[FunctionType]:
    functions = map(_function_in, vars(kind).values())
    return [function for function in functions if function is not None and function.__module__ == kind.__module__]


def _scope_of(kind: type) -> Mapping[str, Any]:
    """The names of the class's file: of its functions, since another file of its name may be loaded by now."""
    functions = _functions_of(kind)
    return functions[0].__globals__ if functions else vars(sys.modules[kind.__module__])


def _file_of(kind: type) -> str:
    return str(_scope_of(kind).get("__file__", ""))


def _tree_of(file: str) -> ast.Module:
    linecache.checkcache(file)
    return parsed_file("".join(linecache.getlines(file)))


def _class_node(kind: type) -> ast.ClassDef:
    """The node of a class in its parsed file; of several of its name the one that holds its functions."""
    lines = [function.__code__.co_firstlineno for function in _functions_of(kind)]
    nodes = list(_classes_named(_tree_of(_file_of(kind)), kind.__qualname__, "")) if _file_of(kind) else []
    holding = [node for node in nodes if any(node.lineno <= line <= (node.end_lineno or 0) for line in lines)]
    if not nodes or (lines and not holding):
        must = "a class whose source can be read, defined in a file"
        raise BadDeclaration(f"model {kind.__qualname__}", must, f"one of {kind.__module__}")
    return (holding or nodes)[-1]


def _classes_named(node: ast.AST, name: str, path: str) -> Iterator[ast.ClassDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            if f"{path}{child.name}" == name:
                yield child
            yield from _classes_named(child, name, f"{path}{child.name}.")
        elif isinstance(child, _FUNCTIONS):
            yield from _classes_named(child, name, f"{path}{child.name}.<locals>.")
        else:
            yield from _classes_named(child, name, path)


def _values_read(node: ast.AST, scope: Mapping[str, Any], is_module: Callable[[Any], bool]) -> dict[str, Any]:
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


def _looks_up_by_text(node: ast.AST) -> bool:
    """Whether attributes are read by names that are computed."""
    calls = [child for child in ast.walk(node) if isinstance(child, ast.Call)]
    names_read = [call.args[1:2] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "getattr"]
    return any(not isinstance(name, ast.Constant) for names in names_read for name in names)


def _package_of(scope: Mapping[str, Any]) -> str:
    return str(scope.get("__package__") or "")


def _module_parsed(module: str, what: str) -> tuple[ast.Module, str]:
    """A parsed module, which is not imported for that, and the package that its relative imports start from."""
    file = _file_of_module(module)
    try:
        tree = None if file is None else _tree_of(file)
    except SyntaxError:
        tree = None
    if file is None or tree is None:
        raise BadDeclaration(f"module {module}, which {what} imports", "one whose source can be read", file)
    return tree, module if Path(file).stem == "__init__" else module.rpartition(".")[0]


def _file_of_module(module: str) -> str | None:
    """The source of a module, whether it is loaded or not; None where there is none."""
    loaded = sys.modules.get(module)
    try:
        spec = find_spec(module) if loaded is None else None
    except (ImportError, ValueError):
        return None
    file = getattr(loaded, "__file__", None) or (None if spec is None else spec.origin)
    return str(file) if file is not None and Path(file).is_file() else None
