"""`flyball ingest` and `flyball export`: events in and out."""

import io
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import msgspec
import typer

from flyball.cli import quarantine
from flyball.cli.common import AppName, Home, Json, Mode, Set, open_app, open_home
from flyball.cli.show import counted, listed, progress_line, quoted_note, say, show_json, warn
from flyball.core import (
    BadInput,
    BadSetting,
    Refused,
    SystemStopwatch,
    counted_units,
    find_zone,
    format_timestamp,
    holds_secret,
    is_readable,
    masked,
    parse_duration,
    parse_timestamp,
)

if TYPE_CHECKING:
    from flyball.events import Format, IngestReport, LineSource, Preview
    from flyball.runtime import Runtime

_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_PIECE = 1 << 20
_LEARNED = "learned"
_LOOK_S = 0.2


class TopicStart(StrEnum):
    """Where to begin to read a topic."""

    beginning = "beginning"
    end = "end"
    committed = "committed"


def register(app: typer.Typer) -> None:
    app.command()(ingest)
    app.add_typer(quarantine.commands, name="quarantine")
    app.command()(export)


def ingest(
    app: AppName,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-|URL",
            help="A file, - for standard input, a MovieLens folder, or the URL of a topic of lines.",
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="jsonl, csv, parquet or one of the application's own, such as movielog.",
            show_default="by the file's ending",
        ),
    ] = None,
    as_: Annotated[
        Mode | None,
        typer.Option(
            "--as",
            help="live: known on arrival; history: known when it happened, plus --lag.",
            show_default="live for - and topics, else history",
        ),
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Event type, where the columns do not tell.")] = None,
    source_name: Annotated[
        str,
        typer.Option(
            "--source-name",
            help="What findings call where it comes from.",
            show_default="the file's name without its date",
        ),
    ] = "",
    batch: Annotated[
        str, typer.Option("--batch", metavar="NAME", help="Ingest them under this name, to take them back as a whole.")
    ] = "",
    lag: Annotated[
        str, typer.Option("--lag", help="How long after it happened history became known; learned: as live events do.")
    ] = "0s",
    follow: Annotated[
        bool, typer.Option("--follow", help="Continue reading as the file or topic grows, until Ctrl-C.")
    ] = False,
    from_: Annotated[
        TopicStart | None,
        typer.Option(
            "--from",
            help="Of a topic, where to begin: committed is behind what was ingested, else the beginning.",
            show_default="committed",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show how the first lines are understood; write nothing.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", min=1, help="With --dry-run: how many lines to look at.")] = 1_000,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Continue although most of the first lines are bad.")
    ] = False,
    into_world: Annotated[
        bool, typer.Option("--into-world", help="Ingest them although a simulated world wrote into this home.")
    ] = False,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Ingest events from a file, standard input or a topic of lines.

    Valid events go to the log, bad lines to quarantine with the reason. Events that are in the log already count as
    duplicates, so the same command can be run again after a crash. When most of the first 5,000 lines are bad it stops
    and names the likely cause. The exit code is 1 then, when no line was valid, and when a file holds no event at all,
    such as a truncated export; standard input and --follow may be empty.
    """
    from flyball.events import LineSource, check_batch_name, find_format

    name_of_batch = check_batch_name(batch) if batch else ""
    runtime = open_app(app, home, chosen)
    if not (into_world or dry_run):
        _refuse_made_up(runtime)
    is_topic = "://" in source
    mode = as_ or (Mode.live if source == "-" or is_topic else Mode.history)
    lag_us = _lag_us(runtime, lag, type_)
    if is_topic:
        if holds_secret(source):
            raise BadSetting(
                f"{masked(source)} must hold no secret, as every user of this machine can read the list of processes: "
                "name a file with the password by option password_file"
            )
        if dry_run:
            raise BadSetting("--dry-run must be about a file or standard input, got a topic")
        name = _format_of_topic(runtime, format)
        parsing = find_format(name, runtime.formats)
        origin = LineSource(
            masked(source), parsing, name, mode.value, lag_us, type_, label=source_name, batch=name_of_batch
        )
        start = from_ or TopicStart.committed
        report = _ingested_topic(runtime, source, origin, start, follow=follow, stop_early=not keep_going, quiet=json)
        _show(report, json)
        if report.quarantined and not report.accepted and not report.duplicates:
            raise typer.Exit(1)
        return
    if from_ is not None:
        raise BadSetting(f"--from must be about a topic, got {source}")
    if follow and "parquet" in (format, Path(source).suffix[1:]):
        raise BadSetting("--follow must be about a file of lines, got parquet")
    name, parsing, stream = _opened(runtime, source, format)
    path = "standard input" if source == "-" else str(Path(source).resolve())
    origin = LineSource(path, parsing, name, mode.value, lag_us, type_, label=source_name, batch=name_of_batch)
    if dry_run:
        with stream:
            _preview(runtime, origin, parsing.lines(stream), lines, json)
        return
    report = _ingested(runtime, origin, stream, parsing, follow=follow, stop_early=not keep_going, quiet=json)
    _show(report, json)
    is_empty = not report.read and source != "-" and not follow
    if is_empty:
        warn(f"flyball: file {source} must hold one event or more, got none: was it cut short where it was written?")
    if is_empty or (report.quarantined and not report.accepted and not report.duplicates):
        raise typer.Exit(1)


def _ingested(
    runtime: "Runtime",
    origin: "LineSource",
    stream: BinaryIO,
    parsing: "Format",
    *,
    follow: bool,
    stop_early: bool,
    quiet: bool,
) -> "IngestReport":
    """The report on ingesting all of `stream`; exit code 130 when it was interrupted."""
    from flyball.events import ingest as ingest_stream
    from flyball.operations import between_appends

    with stream, progress_line(quiet) as progress, _until_asked(follow) as stop_signals:
        try:
            return ingest_stream(
                _following(stream, stop_signals) if follow else parsing.lines(stream),
                origin,
                runtime.inlet,
                stop_early=stop_early,
                progress=lambda report: progress(f"{report.read:,} read, {report.events_per_s:,.0f}/s"),
                between=between_appends(runtime, lambda text: warn(f"flyball: {text}")),
            )
        except KeyboardInterrupt:
            warn("flyball: stopped; what was ingested stays, and the same command continues with the rest")
            raise typer.Exit(130) from None


def _ingested_topic(
    runtime: "Runtime", url: str, origin: "LineSource", start: TopicStart, **options: bool
) -> "IngestReport":
    """The report on ingesting the lines of the topic at `url`."""
    from flyball.events import ingest_stream, open_line_stream
    from flyball.operations import between_appends

    follow, quiet = options["follow"], options["quiet"]
    stream = open_line_stream(url, f"flyball.{runtime.app.name}", start.value, until_end=not follow)
    with closing(stream), progress_line(quiet) as progress, _until_asked(follow) as stop_signals:
        try:
            return ingest_stream(
                stream,
                origin,
                runtime.inlet,
                follow=follow,
                stopped=lambda seconds: _stopped(stop_signals, seconds),
                stop_early=options["stop_early"],
                progress=lambda report: progress(f"{report.read:,} read, {report.events_per_s:,.0f}/s"),
                between=between_appends(runtime, lambda text: warn(f"flyball: {text}")),
                warn=lambda text: warn(f"flyball: {text}"),
            )
        except KeyboardInterrupt:
            warn("flyball: stopped; what was ingested stays, and the same command continues with the rest")
            raise typer.Exit(130) from None


def _stopped(stop_signals: list[int], seconds: float) -> bool:
    """Whether there is a stop signal, after waiting for one."""
    watch = SystemStopwatch()
    until_s = watch.read_s() + seconds
    while not stop_signals and (left_s := until_s - watch.read_s()) > 0:
        select.select([], [], [], min(left_s, _LOOK_S))
    return bool(stop_signals)


def _format_of_topic(runtime: "Runtime", format: str | None) -> str:
    name = format or _only_format(runtime) or "jsonl"
    if name in ("csv", "parquet"):
        raise BadSetting(f"--format of a topic must be one whose lines stand alone, such as jsonl, got {name}")
    return name


def _refuse_made_up(runtime: "Runtime") -> None:
    """Raise `Refused` before real events are mixed with simulated ones: they could not be separated again."""
    layout = runtime.layout
    if any(path.exists() for path in (layout.world, layout.world_begun, layout.simulated)):
        raise Refused(
            f"home {runtime.home} must hold no simulated events to ingest a file, got one into which a simulated world "
            "wrote: choose another --home; or mix them permanently with --into-world"
        )


def _preview(runtime: "Runtime", origin: "LineSource", pieces: Iterator[bytes], lines: int, json: bool) -> None:
    from flyball.events import preview

    shown = preview(pieces, origin, runtime.app.schema, runtime.clock, lines=lines)
    if json:
        show_json(shown)
    else:
        _show_preview(shown, origin, _zone_of(runtime, origin.format))
    if not shown.accepted:  # a look at no event has shown nothing
        raise typer.Exit(1)


def _zone_of(runtime: "Runtime", format: "Format") -> tzinfo:
    """The zone in which times without one are read."""
    zone = getattr(format, "zone", None) or getattr(getattr(format, "columns", None), "zone", None)
    return zone if zone is not None else find_zone(runtime.settings.zone)


def _show_preview(shown: "Preview", origin: "LineSource", zone: tzinfo) -> None:
    say(f"read as {origin.format_name}, times without an offset in {zone}; nothing is written")
    for row in shown.rows:
        say()
        if row.reason:
            say(f"line {row.position}: to quarantine as {row.reason}: {row.detail}")
            continue
        say(f"line {row.position}: {row.type}")
        if row.at_us is not None:
            local = datetime.fromisoformat(format_timestamp(row.at_us)).astimezone(zone)
            say(f"  at = {local.isoformat(sep=' ')} ({format_timestamp(row.at_us)})")
        for name, value in row.fields.items():
            say(f"  {name} = {value!r}")
    say()
    say(f"of the first {counted_units(shown.read, 'event')}: {counted(shown.accepted) or 'none'} would be accepted")
    for reason, count in sorted(shown.quarantined.items()):
        example = shown.examples[reason]
        say(f"{count:,} would go to quarantine as {reason}, such as line {example.position}: {example.detail}")
    if shown.ignored:
        say(f"columns that no declared field uses: {listed(shown.ignored)}")
    if shown.likely:
        say(f"likely: {shown.likely}")


def _lag_us(runtime: "Runtime", lag: str, only: str | None) -> int:
    if lag != _LEARNED:
        return parse_duration(lag, "--lag")
    from flyball.history import learned_lag
    from flyball.operations import catch_up

    catch_up(runtime)
    learned = learned_lag(runtime.history, only)
    warn(f"flyball: lag {learned.p99_us / 1e6:,.2f} s, within which 99 of 100 of {learned.events:,} live events came")
    return learned.p99_us


def _opened(runtime: "Runtime", source: str, format: str | None) -> "tuple[str, Format, BinaryIO]":
    """The format's name, the format and the opened source."""
    from flyball.events import find_format

    path = Path(source)
    if source == "-":
        if sys.stdin is None:
            raise BadInput("standard input", "open", "closed")
        name = format or _only_format(runtime) or "jsonl"
        return name, find_format(name, runtime.formats), sys.stdin.buffer
    if path.is_dir():
        return "jsonl", find_format("jsonl"), io.BytesIO(_movielens(path))
    if not path.exists():
        raise BadInput("file", "readable", f"{source}: No such file or directory")
    name = format or _format_of(runtime, path)
    parsing = find_format(name, runtime.formats)
    try:
        return name, parsing, path.open("rb")
    except OSError as error:
        raise BadInput("file", "readable", f"{source}: {error.strerror}") from None


def _movielens(folder: Path) -> bytes:
    """A MovieLens folder as JSON lines in time order."""
    from flyball.history import movielens_events

    encode = msgspec.json.Encoder().encode
    events = ({"type": name, "at": at_us, **fields} for name, fields, at_us in movielens_events(folder))
    return b"".join(encode(event) + b"\n" for event in events)


def _format_of(runtime: "Runtime", path: Path) -> str:
    """The name of the format, by the file's ending, else the only further format of the application."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    name = _ENDINGS.get(suffixes[-1] if suffixes else "") or _only_format(runtime)
    if name is None:
        known = ", ".join(dict.fromkeys(["jsonl", "csv", "parquet", *runtime.formats]))
        raise BadSetting(f"the format of {path} must be named, got no known ending; add --format, one of {known}")
    return name


def _only_format(runtime: "Runtime") -> str | None:
    own = [name for name in runtime.formats if name not in _ENDINGS.values()]
    return own[0] if len(own) == 1 else None


@contextmanager
def _until_asked(follow: bool) -> Iterator[list[int]]:
    """A list that collects stop signals: with --follow, Ctrl-C ends the command normally."""
    stop_signals: list[int] = []
    if not follow:
        yield stop_signals
        return
    former = {
        number: signal.signal(number, lambda signal_number, frame: stop_signals.append(signal_number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop_signals
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _following(stream: BinaryIO, stop_signals: list[int]) -> Iterator[bytes]:
    """A growing file's bytes, or a pipe's, until a signal is in `stop_signals`; a pipe ends with its writer."""
    grows = stream.seekable()
    while not stop_signals:
        if grows:
            piece = stream.read(_PIECE)
        elif is_readable(stream.fileno(), _LOOK_S):
            piece = stream.read1(_PIECE)  # type: ignore[attr-defined]
            if not piece:
                return
        else:
            continue
        if piece:
            yield piece
        else:
            select.select([], [], [], _LOOK_S)


def _show(report: "IngestReport", json: bool) -> None:
    if json:
        show_json({**msgspec.to_builtins(report), "events_per_s": round(report.events_per_s)})
        return
    say(f"read {counted_units(report.read, 'event')} in {report.seconds:.2f} s ({report.events_per_s:,.0f}/s)")
    say(f"accepted: {counted(report.accepted) or 'none'}")
    if report.flagged:
        say(f"of these, about an entity that no catalog knows yet: {counted(report.flagged)}")
    if report.duplicates:
        say(f"duplicates: {report.duplicates:,}")
    if report.quarantined:
        say(f"in quarantine: {counted(report.quarantined)}")
    if report.erased:
        say(f"refused, about people who were erased: {report.erased:,} (kept nowhere)")
    if report.ignored:
        say(f"columns that no declared field uses: {listed(report.ignored)}")
    if report.likely:
        warn(f"flyball: {report.likely}")


class FileKind(StrEnum):
    csv = "csv"
    parquet = "parquet"


def export(
    app: AppName,
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="An event type, such as watch; predictions; or outcomes.")
    ],
    since: Annotated[str | None, typer.Option("--since", help="Only what happened at or after this time.")] = None,
    format: Annotated[
        FileKind | None, typer.Option("--format", help="csv or parquet.", show_default="by --out, or csv")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write, in a folder that exists.", show_default="WHAT.csv or WHAT.parquet"),
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Leave csv cells that a spreadsheet would run as formulas unquoted.")
    ] = False,
    home: Home = None,
    chosen: Set = None,
    json: Json = False,
) -> None:
    """Write events, predictions or outcomes to a file.

    Predictions have a row for each response, with the request, the items and what they were made from. Outcomes have a
    row for each shown item that an event followed; id is that of the response. Times are ISO 8601 UTC. In csv a text
    that begins as a formula does (= + - @) gets an apostrophe before it, so that no spreadsheet runs it; --as-is leaves
    it, for programs. Files can be read by their owner alone.
    """
    from flyball.data import ANSWERS, AppData, export_data
    from flyball.history import export as export_events
    from flyball.operations import catch_up

    runtime = open_home(app, home, chosen)
    since_us = None if since is None else parse_timestamp(since)
    kind = format or (FileKind(out.suffix[1:]) if out and out.suffix[1:] in FileKind.__members__ else FileKind.csv)
    path = out or Path(f"{what}.{kind.value}")
    exported = dict.fromkeys((*runtime.schema.types, *ANSWERS))
    if what not in exported:
        raise BadInput("what to export", f"one of {', '.join(exported)}", what)
    catch_up(runtime)
    if what in ANSWERS and what not in runtime.schema.types:
        written = export_data(AppData(runtime), what, path, kind.value, since_us, as_is)
    else:
        written = export_events(runtime.history, what, path, kind.value, since_us, as_is)
    if json:
        show_json({"rows": written.rows, "quoted": written.quoted, "file": str(path)})
    else:
        unit = what.removesuffix("s") if what in ANSWERS else f"{what} event"
        say(f"wrote {counted_units(written.rows, unit)} to {path}")
        if written.quoted:
            say(quoted_note(written.quoted))
