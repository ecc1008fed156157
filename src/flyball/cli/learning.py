"""`flyball learn` and `flyball versions list|release|rollback`: what serves, and how it came to."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyball.cli.common import AppName, Home, Json, Set, open_home, user_name
from flyball.cli.sections import group
from flyball.cli.show import counted, progress_line, say, show_json, show_table
from flyball.core import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from flyball.learning import LearnReport
    from flyball.registry import Version
    from flyball.releases import Change

_SHOWN = ["ndcg", "recall", "hit_rate", "coverage", "rmse"]


commands = group("Versions: list, release, rollback.")


def register(app: typer.Typer) -> None:
    app.command()(learn)
    app.add_typer(commands, name="versions")


def learn(
    app: AppName,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Learn from what was known at this time.", show_default="now")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that train side by side.")] = 2,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random in training.")] = 0,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=1,
            help="Keep the files of versions that never served for so many runs.",
            show_default="setting keep_runs",
        ),
    ] = None,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Train all candidates, compare them, release the winner.

    All are judged on the same held-out time, beside baselines and the present champion. The winner is released if it
    passes its gates and is better than the champion.
    """
    from flyball.learning import learn as learn_now

    runtime = open_home(app, home, chosen, keep_runs=keep)
    with progress_line(json) as progress:
        report = learn_now(
            runtime,
            None if as_of is None else parse_timestamp(as_of),
            lambda step: progress(str(step)),
            workers=workers,
            seed=seed,
            by=user_name(),
        )
    if json:
        show_json(report)
    else:
        _tell(report)
    if report.status != "done":
        raise typer.Exit(1)


def _tell(report: "LearnReport") -> None:
    rows_of = counted({name: rows for name, rows in report.events.items() if rows}) or "no events"
    say(f"run {report.run}: snapshot {report.snapshot[:12]} as of {_instant(report.as_of_us)} ({rows_of})")
    if report.status != "done":
        say(f"{report.status.replace('_', ' ')}: {report.reason}")
        return
    if report.window is not None:
        start, end = _instant(report.window.start_us), _instant(report.window.end_us)
        say(f"judged on {report.users:,} users, who liked something new from {start} to {end}")
    names = _figure_names(report)
    costs = ["train s", "answer us"]
    rows = []
    for each in report.candidates:
        figures = [_estimate(each.figures.get(name)) for name in names]
        cost = [f"{each.cost.get('train_s', 0):.1f}", f"{each.cost.get('answer_us', 0):.0f}"]
        rows.append([each.name, *figures, *cost, each.version, each.outcome])
    say()
    show_table(["candidate", *names, *costs, "version", "verdict"], rows, right=[*names, *costs])
    say()
    for each in report.candidates:
        if each.outcome == "rejected":
            say(f"{each.name} rejected: {each.reason}")
    chosen = report.chosen or "none"
    say(f"chosen: {report.reason}" if report.reason.startswith(f"{chosen} ") else f"chosen: {chosen}: {report.reason}")
    serving = f"{report.champion or 'the popular list'}{' (new)' if report.released else ''}"
    say(f"serving: {serving}; {report.seconds:.1f} s in all")
    for note in report.notes:
        say(f"note: {note}")


def _instant(at_us: int) -> str:
    """To the second: what a person reads."""
    return format_timestamp(at_us // 1_000_000 * 1_000_000)


def _figure_names(report: "LearnReport") -> list[str]:
    present = {name for each in report.candidates for name in each.figures}
    return [name for word in _SHOWN for name in sorted(present) if name == word or name.startswith(f"{word}@")]


def _estimate(figure: dict[str, Any] | None) -> str | None:
    """0.123 ±0.010: the value and half the width of its interval."""
    if not figure:
        return None
    half = (figure["high"] - figure["low"]) / 2
    return f"{figure['value']:.3f} ±{half:.3f}"


@commands.command("list")
def list_(app: AppName, home: Home = None, json: Json = False) -> None:
    """List all versions: how they did, and which one serves."""
    found = open_home(app, home).registry.versions()
    if json:
        show_json({"versions": found})
        return
    if not found:
        say("no versions yet: run flyball learn")
        return
    metric = _metric_of(found)
    rows = [
        [v.id, v.candidate, v.state, _estimate(v.figures.get(metric)), v.snapshot[:12],
         v.code_commit[:8] + ("+" if v.code_dirty else ""), _instant(v.created_us), _failed(v)]
        for v in found
    ]  # fmt: skip
    show_table(["version", "candidate", "state", metric, "snapshot", "code", "made", "failed"], rows, right=[metric])


def _failed(version: "Version") -> str:
    """The gates it did not pass, by name; learn and --json tell why."""
    names = [gate["name"] for gate in version.gates if not gate["passed"]]
    return ", ".join(names) if names or version.state != "rejected" else version.reason


def _metric_of(found: "list[Version]") -> str:
    names = [name for version in found for name in version.figures if name.startswith("ndcg@")]
    return names[0] if names else "ndcg"


@commands.command()
def release(
    app: AppName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version that shall serve, such as v3.")],
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Let a version that passed its gates serve from now on."""
    from flyball.releases import declared_arrangement, promote

    runtime = open_home(app, home)
    about, now_us = runtime.app.task.about, runtime.clock.now_us()
    arrangement = declared_arrangement(runtime.registry, runtime.app.name, about.arrangement, user_name(), now_us)
    changed(
        promote(
            runtime.registry, version, reason, user_name(), now_us, artifacts=runtime.artifacts,
            features=about.feature_hashes, arrangement=arrangement,
        ), json
    )  # fmt: skip


@commands.command("rollback")
def roll_back(
    app: AppName,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Let the previous champion serve again, by the arrangement it served with."""
    from flyball.releases import rollback

    runtime = open_home(app, home)
    changed(
        rollback(
            runtime.registry, reason, user_name(), runtime.clock.now_us(), artifacts=runtime.artifacts,
            features=runtime.app.task.about.feature_hashes,
        ), json
    )  # fmt: skip


def changed(change: "Change", json: bool) -> None:
    if json:
        show_json(change)
    else:
        say(change.message)
