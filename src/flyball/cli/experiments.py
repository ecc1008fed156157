"""`flyball experiments` and `flyball power`: what a change did to what users do, and what an experiment can find."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, Wide, now_in, open_home
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import BadInput, counted_units, parse_timestamp

if TYPE_CHECKING:
    from flyball.experiments import InterleavingResult, PowerReport

commands = group("Experiments: what a release did to the units that took part.")


class LedgerKind(StrEnum):
    """What a ledger can be written as."""

    csv = "csv"
    parquet = "parquet"
    json = "json"


METHODS = ("anytime", "group_sequential", "fixed")
_OPTIONAL = ["role", "adjusted p", "open", "CUPED", "relative", "units"]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="experiments")
    app.command("power")(show_power)
    app.command("whatif")(show_what_if)
    app.command("impact")(show_impact)


@commands.command("show")
def show_experiment(
    app: AppName,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Such as rel3.")],
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="FIELD", help="Slice by a field of the request; repeatable.")
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="With what was known then.", show_default="now")] = None,
    home: Home = None,
    chosen: Set = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show what a release did: each metric with its interval, what may be concluded and what may not yet.

    Intervals hold however often one looks. A unit (such as a user) counts once its window has closed.
    """
    from flyball.experiments import ExperimentResult, InterleavingResult, release_of, release_results
    from flyball.operations import catch_up

    runtime = open_home(app, home, chosen)
    catch_up(runtime)
    as_of_us = now_in(runtime) if as_of is None else parse_timestamp(as_of)
    result = release_results(runtime, release_of(runtime.registry, release), as_of_us, tuple(by or ()))
    if json:
        show_json(result.document())
        return
    for sentence in result.sentences:
        say(sentence)
    if isinstance(result, InterleavingResult):
        _show_position_bias(result)
    if not isinstance(result, ExperimentResult):
        return
    for sliced in (False, True):
        columns, rows = result.table(sliced)
        if rows:
            say(f"\nby {', '.join(by or ())}" if sliced else "")
            right = [name for name in columns if name not in ("metric", "role", "arm", "verdict")]
            show_table(columns, rows, right, _OPTIONAL, wide)
    say("\n" + "\n".join(result.legend))


def _show_position_bias(result: "InterleavingResult") -> None:
    if result.position_bias:
        say("\nhow much more is earned at one place than at another, from what stood at either by chance:")
        rows = [
            [str(row.position + 1), str(row.below + 1), f"{row.ratio:.3g}", f"{row.shown:,}", f"{row.shown_below:,}"]
            for row in result.position_bias
        ]
        columns = ["place", "beside", "ratio", "shown there", "shown beside"]
        show_table(columns, rows, columns)


def show_power(
    app: AppName,
    days: Annotated[
        list[float] | None, typer.Option("--days", help="A planned length; repeatable.", show_default="7, 14, 28")
    ] = None,
    effect: Annotated[
        float | None, typer.Option("--effect", help="A change to find, in percent of today's mean.")
    ] = None,
    share: Annotated[float, typer.Option("--share", help="Of the units, in percent, to the candidate.")] = 50.0,
    traffic: Annotated[float, typer.Option("--traffic", help="Of all units, in percent, that take part.")] = 100.0,
    method: Annotated[str, typer.Option("--method", help=f"One of {', '.join(METHODS)}.")] = METHODS[0],
    as_of: Annotated[str | None, typer.Option("--as-of", help="With what was known then.", show_default="now")] = None,
    past_days: Annotated[int, typer.Option("--past-days", min=2, help="How much of the past to plan by.")] = 28,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Show what an experiment can find before it starts: the smallest effect by length, from live variance and traffic.

    An effect of that size is found with probability 0.8 at a level of 0.05. Metrics are narrowed by CUPED as declared.
    """
    from flyball.experiments import power_report
    from flyball.operations import catch_up
    from flyball.statistics import Design

    if method not in METHODS:
        raise BadInput("--method", f"one of {', '.join(METHODS)}", method)
    if not 0 < share < 100:
        raise BadInput("--share", "between 0 and 100", share)
    runtime = open_home(app, home, chosen)
    catch_up(runtime)
    design = Design(variance=1.0, method=method, share=share / 100)
    report = power_report(
        runtime,
        now_in(runtime) if as_of is None else parse_timestamp(as_of),
        past_days=past_days,
        days=tuple(days or (7, 14, 28)),
        effect=None if effect is None else effect / 100,
        traffic=traffic / 100,
        design=design,
    )
    if json:
        show_json(report)
    else:
        _show_power(report, effect)


def _show_power(report: "PowerReport", effect: float | None) -> None:
    """`effect`: the change that was asked for, in percent."""
    rows = [
        [
            row.metric,
            f"{row.days:g}",
            f"{row.units:,}",
            f"{row.mean:.4g}",
            f"{row.detectable:.3g}",
            None if row.relative is None else f"{100 * row.relative:.3g} %",
            None if row.adjusted_by is None else f"{-100 * row.adjusted_by:+.1f} % var.",
        ]
        for row in report.rows
    ]
    columns = ["metric", "days", "units", "now", "smallest effect", "of now", "CUPED"]
    show_table(columns, rows, columns[1:], ["CUPED"])
    for name, reason in report.missing.items():
        say(f"{name}: {reason}")
    for name, needed in report.days_for.items():
        length = "not found within ten years" if needed is None else f"found in {needed:.1f} days"
        if name not in report.impossible:
            say(f"{name}: a change of {effect:g} % is {length}")
            continue
        fall = f" A fall of {effect:g} % is {length}" if effect is not None and effect <= 100 else ""
        say(f"{name}: a rise of {effect:g} % is impossible. {report.impossible[name]}{fall}")
    for row in report.rows:
        if row.possible != "either way":
            say(row.sentence)


def show_what_if(
    app: AppName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as v3.")],
    metric: Annotated[
        str | None, typer.Option("--metric", help="A metric of single answers.", show_default="the first one")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only what was answered since then.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="With what was known then.", show_default="now")] = None,
    sample: Annotated[int, typer.Option("--sample", min=30, help="Answers to give again by the version.")] = 500,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Estimate what a version would have earned, from answers drawn by chance; refuse where the log cannot tell.

    Beside each estimate stand the effective sample, the largest weight and what was never shown. No number is given
    while the mean weight shows that the logged propensities are not the true ones.
    """
    from flyball.experiments import version_value
    from flyball.operations import catch_up
    from flyball.provenance import answer_by

    runtime = open_home(app, home, chosen)
    catch_up(runtime)
    value = version_value(
        runtime,
        version,
        now_in(runtime) if as_of is None else parse_timestamp(as_of),
        lambda prediction: answer_by(runtime, prediction, version),
        metric or "",
        0 if since is None else parse_timestamp(since),
        sample,
    )
    if json:
        show_json(value)
        return
    for sentence in value.sentences:
        say(sentence)
    rows = [
        [name, f"{estimate.value:.4g}", f"[{estimate.low:.4g}, {estimate.high:.4g}]"]
        for name, estimate in value.values.items()
    ]
    say()
    show_table(["estimator", value.metric, "interval"], rows, [value.metric, "interval"])


def show_impact(
    app: AppName,
    out: Annotated[Path | None, typer.Option("--out", help="File to write, in a folder that exists.")] = None,
    format: Annotated[
        LedgerKind | None, typer.Option("--format", help="csv, parquet or json.", show_default="by --out, or csv")
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="With what was known then.", show_default="now")] = None,
    home: Home = None,
    chosen: Set = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show every change ever released: what it was expected to do, and what it did.

    Expected is the difference from the champion on the same held-out requests; measured is the primary metric among
    units. Both are above 0 for better. Below is how well the expected effects predicted the measured ones.
    """
    from flyball.experiments import export_impact, impact_ledger, impact_table
    from flyball.operations import catch_up

    runtime = open_home(app, home, chosen)
    catch_up(runtime)
    ledger = impact_ledger(runtime, now_in(runtime) if as_of is None else parse_timestamp(as_of))
    if out is not None or format is not None:
        ending = out.suffix[1:] if out is not None else ""
        kind = format or LedgerKind(ending if ending in LedgerKind.__members__ else "csv")
        path = out or Path(f"impact.{kind.value}")
        rows = export_impact(ledger, path, kind.value)
        if json:
            show_json({"rows": rows, "file": str(path)})
        else:
            say(f"wrote {counted_units(rows, 'change')} to {path}")
        return
    if json:
        show_json(ledger)
        return
    if not ledger.rows:
        say("nothing was released yet: run flyball learn")
        return
    show_table(*impact_table(ledger), optional=["case", "kind", "state", "started", "offline", "online"], wide=wide)
    for line in ledger.offline_online:
        say(line.sentence)
