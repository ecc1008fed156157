"""What the statements of a file do besides giving names a value: they change values, and import modules."""

import ast
from collections.abc import Iterator
from importlib.util import resolve_name

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BY_TEXT = {"eval", "exec", "globals"}


def statements_that_change(tree: ast.Module, label: str) -> list[ast.stmt]:
    """The statements of a file that may change what `label`, a name with or without attributes, holds.

    These set an attribute or an element of it, call a method of it whose result is not kept or is what is assigned, or
    hand it to a call whose result is not kept; or they call, also as a decorator, a function of the file that does so.
    Not what `__name__` guards. Whether the method changes anything is not looked at.
    """
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    changing = {function.name for function in functions if any(_changes(node, label) for node in ast.walk(function))}
    statements = [node for node in tree.body if not (isinstance(node, ast.If) and "__name__" in ast.dump(node.test))]
    return [
        statement
        for statement in statements
        if any(_changes(node, label) or _calls(node, changing) for node in _nodes_run(statement))
    ]


def modules_imported(tree: ast.AST, package: str) -> list[str]:
    """The modules that import statements anywhere under a node name, sorted; also what may be a module of a package.

    `package`: what relative imports start from.
    """
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = module_of(node, package)
            modules |= {module, *(f"{module}.{alias.name}" for alias in node.names if alias.name != "*")}
    return sorted(modules)


def module_of(node: ast.ImportFrom, package: str) -> str:
    """The whole name of the module that an import statement takes names from."""
    return resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)


def reads_by_text(node: ast.AST) -> bool:
    """Whether code looks names of its file up by texts, so that what it reads cannot be said."""
    calls = [child.func for child in ast.walk(node) if isinstance(child, ast.Call)]
    return any(isinstance(called, ast.Name) and called.id in _BY_TEXT for called in calls)


def imported_by_text(node: ast.AST) -> list[str | None]:
    """The modules that calls of `import_module` and `__import__` name; None where a call computes the name."""
    modules = []
    for child in ast.walk(node):
        if isinstance(child, ast.Call) and _last_name(child.func) in ("import_module", "__import__"):
            name = child.args[0].value if child.args and isinstance(child.args[0], ast.Constant) else None
            modules.append(None if name is None else str(name))
    return modules


def _last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _nodes_run(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the file is loaded: of a definition only its decorators."""
    yield node
    children = node.decorator_list if isinstance(node, _DEFINITIONS) else ast.iter_child_nodes(node)
    for child in children:
        if not isinstance(child, ast.Lambda):
            yield from _nodes_run(child)


def _changes(node: ast.AST, label: str) -> bool:
    if isinstance(node, ast.Global):
        return label in node.names
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return _is_of(node.value, label)
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return node.value is not None and _begins_with_method_of(node.value, label)
    if isinstance(node, ast.Expr):
        calls = [child for child in ast.walk(node) if isinstance(child, ast.Call)]
        arguments = [argument for call in calls for argument in (*call.args, *(word.value for word in call.keywords))]
        return any(_is_method_of(call, label) for call in calls) or any(_is_of(value, label) for value in arguments)
    decorators = node.decorator_list if isinstance(node, _DEFINITIONS) else []
    return any(_is_of(decorator, label) for decorator in decorators)


def _calls(node: ast.AST, functions: set[str]) -> bool:
    if isinstance(node, ast.Expr):
        called = [child.func for child in ast.walk(node) if isinstance(child, ast.Call)]
    else:
        called = list(node.decorator_list) if isinstance(node, _DEFINITIONS) else []
        called += [decorator.func for decorator in called if isinstance(decorator, ast.Call)]
    return any(isinstance(function, ast.Name) and function.id in functions for function in called)


def _is_method_of(call: ast.Call, label: str) -> bool:
    return isinstance(call.func, ast.Attribute) and _is_of(call.func.value, label)


def _begins_with_method_of(node: ast.AST, label: str) -> bool:
    """Whether the node is a call of a method of the label, or an attribute, an element or a call of its result."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Call) and _is_method_of(node, label):
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return False


def _is_of(node: ast.AST, label: str) -> bool:
    """Whether the node is the label, or an attribute, an element or a call of it."""
    while ast.unparse(node) != label:
        if isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return False
    return True
