"""`flyball predict`: a file of requests answered at once."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, open_home
from flyball.cli.show import counted, listed, progress_line, quoted_note, say, show_json, warn
from flyball.core import counted_units


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    app: AppName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Requests: CSV, JSON lines or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Where the answers go: .csv, .jsonl or .parquet.")],
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Leave csv cells that a spreadsheet would run as formulas unquoted.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that answer side by side.")] = 1,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Answer every row of a file with the present release.

    The file may be larger than memory. After an interruption the same command continues where it was. OUT.lineage.json
    says what the answers were made from. A column at gives the time of each request (default: now). Answers are not
    recorded: nobody saw them, so no outcome counts for or against a version. Workers, or a cluster (setting compute),
    answer parts of 5,000 rows with the same result; one that is killed costs its part, which the same command repeats.
    """
    from flyball.compute import InProcess, open_compute
    from flyball.operations import catch_up
    from flyball.serving import answer_file

    runtime = open_home(app, home, chosen)
    with progress_line(json) as progress, closing(open_compute(runtime.settings.compute, workers)) as compute:
        catch_up(runtime, progress)
        tasks = None if isinstance(compute, InProcess) else compute
        report = answer_file(runtime, file, out, progress, as_is=as_is, compute=tasks)
    if json:
        show_json(report)
        return
    again = f", {report.reused:,} of them by an earlier run" if report.reused else ""
    say(f"{counted_units(report.rows, 'row')}{again}: {counted(report.levels) or 'none answered'}; {out}")
    if report.quoted:
        say(quoted_note(report.quoted))
    if report.unknown:
        fields = ", ".join(name for name in runtime.app.task.about.request.__struct_fields__)
        warn(f"ignored columns that are not fields of the request: {listed(report.unknown)}; its fields are {fields}")
    if report.failed:
        warn(f"no answer to {counted_units(report.failed, 'row')}, such as: {report.first_failure}")
