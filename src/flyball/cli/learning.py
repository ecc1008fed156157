"""`flyball learn` and `flyball versions list|show|release|rollback|export`: what serves, and how it came to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyball.cli.cases import change_line
from flyball.cli.common import AppName, By, Home, Json, Set, Wide, open_home, warn_of_losses
from flyball.cli.sections import group
from flyball.cli.show import counted, progress_line, say, show_json, show_table
from flyball.core import Refused, counted_units, format_second, parse_timestamp, write_atomic

if TYPE_CHECKING:
    from flyball.learning import LearnReport
    from flyball.registry import Version
    from flyball.releases import Change
    from flyball.runtime import Runtime


commands = group("Versions: list, show, release, rollback, export.")


def register(app: typer.Typer) -> None:
    app.command()(learn)
    app.add_typer(commands, name="versions")


def learn(
    app: AppName,
    by: By,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Learn from what was known at this time.", show_default="now")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that train side by side.")] = 2,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random in training.")] = 0,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=1,
            help="Number of runs whose files are kept for versions that never served.",
            show_default="setting keep_runs",
        ),
    ] = None,
    without_suspects: Annotated[
        bool,
        typer.Option("--without-suspects", help="Leave accounts out that flyball suspects lists, in this run only."),
    ] = False,
    train_window: Annotated[
        list[str] | None,
        typer.Option(
            "--train-window",
            metavar="WINDOW",
            help="Learn from this part of the past, in this run only: all, 30d, since_drift; several to choose from, "
            "the usual one first.",
            show_default="as declared",
        ),
    ] = None,
    home: Home = None,
    chosen: Set = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Train all candidates, compare them, release the winner.

    All are evaluated on the same held-out time, beside baselines and the present champion. The winner is released if it
    passes its gates, which also compare it with the champion. Exits with 1 when no candidate passes its gates.
    """
    from flyball.learning import learn as learn_now

    runtime = open_home(app, home, chosen, keep_runs=keep)
    warn_of_losses(runtime)
    as_of_us = None if as_of is None else parse_timestamp(as_of)
    without = suspects_without(runtime, as_of_us) if without_suspects else {}
    with progress_line(json) as progress:
        report = learn_now(
            runtime,
            as_of_us,
            lambda step: progress(str(step)),
            workers=workers,
            seed=seed,
            by=by,
            without=without,
            train_window=train_window or None,
        )
    if json:
        show_json(report)
    else:
        _show(report, runtime.app.task.about.unreleased, wide)
    if report.status != "done" or not report.chosen:
        raise typer.Exit(1)


def suspects_without(runtime: "Runtime", as_of_us: int | None) -> dict[str, float]:
    """{account: the share that counts} of suspects, and of those held now, whatever the run's time."""
    from flyball.monitoring import suspects_of
    from flyball.operations import catch_up
    from flyball.registry import holds_at

    catch_up(runtime)
    until_us = runtime.clock.now_us() if as_of_us is None else as_of_us + 1
    entity, suspects = suspects_of(runtime, until_us)
    shares = {account: hold.share for account, hold in holds_at(runtime.registry, entity).items()}
    return shares | {suspect.account: 0.0 for suspect in suspects.suspects}


def _show(report: "LearnReport", unreleased: str, wide: bool) -> None:
    rows_of = counted({name: rows for name, rows in report.events.items() if rows}) or "no events"
    say(f"run {report.run}: snapshot {report.snapshot[:12]} as of {format_second(report.as_of_us)} ({rows_of})")
    if report.status != "done":
        say(f"{report.status.replace('_', ' ')}: {report.reason}")
        answers = report.champion or unreleased
        say(
            f"flyball up answers with {answers} meanwhile" if answers else "flyball up answers nothing before a release"
        )
        return
    if report.window is not None:
        start, end = format_second(report.window.start_us), format_second(report.last_request_us)
        units = counted_units(report.units, report.evaluation.get("unit", "request"))
        same = report.units == report.requests
        say(f"evaluated on {units if same else f'{report.requests:,} requests of {units}'} from {start} to {end}")
    say()
    _show_candidates(report, wide)
    say()
    for candidate in report.candidates:
        if candidate.outcome == "rejected":
            say(f"{candidate.name} rejected: {candidate.reason}")
    chosen = report.chosen or "none"
    say(f"chosen: {report.reason}" if report.reason.startswith(f"{chosen} ") else f"chosen: {chosen}: {report.reason}")
    serving = f"{report.champion or unreleased or 'nothing yet'}{' (new)' if report.released else ''}"
    say(f"serving: {serving}; {report.seconds:.1f} s in all")
    winner = next(
        (candidate.name for candidate in report.candidates if report.chosen and candidate.version == report.chosen), ""
    )
    for table in report.evaluation.get("evaluated", {}).get(winner, {}).get("tables", []):
        if table["summary"]:
            say(f"{winner}: {table['summary']}")
        for note in table["notes"]:
            say(f"{winner}: {note}")
    for candidate in report.candidates:
        if candidate.window and candidate.version:
            say(f"{candidate.name} {candidate.window}")
    if report.training is not None:
        say(f"training: {report.training}")
    if report.served is not None:
        say(f"champion: {report.served}")
    for note in report.notes:
        say(f"note: {note}")


def _show_candidates(report: "LearnReport", wide: bool) -> None:
    """A row each, the metric that decides first, the winner with a star."""
    present = {name for candidate in report.candidates for name in candidate.metrics}
    decides = report.decided_by
    names = [name for name in dict.fromkeys([decides, report.metric, *report.shown]) if name in present]
    heads = [_head(name, decides, report.metric) for name in names]
    rows = []
    for candidate in report.candidates:
        winner = bool(report.chosen) and candidate.version == report.chosen
        metrics = [_estimate(candidate.metrics.get(name)) for name in names]
        cost = [f"{candidate.cost.get('answer_us', 0):.0f}", f"{candidate.cost.get('train_s', 0):.1f}"]
        verdict = "winner" if winner else candidate.outcome
        rows.append([f"{candidate.name}{' *' if winner else ''}", *metrics, *cost, candidate.version, verdict])
    costs = ["latency us", "train s"]
    show_table(
        ["candidate", *heads, *costs, "version", "verdict"],
        rows,
        right=[*heads, *costs],
        optional=["latency us", "version", *heads[1:], "train s"],
        wide=wide,
    )


def _head(name: str, decides: str, metric: str) -> str:
    """The column title of a metric; one corrected by inverse propensity weighting is marked (IPS)."""
    return f"{metric} (IPS)" if name == decides != metric and decides.startswith("ips_") else name


def _estimate(estimate: dict[str, Any] | None) -> str | None:
    """0.1234 ±0.0100: the value and half the width of its interval."""
    if not estimate:
        return None
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.4f}"
    return f"{estimate['value']:.4f} ±{(estimate['high'] - estimate['low']) / 2:.4f}"


@commands.command("list")
def list_(app: AppName, home: Home = None, wide: Wide = False, json: Json = False) -> None:
    """List all versions with their metrics, and which one serves."""
    runtime = open_home(app, home)
    versions = runtime.registry.versions()
    if json:
        show_json({"versions": versions})
        return
    if not versions:
        say("no versions yet: run flyball learn")
        return
    metric = runtime.app.choose.metric
    corrected = runtime.app.task.offline().plan().corrected_name(metric)
    decides = corrected if any(corrected in version.metrics for version in versions) else metric
    heads = list(dict.fromkeys([_head(decides, decides, metric), metric]))
    rows = [
        [
            v.id,
            v.candidate,
            v.state,
            *(_estimate(v.metrics.get(name)) for name in dict.fromkeys([decides, metric])),
            _failed(v),
            format_second(v.created_us),
            v.snapshot[:12],
            v.code_commit[:8] + ("+" if v.code_dirty else ""),
        ]
        for v in versions
    ]
    show_table(
        ["version", "candidate", "state", *heads, "failed", "created", "snapshot", "code"],
        rows,
        right=heads,
        optional=["failed", *heads[1:], "created", "snapshot", "code"],
        wide=wide,
    )


def _failed(version: "Version") -> str:
    """The gates it did not pass, by name; learn and --json tell why."""
    names = [gate["name"] for gate in version.gates if not gate["passed"]]
    return ", ".join(names) if names or version.state != "rejected" else version.reason


@commands.command()
def show(
    app: AppName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as v3; see flyball versions list.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Show one version: what it learned from and why, its gates and metrics."""
    from flyball.learning import erased_since, record_of
    from flyball.releases import all_releases, case_reports, version_changes

    runtime = open_home(app, home)
    chosen = runtime.registry.version(version)
    cases = [report for report in case_reports(runtime.registry) if report.case.run == chosen.run]
    releases = [release for release in all_releases(runtime.registry) if version in release.versions]
    changes = version_changes(runtime.registry, [version])
    erased = erased_since(runtime.registry).get(chosen.snapshot)
    if json:
        show_json({"version": chosen, "cases": cases, "releases": releases, "changes": changes, "erased": erased})
        return
    reason = f", {chosen.reason}" if chosen.reason else ""
    say(f"{chosen.id} ({chosen.candidate}, {chosen.kind}): {chosen.state}{reason}")
    say(f"run {chosen.run} from snapshot {chosen.snapshot[:12]} as of {format_second(chosen.as_of_us)}")
    if erased is not None:
        say(
            f"it learned from rows that were removed since, by {erased.words}, the last {format_second(erased.last_us)}"
        )
    if chosen.training:
        say(record_of(chosen).sentence)
    for report in cases:
        say(f"case {report.case.id}, {report.case.trigger}: {report.case.cause} ({report.verdict})")
    for gate in chosen.gates:
        say(f"gate {gate['name']}: {'passed' if gate['passed'] else 'failed'}, {gate['reason']}")
    for name, estimate in chosen.metrics.items():
        say(f"{name}: {_estimate(estimate)}")
    for release in releases:
        say(f"release {release.id}: {release.kind}, {release.state.replace('_', ' ')}: {release.reason}")
    for change in changes:
        say(change_line(change))


@commands.command()
def release(
    app: AppName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version that shall serve, such as v3.")],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Let a version that passed its gates serve from now on."""
    from flyball.releases import declared_arrangement, promote

    runtime = open_home(app, home)
    about, now_us = runtime.app.task.about, runtime.clock.now_us()
    arrangement = declared_arrangement(runtime.registry, runtime.app.name, about.arrangement, by, now_us)
    changed(
        promote(
            runtime.registry,
            version,
            reason,
            by,
            now_us,
            artifacts=runtime.artifact_files,
            about=about,
            arrangement=arrangement,
            opens=runtime.task_of,
        ),
        json,
    )


@commands.command("rollback")
def roll_back(
    app: AppName,
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Let the previous champion serve again, with its arrangement."""
    from flyball.releases import rollback

    runtime = open_home(app, home)
    changed(
        rollback(
            runtime.registry,
            reason,
            by,
            runtime.clock.now_us(),
            artifacts=runtime.artifact_files,
            about=runtime.app.task.about,
            opens=runtime.task_of,
        ),
        json,
    )


@commands.command()
def export(
    app: AppName,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to write, such as v3.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="The ONNX file; one that is there is replaced.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Write a version of a prediction task as one ONNX file, which other programs run without Flyball.

    Its inputs are the columns of a request's row by name, its output is the same within 1e-9. Reading features,
    calibrating intervals by outcomes and deciding are not part of the file.
    """
    from flyball.models import artifact_folder, load_artifact, model_of
    from flyball.tasks import WritesOnnx

    runtime = open_home(app, home)
    chosen = runtime.registry.version(version)
    if chosen.state == "rejected" or not chosen.artifact:
        why = f"rejected: {chosen.reason}" if chosen.state == "rejected" else "none"
        raise Refused(
            f"{version} must have passed its gates and have an artifact to be exported, got {why}: "
            "flyball versions list shows others"
        )
    task = runtime.task_of(chosen.declaration)
    if not isinstance(task, WritesOnnx):
        raise Refused(
            f"a version must be of a task such as fb.Predict to become ONNX, got one of {type(task).__name__}: "
            "name a version of such an application"
        )
    folder = artifact_folder(runtime.artifact_files, chosen.artifact, chosen.artifact_files)
    artifact = load_artifact(folder, chosen.artifact_files)
    model = model_of(artifact, runtime.app.model_classes)
    about = {"app": runtime.app.name, "version": version, "candidate": chosen.candidate, "snapshot": chosen.snapshot}
    write_atomic(onnx, file := task.onnx_file(model, artifact, about))
    if json:
        show_json({"version": version, "onnx": str(onnx), "bytes": len(file)})
        return
    say(f"wrote {version} ({chosen.candidate}) to {onnx}, {len(file):,} bytes")


def changed(change: "Change", json: bool) -> None:
    if json:
        show_json(change)
    else:
        say(change.message)
