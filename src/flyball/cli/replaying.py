"""`flyball replay`: answers computed again, and compared bit for bit."""

from contextlib import closing
from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, open_home
from flyball.cli.show import progress_line, say, show_json
from flyball.core import BadInput


def register(app: typer.Typer) -> None:
    app.command()(replay)


def replay(
    app: AppName,
    prediction: Annotated[
        str,
        typer.Argument(metavar="[ID]", help="The id of an answer (header X-Flyball-Prediction).", show_default=False),
    ] = "",
    answers: Annotated[
        int | None,
        typer.Option("--answers", min=1, help="In place of ID: so many of the log, evenly chosen.", show_default=False),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that replay side by side.")] = 1,
    home: Home = None,
    json: Json = False,
) -> None:
    """Recompute an answer, or many, and compare every bit.

    It is recomputed from the log and the artifacts. Many are tasks of the workers, or of a cluster (setting compute).
    The exit code is 1 when anything differs.
    """
    if bool(prediction) == (answers is not None):
        raise BadInput("flyball replay", "given the ID of an answer, or --answers", "both" if prediction else "neither")
    if answers is None:
        _replay_single(app, prediction, home, json)
    else:
        _replay_many(app, answers, workers, home, json)


def _replay_single(app: str, prediction: str, home: Home, json: bool) -> None:
    from flyball.provenance import replay as again

    replayed = again(open_home(app, home), prediction)
    if json:
        show_json(replayed)
    else:
        say(replayed.text())
    if not replayed.identical:
        raise typer.Exit(1)


def _replay_many(app: str, answers: int, workers: int, home: Home, json: bool) -> None:
    from flyball.compute import InProcess, open_compute
    from flyball.provenance import replay_many

    runtime = open_home(app, home)
    with progress_line(json) as progress, closing(open_compute(runtime.settings.compute, workers)) as compute:
        report = replay_many(runtime, answers, None if isinstance(compute, InProcess) else compute, progress)
    if json:
        show_json(report)
    else:
        say(report.text())
    if not report.all_identical:
        raise typer.Exit(1)
