"""`flyball migrate`: the stores of a home are copied to those of another one, and it takes over."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from flyball.cli.common import AppName, Json, open_app, open_home
from flyball.cli.setting_options import given_settings
from flyball.cli.show import progress_line, say, show_json
from flyball.core import Refused, SystemStopwatch, counted_units

if TYPE_CHECKING:
    from flyball.migration import MigrationReport
    from flyball.runtime import Runtime


def register(app: typer.Typer) -> None:
    app.command()(migrate)


def migrate(
    app: AppName,
    to: Annotated[Path, typer.Option("--to", help="The new home, by its settings.toml on other stores.")],
    home: Annotated[
        Path | None, typer.Option("--from", "--home", help="The home to move.", show_default=".flyball/APP")
    ] = None,
    switch: Annotated[bool, typer.Option("--switch", help="Make the new home the one that is in use.")] = False,
    json: Json = False,
) -> None:
    """Copy all stores of a home to those of another one, while it is in use, and compare them.

    It may be interrupted and run again at any time: it continues. With --switch the service that runs on the home
    moves to the new one: writes get 503 for a moment, then they go there. The other way around it moves back.
    """
    from flyball.migration import Migration

    refuse_stores_of_both()
    source, target = open_home(app, home), open_app(app, to)
    with progress_line(json) as progress:
        report = Migration(source, target, SystemStopwatch(), progress).run(switch)
    if json:
        show_json(
            {
                **msgspec.to_builtins(report),
                "settings": missing_settings(source, target),
                "proof": proof(app, report),
            }
        )
    else:
        _show(app, source, target, report)


def refuse_stores_of_both() -> None:
    """Raise `Refused` for variables that would name the stores of two homes at once."""
    from flyball.settings import STORES

    variables = [f"FLYBALL_{store.upper()}{end}" for store in STORES for end in ("", "_FILE")]
    options = [f"--{store.replace('_', '-')}" for store in STORES if store in given_settings()]
    set_for_both = [*(name for name in variables if name in os.environ), *options]
    if set_for_both:
        raise Refused(
            "the stores of both homes must be set in their settings.toml, got "
            f"{', '.join(set_for_both)}, which would hold for both: leave it out"
        )


def missing_settings(source: "Runtime", target: "Runtime") -> list[str]:
    """The lines of the home's settings.toml that are no stores and that the new home lacks."""
    from flyball.migration import own_settings

    own, others = own_settings(source.layout.settings), own_settings(target.layout.settings)
    return [line for name, line in own.items() if others.get(name) != line]


def proof(app: str, report: "MigrationReport") -> str:
    """The command that compares both homes."""
    return f"flyball compare {app} --home {report.source} --with {report.target}"


def _show(app: str, source: "Runtime", target: "Runtime", report: "MigrationReport") -> None:
    say(f"{report.source} to {report.target}")
    for part in report.parts:
        say(f"  {part.text()}")
    missing = missing_settings(source, target)
    if missing:
        say(f"\nput into {target.layout.settings}:")
        for line in missing:
            say(f"  {line}")
    if not report.switched:
        move = f"flyball migrate {app} --from {source.home} --to {target.home} --switch"
        say(f"\n{counted_units(report.behind, 'record')} came meanwhile. To move: {move}")
    elif report.pause_s is None:
        say("\nmoved before")
    else:
        say(f"\nmoved; writes were refused for {report.pause_s:.2f} s. {report.source} is not written to any more")
    say(f"compare: {proof(app, report)}")
