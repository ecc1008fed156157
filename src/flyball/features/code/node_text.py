"""A parsed node as text: without layout, comments, docstrings and annotations."""

import ast
from collections.abc import Iterator
from typing import Any

_LEFT_OUT = {"ctx", "kind", "type_comment", "type_params", "annotation", "returns"}
_DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


def fields_of(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """(name, value) of the fields of a node that its value depends on; no empty ones, which newer Pythons add."""
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
    """The node as text with the names as they are written.

    >>> with_names(ast.parse("total  =  1  # so"))
    "Module(body=[Assign(targets=[Name(id='total')], value=Constant(value=1))])"
    """
    if isinstance(node, list):
        return "[" + ", ".join(with_names(child) for child in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    return f"{type(node).__name__}({', '.join(f'{name}={with_names(value)}' for name, value in fields_of(node))})"


def is_docstring(statement: ast.stmt) -> bool:
    """Whether the statement is a text alone."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
