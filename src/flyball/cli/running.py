"""`flyball up`, `status`, `recommend`, `why`, `replay`, `simulate`, `world`: the application at work."""

import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, console, errors, open_app, progress_line, show_json, show_table
from flyball.core import format_instant, parse_duration
from flyball.operations import Program, Status
from flyball.operations import status as status_of
from flyball.operations import up as run_up
from flyball.runtime import Runtime

_WORLD_USERS, _WORLD_FILMS = 2_000, 5_000


def register(app: typer.Typer) -> None:
    for command in (up, status, recommend, why, replay, simulate, world):
        app.command()(command)


def up(
    app: AppName,
    home: Home = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to answer on.", show_default="8082")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Serving processes.", show_default="2")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    world: Annotated[
        bool, typer.Option("--world", help="With a simulated world of users that use the service.")
    ] = False,
    chosen: Set = None,
) -> None:
    """Run the application: serving workers, the log worker and the governor, until Ctrl-C."""
    from flyball.operations import Lines, Panel

    runtime = open_app(app, home, chosen, port=port, workers=workers)
    screen = Panel(console) if console.is_terminal else Lines(sys.stdout)
    programs = [_world_program(runtime)] if world else []
    run_up(runtime, screen, programs, host)


def _world_program(runtime: Runtime) -> Program:
    words = [
        "-m",
        "flyball",
        "world",
        runtime.app.spec,
        "--home",
        str(runtime.home),
        "--url",
        "http://127.0.0.1:{port}",
    ]
    words += [f"--set={name}={value}" for name, value in runtime.settings.app.items()]
    return Program("world", (sys.executable, *words), order=9)


def world(
    app: AppName,
    url: Annotated[str, typer.Option("--url", help="The running service.")] = "http://127.0.0.1:8082",
    users: Annotated[int, typer.Option("--users", min=1)] = _WORLD_USERS,
    films: Annotated[int, typer.Option("--films", min=1)] = _WORLD_FILMS,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    rate: Annotated[float, typer.Option("--rate", help="Log lines a second, about.")] = 100.0,
    home: Home = None,
    chosen: Set = None,
) -> None:
    """Drive a running service with a simulated world; an empty log first gets two weeks of the world's past."""
    from flyball.simulation import inhabit, stop_on_signals

    runtime = open_app(app, home, chosen)
    stop = threading.Event()
    stop_on_signals(stop)
    inhabit(runtime, url, users=users, films=films, seed=seed, lines_per_s=rate, stop=stop, tell=_tell_world)


def _tell_world(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def status(
    app: AppName,
    since: Annotated[str | None, typer.Option("--since", help="Figures of the last 1h, 7d, ... only.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show what runs, how far behind each view is, and how each version does with users."""
    runtime = open_app(app, home)
    since_us = 0 if since is None else runtime.clock.now_us() - parse_duration(since)
    found = status_of(runtime, since_us)
    if json:
        show_json(found)
    else:
        _show_status(found)


def _show_status(found: Status) -> None:
    running = f"running on port {found.port}" if found.running else "not running"
    console.print(
        f"{found.app}: {running}; serving {found.champion or 'the popular list'}, before it {found.previous or 'nothing'}"
    )
    console.print(
        f"log: {sum(found.ends.get('events', ())):,} events, {sum(found.ends.get('predictions', ())):,} predictions; "
        f"{found.quarantined:,} lines in quarantine"
    )
    if found.processes:
        rows = [[p.name, p.state, p.pid, p.restarts] for p in found.processes]
        show_table("", ["process", "state", "pid", "restarts"], rows, {"pid", "restarts"})
    if found.feeds:
        rows = [[f.name, f"{f.behind:,}", f"{f.lag_us / 1e6:.2f}"] for f in found.feeds]
        show_table("", ["view", "events behind", "seconds behind"], rows, {"events behind", "seconds behind"})
    rows = []
    for name, each in found.figures.items():
        rows.append([name or "none", f"{each.answers:,}"])
    if rows:
        show_table("", ["version", "answers"], rows, {"answers"})
    if found.next_learn_us is not None:
        console.print(f"learns next at {format_instant(found.next_learn_us)[:19]}Z")


def recommend(
    app: AppName,
    user: Annotated[str, typer.Argument(metavar="USER")],
    k: Annotated[int | None, typer.Option("--k", min=1, help="Length of the list.", show_default="the task's")] = None,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Answer one request here and now, without a running service, and record it like any other."""
    from flyball.serving import answer_once

    runtime = open_app(app, home, chosen)
    answer = answer_once(runtime, user, k)
    if json:
        show_json(answer)
        return
    console.print(",".join(answer.items), markup=False)
    errors.print(f"{answer.id}  {answer.level}  {answer.version or 'no version'}", markup=False)


PredictionId = Annotated[str, typer.Argument(metavar="ID", help="The id of an answer (header X-Flyball-Prediction).")]


def why(app: AppName, prediction: PredictionId, home: Home = None, json: Json = False) -> None:
    """Explain an answer: its version, its films with their reasons, and what the user did next."""
    from flyball.provenance import why as explain

    found = explain(open_app(app, home), prediction)
    if json:
        show_json(found)
    else:
        console.print(found.text(), markup=False)


def replay(app: AppName, prediction: PredictionId, home: Home = None, json: Json = False) -> None:
    """Recompute an answer from the log and the artifacts and say whether every bit is the same."""
    from flyball.provenance import replay as again

    found = again(open_app(app, home), prediction)
    if json:
        show_json(found)
    else:
        console.print(found.text(), markup=False)
    if not found.identical:
        raise typer.Exit(1)


def simulate(
    app: AppName,
    days: Annotated[int, typer.Option("--days", min=1)] = 7,
    users: Annotated[int, typer.Option("--users", min=1)] = 2_000,
    films: Annotated[int, typer.Option("--films", min=20)] = 27_000,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    home: Annotated[
        Path | None, typer.Option("--home", help="Keep the state here.", show_default="a temporary folder")
    ] = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Run the application in a simulated world in virtual time; same seed, same digest of all answers."""
    from flyball.app import load_app
    from flyball.cli.common import settings_for
    from flyball.simulation import simulate as run

    options = settings_for(app, home, chosen).app
    with progress_line(json) as progress:
        report = run(load_app(app, options), days=days, users=users, films=films, seed=seed, home=home, tell=progress)
    if json:
        show_json(report)
    else:
        console.print(report.text(), markup=False)
