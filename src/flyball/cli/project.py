"""`flyball new` and `flyball check`."""

import traceback
from pathlib import Path
from typing import Annotated

import typer

from flyball.app import App
from flyball.cli.common import AppName, Json, Set, console, load, show_json
from flyball.cli.template import write_project
from flyball.core import FlyballError
from flyball.policy import outcomes_of


def register(app: typer.Typer) -> None:
    app.command()(new)
    app.command()(check)


def new(
    name: Annotated[str, typer.Argument(help="Name of the application: lower-case letters, digits, - and _.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path("."),
    json: Json = False,
) -> None:
    """Write a working application to start from, with made-up events to try it on."""
    written = write_project(name, folder)
    if json:
        show_json({"written": [str(path) for path in written]})
        return
    for path in written:
        console.print(f"wrote {path}")
    console.print(
        f"next:  flyball check {written[0]}\n"
        f"       flyball ingest {written[0]} {written[1]}\n"
        f"       flyball learn {written[0]}\n"
        f"       flyball up {written[0]}"
    )


def check(app: AppName, chosen: Set = None, json: Json = False) -> None:
    """Say what is wrong with an application's declaration, and where; or what it declares."""
    try:
        declared = load(app, chosen)
    except FlyballError as error:
        _fail(str(error), _place_in(error, app), json)
    except Exception as error:  # a mistake anywhere in the user's file: shown with its line, never as our traceback
        _fail(f"{type(error).__name__}: {error}", _place_in(error, app), json)
    if json:
        show_json(
            {"ok": True, "name": declared.name, "events": _events(declared), "candidates": list(declared.candidates)}
        )
        return
    console.print(f"{declared.name}: nothing wrong", markup=False)
    for line in _summary(declared):
        console.print(f"  {line}", markup=False)


def _fail(message: str, place: str, json: bool) -> None:
    if json:
        show_json({"ok": False, "where": place, "error": message})
    else:
        console.print(f"{place}: {message}" if place else message, markup=False)
    raise typer.Exit(1)


def _place_in(error: BaseException, spec: str) -> str:
    """file:line of the innermost line of the user's own file that led to the error."""
    name = Path(spec.split(":")[0]).name
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).name in (name, f"{name.rsplit('.', 1)[-1]}.py")]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def _events(app: App) -> dict[str, list[str]]:
    return {name: list(kind.fields) for name, kind in app.schema.types.items()}


def _summary(app: App) -> list[str]:
    task = app.task
    lines = [
        f"{'profile' if kind.is_profile else 'event'} {name}({', '.join(kind.fields)})"
        for name, kind in app.schema.types.items()
    ]
    positives = " or ".join(
        one.event.__name__.lower()
        + (f" where {one.where.text()}" if one.where else "")
        + (f" x{one.at_least}" if one.at_least > 1 else "")
        for one in outcomes_of(task.positive)
    )
    lines += [
        f"recommends {task.item.name} to {task.user.name}, {task.k} at a time within {task.deadline}",
        f"liked: {positives}",
        f"candidates {', '.join(app.candidates)}; chosen by {app.choose.metric}"
        + (", the cheapest within noise" if app.choose.cheapest else ""),
        f"formats {', '.join(dict.fromkeys(['jsonl', 'csv', 'parquet', *app.formats]))}",
    ]
    return lines
