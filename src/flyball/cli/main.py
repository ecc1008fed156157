"""The entry point: gathers the commands, turns errors into one line and an exit code."""

import errno
import os
import sys
from typing import Annotated

import typer

from flyball.cli import (
    accuracy,
    arrangements,
    backtest,
    backups,
    batch,
    capacity,
    cases,
    deploy,
    drills,
    erase,
    events,
    experiments,
    exposure,
    fairness,
    features,
    findings,
    freshness,
    incidents,
    ingested,
    keys,
    learning,
    metrics,
    migration,
    performance,
    profiles,
    project,
    releases,
    replaying,
    report,
    reviews,
    running,
    suspects,
)
from flyball.cli import search as searching
from flyball.cli.common import in_own_code, limit_threads, user_name
from flyball.cli.sections import SectionedGroup
from flyball.cli.show import say, warn
from flyball.core import BadDeclaration, BadInput, BadSetting, FlyballError, NotFound

app = typer.Typer(
    name="flyball",
    cls=SectionedGroup,
    help="One Python file declares a machine-learning application; Flyball runs its whole loop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (
    project,
    deploy,
    events,
    ingested,
    features,
    findings,
    profiles,
    performance,
    exposure,
    fairness,
    learning,
    cases,
    freshness,
    backtest,
    releases,
    report,
    arrangements,
    experiments,
    searching,
    replaying,
    running,
    incidents,
    keys,
    suspects,
    metrics,
    migration,
    backups,
    erase,
    drills,
    batch,
    capacity,
    reviews,
    accuracy,
):
    commands.register(app)


def _version(show: bool) -> None:
    if show:
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
    limit_threads()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except KeyboardInterrupt:  # before the command itself began, which reports its own interruption
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        code, message = code_of(error)
        warn(message)
        sys.exit(code)


_FULL, _DENIED, _MISSING = (
    (errno.ENOSPC, errno.EDQUOT),
    (errno.EACCES, errno.EPERM, errno.EROFS),
    (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
)


def _os_error_text(error: OSError) -> str:
    """The message for an error of the operating system, with what to do."""
    got = error.strerror or str(error) or type(error).__name__
    what = error.filename if error.filename is not None else "a file or folder"
    if error.errno in _FULL:
        where = f" for {error.filename}" if error.filename is not None else ""
        return f"the disk must have room{where}, got: {got}; free some and run the same command again"
    if error.errno in _DENIED:
        return f"{what} must be one that {user_name()} may read and write, got: {got}; allow it, or name another place"
    if error.errno in _MISSING:
        return f"{what} must be there, of the right kind, got: {got}; name another path, or make its folder first"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{what} must be opened, got: {got}; raise the limit of open files (ulimit -n)"
    return f"{what} must be usable, got: {got}; correct that and run the same command again"


def code_of(error: BaseException) -> tuple[int, str]:
    """The exit code and the line for an error a user can act on; raises anything else again."""
    if isinstance(error, (BadInput, BadDeclaration, BadSetting, NotFound)):
        return 2, f"flyball: {error}"
    if isinstance(error, FlyballError):
        return 1, f"flyball: {error}"
    if isinstance(error, OSError):  # a full disk, a folder one may not write to
        return 1, f"flyball: {_os_error_text(error)}"
    described = in_own_code(error)
    if described is not None:  # an error in the user's own model or function, not in Flyball
        return 2, f"flyball: {described}"
    raise error
