"""`flyball performance`: is the model still good?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Wide, open_home
from flyball.cli.show import say, show_json, show_table
from flyball.core import counted_units, format_duration, format_second, parse_duration, parse_timestamp

if TYPE_CHECKING:
    from flyball.evaluation import Estimate
    from flyball.monitoring import MetricVerdict, PerformanceReport

_COLUMNS = ("of", "metric", "before", "now", "from", "predictions", "")
_RARE = 0.001


def register(app: typer.Typer) -> None:
    app.command()(performance)


def performance(
    app: AppName,
    last: Annotated[str, typer.Option("--last", help="The length of the window to look at.")] = "1d",
    before: Annotated[str, typer.Option("--before", help="How much before it is usual: a multiple of --last.")] = "28d",
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Also for each value of this field, version, level or decision; repeatable."),
    ] = None,
    label: Annotated[str, typer.Option("--label", help="Which label.", show_default="the first of the task")] = "",
    until: Annotated[
        str | None, typer.Option("--until", help="The end of the window; by default behind the latest event.")
    ] = None,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show how good the latest predictions are, beside those before; exits 1 if a metric is worse.

    A metric is measured where labels are known, and estimated from the probabilities where they are not yet. Intervals
    contain the true value with a probability of 95 %.
    """
    from flyball.monitoring import performance_report
    from flyball.operations import catch_up

    runtime = open_home(app, home)
    catch_up(runtime)
    report = performance_report(
        runtime,
        last_us=parse_duration(last),
        before_us=parse_duration(before),
        by=by or (),
        label=label,
        until_us=None if until is None else parse_timestamp(until),
    )
    if json:
        show_json(report)
    else:
        _show(report, wide)
    if report.worse:
        raise typer.Exit(1)


def _show(report: "PerformanceReport", wide: bool) -> None:
    say(
        f"{report.label}, {format_second(report.since_us)} to {format_second(report.until_us)}, "
        f"compared with {format_duration(report.before_us)} before"
    )
    known = f"{report.labeled:,} with a label that is final (it takes {format_duration(report.within_us)})"
    say(f"{counted_units(report.predictions, 'prediction')}, {known}; {report.before_labeled:,} before")
    if report.share < 1:
        say(f"they are a sample, 1 in {round(1 / report.share)}: memory is bounded")
    if report.lag:
        say(report.lag)
    say()
    if report.metrics:
        rows = [_cells(row) for row in report.metrics]
        show_table(_COLUMNS, rows, right=["predictions"], optional=["predictions"], wide=wide)
        say()
    for line in _conclusions(report):
        say(line)


def _cells(row: "MetricVerdict") -> list[object]:
    metric = row.metric
    of = f"{metric.by}={metric.slice}" if metric.by else "all"
    verdict = row.verdict if row.verdict in ("worse", "better", "changed") else ""
    before = None if metric.before is None else _interval(metric.before)
    return [of, metric.metric, before, _interval(metric.now), metric.basis, f"{metric.rows:,}", verdict]


def _interval(estimate: "Estimate") -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} ({estimate.low:.4g} to {estimate.high:.4g})"


def _conclusions(report: "PerformanceReport") -> Iterator[str]:
    compared = [row for row in report.metrics if row.p is not None and row.metric.before is not None]
    worse = [
        f"{metric.metric}{f' of {metric.by}={metric.slice}' if metric.by else ''} ({metric.basis})"
        for metric in report.worse
    ]
    if worse:
        yield f"worse than before: {', '.join(worse)}"
    elif compared:
        yield f"nothing is worse than before, by {counted_units(len(compared), 'comparison')}"
    for what, why in report.unknown.items():
        yield f"not known, {what}: {why}"
    if report.run is not None and report.run.p <= _RARE:
        since = format_second(report.run.at_us)
        same = f"{report.run.length:,} answers in a row were the same from {since} on"
        yield f"{same}, which is unusual (p {report.run.p:.2g})"
