"""`flyball quarantine`: lines that failed a check, and what to do with them."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyball.cli.common import AppName, Home, Json, Mode, Set, open_home, user_name
from flyball.cli.sections import group
from flyball.cli.show import counted, say, show_json, show_table, warn
from flyball.core import BadSetting, counted_units, format_timestamp, parse_timestamp, printable_line

if TYPE_CHECKING:
    from flyball.events import Quarantined

_SHOWN = 70

commands = group("Lines that failed a check: list, show, retry, drop.")


@commands.command("list")
def list_(
    app: AppName,
    reason: Annotated[str | None, typer.Option("--reason", help="Only this reason.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Those that a retry has released, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    after: Annotated[int, typer.Option("--after", min=0, help="Only entries after this id.")] = 0,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the lines that failed a check, and why."""
    runtime = open_home(app, home)
    entries = runtime.quarantine.list(reason=reason, state=None if all_ else "open", after=after, limit=limit)
    counts = runtime.quarantine.counts()
    if json:
        show_json({"open": counts, "entries": [_plain(entry) for entry in entries]})
        return
    if not entries:
        say("nothing in quarantine" if not counts else f"none of these in quarantine; open: {counted(counts)}")
        return
    rows = [[e.id, e.reason, f"{Path(e.source).name}:{e.position}", _text(e.raw)[:_SHOWN]] for e in entries]
    show_table(["id", "reason", "where", "line"], rows, right=["id"])
    say(f"open: {counted(counts)}")
    if len(entries) == limit:
        say(f"more with --after {entries[-1].id}")


@commands.command("show")
def show(
    app: AppName,
    entry: Annotated[int, typer.Argument(metavar="ID", help="The entry's id.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Show one line whole, with its reason and where it came from."""
    from flyball.events import entry_of

    line = entry_of(open_home(app, home).quarantine, entry)
    if json:
        show_json(_plain(line))
        return
    for name, value in [
        ("reason", f"{line.reason}: {line.detail}"),
        ("source", f"{line.source}, line {line.position}, read as {line.format or 'unknown'}"),
        ("since", format_timestamp(line.at_us)),
        ("state", line.state),
        ("line", _text(line.raw)),
    ]:
        say(f"{name:>8}  {value}")


@commands.command("retry")
def retry_(
    app: AppName,
    entry: Annotated[int | None, typer.Argument(metavar="[ID]", help="One entry; all open ones when left out.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only this reason.")] = None,
    as_: Annotated[
        Mode | None,
        typer.Option("--as", help="live or history, as for ingest.", show_default="as the line first came in"),
    ] = None,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Check lines again with the present declaration; bring the good ones into the log."""
    from flyball.events import retry
    from flyball.registry import AuditEntry, add_entry

    runtime = open_home(app, home, chosen)
    report = retry(
        runtime.inlet,
        ids=None if entry is None else [entry],
        reason=reason,
        formats=runtime.formats,
        mode=None if as_ is None else as_.value,
    )
    audited = AuditEntry(
        at_us=runtime.clock.now_us(),
        by=user_name(),
        action="quarantine retry",
        subject=f"id {entry}" if entry is not None else reason or "all",
        reason="by hand",
        after={"accepted": report.accepted, "still_bad": report.still_bad},
    )
    add_entry(runtime.registry, audited)
    if json:
        show_json(report)
        return
    say(
        f"tried {report.tried:,}: {report.accepted:,} accepted, {report.duplicates:,} duplicates, "
        f"{report.still_bad:,} still bad"
    )
    for reason in report.unreadable:
        warn(f"flyball: lines could not be read: {reason}")


@commands.command("drop")
def drop_(
    app: AppName,
    reason: Annotated[str | None, typer.Option("--reason", help="Open entries of this reason.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="From this source, or file name.")] = None,
    before: Annotated[str | None, typer.Option("--before", help="That came before this time.")] = None,
    ids: Annotated[list[int] | None, typer.Option("--id", help="This entry; repeatable.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All open entries.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Remove lines from quarantine for good, after a count of them by reason and source.

    Those that all options name together; --all empties it. Their bytes are lost; the audit trail records who removed
    how many, and which.
    """
    from flyball.events import Which, count_entries, drop
    from flyball.registry import AuditEntry, add_entry

    named = {"reason": reason, "source": source, "before": before}
    others = [f"--{name}" for name, value in named.items() if value]
    if all_ + bool(ids) + bool(others) != 1:
        got = "none" if not (all_ or ids or others) else ", ".join([*["--all"] * all_, *["--id"] * bool(ids), *others])
        raise BadSetting(
            f"what to drop must be said by --reason, --source and --before, by --id, or by --all, got {got}"
        )
    runtime = open_home(app, home)
    chosen = Which(tuple(ids) if ids else None, reason, source, parse_timestamp(before) if before else None)
    words = [f"id {', '.join(map(str, ids))}"] if ids else ["all"] if all_ else []
    words += [f"{name} {value}" for name, value in named.items() if value]
    which = ", ".join(words)
    counts = count_entries(runtime.quarantine, chosen)
    if not json:
        for (of_reason, of_source), number in counts.items():
            say(f"{number:>8,}  {of_reason}  {Path(of_source).name}")
    if not yes and not typer.confirm(f"remove {counted_units(sum(counts.values()), 'line')} ({which}) for good?"):
        raise typer.Exit(1)
    dropped = drop(runtime.quarantine, chosen)
    entry = AuditEntry(
        at_us=runtime.clock.now_us(),
        by=user_name(),
        action="quarantine drop",
        subject=which,
        reason="by hand",
        after={"dropped": dropped},
    )
    add_entry(runtime.registry, entry)
    if json:
        show_json({"dropped": dropped})
    else:
        say(f"removed {counted_units(dropped, 'line')}")


def _plain(entry: "Quarantined") -> dict[str, object]:
    """An entry for JSON: the raw bytes as text where they are text, in base 64 otherwise."""
    names = ("id", "at_us", "reason", "detail", "source", "position", "format", "state")
    plain = {name: getattr(entry, name) for name in names}
    try:
        return {**plain, "raw": entry.raw.decode()}
    except UnicodeDecodeError:
        return {**plain, "raw_base64": base64.b64encode(entry.raw).decode()}


def _text(raw: bytes) -> str:
    """Bytes in a line of a terminal.

    >>> _text(b"caf\\xc3\\xa9 \\xff\\x1b")
    'café \\\\xff\\\\u001b'
    """
    return printable_line(raw.decode("utf-8", "backslashreplace"))
