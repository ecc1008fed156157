"""`flyball freshness`: what newer data are worth, how often to learn, and from how much."""

from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, Wide, open_home
from flyball.cli.show import progress_line, say, show_json, show_table
from flyball.core import counted_units, format_duration, format_second, parse_duration, parse_timestamp

if TYPE_CHECKING:
    from flyball.evaluation import Estimate
    from flyball.learning import FreshnessReport


def register(app: typer.Typer) -> None:
    app.command()(freshness)


def freshness(
    app: AppName,
    candidate: Annotated[
        str, typer.Option("--candidate", help="One of the application's.", show_default="that of the champion")
    ] = "",
    ages: Annotated[
        list[str] | None,
        typer.Option("--age", help="How much older training data are; repeatable.", show_default="1d 2d 4d 7d 14d"),
    ] = None,
    lengths: Annotated[
        list[str] | None,
        typer.Option("--last", help="Learn from the last so long; repeatable.", show_default="1d 7d 30d"),
    ] = None,
    windows: Annotated[int, typer.Option("--windows", min=1, help="Test windows in a row.")] = 3,
    span: Annotated[str, typer.Option("--span", help="Of a test window.")] = "1d",
    length: Annotated[
        str | None,
        typer.Option(
            "--length", help="How far training data reach back, of every age.", show_default="as far as can be"
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="When the last drift began, to learn from then.", show_default="by findings"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, max=99.0, help="Percent of the metric that may be lost on average.")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of what is drawn, and of the fits.")] = 0,
    home: Home = None,
    chosen: Set = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Measure what newer data are worth: how often to learn, and from how much.

    The candidate is trained on data that end some time before a test window and answers the same requests as one
    trained on the newest; and on the last day, week, month, or all. No version comes of it. Cases show the expected
    gain from it.
    """
    from flyball.learning import FreshnessPlan, last_drift_us, measure_freshness

    runtime = open_home(app, home, chosen)
    plan = FreshnessPlan(
        candidate=candidate,
        windows=windows,
        span_us=parse_duration(span, "--span"),
        length_us=None if length is None else parse_duration(length, "--length"),
        since_us=last_drift_us(runtime.registry) if since is None else parse_timestamp(since),
        tolerance=tolerance / 100,
        seed=seed,
        **({"ages_us": tuple(parse_duration(age, "--age") for age in ages)} if ages else {}),
        **({"lengths_us": tuple(parse_duration(last, "--last") for last in lengths)} if lengths else {}),
    )
    with progress_line(json) as progress:
        report = measure_freshness(runtime, plan, progress=progress)
    if json:
        show_json(report)
    else:
        _show(report, wide)


def _show(report: "FreshnessReport", wide: bool) -> None:
    tested = f"{counted_units(report.requests, 'request')} in {counted_units(report.tested, 'window')}"
    say(f"{report.candidate} on {tested} up to {format_second(report.as_of_us)}")
    say()
    rows: list[list[str | None]] = [["fresh", f"{report.fresh:.4f}", None]]
    rows += [[f"{format_duration(age.age_us)} older", f"{age.value:.4f}", _interval(age.loss)] for age in report.ages]
    show_table(["training data", report.metric, "worse by"], rows, right=[report.metric], wide=wide)
    say()
    cadences = [
        [
            f"every {format_duration(cadence.period_us)}{' *' if cadence.period_us == report.cadence_us else ''}",
            f"{cadence.loss:.4f}",
            f"{cadence.runs:.1f}",
            f"{cadence.seconds:,.0f}",
        ]
        for cadence in report.cadences
    ]
    heads = ["worse on average", "runs a month", "training s a month"]
    show_table(["learn", *heads], cadences, right=heads, wide=wide)
    say()
    lengths: list[list[str | None]] = [
        [
            f"{window.name}{' *' if window.name == report.window else ''}",
            None if window.value is None else f"{window.value:.4f}",
            window.failed or (None if window.gain is None else _interval(window.gain)),
        ]
        for window in report.windows
    ]
    show_table(["learned from", report.metric, "better than all by"], lengths, right=[report.metric], wide=wide)
    say()
    say(report.sentence)
    for note in report.notes:
        say(f"note: {note}")


def _interval(estimate: "Estimate") -> str:
    """+0.1234 [+0.1200, +0.1270]."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.4f}"
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
