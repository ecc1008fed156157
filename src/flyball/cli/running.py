"""`flyball up`, `status`, `recommend`, `why`, `compare`, `simulate`: the application at work."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import (
    AppName,
    Home,
    Json,
    Set,
    load,
    open_app,
    open_home,
    pairs,
    settings_for,
    warn_of_losses,
)
from flyball.cli.migration import refuse_stores_of_both
from flyball.cli.show import applied_words, progress_line, say, show_json, show_table, warn
from flyball.core import FlyballError, Refused, counted_units, format_second, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flyball.operations import ConsumerStatus, Display, Program, Status
    from flyball.outcomes import LabelMetric, VersionOutcomes
    from flyball.runtime import Runtime


def register(app: typer.Typer) -> None:
    for command in (up, status, recommend, why, compare, simulate):
        app.command()(command)


def up(
    app: AppName,
    home: Home = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Port to answer on.", show_default="8082")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Serving processes.", show_default="2")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")] = None,
    processes: Annotated[
        str | None,
        typer.Option(
            "--processes",
            metavar="NAMES",
            help="The parts that this machine runs, of serving,worker,governor.",
            show_default="all",
        ),
    ] = None,
    drain: Annotated[
        str | None,
        typer.Option("--drain", help="How long to answer on after SIGTERM, not ready.", show_default="0s"),
    ] = None,
    world: Annotated[
        bool,
        typer.Option("--world", help="With a simulated world that uses the service, by default in .flyball/APP-world."),
    ] = False,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Run the application until Ctrl-C.

    It starts serving processes, the log worker, and the governor that learns on schedule.
    """
    from flyball.operations import up as run_up

    options = {"port": port, "workers": workers, "host": host, "processes": processes, "drain": drain}
    runtime = open_app(app, home, chosen, world, **options)
    display = _display(runtime, json)
    warn_of_losses(runtime, partial(_notify, display, runtime))
    programs = [_with_world(runtime, json)] if world else []
    try:
        run_up(runtime, display, programs)
    except FlyballError as error:
        if runtime.settings.log_format != "json":
            raise
        _notify(display, runtime, f"stops: {error}")
        raise typer.Exit(1) from None
    if json:
        show_json({"app": runtime.app.name, "stopped": True})


def _notify(display: "Display", runtime: "Runtime", words: str) -> None:
    from flyball.operations import Notice

    if runtime.settings.log_format == "json":
        display.notify(Notice(runtime.clock.now_us(), "flyball", words))
    else:
        warn(f"flyball: {words}")


def _display(runtime: "Runtime", json: bool) -> "Display":
    from flyball.operations import Lines, ObjectLines, Panel

    if runtime.settings.log_format == "json":
        return ObjectLines(sys.stderr if json else sys.stdout, runtime.clock)
    if json:
        return Lines(sys.stderr)
    if sys.stdout.isatty():
        from rich.console import Console

        return Panel(Console(highlight=False))
    return Lines(sys.stdout)


def _with_world(runtime: "Runtime", quiet: bool) -> "Program":
    """The world's program; where the home has no world yet, the past of a new one is ingested first."""
    from flyball.operations import check_world_access
    from flyball.simulation import check_made_up, new_plan, plan_summary, read_plan, seed_home, world_program

    plan = new_plan(runtime.app, runtime.clock.now_us())  # refuses at once an application that names no world
    check_world_access(runtime)
    if read_plan(runtime.home) is None:
        check_made_up(runtime)
        warn(f"a new world in {runtime.home}: {plan_summary(runtime.app, plan)}")
        with progress_line(quiet) as progress:
            report = seed_home(runtime, plan, progress)
        accepted, quarantined = (sum(counts.values()) for counts in (report.accepted, report.quarantined))
        warn(f"ingested {counted_units(accepted, 'event')}, {quarantined:,} in quarantine")
    return world_program()


def status(
    app: AppName,
    since: Annotated[str | None, typer.Option("--since", help="Metrics of the last 1h, 7d, ... only.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show what runs, what lags, and how versions do; exits 1 while a consumer of the log fails or does not move, or
    a removal is interrupted.

    The metrics of each version are by label, from the outcomes of its responses, which are joined in the background.
    """
    from flyball.operations import status as status_of

    runtime = open_home(app, home)
    since_us = 0 if since is None else runtime.clock.now_us() - parse_duration(since, "--since")
    report = status_of(runtime, since_us)
    if json:
        show_json(report)
    else:
        _show_status(report, runtime.app.task.about.unreleased)
    if report.troubles:
        raise typer.Exit(1)


def _show_status(report: "Status", unreleased: str) -> None:
    running = f"running on port {report.port}" if report.running else "not running"
    if report.moved_to:
        running = f"moved to {report.moved_to}"
    serving, previous = report.champion or unreleased or "nothing yet", report.previous or "none"
    say(f"{report.app}: {running}; serving {serving}, previous: {previous}")
    events, predictions = (sum(report.ends.get(log, ())) for log in ("events", "predictions"))
    say(
        f"log: {counted_units(events, 'event')}, {counted_units(predictions, 'prediction')}; "
        f"{counted_units(report.quarantined, 'line')} in quarantine"
    )
    if report.processes:
        processes = [[p.name, p.state, p.pid, f"{p.uptime_s:,.0f}", p.restarts] for p in report.processes]
        say()
        show_table(["process", "state", "pid", "up s", "restarts"], processes, right=["pid", "up s", "restarts"])
    if report.leases:
        leases = [
            [lease.name, lease.holder if lease.left_us else "nobody", lease.token, f"{lease.left_us / 1e6:.1f}"]
            for lease in report.leases
        ]
        say()
        show_table(["lease", "holder", "token", "seconds left"], leases, right=["token", "seconds left"])
    if report.consumers:
        _show_consumers(report.consumers)
    if report.retention is not None:
        say(f"\n{report.retention.words}, {format_second(report.retention.at_us)}")
    for trouble in report.troubles:
        say(f"\n{trouble}")
    if report.incidents:
        say()
    for line in report.incidents:
        say(line)
    if report.apply_delays:
        say()
        say(applied_words(report.apply_delays))
    if report.outcomes:
        _show_outcomes(report.outcomes)
        if report.lag:
            say(report.lag)
    for line in report.cases:
        say(f"\n{line}")
    if report.learning:
        say("\nlearning now")
    elif report.running and report.next_learn_us is not None:
        say(f"\nlearns next at {format_second(report.next_learn_us)}")


def _show_consumers(consumers: "Sequence[ConsumerStatus]") -> None:
    standing = [
        [
            consumer.name,
            f"{consumer.behind:,}",
            None if consumer.lag_s is None else f"{consumer.lag_s:.2f}",
            consumer.error,
        ]
        for consumer in consumers
    ]
    say()
    show_table(["consumer", "events behind", "seconds behind", ""], standing, right=["events behind", "seconds behind"])


def _show_outcomes(outcomes: "Mapping[str, VersionOutcomes]") -> None:
    columns = ["version", "responses", "available", "by a model", "p50 ms", "p99 ms", "levels"]
    say()
    show_table(columns, [_version_row(version) for version in outcomes.values()], right=columns[1:-1])
    labels = ["version", "label", "value", "95 % interval", "so far", "mature", "open"]
    rows = [
        [version.version or "none", name, *_label_cells(metric)]
        for version in outcomes.values()
        for name, metric in version.labels.items()
    ]
    say()
    show_table(labels, rows, right=labels[2:])
    say("share of responses with the label (of a number: its mean); value: of mature ones, whose window has closed")


def _version_row(version: "VersionOutcomes") -> list[object]:
    return [
        version.version or "none",
        f"{version.responses:,}",
        *(None if share is None else f"{share:.1%}" for share in (version.availability, version.modeled)),
        *(None if took is None else f"{took / 1_000:.1f}" for took in (version.p50_us, version.p99_us)),
        ", ".join(f"{level} {count:,}" for level, count in version.levels.items()),
    ]


def _label_cells(metric: "LabelMetric") -> list[object]:
    form = "{:.2%}" if metric.is_share else "{:.3f}"
    interval = None
    if metric.low is not None and metric.high is not None:
        interval = f"{form.format(metric.low)} to {form.format(metric.high)}"
    texts = [None if number is None else form.format(number) for number in (metric.value, metric.so_far)]
    return [texts[0], interval, texts[1], f"{metric.mature:,}", f"{metric.open:,}"]


def recommend(
    app: AppName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Whose list: an id, as requests name it.")],
    k: Annotated[int | None, typer.Option("--k", min=1, help="Length of the list.", show_default="the task's")] = None,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Answer one request for a list, without a running service.

    The answer is recorded like any other, so `why` and `replay` work with it.
    """
    from flyball.operations import catch_up
    from flyball.serving import answer_once

    runtime = open_home(app, home, chosen)
    about = runtime.app.task.about
    if not about.items:
        raise Refused(
            f"{runtime.app.name} must answer with a list for flyball recommend, it answers "
            f"{', '.join(about.values) or 'a decision'}: give flyball predict a file of requests"
        )
    with progress_line(json) as progress:
        catch_up(runtime, progress)
    answer = answer_once(runtime, key, k, report=warn)
    if json:
        show_json(answer)
        return
    say(",".join(answer.items))
    warn(f"{answer.id}  {answer.level}  {answer.version or 'no version'}")


def why(
    app: AppName,
    prediction: Annotated[str, typer.Argument(metavar="ID", help="The id of an answer (header X-Flyball-Prediction).")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Explain an answer: what it was made from, the reasons for it, and what followed.

    Its version, snapshot and code, each item or value with its reasons, and the events that followed.
    """
    from flyball.provenance import why as explain

    explanation = explain(open_home(app, home), prediction)
    if json:
        show_json(explanation)
    else:
        say(explanation.text())


def compare(
    app: AppName,
    other: Annotated[Path, typer.Option("--with", help="The other home, by its settings.toml on other stores.")],
    home: Home = None,
    answers: Annotated[int, typer.Option("--answers", min=0, help="How many answers are computed again.")] = 100,
    entries: Annotated[int, typer.Option("--entries", min=1, help="How many entries of each online store.")] = 50_000,
    json: Json = False,
) -> None:
    """Compare two homes of an application that were given the same events, bit for bit.

    Events, views and features, snapshots, versions, and answers computed again in both. The URLs of each home's stores
    are those of its settings.toml. The exit code is 1 when anything differs.
    """
    from flyball.operations import catch_up
    from flyball.provenance import compare as compare_homes

    refuse_stores_of_both()
    first, second = open_home(app, home), open_home(app, other)
    with progress_line(json) as progress:
        for runtime in (first, second):
            catch_up(runtime, progress)
    comparison = compare_homes(first, second, first.clock.now_us(), entries, answers)
    if json:
        show_json(comparison)
    else:
        say(comparison.text())
    if not comparison.identical:
        raise typer.Exit(1)


def simulate(
    app: AppName,
    days: Annotated[int, typer.Option("--days", help="Days of virtual time.", min=1)] = 7,
    users: Annotated[
        int | None, typer.Option("--users", help="The same as --world-set users=N.", min=1, show_default="the world's")
    ] = None,
    items: Annotated[
        int | None, typer.Option("--items", help="The same as --world-set items=N.", min=1, show_default="the world's")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random in the world.")] = 1,
    past_days: Annotated[
        int | None,
        typer.Option(
            "--past-days", help="Days before the service, ingested as history.", min=0, show_default="the world's"
        ),
    ] = None,
    step: Annotated[
        str,
        typer.Option("--step", help="How often the world is looked at, and how late an event may come to count."),
    ] = "1h",
    world_set: Annotated[
        list[str] | None,
        typer.Option("--world-set", metavar="NAME=VALUE", help="Another setting of the world; repeatable."),
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", help="Keep the state here.", show_default="a temporary folder")
    ] = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Run the application in its simulated world in virtual time.

    The same seed gives the same digest of all answers. The world knows the truth, so the true quality of each version
    stands beside the measured one.
    """
    from flyball.simulation import simulate as run

    options = settings_for(app, home, chosen).app
    sizes = {name: size for name, size in (("users", users), ("items", items)) if size is not None}
    settings = {**pairs(world_set or [], "--world-set"), **sizes}
    with progress_line(json) as progress:
        report = run(
            load(app, options),
            days=days,
            seed=seed,
            home=home,
            past_days=past_days,
            step=step,
            report_progress=progress,
            **settings,
        )
    if json:
        show_json(report)
    else:
        say(report.text())
