"""`flyball fairness`: the quality for each declared group, and the gaps between groups."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Wide, open_home
from flyball.cli.report import evaluated_version
from flyball.cli.show import say, show_json, show_table
from flyball.core import Refused, format_duration, format_second
from flyball.home import with_home

if TYPE_CHECKING:
    from flyball.evaluation import Estimate, GroupComparison, GroupMetrics
    from flyball.monitoring import FairnessReport, SamplingTimes

_DIGITS = 3
_VERDICTS = {True: "certain", False: "may be chance"}
_OF_LISTS = ("hit_rate", "reciprocal_rank")
"""Metrics of answered lists, after those that versions are evaluated by."""
_COLUMNS = ("metric", "largest gap", "more in", "less in", "pairs", "")


def register(app: typer.Typer) -> None:
    app.command()(fairness)


def fairness(
    app: AppName,
    days: Annotated[
        int,
        typer.Option(
            "--days", min=1, max=36_500, help="Compare the answers whose labels became final in so many days."
        ),
    ] = 28,
    version: Annotated[str | None, typer.Option("--version", help="Such as v3.", show_default="the champion")] = None,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show the quality for each declared group, and the gaps between groups with their intervals.

    First that of a version, measured by learning on its test window; then that of the answers whose labels became final
    in the last days, of all versions or of the one that is named, and whose labels are late or missing. The intervals
    of a metric's gaps hold for all pairs of groups together, with a probability of 95 %. A gap is certain where groups
    differ beyond chance, counting all metrics and all attributes too.
    """
    from flyball.monitoring import fairness_report
    from flyball.operations import catch_up

    runtime = open_home(app, home)
    if not runtime.app.task.about.groups:
        raise Refused(
            'the task must declare groups, such as groups=("region",), got none: name fields of the request by which '
            "quality must be equal, and run flyball learn"
        )
    catch_up(runtime)
    described, report, evaluated = evaluated_version(runtime, version)
    live, unknown = None, ""
    try:
        live = fairness_report(runtime, days=days, version=version or "")
    except Refused as error:
        unknown = str(error)
    if json:
        own = {"version": described.id, "run": described.run, "evaluated": evaluated.groups}
        show_json({**own, "answers": live, "unknown": unknown})
        return
    start, end = (format_second(at) for at in (report.start_us, report.last_us))
    say(f"{described.id} ({described.candidate}, {described.state}), evaluated on {report.size_text}")
    say(f"from {start} to {end}")
    if not evaluated.groups:
        say(f"\nno groups were declared when it was learned: run flyball learn {with_home(app, home)}")
    order = (*runtime.app.task.offline().plan().grouped, *_OF_LISTS)
    for comparison in evaluated.groups:
        show_groups(comparison, order, wide)
    say()
    if live is None:
        say(f"answers: {unknown}")
    else:
        _show_live(live, order, wide)


def show_groups(comparison: "GroupComparison", order: Sequence[str], wide: bool) -> None:
    """Print the metrics of each group and the largest gap of each metric; `order`: of metrics."""
    by, known = comparison.by, {name for group in comparison.groups for name in group.metrics}
    names = [name for name in order if name in known]
    say(f"\nBy {by}")
    rows = [[group.group, f"{group.requests:,}", *_values(group, names)] for group in comparison.groups]
    show_table([by, "requests", *names], rows, ["requests", *names], wide=wide)
    if comparison.largest:
        say(f"\nLargest gaps between groups of {by}; the intervals hold for all pairs together, with 95 %")
        cells = [
            [gap.metric, gap.difference.text(_DIGITS), gap.high_group, gap.low_group, gap.pairs, _VERDICTS[gap.certain]]
            for gap in sorted(comparison.largest.values(), key=lambda gap: [*order, gap.metric].index(gap.metric))
        ]
        show_table(list(_COLUMNS), cells, ["largest gap", "pairs"], wide=wide)
    for gap in comparison.largest.values():
        if gap.ratio is not None:
            say(f"{gap.metric} of {gap.low_group} is {gap.ratio.text(_DIGITS)} times that of {gap.high_group}")
    for sentence in _not_compared(comparison.groups):
        say(sentence)


def _show_live(live: "FairnessReport", order: Sequence[str], wide: bool) -> None:
    answered, since, until = (f"{live.answers:,} answers", format_second(live.since_us), format_second(live.until_us))
    of = f" of {live.version}" if live.version else ""
    final = f"{live.labeled:,} with a final label (it takes {format_duration(live.within_us)})"
    say(f"{answered}{of} from {since} to {until}, {final}")
    if live.share < 1:
        say(f"they are a sample, 1 in {round(1 / live.share)}: memory is bounded")
    if live.lag:
        say(live.lag)
    for comparison, sampling in zip(live.compared, live.sampling, strict=True):
        show_groups(comparison, order, wide)
        _show_sampling(sampling, comparison, live.within_us, wide)


def _show_sampling(sampling: "SamplingTimes", compared: "GroupComparison", within_us: int, wide: bool) -> None:
    """Print whose labels are late or missing, and what the metrics are with all times of day counted as they were."""
    by = sampling.by
    say(f"\nLabels by {by}: how many have one, when it arrives, and the times of day of those that have one")
    ages = [format_duration(round(within_us * part)) for part in (0.25, 0.5, 0.75)]
    columns = [
        by,
        "answers",
        "labeled",
        "of all",
        "of labeled",
        "arrives",
        *(f"by {age}" for age in ages),
        "times differ",
    ]
    rows: list[list[object]] = [
        [
            group.group,
            f"{group.answers:,}",
            f"{group.labeled:,}",
            f"{group.share:.1%}",
            f"{group.labeled_share:.1%}",
            _wait(group.arrives_us),
            *([f"{share:.0%}" for share in group.known_by] or [""] * len(ages)),
            f"{group.distance:.3f} (p {group.p:.2g})",
        ]
        for group in sampling.groups
    ]
    show_table(columns, rows, columns[1:5], optional=columns[1:], wide=wide)
    plain = {group.group: group for group in compared.groups}
    changed = [
        f"{name} of {group.group} {plain[group.group].metrics[name].value:.3f}, reweighted {value.value:.3f}"
        for group in sampling.reweighted.groups
        for name, value in group.metrics.items()
        if name != "selection_rate"
        and name in plain[group.group].metrics
        and _differ(plain[group.group].metrics[name], value)
    ]
    say(
        f"reweighted to the times of day of all answers: {'; '.join(changed)}"
        if changed
        else "reweighted to the times of day of all answers, every metric stays within its interval's tenth"
    )


def _differ(plain: "Estimate", reweighted: "Estimate") -> bool:
    """Whether a value moves by more than a tenth of the width of its interval."""
    if plain.low is None or plain.high is None:
        return False
    return abs(plain.value - reweighted.value) > (plain.high - plain.low) / 10


def _wait(arrives: "Estimate | None") -> str | None:
    from flyball.monitoring import rounded_duration

    if arrives is None:
        return None
    ends = [rounded_duration(round(end)) for end in (arrives.low, arrives.high) if end is not None]
    interval = f" ({' to '.join(ends)})" if len(ends) == 2 else ""
    return f"{rounded_duration(round(arrives.value))}{interval}"


def _values(group: "GroupMetrics", names: Sequence[str]) -> list[str | None]:
    return [group.metrics[name].text(_DIGITS) if name in group.metrics else None for name in names]


def _not_compared(groups: "Sequence[GroupMetrics]") -> Iterator[str]:
    """A sentence for each group that is compared by fewer metrics than it has; reasons of several metrics once."""
    for group in groups:
        names: dict[str, list[str]] = {}
        for metric, why in group.not_compared.items():
            names.setdefault(why, []).append(metric)
        for why, metrics in names.items():
            say_all = len(metrics) == len(group.not_compared) and len(metrics) > 1
            what = "" if say_all else f" by {', '.join(metrics)}"
            yield f"{group.group} is not compared{what}: {why}"
