"""`flyball new`, `flyball check` and `flyball settings`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, BadApplication, Home, Json, Set, load, pairs, settings_for, sourced_settings
from flyball.cli.setting_urls import check_setting_urls
from flyball.cli.show import say, show_json, show_table
from flyball.cli.template import write_project
from flyball.core import BadInput, Refused, SystemClock, format_duration

if TYPE_CHECKING:
    from flyball.app import App
    from flyball.events import IdentityChange, Undeclared
    from flyball.serving import LearnedOtherwise, Outage
    from flyball.settings import Settings
    from flyball.tasks import Label


def register(app: typer.Typer) -> None:
    app.command()(new)
    app.command()(check)
    app.command()(settings)


def new(
    name: Annotated[str, typer.Argument(help="Name of the application: lower-case letters, digits, - and _.")],
    kind: Annotated[str, typer.Option("--kind", help="Of its task: recommend or predict.")] = "recommend",
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="Of the kind predict: a number, or a probability that is decided by costs.",
            show_default="number",
        ),
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path("."),
    json: Json = False,
) -> None:
    """Write a working application to start from.

    Beside it come made-up events to try it on.
    """
    written = write_project(name, folder, kind, target)
    if json:
        show_json({"written": [str(path) for path in written]})
        return
    for path in written:
        say(f"wrote {path}")
    say(
        f"next:  flyball check {written[0]}\n"
        f"       flyball ingest {written[0]} {written[1]}\n"
        f"       flyball learn {written[0]}\n"
        f"       flyball up {written[0]}"
    )


def check(app: AppName, home: Home = None, chosen: Set = None, json: Json = False) -> None:
    """Check an application: report errors with their location, and what in its home does not fit it.

    When nothing is wrong, say what it declares. Past events in its home must be readable as it declares them now. What
    the log holds that no class declares any more is listed, with counts, and so are types whose `natural_key` changed
    since their events were written. So are the released versions that could not
    serve with this file: learn before you deploy it. The exit code is 1 when one of these is in service today, and
    0 when it is only the previous champion. Released versions that learned from another declaration, such as another
    target, are listed too: they continue to answer by what they learned.
    """
    from flyball.runtime import Runtime, identity_changes_in, undeclared_in
    from flyball.serving import learned_otherwise, outages

    declared = _declared(app, chosen, json)
    _check_world(declared, json)
    settings = settings_for(app, home, chosen)
    _check_events(declared, settings, json)
    lost, renewed = undeclared_in(declared, settings), identity_changes_in(declared, settings)
    runtime = Runtime(declared, settings, SystemClock())
    out = outages(runtime)
    older = learned_otherwise(runtime, but={outage.version for outage in out})
    breaks = any(outage.serves for outage in out)
    if json:
        show_json(
            {
                "ok": not breaks,
                **({"where": "home"} if breaks else {}),
                "name": declared.name,
                "events": _events(declared),
                "candidates": list(declared.candidates),
                "undeclared": lost,
                "identity_changes": renewed,
                "out_of_service": out,
                "learned_otherwise": older,
            }
        )
    else:
        say(f"{declared.name}: {'declared, but its home does not fit it' if breaks else 'OK'}")
        for line in [*_summary(declared), *_home_lines(lost, renewed, out, older)]:
            say(f"  {line}")
    if breaks:
        raise typer.Exit(1)


def _declared(app: str, chosen: list[str] | None, json: bool) -> "App":
    """The application, or exit code 2 with what is wrong in its file."""
    try:
        return load(app, pairs(chosen or []))
    except BadApplication as error:
        if not json:
            raise
        show_json({"ok": False, "where": error.location, "error": error.problem})
        raise typer.Exit(2) from None


def _check_world(declared: "App", json: bool) -> None:
    """Exit code 2 where its simulated world has no such settings, or needs others."""
    from flyball.simulation import world_settings

    try:
        if declared.world is not None:
            world_settings(declared.world, declared.name, {})
    except BadInput as error:
        if not json:
            raise
        show_json({"ok": False, "where": "world", "error": str(error)})
        raise typer.Exit(2) from None


def _check_events(declared: "App", settings: "Settings", json: bool) -> None:
    """Exit code 1 where past events cannot be read as they are declared now."""
    from flyball.runtime import check_stored

    try:
        check_stored(declared, settings)
    except Refused as error:
        if not json:
            raise
        show_json({"ok": False, "where": "events", "error": str(error)})
        raise typer.Exit(1) from None


def settings(app: AppName, home: Home = None, chosen: Set = None, json: Json = False) -> None:
    """Show every setting, its value and where it came from.

    Secrets in URLs are masked.
    """
    from flyball.settings import shown_own_settings, shown_settings

    sourced = sourced_settings(app, home, chosen)
    check_setting_urls(sourced.settings, sourced.sources)
    values, own = shown_settings(sourced.settings), shown_own_settings(sourced.settings)
    if json:
        show_json({"settings": {**values, "app": own}, "sources": sourced.sources})
        return
    texts = {name: _joined(name, value) for name, value in values.items()}
    rows = [[name, value, sourced.sources[name]] for name, value in texts.items()]
    rows += [[f"app.{name}", value, sourced.sources[f"app.{name}"]] for name, value in own.items()]
    show_table(["setting", "value", "from"], rows)


def _joined(name: str, value: object) -> object:
    """A value as it stands in the environment: URLs are separated by spaces, names by commas."""
    if not isinstance(value, list | tuple):
        return value
    return (" " if name == "sinks" else ",").join(value) or None


def _events(app: "App") -> dict[str, list[str]]:
    return {name: list(kind.fields) for name, kind in app.schema.types.items()}


def _summary(app: "App") -> list[str]:
    from flyball.tasks import references

    about = app.task.about
    key = next(iter(references(about.request).values()), about.request.__name__.lower())
    within = f"within {format_duration(about.deadline_us)}"
    if about.items:
        answers = f"{about.kind}: ranks {about.items} for each {key}, {about.k} at a time, {within}"
    else:
        answers = f"{about.kind}: answers {', '.join(about.values) or 'a decision'} for each {key}, {within}"
    labels: dict[str, list[str]] = {}
    for label in about.labels:
        labels.setdefault(label.name, []).append(_label_words(label))
    return [
        *(
            f"{'profile' if kind.is_profile else 'event'} {name}({', '.join(kind.fields)})"
            for name, kind in app.schema.types.items()
        ),
        *(f"joined {name}({', '.join(kind.fields)})" for name, kind in app.schema.joined.items()),
        answers,
        *(f"label {name}: {' or '.join(events)}" for name, events in labels.items()),
        f"candidates {', '.join(app.candidates)}; chosen by {app.choose.metric}"
        + (", the cheapest within noise" if app.choose.cheapest else ""),
        f"formats {', '.join(dict.fromkeys(['jsonl', 'csv', 'parquet', *app.formats]))}",
    ]


def _home_lines(
    lost: "Sequence[Undeclared]",
    renewed: "Sequence[IdentityChange]",
    out: "Sequence[Outage]",
    older: "Sequence[LearnedOtherwise]",
) -> list[str]:
    """What in the application's home does not fit the declaration."""
    return [
        *(f"in the log, but no longer declared: {undeclared.text()}" for undeclared in lost),
        *(change.text() for change in renewed),
        *(
            f"{outage.version} ({outage.role}) will go out of service: {outage.reason}; "
            "learn before you deploy this file"
            for outage in out
        ),
        *(version.text() for version in older),
    ]


def _label_words(label: "Label") -> str:
    """Such as "2 buy where event.price > 3 within 7d"."""
    times = f"{label.at_least} " if label.at_least > 1 else ""
    where = f" where {label.where.text()}" if label.where else ""
    value = f" ({label.value.text()})" if label.value else ""
    if label.elapsed_unit_us:
        value = f" (elapsed / {format_duration(label.elapsed_unit_us)})"
    latest = "the latest " if label.latest else ""
    return f"{times}{latest}{label.event.__name__.lower()}{where}{value} within {format_duration(label.within_us)}"
