"""The meaning of a Python function as text: its parsed source, so that another Python gives the same.

Layout, comments, docstrings and annotations do not matter. What the function reads from outside does: numbers and
texts by their value, functions written in Python by their own source, everything else by its qualified name.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from flyball.core import BadDeclaration, parse_source

_PLAIN = (bool, int, float, str, type(None))
_LEFT_OUT = {"ctx", "kind", "type_comment", "type_params", "annotation", "returns"}
_texts: WeakKeyDictionary[FunctionType, str] = WeakKeyDictionary()
"""The text of each function that was parsed: parsing its file takes some 20 ms, and it is needed for each version."""


def content_of(function: FunctionType) -> str:
    """All that the function's value depends on besides its arguments.

    Raises `BadDeclaration` where the source cannot be read, or for a closure over anything but numbers and texts.
    """
    return "\n".join(_parts(function, set()))


def _parts(function: FunctionType, seen: set[FunctionType]) -> Iterator[str]:
    seen.add(function)
    closed = inspect.getclosurevars(function)
    for name, value in sorted(closed.nonlocals.items()):
        if not isinstance(value, _PLAIN):
            raise BadDeclaration("what a computed feature closes over", "numbers or text", value)
        yield f"{name} = {value!r}"
    for value in function.__defaults__ or ():
        if not isinstance(value, _PLAIN):
            raise BadDeclaration("a default of a computed feature", "a number or text", value)
    yield f"defaults {function.__defaults__!r}"
    text = _texts.get(function)
    if text is None:
        text = _texts[function] = _dump(_node_of(function))
    yield text
    for name in sorted(_global_names(function.__code__)):
        value = function.__globals__.get(name, closed.builtins.get(name))
        if isinstance(value, FunctionType):
            if value not in seen:
                yield from (f"{name}: {part}" for part in _parts(value, seen))
        elif isinstance(value, ModuleType):
            yield f"{name} is module {value.__name__}"
        elif isinstance(value, _PLAIN):
            yield f"{name} = {value!r}"
        else:
            yield f"{name} is {getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__name__)}"


def _global_names(code: CodeType) -> set[str]:
    """The global names that the code, or a function inside it, reads."""
    import dis

    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname.startswith("LOAD_GLOBAL")}
    return names.union(*(_global_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _node_of(function: FunctionType) -> ast.AST:
    """The function's own node in its parsed file."""
    must = "a function whose source can be read, defined in a file"
    try:
        lines, _ = inspect.findsource(function)
        tree = parse_source("".join(lines))
    except (OSError, TypeError, SyntaxError) as error:
        raise BadDeclaration("a computed feature", must, str(error)) from None
    code = function.__code__
    nodes = [node for node in ast.walk(tree) if _may_be(node, code)]
    if not nodes:
        raise BadDeclaration("a computed feature", must, textwrap.shorten(repr(function), 80))
    return min(nodes, key=lambda node: _extent(node))


def _may_be(node: ast.AST, code: CodeType) -> bool:
    """Whether the code's instructions all lie within the node, which is of the code's kind and starts on its line."""
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


def _dump(node: Any) -> str:
    """The node as text, without what carries no meaning and without what a Python version may add empty."""
    if isinstance(node, list):
        return "[" + ", ".join(_dump(each) for each in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name in _LEFT_OUT or value is None or value == []:
            if isinstance(node, ast.Constant) and name == "value":
                fields.append(f"{name}={value!r}")
            continue
        if name == "name" and isinstance(node, ast.FunctionDef):
            continue  # what a function is called does not change its value
        if name == "body" and isinstance(node, ast.FunctionDef):
            value = value[1:] if _is_docstring(value[0]) else value
        fields.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({', '.join(fields)})"


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
