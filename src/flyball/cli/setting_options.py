"""Every setting as an option of every command that works on a home.

Options that a command declares itself, such as `--port` of `flyball up`, stay as they are. The others are not listed in
each command's help, which ends with a line about them.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

OPTION_NAMES = (
    "host",
    "port",
    "workers",
    "zone",
    "events",
    "predictions",
    "state",
    "features",
    "registry",
    "quarantine",
    "catalog",
    "outcomes",
    "history",
    "artifacts",
    "apply_delays",
    "keep_runs",
    "compute",
    "keep_answers",
    "manage",
    "sinks",
    "traces",
    "processes",
    "drain",
    "log_format",
    "lease",
    "limit_answers",
    "limit_events",
    "connections",
    "connections_per_address",
    "access",
    "identity_header",
    "identity_roles",
    "trusted_proxies",
    "origins",
)
"""All of `flyball.settings.SETTING_NAMES` but `home` and `app`, which are `--home` and `--set`; a second time, so that
help need not wait for the packages that settings need (tested)."""

_PARAMETER = "setting_"
_options: ContextVar[dict[str, str]] = ContextVar("settings given as options")


def given_settings() -> dict[str, str]:
    """The settings that were given as options of the command that runs now."""
    return _options.get({})


def add_setting_options(command: Any) -> None:
    """Add the options of settings to `command`, or to the commands of a group."""
    parameters = dict(zip(OPTION_NAMES, _parameters(), strict=True))
    for leaf in _leaves(command):
        known = {option for parameter in leaf.params for option in parameter.opts}
        if "--home" in known and not leaf.epilog:
            _add(leaf, {name: option for name, option in parameters.items() if _option(name) not in known})


def _leaves(command: Any) -> Iterator[Any]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield command
    for subcommand in (subcommands or {}).values():
        yield from _leaves(subcommand)


def _add(command: Any, parameters: dict[str, Any]) -> None:
    command.params += parameters.values()
    command.epilog = "Each setting is an option, too, such as --registry URL; flyball settings APP lists them."
    invoke = command.invoke

    def invoke_with_settings(context: Any) -> Any:
        values = {name: context.params.pop(_PARAMETER + name) for name in parameters}
        former = _options.set({name: value for name, value in values.items() if value is not None})
        try:
            return invoke(context)
        finally:
            _options.reset(former)

    command.invoke = invoke_with_settings


def _parameters() -> list[Any]:
    """The options of `OPTION_NAMES`: what typer makes of a function with these parameters."""

    def function(**values: Any) -> None: ...

    types = {
        _PARAMETER + name: Annotated[str | None, typer.Option(_option(name), metavar="VALUE", hidden=True)]
        for name in OPTION_NAMES
    }
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=types[name]) for name in types]
    function.__annotations__, function.__signature__ = dict(types), Signature(parameters)  # type: ignore[attr-defined]
    holder = typer.Typer(add_completion=False)
    holder.command()(function)
    options: list[Any] = typer.main.get_command(holder).params
    return options


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
