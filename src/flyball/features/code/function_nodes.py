"""A function's own node in its parsed file, and what its compiled code says of it."""

import ast
import copy
import inspect
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from weakref import WeakKeyDictionary

from flyball.core import BadDeclaration, parse_source
from flyball.features.code.variables import name_variables

_renamed: "WeakKeyDictionary[FunctionType, ast.AST]" = WeakKeyDictionary()
"""A cache: {function: its node with named variables}, since parsing a file takes some 20 ms."""

_written: "WeakKeyDictionary[FunctionType, str]" = WeakKeyDictionary()
"""A cache, for the same reason: {function: its source without layout}."""


@lru_cache(maxsize=4)
def parsed_file(text: str) -> ast.Module:
    """The parsed text of a file, of the last few; nobody may change it. Raises `SyntaxError`."""
    return parse_source(text)


def node_of(function: FunctionType, what: str) -> ast.AST:
    """The function's own node in its parsed file. Raises `BadDeclaration`, which calls it `what`, where there is none.

    Nobody may change it.
    """
    must = "a function whose source can be read, defined in a file"
    try:
        lines, _ = inspect.findsource(function)
        tree = parsed_file("".join(lines))
    except (OSError, TypeError, SyntaxError) as error:
        raise BadDeclaration(what, must, str(error)) from None
    code = function.__code__
    nodes = [node for node in ast.walk(tree) if _may_be_of(node, code)]
    if not nodes:
        raise BadDeclaration(what, must, textwrap.shorten(repr(function), 80))
    return min(nodes, key=lambda node: _extent(node))


def renamed_node_of(function: FunctionType, what: str) -> ast.AST:
    """The same with variables named by the order in which they occur (`name_variables`)."""
    node = _renamed.get(function)
    if node is None:
        node = copy.deepcopy(node_of(function, what))
        name_variables(node)
        _renamed[function] = node
    return node


def written(function: FunctionType, what: str) -> str:
    """The function's source for people: without layout, comments and decorators."""
    text = _written.get(function)
    if text is None:
        node = copy.copy(node_of(function, what))  # nobody may change the parsed file
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        text = _written[function] = ast.unparse(node)
    return text


def parameter_names(function: FunctionType) -> list[str]:
    """The names of the parameters that a call fills one by one, keyword-only ones last."""
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def imported_by(function: FunctionType) -> list[str]:
    """The modules that a function imports when it runs; "" for a relative import."""
    return [module for code in _codes(function.__code__) for module in _imported(code)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _imported(code: CodeType) -> list[str]:
    import dis

    return [str(step.argval) for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"]


def _may_be_of(node: ast.AST, code: CodeType) -> bool:
    """Whether the node is of the code's kind, starts on its line and, for a lambda, holds all its instructions."""
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno and _holds(node, code)
    if isinstance(node, ast.FunctionDef):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    return False


def _holds(node: ast.Lambda, code: CodeType) -> bool:
    """Whether all of the code's instructions stand within the lambda, and one of them in its body."""
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


def _extent(node: ast.AST) -> tuple[int, int]:
    lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0)
    return lines, getattr(node, "end_col_offset", 0) - getattr(node, "col_offset", 0)
