"""`flyball ingest batches` and `flyball ingest undo`: what was ingested under which name, and how to take it back."""

from typing import Annotated

import typer

from flyball.cli.common import AppName, Home, Json, open_home, user_name
from flyball.cli.erase import carry_out
from flyball.cli.show import counted, listed, say, show_json, show_table
from flyball.core import counted_units, format_second


def register(app: typer.Typer) -> None:
    app.command("ingest batches")(batches)
    app.command("ingest undo")(undo)


def batches(app: AppName, home: Home = None, json: Json = False) -> None:
    """List the batches that were ingested under a name, with what the log and the quarantine hold of each."""
    from flyball.events import batches_in

    runtime = open_home(app, home)
    known = batches_in(runtime.log, runtime.quarantine)
    if json:
        show_json({"batches": known})
        return
    if not known:
        say("no batches: flyball ingest APP FILE --batch NAME makes one")
        return
    rows = [
        [
            batch.name,
            counted(batch.events) or "none",
            len(batch.quarantined),
            format_second(batch.first_us) if batch.events else "",
            format_second(batch.last_us) if batch.events else "",
        ]
        for batch in known
    ]
    show_table(["batch", "events", "in quarantine", "known from", "until"], rows, right=["in quarantine"])


def undo(
    app: AppName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The batch, as ingest --batch named it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")] = "by hand",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Take back a batch: the home is then as if it had never been ingested.

    Its events leave the log, history, state, features and outcomes, its lines the quarantine, while answers go on. What
    was interrupted is completed by the same command. Versions that learned from it are listed; ingested again, it is
    back.
    """
    from flyball.removal import plan_of_batch

    runtime = open_home(app, home)
    plan = plan_of_batch(runtime, name, user_name(), reason)
    words = f"{counted_units(plan.counts['events'], 'event')}, {counted_units(plan.counts['quarantine'], 'line')} in "
    if not yes and not typer.confirm(f"take back {words}quarantine of batch {name}?"):
        raise typer.Exit(1)
    report = carry_out(runtime, plan, json)
    if json:
        show_json(report)
        return
    say(f"took back {words}quarantine")
    if report.versions.learned:
        say(f"learned from it: {listed(report.versions.learned)}; flyball learn {app} learns without it")
