"""`flyball arrangements list|release|rollback`: rules that change what is answered without training."""

from collections.abc import Sequence
from typing import Annotated

import typer

from flyball.cli.common import AppName, By, Home, Json, open_home
from flyball.cli.learning import changed
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import format_timestamp

commands = group("Arrangements (re-ranking rules, costs of decisions): list, release, rollback.")

Reason = Annotated[str, typer.Option("--reason", help="For the audit trail.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="arrangements")


@commands.command("list")
def list_arrangements(app: AppName, home: Home = None, json: Json = False) -> None:
    """List the revisions and which one serves.

    A changed rule in the application's file becomes a revision when the application is started, learns or
    releases a version.
    """
    from flyball.releases import current

    runtime = open_home(app, home)
    arrangements, serving = runtime.registry.arrangements(), current(runtime.registry).arrangement
    if json:
        show_json({"arrangements": arrangements, "serving": f"a{serving}" if serving else None})
        return
    if not arrangements:
        say("no arrangements yet: run flyball learn")
        return
    show_table(
        ["arrangement", "state", "rule", "created", "by", "reason"],
        [
            [
                arrangement.id,
                "serving" if arrangement.revision == serving else "",
                " ".join(
                    _plain(value) if isinstance(value, dict) else f"{name}={_plain(value)}"
                    for name, value in arrangement.value.items()
                ),
                format_timestamp(arrangement.created_us),
                arrangement.by,
                arrangement.reason,
            ]
            for arrangement in arrangements
        ],
    )


@commands.command("release")
def release_one(
    app: AppName,
    arrangement: Annotated[str, typer.Argument(metavar="ARRANGEMENT", help="The revision to serve by, such as a2.")],
    by: By,
    reason: Reason = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Serve by a revision from now on; the version that serves stays."""
    from flyball.releases import release_arrangement

    runtime = open_home(app, home)
    now_us = runtime.clock.now_us()
    changed(release_arrangement(runtime.registry, arrangement, reason, by, now_us, runtime.task_of), json)


@commands.command("rollback")
def roll_back(app: AppName, by: By, reason: Reason = "by hand", home: Home = None, json: Json = False) -> None:
    """Serve by the revision before this one; the version that serves stays."""
    from flyball.releases import rollback_arrangement

    runtime = open_home(app, home)
    now_us = runtime.clock.now_us()
    changed(rollback_arrangement(runtime.registry, reason, by, now_us, runtime.task_of), json)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_plain(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list):
        return cost_text(value) or ":".join(map(str, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def cost_text(value: Sequence[object]) -> str:
    """A traced function of an event as a person would write it, "" for another list.

    >>> cost_text(["+", ["constant", 2.0], ["field", "amount"]]), cost_text(["genres", 2])
    ('(2.0+amount)', '')
    """
    from flyball.policy import expression_of

    traced = bool(value) and (value[0] in ("field", "constant") or any(isinstance(part, list) for part in value[1:]))
    return expression_of(list(value)).text().replace(" ", "") if traced else ""
