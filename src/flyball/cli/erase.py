"""`flyball erase`: a person's data are removed from all that a home holds."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer

from flyball.cli.common import AppName, Home, Json, Set, open_home, user_name
from flyball.cli.show import counted, listed, progress_line, say, show_json, warn
from flyball.core import BadInput, BadSetting, SystemStopwatch, counted_units
from flyball.home import interrupted_removal, with_home

if TYPE_CHECKING:
    from flyball.removal import RemovalPlan, RemovalReport
    from flyball.runtime import Runtime

_REASON = "the person asked for it"


def register(app: typer.Typer) -> None:
    app.command()(erase)
    app.command()(retention)


def retention(
    app: AppName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be removed; change nothing.")] = False,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Remove events, answers and lines that are older than the application keeps them (`retention=` of fb.App).

    flyball up does the same once a day, or more often where something is kept for less than ten days. Artifacts of
    versions that are needed no more are deleted, too: those that held an id of somebody who was erased once they are
    out of service, and others as after learning. Answers go on meanwhile.
    """
    from flyball.operations import RETENTION, RetentionReport, write_report
    from flyball.removal import OUTDATED, Removal, RemovalReport, due_removal, remove_artifacts_by_age

    runtime = open_home(app, home, chosen)
    artifacts = [] if dry_run else remove_artifacts_by_age(runtime, user_name())
    plan = due_removal(runtime, user_name())
    if plan is None:
        report = RemovalReport("retention", OUTDATED, dict.fromkeys(("events", "predictions", "quarantine"), 0))
        report = msgspec.structs.replace(report, dry_run=dry_run)
    elif dry_run:
        report = Removal(runtime, SystemStopwatch()).look(plan)
    else:
        report = carry_out(runtime, plan, json)
    if not dry_run:
        write_report(runtime.home, RETENTION, RetentionReport(runtime.clock.now_us(), report.removed, artifacts))
    _show(with_home(app, home), report, json)


def erase(
    app: AppName,
    entity: Annotated[
        str | None, typer.Argument(metavar="ENTITY", help="The kind, as Ref declares it, such as user.")
    ] = None,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Whose data are removed.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with an id a line.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be removed; change nothing.")] = False,
    continue_: Annotated[
        bool, typer.Option("--continue", help="Complete a removal that was interrupted, whatever it was of.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail; it must name nobody.")] = _REASON,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Remove all that a home holds of a person, in every role in which events name them.

    Events, answers, lines in quarantine, history, features, outcomes, ids in the registry, logs and exports of the home
    are gone after it, and what is derived is as if they had never been there. Answers go on meanwhile. It cannot be
    undone. Where it is interrupted, the same command continues.
    """
    from flyball.removal import Person, Removal, RemovalPlan, equal_ids, id_pattern

    runtime, plan = open_home(app, home, chosen), None
    if not continue_:
        named = dict.fromkeys(equal_ids(id) for id in _ids(ids, file))
        people = tuple(dict.fromkeys(Person(_checked(runtime, entity), id) for equal in named for id in equal))
        subject = counted_units(len({equal[-1] for equal in named}), entity or "")
        plan = RemovalPlan("erase", subject, user_name(), reason, runtime.clock.now_us(), people)
        if id_pattern(people).search(reason):
            raise BadSetting("--reason must name nobody, as it stays in the audit trail, got an id in it")
        if dry_run or not yes:
            with progress_line(json) as progress:
                report = Removal(runtime, SystemStopwatch(), progress).look(plan)
            _show(with_home(app, home), report, json and dry_run)
        if dry_run:
            return
        if not yes and not typer.confirm("remove this for good?"):
            raise typer.Exit(1)
    report = carry_out(runtime, plan, json)
    _show(with_home(app, home), report, json)


def carry_out(runtime: "Runtime", plan: "RemovalPlan | None", json: bool) -> "RemovalReport":
    """Carry out a plan, or complete the removal that was interrupted (None).

    Where it is ended by Ctrl-C or SIGTERM, or fails, after it has begun, standard error says how to complete it.
    """
    from flyball.removal import Removal

    former = signal.signal(signal.SIGTERM, _end)
    try:
        with progress_line(json) as progress:
            shown = progress if json or sys.stderr.isatty() else _step
            removal = Removal(runtime, SystemStopwatch(), shown)
            return removal.run() if plan is None else removal.begin(plan)
    except BaseException:
        if interrupted := interrupted_removal(runtime.layout):
            warn(f"flyball: {interrupted}")
        raise
    finally:
        signal.signal(signal.SIGTERM, former)


def _step(words: str) -> None:
    warn(f"flyball: {words}")


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _checked(runtime: "Runtime", entity: str | None) -> str:
    types = runtime.app.schema.types.values()
    entities = sorted({kind for declared in types for _, kind in declared.flagged})
    if entity not in entities:
        raise BadInput("entity", f"one that an event refers to: {', '.join(entities)}", entity or "none")
    return entity


def _ids(ids: list[str] | None, file: Path | None) -> list[str]:
    """The ids of the arguments and of the file, each once."""
    read = [] if file is None else [line.strip() for line in file.read_text().splitlines()]
    every = [id for id in dict.fromkeys([*(ids or []), *read]) if id]
    if not every:
        raise BadSetting("whom to erase must be said by ids or by --file, got none")
    return every


def _show(app: str, report: "RemovalReport", json: bool) -> None:
    if json:
        show_json(report)
        return
    removed = {name: count for name, count in report.removed.items() if count or name not in ("registry", "files")}
    say(f"{'would remove' if report.dry_run else 'removed'} of {report.subject}: {counted(removed)}")
    for store, words in report.steps.items():
        say(f"  {store}: {words}")
    if report.nothing_names:
        warn(f"flyball: no event, answer or line in quarantine names {report.subject}: look whether the id is right")
    for name, count in report.rows.items():
        warn(f"flyball: removed {counted_units(count, 'row')} of {name}")
    if report.unread:
        warn(
            f"flyball: these files hold an id and could not be cleaned, delete or replace them: {listed(report.unread)}"
        )
    versions = report.versions
    if report.snapshots:
        say(f"snapshots that had seen it, which cannot be read as they were: {listed(report.snapshots)}")
    if versions.learned:
        say(f"versions that learned from it: {listed(versions.learned)}; to learn without it: flyball learn {app}")
    if versions.removed:
        said = "would be deleted" if report.dry_run else "were deleted"
        say(f"artifacts that held an id, and {said}: {listed(versions.removed)}")
    if versions.holding:
        warn(
            f"flyball: {listed(versions.holding)} in service holds an id in its artifact: release another version "
            f"(flyball learn {app}), then flyball retention {app} deletes it"
        )
    if not report.dry_run:
        say("not reached: backups, exports and reports outside of the home, and what other systems were sent")
