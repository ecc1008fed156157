"""What commands share: options, opening the application, showing results."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from flyball.app import App, load_app
from flyball.core import BadSetting, SystemClock
from flyball.runtime import Runtime, Settings, load_settings

AppName = Annotated[
    str, typer.Argument(metavar="APP", help="A built-in name (movies), a file (my_app.py) or module:attribute.")
]
Home = Annotated[Path | None, typer.Option("--home", help="Where the state lives.", show_default=".flyball/APP")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the application, such as stars=10; repeatable."),
]

_WIDE = 200
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def settings_for(spec: str, home: Path | None, chosen: list[str] | None = None, **options: Any) -> Settings:
    """Settings from the options, the environment (read here and nowhere else) and the home's file."""
    environment = dict(os.environ)
    place = home or (Path(environment["FLYBALL_HOME"]) if environment.get("FLYBALL_HOME") else default_home(spec))
    settings = load_settings(place, None, environment, options)
    return msgspec.structs.replace(settings, app={**settings.app, **_pairs(chosen or [])})


def default_home(spec: str) -> Path:
    """`.flyball/` and the application's short name."""
    name = spec.rsplit(":", 1)[0].rsplit(".", 1)[-1] if ":" in spec else Path(spec).stem
    return Path(".flyball") / name


def _pairs(chosen: list[str]) -> dict[str, Any]:
    values = {}
    for pair in chosen:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise BadSetting(f"--set must look like name=value, got {pair!r}")
        try:
            values[name] = msgspec.json.decode(text.encode())
        except msgspec.DecodeError:
            values[name] = text
    return values


def open_app(spec: str, home: Path | None, chosen: list[str] | None = None, **options: Any) -> Runtime:
    """The application and its stores, on the machine's clock."""
    settings = settings_for(spec, home, chosen, **options)
    return Runtime(load_app(spec, settings.app), settings, SystemClock())


def load(spec: str, chosen: list[str] | None = None) -> App:
    return load_app(spec, _pairs(chosen or []))


def show_json(value: Any) -> None:
    """One object, as the last line of standard output."""
    sys.stdout.write(msgspec.json.encode(value, order="deterministic").decode() + "\n")
    sys.stdout.flush()


def show_table(title: str, columns: list[str], rows: list[list[Any]], numeric: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*("–" if cell is None else str(cell) for cell in row))
    console.print(table)


@contextmanager
def progress_line(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line on standard error that is rewritten on a terminal; nothing when quiet or not a terminal."""
    if quiet or not errors.is_terminal:
        yield lambda text: None
        return
    with errors.status("") as status:
        yield lambda text: status.update(text)
