"""`flyball keys create|list|limit|revoke` and `flyball audit`: who may do what over HTTP, and who did what."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Wide, now_in, open_home, user_name
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table, warn
from flyball.core import BadSetting, NotFound, format_second, parse_duration

if TYPE_CHECKING:
    from flyball.access import AuditedAction
    from flyball.registry import AccessKey

commands = group("Keys for the HTTP interface: create, list, limit, revoke.")
_RATE = 'A rate of its own, such as "200/s, burst 400"; none is no limit.'
_OTHER_RATE = f"{_RATE} default is that of the settings."


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="keys")
    app.command()(audit)


@commands.command("create")
def create(
    app: AppName,
    role: Annotated[list[str], typer.Option("--role", help="read, serve, write-events, operate or admin; repeatable.")],
    name: Annotated[str | None, typer.Option("--name", help="What it is for.", show_default="its id")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="For a web page of this origin alone, such as https://shop.example; repeatable."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="In force for 90d, 12h, ... from now on.", show_default="for ever")
    ] = None,
    limit_answers: Annotated[
        str, typer.Option("--limit-answers", help=_RATE, show_default="that of the settings")
    ] = "",
    limit_events: Annotated[str, typer.Option("--limit-events", help=_RATE, show_default="that of the settings")] = "",
    event_type: Annotated[
        list[str] | None,
        typer.Option("--type", help="An event type that it may send; repeatable.", show_default="all"),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="A new file for the key, which its owner alone can read, written once it is made."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Make a key and show it, this once.

    What answers accepts it within two seconds. It is sent as "Authorization: Bearer KEY"; only its hash is stored.
    """
    from flyball.access import create_key, unbounded_page

    try:
        runtime = open_home(app, home)
    except NotFound as error:
        no_key = f"{error.next_step}; then make the key. None was made: a file that it was redirected to is empty"
        raise NotFound(error.kind, error.name, error.known, no_key.removeprefix("; ")) from None
    declared = tuple(runtime.schema.types)
    with _new_file(to) as write:
        key, text = create_key(
            runtime.registry,
            role,
            random.SystemRandom(),
            name=name or "",
            by=user_name(),
            now_us=runtime.clock.now_us(),
            origins=origin or (),
            for_us=None if expires is None else parse_duration(expires, "--expires"),
            reason=reason,
            limit_answers=limit_answers,
            limit_events=limit_events,
            event_types=event_type or (),
            declared=declared,
        )
        write(f"{text.text}\n")
    warning = unbounded_page(key, declared)
    if to is not None:
        _say_file(key, warning, to, runtime.clock.now_us(), json)
        return
    if json:
        more = {"warning": warning} if warning else {}
        show_json({**_plain(key, runtime.clock.now_us()), **more, "key": text.text})
        return
    say(text.text)
    _say_made(key, warning, "keep it now, it is not shown again")


def _say_made(key: "AccessKey", warning: str, what_next: str) -> None:
    sends = f" of {', '.join(key.event_types)} alone" if key.event_types else ""
    warn(f"key {key.id} ({key.name}) with {', '.join(key.roles)}{sends}: {what_next}")
    if warning:
        warn(f"warning: {warning}")


def _say_file(key: "AccessKey", warning: str, path: Path, now_us: int, json: bool) -> None:
    if json:
        show_json({**_plain(key, now_us), **({"warning": warning} if warning else {}), "file": str(path)})
    else:
        _say_made(key, warning, f"it is in {path}, which you alone can read")


@contextmanager
def _new_file(path: Path | None) -> Iterator[Callable[[str], object]]:
    """What writes the text of a new file, which is there, for its owner alone, once the block has ended; without a
    path nothing. Raises `BadSetting` before the block where it cannot be."""
    if path is None:
        yield lambda text: None
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() or path.is_symlink():
            raise BadSetting(f"--to must name a file that is not there yet, got {path}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadSetting(f"--to must name a file that can be written, got {path}: {error.strerror}") from None
    try:
        with open(descriptor, "w") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # where another file took the name meanwhile, that one stays
    finally:
        temporary.unlink()


@commands.command("list")
def list_(app: AppName, home: Home = None, wide: Wide = False, json: Json = False) -> None:
    """List all keys that were ever made, without their secrets."""
    from flyball.access import WRITE_EVENTS, holds_role
    from flyball.registry import access_keys

    runtime = open_home(app, home)
    keys, now_us = access_keys(runtime.registry), runtime.clock.now_us()
    plain = [_plain(key, now_us) for key in keys]
    if json:
        show_json({"keys": plain})
        return
    if not keys:
        say("no keys yet: flyball keys create makes one")
        return
    columns = ["id", "name", "state", "roles", "origins", "created", "by", "expires", "last use", "limits", "may send"]
    rows = [
        [
            key.id,
            key.name,
            described["state"],
            ", ".join(key.roles),
            ", ".join(key.origins) or None,
            format_second(key.created_us),
            key.created_by,
            *(None if at_us is None else format_second(at_us) for at_us in (key.expires_us, key.used_us)),
            _limits_of(key),
            (", ".join(key.event_types) or "all events") if holds_role(key.roles, WRITE_EVENTS) else None,
        ]
        for key, described in zip(keys, plain, strict=True)
    ]
    show_table(
        columns, rows, optional=["limits", "may send", "last use", "expires", "by", "created", "origins"], wide=wide
    )


@commands.command("limit")
def limit(
    app: AppName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, or its name.")],
    answers: Annotated[str | None, typer.Option("--limit-answers", help=_OTHER_RATE, show_default="as it was")] = None,
    events: Annotated[str | None, typer.Option("--limit-events", help=_OTHER_RATE, show_default="as it was")] = None,
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Change how many answers and events a key may have.

    What answers follows within two seconds.
    """
    from flyball.access import limit_key

    runtime = open_home(app, home)
    now_us = runtime.clock.now_us()
    limited = limit_key(
        runtime.registry, key, answers=answers, events=events, by=user_name(), reason=reason, now_us=now_us
    )
    if json:
        show_json(_plain(limited, now_us))
    else:
        say(f"key {limited.id} ({limited.name}): {_limits_of(limited) or 'the limits of the settings'}")


@commands.command("revoke")
def revoke(
    app: AppName,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, or its name.")],
    reason: Annotated[str, typer.Option("--reason", help="For the audit trail.")] = "by hand",
    home: Home = None,
    json: Json = False,
) -> None:
    """Revoke a key; within two seconds nothing that answers accepts it."""
    from flyball.registry import revoke_access_key

    runtime = open_home(app, home)
    now_us = runtime.clock.now_us()
    revoked = revoke_access_key(runtime.registry, key, user_name(), reason, now_us)
    if json:
        show_json(_plain(revoked, now_us))
    else:
        say(f"key {revoked.id} ({revoked.name}) is revoked")


def audit(
    app: AppName,
    since: Annotated[
        str | None, typer.Option("--since", help="What happened in the last 1h, 7d, ...", show_default="everything")
    ] = None,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Show who did what, when and from where: by hand, by key, by itself."""
    from flyball.access import audit_trail

    runtime = open_home(app, home)
    since_us = 0 if since is None else now_in(runtime) - parse_duration(since, "--since")
    actions = audit_trail(runtime.registry, since_us)
    if json:
        show_json({"actions": actions})
    elif not actions:
        say("nothing was done yet")
    else:
        columns = ["when", "who", "from", "action", "subject", "reason"]
        show_table(columns, [_cells(action) for action in actions], optional=["reason", "from"], wide=wide)


def _cells(action: "AuditedAction") -> list[object]:
    return [
        format_second(action.at_us),
        action.by,
        action.source,
        action.action,
        action.subject,
        action.reason or None,
    ]


def _limits_of(key: "AccessKey") -> str | None:
    """Its own limits."""
    limits = {"answers": key.limit_answers, "events": key.limit_events}
    return "; ".join(f"{kind} {text}" for kind, text in limits.items() if text) or None


def _plain(key: "AccessKey", now_us: int) -> dict[str, object]:
    """A key for JSON, without salt and hash."""
    import msgspec

    from flyball.access import key_state

    names = [field.name for field in msgspec.structs.fields(key) if field.name not in ("salt", "digest", "revoked_by")]
    return {"state": key_state(key, now_us), **{name: getattr(key, name) for name in names}}
