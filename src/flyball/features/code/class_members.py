"""Which members of a class only some of its methods use: these count where those do, and nowhere else."""

import ast
from collections.abc import Collection, Iterator, Sequence

from flyball.features.code.class_nodes import METHODS, class_node, file_of
from flyball.features.code.modules import tree_of


def members_left_out(kind: type, own_parents: Sequence[type], names: Collection[str]) -> set[str]:
    """Those of `names` that no other method of the class calls, and the methods that only these use.

    `own_parents`: the class and its bases, those of the user's own.
    """
    methods = _methods_of(own_parents)
    kept = [node for name, nodes in methods.items() if name not in names for node in nodes]
    left_out = {*names} - {name for node in kept for name in _called_on_self(node)}
    if any(_looks_up_by_text(node) for node in kept):
        return left_out
    inherited = {name for base in kind.__mro__ if base not in own_parents for name in dir(base)}
    candidates = {name for name in methods if not name.startswith("__")} - inherited
    trees = [tree_of(file_of(parent)) for parent in own_parents]
    while True:
        nodes_left_out = [node for name in left_out for node in methods.get(name, [])]
        used_by_these = {name for node in nodes_left_out for name in _names_used(node, set())}
        used_elsewhere = {name for tree in trees for name in _names_used(tree, {id(node) for node in nodes_left_out})}
        used_by_these_only = (candidates & used_by_these) - used_elsewhere - left_out
        if not used_by_these_only:
            return left_out
        left_out |= used_by_these_only


def _methods_of(own_parents: Sequence[type]) -> dict[str, list[ast.stmt]]:
    """{name: the statements that define it}, of methods."""
    methods: dict[str, list[ast.stmt]] = {}
    for parent in own_parents:
        for statement in class_node(parent).body:
            if isinstance(statement, METHODS):
                methods.setdefault(statement.name, []).append(statement)
    return methods


def _called_on_self(method: ast.stmt) -> Iterator[str]:
    """The attributes of its first argument, and of `super()`, that a method uses."""
    arguments = getattr(method, "args", None)
    first = arguments.args[0].arg if arguments is not None and arguments.args else ""
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute):
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            if isinstance(owner, ast.Name) and owner.id in (first, "super"):
                yield node.attr


def _looks_up_by_text(node: ast.AST) -> bool:
    """Whether attributes are read by names that are computed."""
    calls = [child for child in ast.walk(node) if isinstance(child, ast.Call)]
    names_read = [call.args[1:2] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "getattr"]
    return any(not isinstance(name, ast.Constant) for names in names_read for name in names)


def _names_used(node: ast.AST, skipped: set[int]) -> Iterator[str]:
    """The attributes and texts under a node, without those under the nodes of `skipped` (by `id`)."""
    if id(node) in skipped:
        return
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from _names_used(child, skipped)
