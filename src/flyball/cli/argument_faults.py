"""What an application file got wrong about the arguments of a name of Flyball, with the arguments that there are."""

import inspect
import linecache
import re
from collections.abc import Callable
from difflib import get_close_matches
from types import TracebackType
from typing import Any

from flyball.settings import Settings

_CALLED = re.compile(r"[\w.]+")
_UNKNOWN = re.compile(r"(?:(?P<owner>[\w.]+)\(\) got an u|U)nexpected keyword argument '(?P<name>\w+)'")
_NAME = re.compile(r"'(\w+)'")
_MISSING = re.compile(r"(?:(?P<owner>[\w.]+)\(\) m|M)issing (?:\d+ )?required [\w -]*arguments?:? (?P<names>'.+)")


def argument_fault(error: BaseException) -> str | None:
    """What must be, and what is, of a `TypeError` about the arguments of a call of Flyball; None for another error.

    Python names the function of such a call, but not what it takes; msgspec, for its structs, neither.
    """
    text = str(error)
    unknown, missing = _UNKNOWN.fullmatch(text), _MISSING.fullmatch(text)
    fault = unknown or missing
    if not isinstance(error, TypeError) or fault is None:
        return None
    call = _call_of_flyball(error.__traceback__)
    if call is None:
        return None
    written, called = call
    helper = None
    if fault["owner"] not in (None, called.__qualname__, f"{called.__qualname__}.__init__"):
        helper = _helper(error.__traceback__, fault["owner"])
        if helper is None or unknown is None:
            return None
    if unknown is None:
        return f"{' and '.join(_NAME.findall(fault['names']))} of {written} must be given"
    names = _arguments(called, helper)
    near = get_close_matches(unknown["name"], names, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    if not near and unknown["name"] in Settings.__struct_fields__:
        meant = f": {unknown['name']} is a setting, given in flyball.toml or as FLYBALL_{unknown['name'].upper()}"
    return f"an argument of {written} must be one of {', '.join(names)}, got {unknown['name']!r}{meant}"


def _call_of_flyball(traceback: TracebackType | None) -> tuple[str, Callable[..., Any]] | None:
    """The innermost call of a name of Flyball by another module: as it is written, and what it calls."""
    call = None
    while traceback is not None:
        frame = traceback.tb_frame
        if not _of_flyball(frame.f_globals.get("__name__")):
            written = _written_at(traceback)
            called = _resolve(written, {**frame.f_builtins, **frame.f_globals, **frame.f_locals})
            call = (written, called) if callable(called) and _of_flyball(getattr(called, "__module__", None)) else None
        traceback = traceback.tb_next
    return call


def _of_flyball(module: object) -> bool:
    return isinstance(module, str) and module.split(".")[0] == "flyball"


def _written_at(traceback: TracebackType) -> str:
    """The dotted name that the expression under way begins with, "" for another expression."""
    positions = list(traceback.tb_frame.f_code.co_positions())
    line, _, column, _ = positions[traceback.tb_lasti // 2]
    if line is None or column is None:
        return ""
    text = linecache.getline(traceback.tb_frame.f_code.co_filename, line).encode()[column:].decode(errors="replace")
    name = _CALLED.match(text)
    return "" if name is None else name[0]


def _resolve(written: str, names: dict[str, Any]) -> Any:
    first, *others = written.split(".")
    value = names.get(first)
    for name in others:
        value = getattr(value, name, None)
    return value


def _helper(traceback: TracebackType | None, name: str) -> Callable[..., Any] | None:
    """The function of Flyball, called in the innermost frame, that others hand their further arguments on to."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    scope = {} if traceback is None else traceback.tb_frame.f_globals
    helper = scope.get(name) if _of_flyball(scope.get("__name__")) else None
    return helper if inspect.isfunction(helper) else None


def _arguments(called: Callable[..., Any], helper: Callable[..., Any] | None) -> list[str]:
    """The names of what a function takes; of one that hands others on to a helper, the keywords of both."""
    fields = getattr(called, "__struct_fields__", None)
    if fields is not None:
        return list(fields)
    names = [name for name, of in inspect.signature(called).parameters.items() if of.kind != of.VAR_KEYWORD]
    further = {} if helper is None else inspect.signature(helper).parameters
    return names + [name for name, of in further.items() if of.kind == of.KEYWORD_ONLY and name not in names]
