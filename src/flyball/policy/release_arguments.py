"""Checks the arguments of `fb.canary`, `fb.ab` and so on where they are written."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from flyball.core import BadDeclaration

RESERVED_ARMS = ("champion", "holdout", "interleaved", "none", "previous", "rest")
"""What an answer names as its arm where no release assigned one."""
MOST_DAYS = 3_650
_ARM = re.compile(r"[\w.@-]+\Z")
_BY_FIELD = 'values by field, such as {"country": ["NL", "BE"]}'


def share_of(what: str, percentage: Any) -> int:
    """A percentage in ten-thousandths."""
    if not isinstance(percentage, int | float) or isinstance(percentage, bool) or not 0.01 <= percentage <= 100:
        raise BadDeclaration(what, "a percentage from 0.01 to 100", percentage)
    return round(percentage * 100)


def margins_of(what: str, margins: Any) -> dict[str, float]:
    """{metric: margin}."""
    for name, margin in _mapping(what, margins, 'margins by name, such as {"liked": 0.01}').items():
        if not is_name(name):
            raise BadDeclaration(what, 'margins by name, such as {"liked": 0.01}', name)
        if not isinstance(margin, int | float) or isinstance(margin, bool) or not 0 <= margin < float("inf"):
            raise BadDeclaration(f"{what} for {name}", "a margin from 0", margin)
    return {name: float(margin) for name, margin in (margins or {}).items()}


def rate_margins(what: str, margins: Any, known: Collection[str]) -> dict[str, float]:
    """{guardrail: margin}; no rate of answers can rise by 1 or more, so such a margin would accept everything."""
    for name in _mapping(what, margins, 'margins by name, such as {"failed": 0.01}'):
        if name not in known:
            raise BadDeclaration(what, f"among {', '.join(known)}", name)
    checked = margins_of(what, margins)
    for name, margin in checked.items():
        if margin >= 1:
            raise BadDeclaration(f"{what} for {name}", "a share below 1, such as 0.01 for one answer in 100", margin)
    return checked


def weights_of(what: str, weights: Any) -> dict[str, float]:
    """{arm: weight}, control first."""
    chosen = dict(_mapping(what, weights, 'weights by arm, such as {"control": 1, "candidate": 1}'))
    chosen = chosen or {"control": 1.0, "candidate": 1.0}
    numbers = [weight for weight in chosen.values() if isinstance(weight, int | float) and not isinstance(weight, bool)]
    if len(numbers) < max(len(chosen), 2) or not all(0 < weight < float("inf") for weight in numbers):
        raise BadDeclaration(what, "two arms or more, each with a weight above 0", weights)
    if next(iter(chosen)) != "control":
        raise BadDeclaration(what, 'arms of which the first is "control"', list(chosen))
    for name, weight in chosen.items():
        if not is_arm_name(name):
            raise BadDeclaration(f"an arm in {what}", _ARM_NAME, name)
        if weight / sum(numbers) < 0.000_1:
            raise BadDeclaration(f"{what} for {name}", "0.01 % of all weights or more: units come in 10,000", weight)
    return {name: float(weight) for name, weight in chosen.items()}


_ARM_NAME = f"a name of letters, digits and _ . @ -, and none of {', '.join(RESERVED_ARMS)}"


def is_arm_name(name: Any) -> bool:
    """Whether an arm may have this name: a header can say it, and nothing else in an answer means it."""
    return isinstance(name, str) and bool(_ARM.match(name)) and name not in RESERVED_ARMS


def is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name)


def field_names(what: str, names: Any) -> tuple[str, ...]:
    """Fields of the request, from one name or several."""
    fields = (names,) if isinstance(names, str) and names else names
    if fields not in ("", {}) and not (isinstance(fields, list | tuple) and all(map(is_name, fields))):
        raise BadDeclaration(what, "a field of the request, or a list of some", names)
    return tuple(fields)


def values_by_field(what: str, rule: Any) -> dict[str, tuple[str, ...]]:
    """{field: its values as text}, from one value for each field or several."""
    listed = {
        name: tuple(values) if isinstance(values, list | tuple | set | frozenset) else (values,)
        for name, values in _mapping(what, rule, _BY_FIELD).items()
    }
    for name, values in listed.items():
        if not is_name(name):
            raise BadDeclaration(what, _BY_FIELD, name)
        if not values or not all(isinstance(value, str | int | float) for value in values):
            raise BadDeclaration(f"{what} for {name}", "a value or several: texts, numbers, True or False", rule[name])
    return {name: tuple(map(str, values)) for name, values in listed.items()}


def overrides_of(what: str, overrides: Any, arms: Collection[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """{arm: {field: values}}; a rule without a field would give its arm to everybody."""
    rules = _mapping(what, overrides, 'rules by arm, such as {"candidate": {"user": [7, 8]}}')
    for arm, rule in rules.items():
        if arm not in arms:
            raise BadDeclaration(what, f"of arms of the release: {', '.join(arms)}", arm)
        if not rule:
            raise BadDeclaration(f"{what} for {arm}", _BY_FIELD, rule)
    return {arm: values_by_field(f"{what} for {arm}", rule) for arm, rule in rules.items()}


def days_of(days: Any) -> float:
    """A planned length."""
    if number_above_0("days", days) > MOST_DAYS:
        raise BadDeclaration("days", f"at most {MOST_DAYS:,}", days)
    return float(days)


def number_above_0(what: str, number: Any) -> float:
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number < float("inf"):
        raise BadDeclaration(what, "a number above 0", number)
    return float(number)


def count_above_0(what: str, number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise BadDeclaration(what, "a whole number above 0", number)
    return number


def known_arguments(
    kind: str, others: Mapping[str, Any], base: Callable[..., Any], without: Sequence[str] = ()
) -> dict[str, Any]:
    """`others`, where `base` takes each of them by name and `kind` does not leave it out."""
    taken = [
        parameter.name
        for parameter in inspect.signature(base).parameters.values()
        if parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in without
    ]
    for name in others:
        if name not in taken:
            raise BadDeclaration(f"other arguments of {kind}(...)", f"among {', '.join(taken)}", name)
    return dict(others)


def _mapping(what: str, argument: Any, must: str) -> Mapping[Any, Any]:
    if not argument and (argument is None or isinstance(argument, Mapping | tuple | list)):
        return {}
    if not isinstance(argument, Mapping):
        raise BadDeclaration(what, must, argument)
    return argument
