"""A class's own node in its parsed file, and the functions of its members."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import FunctionType
from typing import Any

from flyball.core import BadDeclaration
from flyball.features.code.modules import file_of_scope, tree_of

METHODS = (ast.FunctionDef, ast.AsyncFunctionDef)


def class_node(kind: type) -> ast.ClassDef:
    """The node of a class in its parsed file; of several of its name the one that holds its functions.

    Raises `BadDeclaration` where there is none.
    """
    lines = [function.__code__.co_firstlineno for function in _functions_of(kind)]
    nodes = list(_classes_named(tree_of(file_of(kind)), kind.__qualname__, "")) if file_of(kind) else []
    holding = [node for node in nodes if any(node.lineno <= line <= (node.end_lineno or 0) for line in lines)]
    if not nodes or (lines and not holding):
        must = "a class whose source can be read, defined in a file"
        raise BadDeclaration(f"model {kind.__qualname__}", must, f"one of {kind.__module__}")
    return (holding or nodes)[-1]


def scope_of(kind: type) -> Mapping[str, Any]:
    """The names of the class's file: of its functions, since another file of its name may be loaded by now."""
    functions = _functions_of(kind)
    return functions[0].__globals__ if functions else vars(sys.modules[kind.__module__])


def file_of(kind: type) -> str:
    """The file of a class; "" for one that was not defined in a file."""
    return file_of_scope(scope_of(kind))


def function_in(member: Any) -> FunctionType | None:
    """The function of a method, property, class or static method; None for any other member."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, cached_property):
        member = member.func
    elif isinstance(member, classmethod | staticmethod):
        member = member.__func__
    elif not isinstance(member, FunctionType):
        member = getattr(member, "__wrapped__", None)
    return member if isinstance(member, FunctionType) else None


def names_bound_by(statement: ast.stmt) -> set[str]:
    """The names that a statement of a file or a class gives a value."""
    if isinstance(statement, (*METHODS, ast.ClassDef)):
        return {statement.name}
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return names


def _functions_of(kind: type) -> list[FunctionType]:
    functions = map(function_in, vars(kind).values())
    return [function for function in functions if function is not None and function.__module__ == kind.__module__]


def _classes_named(node: ast.AST, name: str, path: str) -> Iterator[ast.ClassDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            if f"{path}{child.name}" == name:
                yield child
            yield from _classes_named(child, name, f"{path}{child.name}.")
        elif isinstance(child, METHODS):
            yield from _classes_named(child, name, f"{path}{child.name}.<locals>.")
        else:
            yield from _classes_named(child, name, path)
