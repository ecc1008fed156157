"""`flyball learn`, `versions`, `release`, `rollback`: what serves, and how it came to."""

import getpass
from typing import Annotated, Any

import typer

from flyball.cli.common import AppName, Home, Json, Set, console, open_app, progress_line, show_json, show_table
from flyball.core import format_instant, parse_instant
from flyball.learning import LearnReport
from flyball.learning import learn as learn_now
from flyball.registry import Version
from flyball.releases import Change, promote, rollback

_SHOWN = ["ndcg", "recall", "hit_rate", "coverage", "rmse"]


def register(app: typer.Typer) -> None:
    app.command()(learn)
    app.command()(versions)
    app.command()(release)
    app.command("rollback")(roll_back)


def learn(
    app: AppName,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Learn from what was known at this time.", show_default="now")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that train side by side.")] = 2,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random in training.")] = 0,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Train every candidate, compare them on the same held-out time, release the winner if it passes its gates."""
    runtime = open_app(app, home, chosen)
    with progress_line(json) as progress:
        report = learn_now(
            runtime,
            None if as_of is None else parse_instant(as_of),
            lambda step: progress(str(step)),
            workers=workers,
            seed=seed,
            by=_who(),
        )
    if json:
        show_json(report)
    else:
        _tell(report)
    if report.status != "done":
        raise typer.Exit(1)


def _tell(report: LearnReport) -> None:
    rows_of = ", ".join(f"{rows:,} {name}" for name, rows in report.events.items() if rows)
    console.print(
        f"run {report.run}: snapshot {report.snapshot[:12]} as of {format_instant(report.as_of_us)} ({rows_of})"
    )
    if report.status != "done":
        console.print(f"{report.status.replace('_', ' ')}: {report.reason}", markup=False)
        return
    if report.window is not None:
        start, end = format_instant(report.window.start_us), format_instant(report.window.end_us)
        console.print(f"judged on {report.users:,} users, who liked something new from {start} to {end}")
    names = _figure_names(report)
    rows = []
    for each in report.candidates:
        figures = [_estimate(each.figures.get(name)) for name in names]
        cost = [f"{each.cost.get('train_s', 0):.1f}", f"{each.cost.get('answer_us', 0):.0f}"]
        rows.append([each.name, *figures, *cost, each.version, each.reason or each.outcome])
    show_table(
        "", ["candidate", *names, "train s", "answer us", "version", "verdict"], rows, {*names, "train s", "answer us"}
    )
    console.print(f"chosen: {report.chosen or 'none'}: {report.reason}", markup=False)
    serving = f"{report.champion or 'the popular list'}{' (new)' if report.released else ''}"
    console.print(f"serving: {serving}; {report.seconds:.1f} s in all")
    for note in report.notes:
        console.print(f"note: {note}", markup=False)


def _figure_names(report: LearnReport) -> list[str]:
    present = {name for each in report.candidates for name in each.figures}
    return [name for word in _SHOWN for name in sorted(present) if name == word or name.startswith(f"{word}@")]


def _estimate(figure: dict[str, Any] | None) -> str | None:
    """0.123 ±0.010: the value and half the width of its interval."""
    if not figure:
        return None
    half = (figure["high"] - figure["low"]) / 2
    return f"{figure['value']:.3f} ±{half:.3f}"


def versions(app: AppName, home: Home = None, json: Json = False) -> None:
    """List all versions: what they are, how they did, and which one serves."""
    found = open_app(app, home).registry.versions()
    if json:
        show_json({"versions": found})
        return
    if not found:
        console.print("no versions yet; flyball learn makes some")
        return
    metric = _metric_of(found)
    rows = [
        [v.id, v.candidate, v.state, _estimate(v.figures.get(metric)), v.snapshot[:12],
         v.code_commit[:8] + ("+" if v.code_dirty else ""), format_instant(v.created_us)[:19], v.reason]
        for v in found
    ]  # fmt: skip
    show_table("", ["version", "candidate", "state", metric, "snapshot", "code", "made", "why"], rows, {metric})


def _metric_of(found: list[Version]) -> str:
    names = [name for version in found for name in version.figures if name.startswith("ndcg@")]
    return names[0] if names else "ndcg"


def release(
    app: AppName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version that shall serve, such as v3.")],
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Let a version that passed its gates serve from now on."""
    runtime = open_app(app, home)
    _changed(
        promote(runtime.registry, version, reason, _who(), runtime.clock.now_us(), artifacts=runtime.artifacts), json
    )


def roll_back(
    app: AppName,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Let the previous champion serve again."""
    runtime = open_app(app, home)
    _changed(rollback(runtime.registry, reason, _who(), runtime.clock.now_us(), artifacts=runtime.artifacts), json)


def _changed(change: Change, json: bool) -> None:
    if json:
        show_json(change)
    else:
        console.print(change.message, markup=False)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
