"""Traces a function of an event into an expression that every engine can evaluate.

`trace(lambda r: (r.stars >= 4) & (r.device != "tv"))` calls the lambda with a probe that records the operations on it.
Python's `and`, `or`, `not` and chained comparisons cannot be recorded: they raise an error that names the replacement.
"""

import operator
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import msgspec

from flyball.core import BadDeclaration

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


OPERATORS = frozenset((*_COMPARE, *_COMPUTE, "&", "|", "~"))
"""What joins the operands of an expression that is neither a field nor a constant."""


class Expression(msgspec.Struct, frozen=True):
    """A traced expression: `op` is "field", "constant", "~" or a binary operator; `args` its operands."""

    op: str
    args: tuple[Any, ...]

    def fields(self) -> set[str]:
        """The names of the event fields it reads."""
        if self.op == "field":
            return {self.args[0]}
        return set().union(*(arg.fields() for arg in self.args if isinstance(arg, Expression)))

    def text(self) -> str:
        """The expression as readable text."""
        if self.op == "field":
            return str(self.args[0])
        if self.op == "constant":
            return repr(self.args[0])
        if self.op == "~":
            return f"~{self.args[0].text()}"
        return f"({self.args[0].text()} {self.op} {self.args[1].text()})"

    def renamed(self, name_of: Callable[[str], str]) -> "Expression":
        """The same expression with renamed fields."""
        if self.op == "field":
            return Expression("field", (name_of(self.args[0]),))
        return Expression(
            self.op, tuple(arg.renamed(name_of) if isinstance(arg, Expression) else arg for arg in self.args)
        )

    def plain(self) -> list[Any]:
        """The same as lists, texts and numbers, for JSON; `expression_of` reads it back.

        >>> trace(lambda r: r.stars >= 4).plain()
        ['>=', ['field', 'stars'], ['constant', 4]]
        """
        return [self.op, *(arg.plain() if isinstance(arg, Expression) else arg for arg in self.args)]


class _Probe:
    __hash__ = None  # type: ignore[assignment]  # == records, so a probe has no equality

    def __init__(self, expression: Expression) -> None:
        self._expression = expression

    def __getattr__(self, name: str) -> "_Probe":
        if self._expression.op != "event" or name.startswith("__"):
            raise AttributeError(name)
        return _Probe(Expression("field", (name,)))

    def __bool__(self) -> bool:
        raise BadDeclaration(
            "a filter", "written with & and | and ~ around (comparisons), not and, or, not", "and/or/not/if"
        )

    def __invert__(self) -> "_Probe":
        return _Probe(Expression("~", (self._expression,)))


def _record(op: str, swapped: bool) -> Callable[[_Probe, object], _Probe]:
    def method(self: _Probe, other: object) -> _Probe:
        own, theirs = self._expression, _expression_of(other)
        return _Probe(Expression(op, (theirs, own) if swapped else (own, theirs)))

    return method


for _op, _name in {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}.items():
    setattr(_Probe, f"__{_name}__", _record(_op, swapped=False))
for _op, _name in {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "truediv",
    "//": "floordiv",
    "%": "mod",
    "&": "and",
    "|": "or",
}.items():
    setattr(_Probe, f"__{_name}__", _record(_op, swapped=False))
    setattr(_Probe, f"__r{_name}__", _record(_op, swapped=True))


def _expression_of(value: object) -> Expression:
    if isinstance(value, _Probe):
        return value._expression
    if isinstance(value, bool | int | float | str) or value is None:
        return Expression("constant", (value,))
    raise BadDeclaration("a filter", "made of fields, numbers, texts and comparisons", value)


def trace(function: Callable[[Any], Any]) -> Expression:
    """The operations of `function` on its argument; raises `BadDeclaration` for one that cannot be recorded."""
    try:
        result = function(_Probe(Expression("event", ())))
    except (TypeError, AttributeError) as error:
        raise BadDeclaration(
            "an expression", "made of fields, numbers, texts, comparisons and + - * / // %", str(error)
        ) from error
    return _expression_of(result)


def expression_of(plain: Sequence[Any]) -> Expression:
    """The expression for which `Expression.plain` returned `plain`."""
    op, *args = plain
    if op in ("field", "constant"):
        return Expression(op, (args[0],))
    return Expression(op, tuple(expression_of(arg) for arg in args))


def compile_python(expression: Expression) -> Callable[[Any], Any]:
    """The expression as a function of one event.

    The result of arithmetic is None if an operand is missing, for a division by zero and for results that a double
    cannot hold. A comparison with a missing value is False, but `==` and `!=` compare None like any value. `&`, `|` and
    `~` treat missing as False. An enum member stands for its value.
    """
    if expression.op == "field":
        return _field(expression.args[0])
    if expression.op == "constant":
        constant = expression.args[0]
        return lambda event: constant
    if expression.op == "~":
        inner = compile_python(expression.args[0])
        return lambda event: not inner(event)
    left, right = (compile_python(arg) for arg in expression.args)
    if expression.op == "&":
        return lambda event: bool(left(event)) & bool(right(event))
    if expression.op == "|":
        return lambda event: bool(left(event)) | bool(right(event))
    if expression.op in ("==", "!="):
        equal = _COMPARE[expression.op]
        return lambda event: equal(left(event), right(event))
    if expression.op in _COMPARE:
        return _present(_COMPARE[expression.op], left, right, False)
    return _present(_COMPUTE[expression.op], left, right, None)


def _field(name: str) -> Callable[[Any], Any]:
    get = operator.attrgetter(name)

    def field(event: Any) -> Any:
        value = get(event)
        return value.value if isinstance(value, Enum) else value

    return field


def _present(operate: Callable[[Any, Any], Any], left: Any, right: Any, missing: Any) -> Callable[[Any], Any]:
    def present(event: Any) -> Any:
        first, second = left(event), right(event)
        if first is None or second is None:
            return missing
        try:
            return operate(first, second)
        except (ZeroDivisionError, OverflowError):
            return missing

    return present
