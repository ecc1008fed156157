"""`flyball up`, `status`, `recommend`, `why`, `replay`, `simulate`: the application at work."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, console, errors, open_app, progress_line, show_json, show_table
from flyball.core import format_instant, parse_duration
from flyball.operations import Program, Status, catch_up
from flyball.operations import status as status_of
from flyball.operations import up as run_up
from flyball.outcomes import Figures
from flyball.runtime import Runtime


def register(app: typer.Typer) -> None:
    for command in (up, status, recommend, why, replay, simulate):
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
    programs = [_with_world(runtime)] if world else []
    run_up(runtime, screen, programs, host)


def _with_world(runtime: Runtime) -> Program:
    """The world's program; an application that has no world yet first takes in the past of a new one."""
    from flyball.simulation import new_plan, read_plan, seed_home, world_program

    if read_plan(runtime.home) is None:
        plan = new_plan(runtime.clock.now_us())
        console.print(f"a new world: {plan.users:,} users, {plan.films:,} films, {plan.days} days of its past")
        with progress_line(quiet=False) as progress:
            report = seed_home(runtime, plan, lambda report: progress(f"{report.read:,} lines taken in"))
        console.print(
            f"took in {sum(report.accepted.values()):,} events, set {sum(report.quarantined.values()):,} aside"
        )
    return world_program(runtime.home)


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
    serving, before = found.champion or "the popular list", found.previous or "nothing"
    console.print(f"{found.app}: {running}; serving {serving}, before it {before}")
    console.print(
        f"log: {sum(found.ends.get('events', ())):,} events, {sum(found.ends.get('predictions', ())):,} predictions; "
        f"{found.quarantined:,} lines in quarantine"
    )
    if found.processes:
        processes = [[p.name, p.state, p.pid, f"{p.uptime_s:,.0f}", p.restarts] for p in found.processes]
        show_table("", ["process", "state", "pid", "up s", "restarts"], processes, {"pid", "up s", "restarts"})
    if found.feeds:
        feeds = [[f.name, f"{f.behind:,}", None if f.lag_s is None else f"{f.lag_s:.2f}", f.error] for f in found.feeds]
        show_table("", ["view", "events behind", "seconds behind", ""], feeds, {"events behind", "seconds behind"})
    if found.figures:
        columns = [
            "version",
            "answers",
            "available",
            "personal",
            "adopted",
            "liked",
            "stars",
            "p50 ms",
            "p99 ms",
            "levels",
        ]
        show_table("", columns, [_figures_row(each) for each in found.figures.values()], set(columns[1:-1]))
    if found.next_learn_us is not None:
        console.print(f"learns next at {format_instant(found.next_learn_us)[:19]}Z")


def _figures_row(each: Figures) -> list[object]:
    shares = [each.availability, each.personalised, each.adoption, each.positive]
    return [
        each.version or "none",
        f"{each.answers:,}",
        *(None if share is None else f"{share:.1%}" for share in shares),
        None if each.rating_mean is None else f"{each.rating_mean:.2f}",
        *(None if took is None else f"{took / 1_000:.1f}" for took in (each.p50_us, each.p99_us)),
        ", ".join(f"{level} {count:,}" for level, count in each.levels.items()),
    ]


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
    catch_up(runtime)
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
