"""`flyball drill`: a planted fault before simulated users, and what releases, monitors and learning do about it."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from flyball.cli.common import AppName, Json, Set, load, pairs, settings_for
from flyball.cli.show import progress_line, say, show_json
from flyball.core import BadInput


def register(app: typer.Typer) -> None:
    app.command()(drill)


def drill(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DRILL",
            help="Of releases: bad-release, slow-release, crashing-release, silent-degradation, no-effect or "
            "good-release. Of data: quiet, data-loss, outage, silent-source, slow-source, unit-change, "
            "missing-values, moved-times, sent-twice or exchanged-columns. Of shift: covariate-shift, label-shift, "
            "concept-shift, black-friday, dependency-down or pipeline-bug. Of attacks: "
            "poison. Of lists: feedback-loop. Of decisions: fairness. Of all monitors: monitors.",
        ),
    ],
    app: AppName,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random in the world.")] = 1,
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            help="How long the release has, of virtual time; of shift, the days after it began.",
            show_default="10, and more where labels take longer; of data 7, or 4 with a fault; of shift 3 to 7, and "
            "more where labels take longer; of poison 8; feedback-loop 6 and fairness 14, twice; of monitors "
            "2 to 7 each",
            min=1,
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--form",
            help="Of covariate-shift, label-shift and concept-shift: sudden, gradual over a week, or seasonal, each "
            "weekend.",
            show_default="sudden",
        ),
    ] = None,
    world_set: Annotated[
        list[str] | None,
        typer.Option("--world-set", metavar="NAME=VALUE", help="Another setting of the world; repeatable."),
    ] = None,
    looks: Annotated[
        Path | None,
        typer.Option(
            "--looks",
            metavar="FILE",
            help="Of drills of data and of shift: write what each monitor saw at each look, with its e-value, as lines "
            "of JSON.",
        ),
    ] = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Plant a fault in the application's simulated world: in a release, in lines on their way, in the world or service.

    It shows what happened when: how many units a bad version reached, how soon watching found a fault or a shift, when
    it was mitigated, what it cost, and what else was found. The exit code is 1 when the release did not do what it
    must, or the fault was not found or mitigated. The same seed gives the same digest of all answers.
    In the drill poison one account in a hundred pushes a few targets; answers learned while suspects are held are
    compared with those of a clean log. The drill monitors plants a dozen faults, each in a run of its own, and shows
    for each monitor how many it finds, how soon, how often it is wrong, and what triage calls the causes.
    """
    from flyball.simulation import (
        DATA_DRILLS,
        DRILLS,
        FAIRNESS,
        FEEDBACK_LOOP,
        MONITORS,
        POISON,
        SHIFT_DRILLS,
        run_data_drill,
        run_drill,
        run_fairness_drill,
        run_loop_drill,
        run_monitor_drill,
        run_poison_drill,
        run_shift_drill,
    )

    options = settings_for(app, None, chosen).app
    runs: dict[str, Any] = {
        **dict.fromkeys(DRILLS, run_drill),
        **dict.fromkeys(DATA_DRILLS, run_data_drill),
        **dict.fromkeys(SHIFT_DRILLS, run_shift_drill),
        POISON: run_poison_drill,
        FEEDBACK_LOOP: run_loop_drill,
        FAIRNESS: run_fairness_drill,
        MONITORS: run_monitor_drill,
    }
    if name not in runs:
        raise BadInput("drill", f"one of {', '.join(runs)}", name)
    if form is not None and name not in SHIFT_DRILLS:
        raise BadInput(f"--form of {name}", "left out: it is for drills of shift", form)
    looked = name in DATA_DRILLS or name in SHIFT_DRILLS
    if looks is not None and (not looked or looks.exists()):
        what = "a file that does not exist yet" if looked else "left out: it is for drills of data and of shift"
        raise BadInput(f"--looks of {name}", what, str(looks))
    more: dict[str, Any] = {} if form is None else {"form": form}
    more |= {} if looks is None else {"looks": looks}
    with progress_line(json) as progress:
        report = runs[name](
            load(app, options),
            name,
            seed=seed,
            days=days,
            report_progress=progress,
            **more,
            **pairs(world_set or [], "--world-set"),
        )
    if json:
        show_json({**msgspec.structs.asdict(report), "passed": report.passed})
    else:
        say(report.text())
    if not report.passed:
        raise typer.Exit(1)
