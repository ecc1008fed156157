"""`flyball exposure`: which items the lists show, and how that changes."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Wide, open_home
from flyball.cli.show import say, show_json, show_table
from flyball.core import counted_units, format_duration, format_second, parse_duration, parse_timestamp

if TYPE_CHECKING:
    from flyball.evaluation import Estimate
    from flyball.monitoring import ExposureReport, ExposureRow, ItemGroupExposure

_SHOWN = ("gini", "coverage", "effective_items", "popularity_shown", "popularity_organic", "popularity_lift", "novelty")
_LAST = ("homogenization",)
_OPTIONAL = ("homogenization", "popularity_lift", "novelty", "popularity_organic", "popularity_shown")


def register(app: typer.Typer) -> None:
    app.command()(exposure)


def exposure(
    app: AppName,
    last: Annotated[str, typer.Option("--last", help="How far back to look: a multiple of --every.")] = "28d",
    every: Annotated[str, typer.Option("--every", help="The length of a period, such as 1d.")] = "7d",
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Also for the groups of items by this field of their profile; repeatable."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="The end of the last period; by default behind the latest event.")
    ] = None,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show which items the lists show: concentration, coverage, popularity and likeness, period by period.

    For applications that answer with lists. Intervals contain the true value with a probability of 95 %.
    """
    from flyball.monitoring import exposure_report
    from flyball.operations import catch_up

    runtime = open_home(app, home)
    catch_up(runtime)
    report = exposure_report(
        runtime,
        last_us=parse_duration(last),
        every_us=parse_duration(every),
        by=by or (),
        until_us=None if until is None else parse_timestamp(until),
    )
    if json:
        show_json(report)
    else:
        _show(report, wide)


def _show(report: "ExposureReport", wide: bool) -> None:
    from flyball.monitoring import EXPOSURE_MEASURES

    period = f"{format_second(report.since_us)} to {format_second(report.until_us)}"
    say(f"{counted_units(report.lists, 'list')}, {period}; the catalog has {counted_units(report.items, 'item')}\n")
    columns = (*_SHOWN, *_LAST)
    rows = [_cells(row, columns) for row in report.rows]
    heads = ["from", "version", "lists", *columns]
    show_table(heads, rows, right=heads[2:], optional=_OPTIONAL, wide=wide)
    say()
    for name in columns:
        say(f"{name}: {EXPOSURE_MEASURES[name]}")
    say(f"\n{_slice_words(report)}")
    for line in _loop_words(report):
        say(line)
    for field, groups in groupby(report.groups, key=lambda group: group.by):
        _show_groups(field, list(groups), wide)


def _show_groups(field: str, groups: "Sequence[ItemGroupExposure]", wide: bool) -> None:
    say(f"\nitems by {field}: what each group gets of the lists, beside its part of the catalog and of demand")
    heads = [field, "items", "catalog", "exposure", "demand", "lift", ""]
    rows: list[list[object]] = [
        [
            row.group,
            f"{row.items:,}",
            f"{row.catalog:.2%}",
            _interval(row.exposure),
            None if row.demand is None else _interval(row.demand),
            None if row.lift is None else _signed(row.lift),
            "" if not row.certain or row.lift is None else "more" if row.lift.value > 0 else "less",
        ]
        for row in groups
    ]
    show_table(heads, rows, right=heads[1:6], optional=["catalog", "items"], wide=wide)
    say("exposure: share of places, each counted 1 / log2(1 + rank); demand: of what was taken up without being shown")
    say("lift: exposure / demand - 1; its intervals hold for all groups together; more, less: certain by them")


def _slice_words(report: "ExposureReport") -> str:
    cost = report.slice
    if cost is None:
        return "no randomized slice: demand cannot be separated from what lists led to; declare randomized_share=0.01"
    words = (
        f"randomized slice: {counted_units(cost.lists, 'list')} beside {cost.others:,} others (labels final); "
        f"something was taken from {_interval(cost.rate)} instead of {_interval(cost.others_rate)} of them, "
        f"a difference of {_interval(cost.difference)}"
    )
    return words if cost.cost is None else f"{words}; it costs {_interval(cost.cost)} of all that is taken"


def _loop_words(report: "ExposureReport") -> Iterator[str]:
    loop, every = report.loop, format_duration(report.every_us)
    if loop is None:
        return
    if loop.exposure_slope is not None:
        words = f"exposure follows that of {every} before to the power of {loop.exposure_slope.text(2)}"
        if loop.demand_slope is not None and loop.amplification is not None:
            words += (
                f", what is taken from the slice to that of {loop.demand_slope.text(2)}: a difference of "
                f"{loop.amplification.text(2)}"
            )
        yield words
    if loop.gain is not None and loop.p is not None and loop.smallest_gain is not None:
        yield (
            f"each of {loop.drawn:,} random draws led to {loop.gain.text(2)} further exposures in the {every} after "
            f"its period (p of none: {loop.p:.2g}); {loop.smallest_gain:.2f} would have been seen nine times in ten"
        )


def _interval(estimate: "Estimate") -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2%}"
    return f"{estimate.value:.2%} ({estimate.low:.2%} to {estimate.high:.2%})"


def _signed(estimate: "Estimate") -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.0%}"
    return f"{estimate.value:+.0%} ({estimate.low:+.0%} to {estimate.high:+.0%})"


def _cells(row: "ExposureRow", columns: tuple[str, ...]) -> list[object]:
    measures = [_cell(row.measures[name]) if name in row.measures else None for name in columns]
    return [format_second(row.since_us)[:16], row.version or "all", f"{row.lists:,}", *measures]


def _cell(estimate: "Estimate") -> str:
    from flyball.monitoring import half_width

    half = half_width(estimate)
    return f"{estimate.value:.4g}" if half != half else f"{estimate.value:.4g} ± {half:.2g}"
