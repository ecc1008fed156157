"""`flyball predict`: a file of requests answered at once."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Set, open_home
from flyball.cli.show import counted, listed, progress_line, say, show_json, warn
from flyball.core import counted_units


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    app: AppName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Requests: CSV, JSON lines or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Where the answers go: .csv, .jsonl or .parquet.")],
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Answer every row of a file with the present release.

    The file may be larger than memory. After an interruption the same command continues where it was. OUT.lineage.json
    says what the answers were made from. A column at gives the time of each request (default: now). Answers are not
    recorded: nobody saw them, so no outcome counts for or against a version.
    """
    from flyball.operations import catch_up
    from flyball.serving import answer_file

    runtime = open_home(app, home, chosen)
    with progress_line(json) as progress:
        catch_up(runtime, progress)
        report = answer_file(runtime, file, out, progress)
    if json:
        show_json(report)
        return
    again = f", {report.reused:,} of them by an earlier run" if report.reused else ""
    say(f"{counted_units(report.rows, 'row')}{again}: {counted(report.levels) or 'none answered'}; {out}")
    if report.unknown:
        fields = ", ".join(name for name in runtime.app.task.about.request.__struct_fields__)
        warn(f"ignored columns that are not fields of the request: {listed(report.unknown)}; its fields are {fields}")
    if report.failed:
        warn(f"no answer to {counted_units(report.failed, 'row')}, such as: {report.first_failure}")
