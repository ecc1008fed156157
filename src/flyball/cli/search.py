"""`flyball search run|list|curve|prequential`: parameters worth trying, whether more data would help, and how
candidates would have done at several times."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, open_home
from flyball.cli.sections import group
from flyball.cli.show import progress_line, say, show_json, show_table
from flyball.core import counted_units, format_second, parse_duration
from flyball.home import with_home

if TYPE_CHECKING:
    from flyball.learning import CurveReport, PrequentialReport, SearchReport
    from flyball.registry import Search

Candidates = Annotated[
    list[str] | None, typer.Option("--candidate", help="One of the application's; repeatable.", show_default="all")
]
Seed = Annotated[int, typer.Option("--seed", help="Of what is drawn, and of the fits.")]


class How(StrEnum):
    """How parameter sets are tried."""

    random = "random"
    halving = "halving"


commands = group("Hyperparameter search: run, list, curve, prequential.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="search")


@commands.command()
def run(
    app: AppName,
    candidate: Candidates = None,
    budget: Annotated[int, typer.Option("--budget", min=1, help="Full fits that each candidate may spend.")] = 8,
    how: Annotated[
        How, typer.Option("--how", help="Sets drawn at random, or many on little data and the best on more.")
    ] = How.random,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that try side by side.")] = 1,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Search parameters for the candidates, all with the same budget.

    They are evaluated on the time before the test window, so that learn can still evaluate the best ones. Every trial
    is stored: flyball search list shows them.
    """
    from flyball.learning import search_parameters

    runtime = open_home(app, home, chosen)
    with progress_line(json) as progress:
        report = search_parameters(
            runtime, candidate, budget=budget, how=how.value, seed=seed, workers=workers, progress=progress
        )
    if json:
        show_json(report)
    else:
        _print_report(report, with_home(app, home), runtime.app.task.about.unit)


@commands.command("list")
def list_(
    app: AppName,
    search: Annotated[
        str | None, typer.Argument(metavar="[SEARCH]", help="One search, such as s3: all its trials.")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the searches and learning curves so far, or the trials of one."""
    from flyball.registry import searches_of

    searches = searches_of(open_home(app, home).registry, search)
    if json:
        show_json({"searches": searches})
    elif search is not None:
        _show_search(searches[0])
    elif not searches:
        say("no searches yet: run flyball search run")
    else:
        columns = ["search", "how", "metric", "budget", "seed", "trials", "began", "status"]
        rows = [
            [
                search_record.id,
                search_record.how,
                search_record.metric,
                f"{search_record.budget:g}",
                search_record.seed,
                len(search_record.trials),
                format_second(search_record.started_us),
                search_record.status,
            ]
            for search_record in searches
        ]
        show_table(columns, rows, ["budget", "seed", "trials"])


@commands.command()
def curve(
    app: AppName,
    candidate: Candidates = None,
    seed: Seed = 0,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Show learning curves: the metric of each candidate on increasing shares of the data.

    A curve that still rises suggests that more data would help.
    """
    from flyball.learning import learning_curves

    runtime = open_home(app, home, chosen)
    with progress_line(json) as progress:
        report = learning_curves(runtime, candidate, seed=seed, progress=progress)
    if json:
        show_json(report)
    else:
        _tell_curve(report, runtime.app.task.about.unit)


@commands.command("prequential")
def prequential_windows(
    app: AppName,
    windows: Annotated[int, typer.Option("--windows", min=1, help="At most so many.")] = 4,
    span: Annotated[
        str | None,
        typer.Option("--span", help="How long each is, such as 7d.", show_default="as the test window of learn"),
    ] = None,
    candidate: Candidates = None,
    seed: Seed = 0,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Evaluate candidates as of several times in a row.

    Each window is trained on what was known before it, with the delay that labels need, and tested on what came next.
    The last ends where the test window of learn ends; each other ends where the next begins.
    The result is kept: flyball report shows all metrics of its windows for the version in question.
    """
    from flyball.learning import prequential

    runtime = open_home(app, home, chosen)
    with progress_line(json) as progress:
        report = prequential(
            runtime,
            windows,
            candidate,
            span_us=None if span is None else parse_duration(span, "--span"),
            seed=seed,
            progress=progress,
        )
    if json:
        show_json(report)
    else:
        _tell_windows(report)


def _tell_windows(report: "PrequentialReport") -> None:
    names = list(report.mean)
    rows: list[list[object]] = []
    for window in report.windows:
        values = [window.metrics.get(name, {}).get(report.metric) for name in names]
        shown = [None if value is None else value.text() for value in values]
        rows.append([format_second(window.start_us), format_second(window.end_us), f"{window.requests:,}", *shown])
    averages = [f"{report.mean[name]:.4f} ±{report.spread[name]:.4f}" for name in names]
    rows.append(["mean ± deviation", None, None, *averages])
    say(f"{report.metric} in {counted_units(len(report.windows), 'window')}, snapshot {report.snapshot[:12]}\n")
    show_table(["from", "to", "requests", *names], rows, ["requests", *names])
    for window in report.windows:
        for name, reason in window.failed.items():
            say(f"{name} from {format_second(window.start_us)}: {reason}")
    say(f"\n{report.note}" if report.note else f"\n{report.seconds:.1f} s in all")


def _show_search(search: "Search") -> None:
    from flyball.learning import prequential_of

    if search.how == "prequential":
        _tell_windows(prequential_of(search))
    else:
        _print_trials(search)


def _print_report(report: "SearchReport", app: str, unit: str) -> None:
    start, end = format_second(report.window.start_us), format_second(report.window.end_us)
    say(
        f"search {report.search}: {report.how}, at most {report.budget:g} full fits a candidate, seed {report.seed}; "
        f"evaluated by {report.metric} on {counted_units(report.units, unit)} from {start} to {end}\n"
    )
    rows = [
        [
            family.candidate,
            _number(family.declared),
            _number(family.best),
            family.trials,
            f"{family.spent:g}",
            family.failed or None,
            family.note,
        ]
        for family in report.candidates
    ]
    columns = ["candidate", "as declared", "best", "trials", "full fits", "failed", ""]
    show_table(columns, rows, columns[1:6])
    better = [family for family in report.candidates if family.changed]
    if better:
        say("\nto paste into candidates:")
        for family in better:
            say(f'    "{family.candidate}": {family.declaration},')
    else:
        say("\nno trial was better than the declared parameters")
    say(f"\n{report.seconds:.1f} s in all; flyball search list {app} {report.search} shows every trial")


def _print_trials(search: "Search") -> None:
    say(f"search {search.id}: {search.how}, budget {search.budget:g}, seed {search.seed}, {search.status}\n")
    varied = _varied(search)
    rows = [
        [
            trial.candidate,
            f"{trial.share:g}",
            _number(trial.value),
            f"{trial.seconds:.1f}",
            _params({name: trial.params[name] for name in varied[trial.candidate]}),
            trial.failed,
        ]
        for trial in search.trials
    ]
    show_table(["candidate", "share", search.metric, "s", "parameters", "failed"], rows, ["share", search.metric, "s"])


def _tell_curve(report: "CurveReport", unit: str) -> None:
    say(f"search {report.search}: learning curves, {report.metric} on {counted_units(report.units, unit)}\n")
    shares = [share for share, _ in next(iter(report.curves.values()), [])]
    columns = [f"{share:.0%} of {counted_units(2, unit)[2:]}" for share in shares]
    rows = [[name, *[_number(value) for _, value in points]] for name, points in report.curves.items()]
    show_table(["candidate", *columns], rows, columns)
    for name, reason in report.failed.items():
        say(f"{name}: {reason}")


def _varied(search: "Search") -> dict[str, list[str]]:
    """{candidate: its parameters that differ between trials}."""
    varied: dict[str, list[str]] = {}
    for trial in search.trials:
        own = [other.params for other in search.trials if other.candidate == trial.candidate]
        varied.setdefault(trial.candidate, [name for name in trial.params if any(p[name] != own[0][name] for p in own)])
    return varied


def _params(params: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items()) or "as declared"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
