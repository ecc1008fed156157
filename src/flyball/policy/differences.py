"""Says in the words of a declaration how two of its plain values differ: only what differs, expressions as a person
writes them, durations as "7d"."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flyball.core import format_duration
from flyball.policy.expressions import OPERATORS, expression_of

_DURATION = "_us"
_USUAL = {"at_least": 1, "unit_us": 1}
"""Values that nobody writes down."""


def differences(key: str, before: Any, now: Any) -> list[str]:
    """A line for each part of two plain values that differs; `key`: what they are called.

    >>> differences("target", {"by": "n", "within_us": 60_000_000}, {"by": "n", "within_us": 120_000_000})
    ['target.within 1m, now 2m']
    >>> differences("where", [">", ["field", "stars"], ["constant", 3]], None)
    ['where stars > 3, now nothing']
    """
    return list(_differences(key, before, now))


def in_words(value: Any, key: str = "") -> str:
    """A plain value of a declaration as a person writes it; `key`: what it is called, `within_us` for a duration.

    >>> in_words({"event": "Rate", "where": [">=", ["field", "stars"], ["constant", 4]], "within_us": 3_600_000_000})
    'Rate (where stars >= 4, within 1h)'
    """
    if value is None or value in ([], {}):
        return "nothing"
    if is_expression(value):
        text = expression_of(value).text()
        return text[1:-1] if text.startswith("(") else text
    if isinstance(value, Mapping):
        return _mapping_in_words(value)
    if isinstance(value, list | tuple):
        return _list_in_words(value)
    if key.endswith(_DURATION) and isinstance(value, int):
        return format_duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else '""'


def is_expression(value: Any) -> bool:
    """Whether a plain value is a traced expression, as `Expression.plain` writes it."""
    if not isinstance(value, list | tuple) or len(value) < 2 or not isinstance(value[0], str):
        return False
    operator, *parts = value
    if operator in ("field", "constant"):
        return len(parts) == 1 and not isinstance(parts[0], list | Mapping)
    return operator in OPERATORS and all(is_expression(part) for part in parts)


def _mapping_in_words(value: Mapping[str, Any]) -> str:
    """Its keys that say something, in the order of the alphabet, after the event that it is about."""
    parts = [
        f"{name.removesuffix(_DURATION)} {in_words(part, name)}"
        for name, part in sorted(value.items())
        if name != "event" and part not in (None, [], {}, "", _USUAL.get(name))
    ]
    event = value.get("event")
    if event is None:
        return ", ".join(parts)
    return f"{event} ({', '.join(parts)})" if parts else str(event)


def _list_in_words(value: Sequence[Any]) -> str:
    parts = [in_words(part) for part in value]
    if isinstance(value[0], Mapping):
        return " or ".join(parts)
    return f"({', '.join(parts)})" if len(parts) > 1 else parts[0]


def _differences(key: str, before: Any, now: Any) -> Iterator[str]:
    if before == now:
        return
    name = key.removesuffix(_DURATION)
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for part in {**before, **now}:
            yield from _differences(f"{key}.{part}" if key else part, before.get(part), now.get(part))
    elif _is_list(before) and _is_list(now):
        yield from _list_differences(key, before, now)
    elif isinstance(before, str) and isinstance(now, str) and "\n" in before + now:
        yield f"{name} with {_lines(before, now)}, now {_lines(now, before)}"
    else:
        yield f"{name} {in_words(before, key)}, now {in_words(now, key)}"


def _list_differences(key: str, before: Sequence[Any], now: Sequence[Any]) -> Iterator[str]:
    """Part by part where as many are of the same kind; else what is gone and what is new."""
    described = all(isinstance(part, Mapping) for part in (*before, *now))
    if described and len(before) == len(now):
        for index, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(key if len(now) == 1 else f"{key}[{index}]", old, new)
    elif described and before and now:
        gone, added = [part for part in before if part not in now], [part for part in now if part not in before]
        yield from (f"{key} {in_words(part)}, now gone" for part in gone)
        yield from (f"now also {key} {in_words(part)}" for part in added)
        if not gone and not added:
            yield f"{key} {len(before)} parts, now {len(now)}"
    else:
        yield f"{key} {in_words(before)}, now {in_words(now)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and not is_expression(value)


def _lines(text: str, other: str) -> str:
    """The lines of a text that the other has not."""
    lines = [line.strip() for line in text.splitlines() if line not in other.splitlines()]
    return "; ".join(lines) or "the same lines in another order"
