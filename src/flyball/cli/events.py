"""`flyball ingest`, `flyball quarantine`, `flyball export`: events in, set aside, and out."""

import base64
import io
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from flyball.cli.common import AppName, Home, Json, Set, console, open_app, progress_line, show_json, show_table
from flyball.core import BadInput, BadSetting, format_instant, parse_duration, parse_instant
from flyball.events import Format, IngestReport, Quarantined, find_format
from flyball.events import ingest as take_in
from flyball.history import export as export_events
from flyball.history import movielens_events
from flyball.operations import breather, catch_up
from flyball.runtime import Runtime

quarantine = typer.Typer(help="Events that were set aside: list, show, retry.", no_args_is_help=True)

_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}


class Mode(StrEnum):
    live = "live"
    history = "history"


def register(app: typer.Typer) -> None:
    app.command()(ingest)
    app.add_typer(quarantine, name="quarantine")
    app.command()(export)


def ingest(
    app: AppName,
    source: Annotated[
        str, typer.Argument(metavar="FILE|-", help="A file, - for standard input, or a MovieLens folder.")
    ],
    format: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv, parquet or one of the application's (movielog).")
    ] = None,
    as_: Annotated[
        Mode | None, typer.Option("--as", help="live: known on arrival; history: known when it happened, plus --lag.")
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Event type, where the columns do not tell.")] = None,
    lag: Annotated[str, typer.Option("--lag", help="How long after it happened history became known.")] = "0s",
    follow: Annotated[bool, typer.Option("--follow", help="Go on reading as the file grows, until Ctrl-C.")] = False,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Take events in from a file or standard input; report what was accepted and what was set aside."""
    runtime = open_app(app, home, chosen)
    mode = as_ or (Mode.live if source == "-" else Mode.history)
    name, found, stream = _opened(runtime, source, format)
    with stream, progress_line(json) as progress:
        report = take_in(
            _following(stream) if follow else found.lines(stream),
            format=found,
            schema=runtime.schema,
            log=runtime.log,
            quarantine=runtime.quarantine,
            catalogue=runtime.catalogue,
            clock=runtime.clock,
            mode=mode.value,
            lag_us=parse_duration(lag),
            source="standard input" if source == "-" else str(Path(source).resolve()),
            format_name=name,
            only=type_,
            progress=lambda report: progress(f"{report.read:,} read, {report.events_per_s:,.0f}/s"),
            between=breather(runtime),
        )
    _show(report, json)


def _opened(runtime: Runtime, source: str, format: str | None) -> tuple[str, Format, BinaryIO]:
    """The format's name, the format and the bytes of what the user named."""
    path = Path(source)
    if source != "-" and path.is_dir():
        return "jsonl", find_format("jsonl"), io.BytesIO(_movielens(path))
    name = format or _format_of(runtime, source)
    found = find_format(name, runtime.app.formats)
    if source == "-":
        return name, found, sys.stdin.buffer
    try:
        return name, found, path.open("rb")
    except OSError as error:
        raise BadInput("file", "readable", f"{source}: {error.strerror}") from None


def _movielens(folder: Path) -> bytes:
    """A MovieLens folder as JSON lines in time order."""
    encode = msgspec.json.Encoder().encode
    events = ({"type": name, "at": at_us, **fields} for name, fields, at_us in movielens_events(folder))
    return b"".join(encode(event) + b"\n" for event in events)


def _format_of(runtime: Runtime, source: str) -> str:
    """By the file's ending; otherwise the application's one format of its own."""
    ending = Path(source.removesuffix(".gz")).suffix.lower()
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    own = [name for name in runtime.app.formats if name not in _ENDINGS.values()]
    if len(own) == 1:
        return own[0]
    raise BadSetting(f"the format of {source} must be named with --format, got neither it nor a known ending")


def _following(stream: BinaryIO) -> Iterator[bytes]:
    """A growing file's bytes, waiting at its end for more, until Ctrl-C."""
    try:
        while True:
            piece = stream.read(1 << 20)
            if piece:
                yield piece
            else:
                time.sleep(0.2)
    except KeyboardInterrupt:
        return


def _show(report: IngestReport, json: bool) -> None:
    if json:
        show_json({**msgspec.to_builtins(report), "events_per_s": round(report.events_per_s)})
        return
    accepted = ", ".join(f"{count:,} {name}" for name, count in sorted(report.accepted.items())) or "none"
    console.print(f"read {report.read:,} events in {report.seconds:.2f} s ({report.events_per_s:,.0f}/s)")
    console.print(f"accepted: {accepted}")
    if report.flagged:
        flagged = ", ".join(f"{count:,} {name}" for name, count in sorted(report.flagged.items()))
        console.print(f"of these, about a user or item that no catalogue knows yet: {flagged}")
    if report.duplicates:
        console.print(f"there already: {report.duplicates:,}")
    if report.quarantined:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.quarantined.items()))
        console.print(f"set aside in quarantine: {reasons}")
    if report.ignored:
        console.print(f"columns that no declared field uses: {', '.join(report.ignored)}")


@quarantine.command("list")
def list_(
    app: AppName,
    reason: Annotated[str | None, typer.Option("--reason", help="Only this reason.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Those that a retry has released, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1)] = 20,
    after: Annotated[int, typer.Option("--after", help="Only entries after this id.")] = 0,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the lines that were set aside, and why."""
    runtime = open_app(app, home)
    entries = runtime.quarantine.list(reason=reason, state=None if all_ else "open", after=after, limit=limit)
    counts = runtime.quarantine.counts()
    if json:
        show_json({"open": counts, "entries": [_plain(entry) for entry in entries]})
        return
    if not entries:
        console.print("nothing in quarantine")
        return
    rows = [[e.id, e.reason, f"{Path(e.source).name}:{e.position}", _text(e.raw)[:70]] for e in entries]
    show_table("", ["id", "reason", "where", "line"], rows, {"id"})
    console.print(f"open: {', '.join(f'{count:,} {reason}' for reason, count in counts.items())}")


@quarantine.command("show")
def show(
    app: AppName,
    entry: Annotated[int, typer.Argument(metavar="ID", help="The entry's id.")],
    home: Home = None,
    json: Json = False,
) -> None:
    """Show one line whole, with its reason and where it came from."""
    found = open_app(app, home).quarantine.show(entry)
    if json:
        show_json(_plain(found))
        return
    for name, value in [
        ("reason", f"{found.reason}: {found.detail}"),
        ("source", f"{found.source}, line {found.position}, read as {found.format or 'unknown'}"),
        ("since", format_instant(found.at_us)),
        ("state", found.state),
        ("line", _text(found.raw)),
    ]:
        console.print(f"{name:>8}  {value}", markup=False)


@quarantine.command("retry")
def retry_(
    app: AppName,
    entry: Annotated[int | None, typer.Argument(metavar="[ID]", help="One entry; all open ones when left out.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only this reason.")] = None,
    as_: Annotated[Mode, typer.Option("--as", help="live or history, as for ingest.")] = Mode.history,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Check lines again with the present declaration and bring the good ones into the log."""
    runtime = open_app(app, home, chosen)
    report = retry_quarantined(
        runtime.quarantine,
        ids=None if entry is None else [entry],
        reason=reason,
        formats=runtime.app.formats,
        schema=runtime.schema,
        log=runtime.log,
        catalogue=runtime.catalogue,
        clock=runtime.clock,
        mode=as_.value,
    )
    if json:
        show_json(report)
        return
    console.print(
        f"tried {report.tried:,}: {report.accepted:,} accepted, {report.duplicates:,} there already, "
        f"{report.still_bad:,} still bad"
    )


def _plain(entry: Quarantined) -> dict[str, object]:
    """An entry for JSON: the raw bytes as text where they are text, in base 64 otherwise."""
    plain = {
        name: getattr(entry, name)
        for name in ("id", "at_us", "reason", "detail", "source", "position", "format", "state")
    }
    try:
        return {**plain, "raw": entry.raw.decode()}
    except UnicodeDecodeError:
        return {**plain, "raw_base64": base64.b64encode(entry.raw).decode()}


def _text(raw: bytes) -> str:
    """Bytes for a terminal: what cannot be shown is escaped."""
    return raw.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()


class Table(StrEnum):
    csv = "csv"
    parquet = "parquet"


def export(
    app: AppName,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An event type, such as watch.")],
    since: Annotated[str | None, typer.Option("--since", help="Only what happened at or after this time.")] = None,
    format: Annotated[
        Table | None, typer.Option("--format", help="csv or parquet.", show_default="by --out, or csv")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write.", show_default="EVENT.csv")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Write the history of one event type to a file."""
    runtime = open_app(app, home)
    chosen = format or (Table(out.suffix[1:]) if out and out.suffix[1:] in Table.__members__ else Table.csv)
    path = out or Path(f"{event}.{chosen.value}")
    since_us = None if since is None else parse_instant(since)
    catch_up(runtime)
    rows = export_events(runtime.history, event, path, chosen.value, since_us)
    if json:
        show_json({"rows": rows, "file": str(path)})
    else:
        console.print(f"wrote {rows:,} {event} events to {path}")
