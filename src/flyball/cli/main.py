"""The entry point: gathers the commands, turns errors into one line and an exit code."""

import os
import sys
from typing import Annotated

import typer

from flyball.cli import events, learning, project, running
from flyball.cli.show import say, warn
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

        say(f"flyball {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """One Python file declares a machine-learning application; Flyball runs its whole loop."""


def main() -> None:
    """Run the command line; ends the process with 0, 1 (did not work out), 2 (wrong input) or 130 (Ctrl-C)."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except (BadInput, BadDeclaration, BadSetting, NotFound) as error:
        _end(error, 2)
    except FlyballError as error:
        _end(error, 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a full disk, a folder one may not write to
        _end(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)
    except KeyboardInterrupt:
        _end("stopped", 130)


def _end(error: object, code: int) -> None:
    warn(f"flyball: {error}")
    sys.exit(code)
