"""Gives the variables of a parsed function names by the order in which they occur, so that a renaming changes nothing.

Python's own rules say which variable a name is: parameters and names that are assigned are the function's, those of a
comprehension its own, `global` and `nonlocal` names not, and a class's names are attributes, which are kept.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Any

VARIABLE, OF_CLASS = "$", "."
"""How the new names begin: `$3` is the fourth variable of a function, `.x` the name x of a class inside it. No name of
Python begins so."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*FUNCTIONS, ast.ClassDef)
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_TEXTS = {ast.ExceptHandler: "name", ast.MatchAs: "name", ast.MatchStar: "name", ast.MatchMapping: "rest"}
"""{node that binds a name without a node of its own: its field with the name}."""


def name_variables(function: ast.AST) -> None:
    """Rename the variables of a function's node, in place: `$0`, `$1` … in the order in which they occur.

    Parameters keep what they were called as `written`. A keyword of a call of a function that is defined inside, once
    and under this name, becomes `#` and the parameter's position. The node's own name, its decorators and the
    expressions of its defaults are taken out: they are evaluated outside, once.

    >>> node = ast.parse("lambda price, n: [price * i for i in range(n)]", mode="eval").body
    >>> name_variables(node)
    >>> ast.unparse(node)
    'lambda $0, $1: [$0 * $2 for $2 in range($1)]'
    """
    if isinstance(function, FUNCTIONS):
        if not isinstance(function, ast.Lambda):
            function.name, function.decorator_list = "", []
        function.args.defaults, function.args.kw_defaults = [], []
    _Namer().visit(function, None)


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters that a call fills one by one, in order, keyword-only ones last."""
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


class _Scope:
    """The names of one function, class or comprehension. `defined`: functions inside by their name."""

    def __init__(self, names: Iterable[str], outer: "_Scope | None", of_class: bool = False) -> None:
        self.bound = list(names)
        self.new: dict[str, str] = {}
        self.outer, self.of_class = outer, of_class
        self.defined: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}

    def owner_of(self, name: str) -> "_Scope | None":
        """The scope whose variable the name is here; None for one from outside."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.bound and (scope is self or not scope.of_class):
                return scope
            scope = scope.outer
        return None


class _Namer:
    def __init__(self) -> None:
        self._count = 0

    def visit(self, node: Any, scope: _Scope | None) -> None:
        """Rename in the node, whose names are read in `scope`."""
        if isinstance(node, list):
            for child in node:
                self.visit(child, scope)
        elif isinstance(node, FUNCTIONS):
            self._function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._class(node, scope)
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node, scope)
        elif isinstance(node, ast.AST):
            self._plain(node, scope)

    def _plain(self, node: ast.AST, scope: _Scope | None) -> None:
        if isinstance(node, ast.Name):
            node.id = self._named(node.id, scope)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            node.names = []  # what they say is in the names themselves now
        elif isinstance(node, ast.alias):
            bound = node.asname or node.name.partition(".")[0]
            dotted = node.asname is not None and "." in node.name
            node.asname = self._named(bound, scope) + (" whole" if dotted else "")
        elif isinstance(node, ast.Call):
            self._name_keywords(node, scope)
        field = _TEXTS.get(type(node))
        if field is not None and getattr(node, field) is not None:
            setattr(node, field, self._named(getattr(node, field), scope))
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns", "type_params"):
                self.visit(value, scope)

    def _function(self, node: Any, outer: _Scope | None) -> None:
        if isinstance(node, _NAMED):
            self.visit(node.decorator_list, outer)
            node.name = self._named(node.name, outer) if node.name else ""
        arguments = node.args
        self.visit(arguments.defaults, outer)
        self.visit(arguments.kw_defaults, outer)
        every = [*parameters(arguments), arguments.vararg, arguments.kwarg]
        names = [parameter.arg for parameter in every if parameter is not None]
        body = node.body if isinstance(node.body, list) else [node.body]
        scope = _Scope(dict.fromkeys((*names, *_bound(body))), outer)
        scope.bound = [name for name in scope.bound if name not in _declared_elsewhere(body)]
        scope.defined = _defined_once(body, names)
        for parameter in every:
            if parameter is not None:
                parameter.written = parameter.arg
                parameter.arg = self._named(parameter.arg, scope)
        self.visit(body, scope)

    def _class(self, node: ast.ClassDef, outer: _Scope | None) -> None:
        for part in (node.decorator_list, node.bases, node.keywords):
            self.visit(part, outer)
        node.name = self._named(node.name, outer)
        elsewhere = _declared_elsewhere(node.body)
        names = [name for name in dict.fromkeys(_bound(node.body)) if name not in elsewhere]
        self.visit(node.body, _Scope(names, outer, of_class=True))

    def _comprehension(self, node: Any, outer: _Scope | None) -> None:
        """The first iterable is read outside; the rest, and the targets, inside."""
        self.visit(node.generators[0].iter, outer)
        targets = [generator.target for generator in node.generators]
        scope = _Scope(dict.fromkeys(name for target in targets for name in _bound([target])), outer)
        for position, generator in enumerate(node.generators):
            if position:
                self.visit(generator.iter, scope)
            self.visit(generator.target, scope)
            self.visit(generator.ifs, scope)
        for field in ("key", "value", "elt"):
            self.visit(getattr(node, field, None), scope)

    def _named(self, name: str, scope: _Scope | None) -> str:
        owner = None if scope is None else scope.owner_of(name)
        if owner is None:
            return name
        if owner.of_class:
            return f"{OF_CLASS}{name}"
        if name not in owner.new:
            owner.new[name] = f"{VARIABLE}{self._count}"
            self._count += 1
        return owner.new[name]

    def _name_keywords(self, node: ast.Call, scope: _Scope | None) -> None:
        called: Any = node.func if isinstance(node.func, ast.Lambda) else None
        if isinstance(node.func, ast.Name) and scope is not None:
            owner = scope.owner_of(node.func.id)
            called = None if owner is None else owner.defined.get(node.func.id)
        if called is not None:
            names = [getattr(parameter, "written", parameter.arg) for parameter in parameters(called.args)]
            number_keywords(node, names, len(called.args.posonlyargs))


def number_keywords(node: ast.Call, names: list[str], positional: int = 0) -> None:
    """Replace the keywords of a call that are among these parameters, in place, by `#` and their positions.

    `positional`: how many of them, the first ones, no keyword can fill.
    """
    for keyword in node.keywords:
        if keyword.arg in names[positional:]:
            keyword.arg = f"#{names.index(keyword.arg)}"


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The names that are bound in the nodes themselves, not in functions, classes and comprehensions inside."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, _NAMED):
            yield node.name
        field = _TEXTS.get(type(node))
        if field is not None and getattr(node, field) is not None:
            yield getattr(node, field)
        if isinstance(node, _COMPREHENSIONS):
            yield from _assigned_inside(node)
        elif isinstance(node, _SCOPES):
            yield from _bound(_read_outside(node))
        else:
            yield from _bound(ast.iter_child_nodes(node))


def _assigned_inside(comprehension: ast.AST) -> Iterator[str]:
    """The names that a comprehension binds for the function it stands in, with `:=`."""
    for node in ast.walk(comprehension):
        if isinstance(node, ast.NamedExpr):
            yield node.target.id


def _read_outside(node: Any) -> list[ast.AST]:
    """The parts of a function or class that are evaluated where it is defined."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    arguments = node.args
    defaults = [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]
    return [*getattr(node, "decorator_list", ()), *defaults]


def _declared_elsewhere(body: Iterable[ast.AST]) -> set[str]:
    """The names that are said to be global or of an outer function."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.Global | ast.Nonlocal):
            names.update(node.names)
        if not isinstance(node, _SCOPES):
            names |= _declared_elsewhere(ast.iter_child_nodes(node))
    return names


def _defined_once(body: list[Any], names: list[str]) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """{name: the function inside} of those whose name is bound nowhere else, without decorators."""
    bound = [*names, *_bound(body)]
    return {
        node.name: node
        for node in _statements(body)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.decorator_list
        and bound.count(node.name) == 1
    }


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        if not isinstance(node, _SCOPES):
            yield from _statements(ast.iter_child_nodes(node))
