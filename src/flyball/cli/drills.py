"""`flyball drill`: a version with a known fault before simulated users, and what the release does about it."""

from typing import Annotated, Any

import msgspec
import typer

from flyball.cli.common import AppName, Json, Set, limit_threads, load, pairs, settings_for
from flyball.cli.show import progress_line, say, show_json


def register(app: typer.Typer) -> None:
    app.command()(drill)


def drill(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DRILL",
            help="bad-release, slow-release, crashing-release, silent-degradation, no-effect or good-release; of data: "
            "quiet, data-loss, outage, slow-source, unit-change or missing-values.",
        ),
    ],
    app: AppName,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random in the world.")] = 1,
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            help="How long the release has, of virtual time.",
            show_default="10, and more where labels take longer; of data 7, or 4 with a fault",
            min=1,
        ),
    ] = None,
    world_set: Annotated[
        list[str] | None,
        typer.Option("--world-set", metavar="NAME=VALUE", help="Another setting of the world; repeatable."),
    ] = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Plant a fault in the application's simulated world: a version that is released, or lines that break on their way.

    It shows what happened when: how many units a bad version reached, or how soon watching found the fault of data and
    what else it found. The exit code is 1 when the release did not do what it must, or the fault was not found in time.
    The same seed gives the same digest of all answers.
    """
    limit_threads()
    from flyball.simulation import DATA_DRILLS, run_data_drill, run_drill

    options = settings_for(app, None, chosen).app
    run: Any = run_data_drill if name in DATA_DRILLS else run_drill
    with progress_line(json) as progress:
        report = run(
            load(app, options),
            name,
            seed=seed,
            days=days,
            report_progress=progress,
            **pairs(world_set or [], "--world-set"),
        )
    if json:
        show_json({**msgspec.structs.asdict(report), "passed": report.passed})
    else:
        say(report.text())
    if not report.passed:
        raise typer.Exit(1)
