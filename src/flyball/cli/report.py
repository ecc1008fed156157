"""`flyball report`: what an evaluation said of one version, beyond its metrics: tables, slices, a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from flyball.cli.common import AppName, Home, Json, Wide, open_home
from flyball.cli.show import progress_line, say, show_json, show_table
from flyball.core import BadInput, NotFound, counted_units, format_timestamp, write_atomic
from flyball.home import with_home

if TYPE_CHECKING:
    from flyball.evaluation import Evaluated, Report, WindowSeries
    from flyball.learning import PrequentialReport
    from flyball.registry import Version
    from flyball.runtime import Runtime


def register(app: typer.Typer) -> None:
    app.command("report")(show_report)


def show_report(
    app: AppName,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Such as v3.", show_default="the champion")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw it into this file, whose name ends in .svg.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Drawn and listed by hour, weekday and slice.", show_default="the one to watch"),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(
            "--windows",
            min=1,
            help="Evaluate it now at so many times in a row.",
            show_default="as search prequential did",
        ),
    ] = None,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show the report of a version: metrics beside the baselines, calibration, costs, decisions, windows, slices.

    It was measured by learning before the release, on a test window: by the same model fitted without that window,
    which was then fitted again on everything. Prequential evaluation (several train, delay and test windows in a row)
    takes as long as learning does for each window, so it is shown where flyball search prequential or --windows ran it.
    """
    from flyball.learning import erased_since

    runtime = open_home(app, home)
    if plot is not None and plot.suffix.lower() != ".svg":
        raise BadInput("--plot", "a file whose name ends in .svg", plot.name)
    described, report, evaluated = evaluated_version(runtime, version)
    sliced = _sliced(evaluated, metric, runtime.app.choose.metric)
    erased = erased_since(runtime.registry).get(described.snapshot)
    in_a_row = _in_a_row(runtime, described, windows, json)
    if plot is not None:
        from flyball.evaluation import draw_report

        title = f"{runtime.app.name} {described.id} ({described.candidate})"
        targets = {name: better for name, better in report.better.items() if not isinstance(better, str)}
        write_atomic(plot, draw_report(title, evaluated, targets, sliced, _drawn(in_a_row, described)).encode())
    if json:
        baselines = {name: other.metrics for name, other in report.evaluated.items() if other.role == "baseline"}
        show_json(
            {
                "version": described.id,
                "run": described.run,
                "report": evaluated,
                "baselines": baselines,
                "prequential": in_a_row,
                "erased": erased,
            }
        )
        return
    _show(report, evaluated, described, sliced, wide)
    if erased is not None:
        say(f"\n{described.id} learned from rows that were removed since, by {erased.words}")
    _show_windows(in_a_row, described, with_home(app, home), wide)
    if plot is not None:
        say(f"\npicture: {plot}")


def evaluated_version(runtime: "Runtime", name: str | None) -> tuple["Version", "Report", "Evaluated"]:
    """A version, by default the champion, with the report of its evaluation and its own part. Raises `NotFound`."""
    described = _version(runtime, name)
    return described, *_evaluated(runtime, described)


def _version(runtime: "Runtime", name: str | None) -> "Version":
    from flyball.releases import current

    champion = name or current(runtime.registry).champion
    if champion is None:
        raise NotFound("released version of", runtime.app.name, next_step="run flyball learn, or name one, such as v1")
    return runtime.registry.version(champion)


def _evaluated(runtime: "Runtime", version: "Version") -> tuple["Report", "Evaluated"]:
    from flyball.evaluation import Report

    run = next((run for run in runtime.registry.runs() if run.id == version.run), None)
    if run is None or not run.report.get("evaluation"):
        raise NotFound(
            "report of", version.id, next_step=f"its run {version.run} kept none: run flyball learn for another"
        )
    report = msgspec.convert(run.report["evaluation"], Report)
    return report, report.of(version.candidate)


def _sliced(evaluated: "Evaluated", metric: str | None, chosen_by: str) -> str:
    """The metric of the slices that is drawn: coverage, cost, the one that versions are chosen by, or the first."""
    metric_names = list(dict.fromkeys(name for part in evaluated.slices for name in part.metrics))
    if metric is not None and metric not in metric_names:
        raise NotFound("metric of slices", metric, metric_names)
    first = [name for name in ("coverage", "cost", chosen_by, *metric_names) if name in metric_names]
    return metric or (first[0] if first else "")


def _show(report: "Report", evaluated: "Evaluated", version: "Version", sliced: str, wide: bool) -> None:
    start, end = (format_timestamp(at // 1_000_000 * 1_000_000) for at in (report.start_us, report.last_us))
    say(f"{version.id} ({version.candidate}, {version.state}), run {version.run}: {report.size_text}")
    say(f"from {start} to {end}\n")
    baselines = {name: other for name, other in report.evaluated.items() if other.role == "baseline"}
    rows = [
        [
            name,
            estimate.text(),
            *(other.metrics[name].text() if name in other.metrics else None for other in baselines.values()),
        ]
        for name, estimate in evaluated.metrics.items()
    ]
    show_table(["metric", version.id, *baselines], rows, [version.id, *baselines], wide=wide)
    for name, reason in evaluated.undefined.items():
        say(f"{name}: {reason}")
    if version.training:
        from flyball.learning import record_of

        say(record_of(version).sentence)
    for note in report.notes:
        say(f"note: {note}")
    from flyball.evaluation import slice_name, table_cells

    for table in evaluated.tables:
        say(f"\n{table.title}{f' ({table.summary})' if table.summary else ''}")
        show_table(list(table.columns), table_cells(table), list(table.columns[1:]), wide=wide)
        for note in table.notes:
            say(note)
    for by in dict.fromkeys(part.by for part in evaluated.slices):
        own = [part for part in evaluated.slices if part.by == by]
        own.sort(key=lambda part: (not part.name.isdigit(), int(part.name) if part.name.isdigit() else 0))
        names = [name for name in dict.fromkeys([sliced, *("width" if sliced == "coverage" else "",)]) if name]
        say(f"\nBy {by}")
        cells = [
            [
                slice_name(part),
                f"{part.requests:,}",
                *(part.metrics[name].text() if name in part.metrics else None for name in names),
            ]
            for part in own
        ]
        show_table([by, "requests", *names], cells, ["requests", *names], wide=wide)


def _in_a_row(runtime: "Runtime", version: "Version", windows: int | None, json: bool) -> "PrequentialReport | None":
    """The version's candidate on windows in a row: evaluated now, or as it was last kept."""
    from flyball.learning import last_prequential, prequential

    if windows is None:
        return last_prequential(runtime.registry, version.candidate)
    with progress_line(json) as progress:
        return prequential(runtime, windows, seed=version.seed, progress=progress)


def _beside(report: "PrequentialReport", version: "Version") -> list[str]:
    """The candidate, then the baselines and the other candidates."""
    others = sorted((name for name in report.mean if name != version.candidate), key=lambda name: name in report.params)
    return [version.candidate, *others]


def _drawn(report: "PrequentialReport | None", version: "Version") -> "WindowSeries | None":
    from flyball.evaluation import WindowSeries

    if report is None:
        return None
    names = _beside(report, version)
    windows = [
        (window.start_us, {name: window.metrics[name][report.metric] for name in names if name in window.metrics})
        for window in report.windows
    ]
    return WindowSeries(report.metric, windows)


def _show_windows(report: "PrequentialReport | None", version: "Version", app: str, wide: bool) -> None:
    if report is None:
        say(f"\nnot evaluated on several windows in a row yet: flyball report {app} {version.id} --windows 4")
        return
    names, rows = _beside(report, version), list[list[object]]()
    for metric in report.shown:
        own = [(window, window.metrics.get(version.candidate, {}).get(metric)) for window in report.windows]
        if not any(value for _, value in own):
            continue
        for number, (window, _) in enumerate(own):
            values = [window.metrics.get(name, {}).get(metric) for name in names]
            rows.append(
                [
                    "" if number else metric,
                    *(format_timestamp(at // 1_000_000 * 1_000_000) for at in (window.start_us, window.end_us)),
                    f"{window.requests:,}",
                    *(None if value is None else value.text() for value in values),
                ]
            )
        over = [report.over_windows(name, metric) for name in names]
        rows.append(
            [
                "",
                "mean ± deviation",
                "",
                "",
                *(None if average is None else f"{average[0]:.4f} ±{average[1]:.4f}" for average in over),
            ]
        )
    kept, count = format_timestamp(report.as_of_us // 1_000_000 * 1_000_000), len(report.windows)
    windows = counted_units(count, "window")
    say(f"\n{windows} in a row, each after training on what was known then ({report.search}, {kept})")
    columns = ["metric", "from", "to", "requests", *names]
    show_table(columns, rows, ["requests", *names], optional=names[1:], wide=wide)
    if report.params.get(version.candidate) != version.params:
        say(f"{version.candidate} was declared otherwise then than {version.id} is")
    if report.note:
        say(report.note)
