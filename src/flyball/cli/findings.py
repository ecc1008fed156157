"""`flyball findings ...`: what monitors hold to be wrong, and what they would have held to be wrong before."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from flyball.cli.common import AppName, By, Home, Json, Wide, now_in, open_home
from flyball.cli.sections import group
from flyball.cli.show import progress_line, say, show_json, show_table
from flyball.core import BadInput, counted_units, format_duration, format_second, parse_timestamp

if TYPE_CHECKING:
    from flyball.monitoring import Finding, WatchRound

commands = group("What monitors hold to be wrong now, and a look at past windows: list, look, accept.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="findings")


@commands.command("list")
def list_(app: AppName, home: Home = None, wide: Wide = False, json: Json = False) -> None:
    """List the findings that hold, the urgent first.

    A finding is what monitors see in the data, the answers and the consumers of an application. It becomes an incident,
    see flyball incidents.
    """
    from flyball.monitoring import accepted_shifts, read_state, watch_folder

    runtime = open_home(app, home)
    state, accepted = read_state(watch_folder(runtime)), accepted_shifts(runtime.registry)
    findings = sorted(state.findings, key=lambda finding: (finding.severity != "high", finding.since_us))
    if json:
        named = [{"id": finding.fingerprint, **msgspec.structs.asdict(finding)} for finding in findings]
        looked = {"looked_until_us": state.until_us if state.monitors else None, "monitors": len(state.monitors)}
        show_json({**looked, "findings": named, "accepted": accepted})
        return
    if state.until_us is None:
        say("Not looked at yet: flyball up looks each time a window has ended, flyball findings look does so now.")
        return
    if not state.monitors:
        say(_starts(state.until_us))
        return
    behind = format_duration(max(0, now_in(runtime) - state.until_us) // 60_000_000 * 60_000_000)
    monitors = counted_units(len(state.monitors), "monitor")
    say(f"{monitors}, the last look at {format_second(state.until_us)}, {behind} ago")
    _show(findings, wide)
    for shift in accepted:
        since = format_second(shift.since_us)
        say(f"accepted: {shift.monitor} of {shift.subject} since {since}, by {shift.by}: {shift.reason} ({shift.id})")


@commands.command()
def accept(
    app: AppName,
    finding: Annotated[str, typer.Argument(metavar="ID", help="Of the finding; see flyball findings list.")],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why the new values are right, for the audit trail.")] = "",
    even_own: Annotated[
        bool, typer.Option("--even-own", help="Accept a fault of our own, too, as of a source that is gone for good.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Compare with all of the past again.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Accept a shift that lasts: its monitor compares with what came since the shift, and the finding is over.

    Until seven windows since the shift are known, the column, table or label is not looked at. flyball findings list
    shows what is accepted.
    """
    from flyball.monitoring import note_undone
    from flyball.operations import accept_finding

    runtime = open_home(app, home)
    if undo:
        shift = note_undone(runtime.registry, finding, by, reason, now_in(runtime))
    else:
        shift = accept_finding(runtime, finding, by, reason, even_own)
    if json:
        show_json(shift)
        return
    usual = "all of the past" if undo else f"what came since {format_second(shift.since_us)}"
    say(f"{shift.monitor} of {shift.subject} is compared with {usual}")


@commands.command()
def look(
    app: AppName,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", help="Look at all windows from this time on, and change nothing.", show_default="new ones"
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="With --since: at those that ended by then.", show_default="now")
    ] = None,
    home: Home = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Look at the windows that ended since the last look.

    With --since it looks at windows of the past as if it were then, and shows what would have been found; the incidents
    and the state of monitors stay as they are.
    """
    from flyball.monitoring import read_state, watch_folder
    from flyball.operations import catch_up, look_and_record

    runtime = open_home(app, home)
    if until is not None and since is None:
        raise BadInput("--until", "given together with --since", until)
    now_us = now_in(runtime)
    if until is not None and parse_timestamp(until) > now_us:
        raise BadInput("--until", f"now, {format_second(now_us)}, or before: no window of the future has ended", until)
    catch_up(runtime)
    if since is None:
        rounds = look_and_record(runtime)
    else:
        from flyball.monitoring import (
            SETTLE_US,
            Watcher,
            asker_monitor,
            exposure_monitor,
            fairness_monitor,
            performance_monitor,
        )

        with tempfile.TemporaryDirectory(prefix="flyball-look-") as folder:
            makers = (asker_monitor, performance_monitor, exposure_monitor, fairness_monitor)
            monitors = [make(runtime) for make in makers]
            end_us = now_us if until is None else parse_timestamp(until) + SETTLE_US
            with progress_line(json) as progress:

                def looked(latest: "WatchRound") -> None:
                    progress(f"looked until {format_second(latest.at_us)}: {latest.looked} observations")

                progress("taking the profiles of the weeks before, of which the first look needs most")
                watcher = Watcher(runtime, looked, monitors, Path(folder))
                rounds = watcher.step(end_us, parse_timestamp(since))
        if not rounds:
            window = format_duration(runtime.app.watch.every_us)
            ended = f"ended by {until or 'now'}"
            raise BadInput("--since", f"before a window of {window} that {ended}, at a multiple of {window}", since)
    if json:
        show_json(_plain(rounds))
        return
    if not rounds and (begun := read_state(watch_folder(runtime))).until_us is not None and not begun.monitors:
        say(_starts(begun.until_us))
        return
    say(f"looked at {counted_units(len(rounds), 'window')}{_period(rounds)}")
    if rounds and not any(latest.looked > _ALWAYS for latest in rounds):
        say("nothing was compared: a week of events before a window must be known, look at later ones")
        return
    new = [finding for latest in rounds for finding in _new(latest)]
    holding = read_state(watch_folder(runtime)).findings if since is None else ()
    if holding and not new:
        say(f"no new findings; {counted_units(len(holding), 'finding')} of before: flyball findings list")
        return
    _show(new, wide)


def _starts(until_us: int) -> str:
    """What is said before the first window."""
    since = format_second(until_us)
    return f"watching starts at {since}, and no window has ended since; flyball findings look --since looks at the past"


_ALWAYS = 1
"""The number of observations that need no earlier events: that of the quarantine."""


def _new(latest: "WatchRound") -> list["Finding"]:
    return [finding for finding in latest.decision.findings if finding.fingerprint in latest.decision.new]


def _period(rounds: list["WatchRound"]) -> str:
    return f", the last one until {format_second(rounds[-1].at_us)}" if rounds else ""


def _show(findings: list["Finding"], wide: bool) -> None:
    if not findings:
        say("no findings")
        return
    rows = [
        [
            format_second(finding.at_us),
            format_second(finding.since_us),
            finding.severity,
            finding.origin,
            finding.fingerprint,
            finding.message,
        ]
        for finding in findings
    ]
    show_table(["seen", "since", "severity", "origin", "id", "what"], rows, optional=["origin"], wide=wide)
    for words in dict.fromkeys(finding.evidence.get("expected_loss", "") for finding in findings):
        if words:
            say(f"expected loss: {words}")


def _plain(rounds: list["WatchRound"]) -> list[dict[str, Any]]:
    return [
        {"at_us": latest.at_us, "looked": latest.looked, "new": _new(latest), "cleared": latest.decision.cleared}
        for latest in rounds
    ]
