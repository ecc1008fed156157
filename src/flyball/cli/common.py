"""Common options of the commands, and opening the application.

Packages are imported where they are used, here and in the commands: `flyball --version` should not wait for numpy.
"""

import getpass
import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from flyball.cli.argument_faults import argument_fault
from flyball.cli.setting_options import given_settings
from flyball.cli.show import warn
from flyball.core import BadDeclaration, BadInput, BadSetting, FlyballError, NotFound, SystemClock

if TYPE_CHECKING:
    from flyball.app import App
    from flyball.runtime import Runtime
    from flyball.settings import Settings, Sourced

AppName = Annotated[
    str,
    typer.Argument(
        metavar="APP", help="A built-in name (movies, delivery, fraud), a file (my_app.py) or module:attribute."
    ),
]
Home = Annotated[Path | None, typer.Option("--home", help="Where the state lives.", show_default=".flyball/APP")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
Wide = Annotated[bool, typer.Option("--wide", help="Show every column, however narrow the terminal is.")]
By = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="NAME",
        default_factory=lambda: user_name(),
        callback=lambda name: _checked_name(name),
        help="Who does it, for the audit trail.",
        show_default="you",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the application, such as stars=10; repeatable."),
]


class Mode(StrEnum):
    """How events become known: on arrival, or when they happened plus a lag."""

    live = "live"
    history = "history"


class BadApplication(BadDeclaration):
    """An application that cannot be loaded. `location`: file:line where known; `problem`: what is wrong there."""

    def __init__(self, location: str, problem: str) -> None:
        self.location, self.problem = location, problem
        FlyballError.__init__(self, f"{location}: {problem}" if location else problem)


def load(spec: str, options: dict[str, Any]) -> "App":
    """Load the application; any error in its file is raised as `BadApplication` with the file's line."""
    from flyball.app import load_app

    try:
        return load_app(spec, options)
    except NotFound as error:
        near = f"{spec}.py"
        suggestion = f"; {near} is a file here" if Path(near).is_file() else ""
        raise BadApplication("", f"{error}{suggestion}") from error
    except BadDeclaration as error:
        raise BadApplication(_place_in(error, spec), str(error)) from error
    except FlyballError as error:
        raise BadApplication(_place_in(error, spec), str(error)) from error
    except (Exception, SystemExit) as error:  # a mistake anywhere in the user's file: shown with its line, no traceback
        raise BadApplication(_place_in(error, spec), _described(error)) from error


def in_own_code(error: BaseException) -> str | None:
    """`location: problem` of an error caused by code of the application file, such as its `fit`; None for others."""
    own = {module.__file__ for name, module in list(sys.modules.items()) if name.startswith("flyball_app_")}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: {_described(error)}" if frames else None


def _described(error: BaseException) -> str:
    fault = argument_fault(error)
    if fault is not None:
        return fault
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()) if "\n" not in note)
    return (f"{type(error).__name__}: {words}{_meant(error)}" if words else type(error).__name__) + notes


def _meant(error: BaseException) -> str:
    """A suggestion of the nearest existing name for a misspelled one."""
    if not isinstance(error, AttributeError | NameError) or not error.name:
        return ""
    known = dir(error.obj) if isinstance(error, AttributeError) else []
    by_letters = {name.lower(): name for name in known if not name.startswith("_")}
    near = get_close_matches(error.name.lower(), by_letters, n=1)
    return f"; did you mean {by_letters[near[0]]}?" if near else ""


def _place_in(error: BaseException, spec: str) -> str:
    """file:line of the innermost line of the application file in the traceback."""
    name = Path(spec.split(":")[0]).name
    own = {name, f"{name.rsplit('.', 1)[-1]}.py"}
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or name).name}:{error.lineno}" if error.lineno else name
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name in own]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def settings_for(
    spec: str, home: Path | None, chosen: list[str] | None = None, world: bool = False, **options: Any
) -> "Settings":
    """Settings from the options, the environment (read here and nowhere else) and the home's file."""
    return sourced_settings(spec, home, chosen, world, **options).settings


def sourced_settings(
    spec: str, home: Path | None, chosen: list[str] | None = None, world: bool = False, **options: Any
) -> "Sourced":
    """The settings, and where each came from. `world`: the default home is that of a simulated world.

    Raises `Refused` for a home that somebody else may have written.
    """
    from flyball.home import check_own_home, default_home
    from flyball.settings import read_settings

    environment = dict(os.environ)
    variable = environment.get("FLYBALL_HOME")
    own = {name: value for name, value in options.items() if value is not None}
    chosen_values = {**given_settings(), **own, "app": pairs(chosen or [])}
    _refuse_secrets(chosen_values)
    folder = home or (Path(variable) if variable else default_home(spec, world))
    check_own_home(folder)
    sourced = read_settings(folder, None, environment, chosen_values)
    sources = {**sourced.sources, "home": "option" if home else "FLYBALL_HOME" if variable else "default"}
    return msgspec.structs.replace(sourced, sources=sources)


def _refuse_secrets(options: dict[str, Any]) -> None:
    """A password on the command line is in the list of processes, which every user of the machine may read."""
    from flyball.settings import secret_settings

    for name in secret_settings(options):
        variable = f"FLYBALL_{name.upper()}"
        raise BadSetting(
            f"--{name.replace('_', '-')} must hold no secret, as every user of this machine can read the list of "
            f"processes, got one: set {variable}, or {variable}_FILE to a file with the URL, or write settings.toml"
        )


def pairs(chosen: list[str], option: str = "--set") -> dict[str, Any]:
    """{name: value} of `--set name=value`; a value that is JSON is read as JSON."""
    values = {}
    for pair in chosen:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise BadSetting(f"{option} must look like name=value, got {pair!r}")
        try:
            values[name] = msgspec.json.decode(text.encode())
        except msgspec.DecodeError:
            values[name] = text
    return values


def open_app(
    spec: str, home: Path | None, chosen: list[str] | None = None, world: bool = False, **options: Any
) -> "Runtime":
    """The application and its stores, with the system clock.

    Raises `Refused` where stored events cannot be read, and for a home that somebody else may have written.

    `world`: the default home is that of a simulated world.
    """
    from flyball.runtime import Runtime, check_stored

    os.umask(PRIVATE)
    settings = settings_for(spec, home, chosen, world, **options)
    runtime = Runtime(load(spec, settings.app), settings, SystemClock())
    check_stored(runtime.app, settings)
    return runtime


def warn_of_losses(runtime: "Runtime", report: Callable[[str], None] = lambda words: warn(f"flyball: {words}")) -> None:
    """Warn, by default on standard error, of what in the home does not fit the application's file; see `flyball check`.

    That is what the log holds that no class declares any more, and the released versions that it cannot open.
    """
    from flyball.runtime import undeclared_in
    from flyball.serving import outages

    for undeclared in undeclared_in(runtime.app, runtime.settings, counted=False):
        report(f"in the log, but no longer declared: {undeclared.text()}")
    for outage in outages(runtime, declared_only=True):
        report(f"{outage.version} ({outage.role}) cannot serve with this file: {outage.reason}")


def open_home(spec: str, home: Path | None, chosen: list[str] | None = None, **options: Any) -> "Runtime":
    """As `open_app`, for commands that need events: raises `NotFound` where there is neither a home nor a log.

    The log of a machine whose stores are servers' is there before its home.
    """
    from flyball.events import log_exists

    runtime = open_app(spec, home, chosen, **options)
    if not runtime.home.is_dir() and not log_exists(runtime.settings.events):
        raise NotFound(f"state of {runtime.app.name} yet in", str(runtime.home), next_step="flyball ingest makes some")
    moved = runtime.gate.moved()
    if moved is not None:
        warn(f"flyball: {runtime.home} was moved to {moved.home}: what it held then is shown; use --home {moved.home}")
    return runtime


def limit_threads() -> None:
    """Let linear algebra use one thread in this process and its children; call it before numpy is loaded.

    With another number of threads sums are rounded otherwise, so a fitted model has other bits.
    """
    os.environ.update(dict.fromkeys(_THREADS, "1"))


PRIVATE = 0o077
"""The umask of commands with a home: what they write is read by its owner alone, since it is about people."""

_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")
"""How many threads OpenBLAS, MKL, Accelerate and OpenMP use."""


def now_in(runtime: "Runtime") -> int:
    """The present time of a home in microseconds: of one made by `flyball simulate` the time of its last event, of any
    other the system clock's."""
    if not runtime.layout.simulated.exists():
        return runtime.clock.now_us()
    latest = 0
    for log in (runtime.log, runtime.predictions):
        for partition, end in enumerate(log.ends()):
            start = tuple(max(at - 1, 0) if index == partition else at for index, at in enumerate(log.ends()))
            if end:
                latest = max([latest, *(record.known_at for piece in log.read(start, 1) for record in piece.records)])
    return latest or runtime.clock.now_us()


def mode_in(runtime: "Runtime") -> Literal["live", "history"]:
    """The mode of ingesting a present event: "history" in a home made by `flyball simulate`, so that its present time
    does not jump to the system clock's."""
    return "history" if runtime.layout.simulated.exists() else "live"


def _checked_name(name: str) -> str:
    if not name.strip():
        raise BadInput("--by", "the name of a person or a program", name)
    return name


def user_name() -> str:
    """Who runs the command, for the audit trail."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
