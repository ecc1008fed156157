"""`flyball predict`: a file of requests answered at once."""

from pathlib import Path
from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, open_home
from flyball.cli.show import counted, progress_line, say, show_json, warn


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    app: AppName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Requests: CSV, JSON lines or Parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Where the answers go: .csv, .jsonl or .parquet.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Answer every row of a file with what serves now.

    The file may be larger than memory, and the command can be run again after it ended early: it goes on where it was.
    What the answers were made from is kept in OUT.lineage.json. A column at says when each request is made; without one
    it is made now. Answers are not recorded: nobody was shown them, so no outcome counts for or against a version.
    """
    from flyball.operations import catch_up
    from flyball.serving import answer_file

    runtime = open_home(app, home)
    with progress_line(json) as progress:
        catch_up(runtime, progress)
        report = answer_file(runtime, file, out, progress)
    if json:
        show_json(report)
        return
    again = f", {report.reused:,} of them by an earlier run" if report.reused else ""
    say(f"{report.rows:,} rows{again}: {counted(report.levels) or 'none answered'}; {out}")
    if report.unknown:
        fields = ", ".join(name for name in runtime.app.task.about.request.__struct_fields__)
        warn(f"columns that change no answer, since a request has none of them: {', '.join(report.unknown)} ({fields})")
    if report.failed:
        warn(f"{report.failed:,} rows have no answer, such as: {report.first_failure}")
