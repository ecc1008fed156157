"""`flyball incidents ...`: what is wrong now, what to do first, and who does it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from flyball.cli.common import AppName, By, Home, Json, Wide, now_in, open_home, pairs
from flyball.cli.incident_text import show_incident, show_incidents
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import BadInput, format_second, parse_duration, parse_timestamp

if TYPE_CHECKING:
    from flyball.monitoring import IncidentActor
    from flyball.runtime import Runtime

commands = group(
    "What is wrong, and what is done about it: list, show, acknowledge, assign, mitigate, close, sinks, ..."
)

IncidentId = Annotated[str, typer.Argument(metavar="INCIDENT", help="Such as inc3; see flyball incidents list.")]
TimelineReason = Annotated[str, typer.Option("--reason", help="Why, for the timeline.")]
Cause = Annotated[str, typer.Option("--cause", help="Why it happened, as far as it is known.")]
Action = Annotated[str, typer.Option("--action", help="What is to be done so that it does not happen again.")]
Revision = Annotated[
    int | None,
    typer.Option("--revision", help="The revision that you saw; refused after a change since.", show_default="any"),
]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="incidents")


@commands.command("list")
def list_(
    app: AppName,
    all_: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """List the incidents that are not closed, the most urgent first."""
    from flyball.monitoring import failing_words, list_incidents, sink_statuses

    runtime = open_home(app, home)
    now_us = now_in(runtime)
    listed = list_incidents(runtime.registry, now_us, closed=all_)
    sinks = sink_statuses(runtime.registry)
    if json:
        show_json({**msgspec.structs.asdict(listed), "sinks": sinks})
        return
    show_incidents(listed, now_us, wide)
    for words in filter(None, map(failing_words, sinks)):
        say(words)


@commands.command()
def show(
    app: AppName,
    incident: IncidentId,
    all_: Annotated[bool, typer.Option("--all", help="Every finding with its evidence.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show one incident: what holds now, what to do first, what was done."""
    from flyball.monitoring import describe_incident

    runtime = open_home(app, home)
    now_us = now_in(runtime)
    described = describe_incident(runtime.registry, app, runtime.app.alerts, incident, str(home or ""), now_us)
    if json:
        show_json(described)
    else:
        show_incident(described, app, now_us, all_, home)


def _actor(runtime: "Runtime", by: str, reason: str = "") -> "IncidentActor":
    from flyball.monitoring import IncidentActor

    return IncidentActor(by, now_in(runtime), reason)


def _change(app: str, incident: str, command: Any, by: str, reason: str, home: Any, json: bool, **options: Any) -> None:
    from flyball.monitoring import change_incident

    runtime = open_home(app, home)
    after = change_incident(runtime.registry, incident, command, _actor(runtime, by, reason), **options)
    if json:
        show_json(after)
        return
    owner = f", owner {after.owner}" if after.owner else ""
    say(f"{after.id} is {after.state}{owner}: {after.title}")
    on_call = runtime.app.alerts.on_call
    if command == "assign" and on_call and after.owner not in on_call:
        say(f"{after.owner} is not on the on-call list ({', '.join(on_call)}): nothing calls them, tell them yourself")


@commands.command()
def acknowledge(
    app: AppName,
    by: By,
    incident: IncidentId,
    reason: TimelineReason = "",
    revision: Revision = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Say that you look at it: it is yours, and goes to nobody else on call."""
    _change(app, incident, "acknowledge", by, reason, home, json, revision=revision)


@commands.command()
def assign(
    app: AppName,
    by: By,
    incident: IncidentId,
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Whose it is from now on.")],
    reason: TimelineReason = "",
    revision: Revision = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Give it to somebody else."""
    _change(app, incident, "assign", by, reason, home, json, owner=owner, revision=revision)


@commands.command()
def mitigate(
    app: AppName,
    by: By,
    incident: IncidentId,
    reason: Annotated[str, typer.Option("--reason", help="What you did against it.")] = "",
    step: Annotated[
        int | None, typer.Option("--step", min=1, help="The step of its checklist that you did.", show_default="none")
    ] = None,
    revision: Revision = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Say that users are out of harm's way, and what you did for it; the clock stops."""
    _change(app, incident, "mitigate", by, reason, home, json, step=step or 0, revision=revision)


@commands.command()
def note(
    app: AppName,
    by: By,
    incident: IncidentId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is known now.")],
    cause: Cause = "",
    action: Action = "",
    owner: Annotated[str, typer.Option("--owner", help="Who does the action item.", show_default="you")] = "",
    done: Annotated[int, typer.Option("--done", help="The action item that is done.", show_default="none")] = 0,
    home: Home = None,
    json: Json = False,
) -> None:
    """Add a note, the cause, or an action item; say that one is done."""
    _change(app, incident, "note", by, text, home, json, cause=cause, action=action, owner=owner, done=done)


@commands.command()
def close(
    app: AppName,
    by: By,
    incident: IncidentId,
    reason: Annotated[str, typer.Option("--reason", help="How it ended.")] = "",
    cause: Cause = "",
    action: Action = "",
    accept: Annotated[
        bool, typer.Option("--accept", help="Close it although findings hold: they are accepted until they are over.")
    ] = False,
    revision: Revision = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Close it with a note. When one of its findings comes back, it is reopened."""
    _change(
        app, incident, "close", by, reason, home, json, cause=cause, action=action, accept=accept, revision=revision
    )


@commands.command()
def reopen(
    app: AppName,
    by: By,
    incident: IncidentId,
    reason: Annotated[str, typer.Option("--reason", help="Why it is not over.")] = "",
    home: Home = None,
    json: Json = False,
) -> None:
    """Open it again; its clock starts again, too."""
    _change(app, incident, "reopen", by, reason, home, json)


@commands.command()
def silence(
    app: AppName,
    by: By,
    matchers: Annotated[
        list[str],
        typer.Argument(metavar="NAME=PATTERN...", help="monitor, subject, group, severity or origin; * is anything."),
    ],
    for_: Annotated[str, typer.Option("--for", help="How long, such as 2h or 7d.")] = "2h",
    reason: Annotated[str, typer.Option("--reason", help="Why nobody need hear of it.")] = "",
    home: Home = None,
    json: Json = False,
) -> None:
    """Silence findings for a while: they open no incident, and escalate to nobody."""
    from flyball.monitoring import add_silence

    runtime = open_home(app, home)
    actor = _actor(runtime, by, reason)
    matches = {name: str(pattern) for name, pattern in pairs(matchers, "a matcher").items()}
    added = add_silence(runtime.registry, matches, actor, actor.now_us + parse_duration(for_, "--for"))
    if json:
        show_json(added)
    else:
        say(f"{added.id}: {_words(added.matches)} until {format_second(added.ends_us)}")


@commands.command()
def silences(
    app: AppName,
    by: By,
    end: Annotated[str, typer.Option("--end", help="End this one now, such as sil2.", show_default="none")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """List the silences; end one."""
    from flyball.monitoring import all_silences, end_silence

    runtime = open_home(app, home)
    if end:
        end_silence(runtime.registry, end, _actor(runtime, by))
    now_us = now_in(runtime)
    shown = [known for known in all_silences(runtime.registry) if all_ or known.ends_us > now_us]
    if json:
        show_json({"silences": shown})
        return
    rows = [
        [
            known.id,
            _words(known.matches),
            format_second(known.starts_us),
            format_second(known.ends_us),
            known.by,
            known.reason,
        ]
        for known in shown
    ]
    if rows:
        show_table(
            ["silence", "matches", "from", "until", "by", "reason"], rows, optional=["reason", "by", "from"], wide=wide
        )
    else:
        say("nothing is silenced")


@commands.command()
def sinks(
    app: AppName,
    test: Annotated[bool, typer.Option("--test", help="Send each a test message now.")] = False,
    send: Annotated[bool, typer.Option("--deliver", help="Send what waits now; flyball up does it by itself.")] = False,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show where notifications go, and which sink fails; exits 1 if any does. The setting sinks lists them."""
    from flyball.monitoring import deliver, open_sinks, sink_statuses, try_sink

    runtime = open_home(app, home)
    opened = open_sinks(runtime.settings.sinks)
    now_us = now_in(runtime)
    if send:
        deliver(runtime.registry, opened, now_us)
    statuses = sink_statuses(runtime.registry, [sink.address.name for sink in opened])
    results = [
        try_sink(sink, runtime.app.name, now_us) if test else status.error
        for sink, status in zip(opened, statuses, strict=True)
    ]
    if json:
        show_json({"sinks": statuses, "urls": {sink.address.name: sink.shown for sink in opened}, "errors": results})
    else:
        rows = [
            [
                sink.address.name,
                sink.shown,
                format_second(status.delivered_us) if status.delivered_us else None,
                status.waiting,
                status.skipped,
                error or "good",
            ]
            for sink, status, error in zip(opened, statuses, results, strict=True)
        ]
        columns = ["sink", "to", "last delivered", "waiting", "given up", "test" if test else "last attempt"]
        show_table(columns, rows, right=["waiting", "given up"], optional=["given up", "last delivered"], wide=wide)
    if any(results):
        raise typer.Exit(1)


@commands.command("digest")
def digest_(
    app: AppName,
    since: Annotated[str, typer.Option("--since", help="How far back to look.")] = "7d",
    until: Annotated[str | None, typer.Option("--until", help="The end.", show_default="now")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Sum up a week: what was opened and closed, how long it took, what is left to do."""
    from flyball.monitoring import digest

    runtime = open_home(app, home)
    until_us = now_in(runtime) if until is None else parse_timestamp(until)
    summary = digest(runtime.registry, until_us - parse_duration(since, "--since"), until_us)
    if json:
        show_json(summary)
        return
    for sentence in summary.sentences:
        say(sentence)


@commands.command()
def bundle(
    app: AppName,
    incident: IncidentId,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder, or a file NAME.zip.", show_default="APP-INCIDENT.zip")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Write what a colleague needs to look into it: findings, window, versions, releases, code, settings."""
    from flyball.monitoring import incident_bundle, write_bundle

    runtime = open_home(app, home)
    path = out if out is not None else Path(f"{runtime.app.name}-{incident}.zip")
    if path.suffix and path.suffix != ".zip":
        raise BadInput("--out", "a folder, or a file that ends in .zip", path.name)
    if not path.parent.is_dir():
        raise BadInput("folder of --out", "one that exists: make it first", str(path.parent))
    files = incident_bundle(runtime, incident)
    write_bundle(files, path)
    if json:
        show_json({"path": str(path), "files": sorted(files)})
    else:
        say(f"{len(files)} files in {path}; begin with README.md")


def _words(matches: dict[str, str]) -> str:
    return " ".join(f"{name}={pattern}" for name, pattern in matches.items())
