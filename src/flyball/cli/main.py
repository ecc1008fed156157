"""The entry point: gathers the commands, turns Flyball's errors into one line and an exit code."""

import os
import sys
from typing import Annotated

import typer

from flyball.cli import events, learning, project, running
from flyball.cli.common import errors
from flyball.core import BadDeclaration, BadInput, BadSetting, FlyballError, NotFound

app = typer.Typer(
    name="flyball",
    help="One Python file declares a machine-learning application; Flyball runs its whole loop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (project, events, learning, running):
    commands.register(app)


def _version(asked: bool) -> None:
    if asked:
        from flyball import __version__

        typer.echo(f"flyball {__version__}")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    """One Python file declares a machine-learning application; Flyball runs its whole loop."""


def main() -> None:
    """Run the command line; ends the process with 0, 1 (did not work out), 2 (wrong input) or 130 (Ctrl-C)."""
    try:
        app()
    except (BadInput, BadDeclaration, BadSetting, NotFound) as error:
        errors.print(f"flyball: {error}", markup=False)
        sys.exit(2)
    except FlyballError as error:
        errors.print(f"flyball: {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
