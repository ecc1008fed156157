"""`flyball findings ...`: what monitors hold to be wrong, and what they would have held to be wrong before."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flyball.cli.common import AppName, Home, Json, now_in, open_home
from flyball.cli.sections import group
from flyball.cli.show import say, show_json, show_table
from flyball.core import BadInput, counted_units, format_duration, format_second, parse_timestamp

if TYPE_CHECKING:
    from flyball.monitoring import Finding, WatchRound

commands = group("What monitors hold to be wrong now, and a look at past windows: list, look.")


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="findings")


@commands.command("list")
def list_(app: AppName, home: Home = None, json: Json = False) -> None:
    """List the findings that hold, the urgent first.

    A finding is what monitors see in the data, the answers and the consumers of an application. It becomes an incident,
    see flyball incidents.
    """
    from flyball.monitoring import read_state, watch_folder

    runtime = open_home(app, home)
    state = read_state(watch_folder(runtime))
    findings = sorted(state.findings, key=lambda finding: (finding.severity != "high", finding.since_us))
    if json:
        show_json({"looked_until_us": state.until_us, "monitors": len(state.monitors), "findings": findings})
        return
    if state.until_us is None:
        say("Not looked at yet: flyball up looks each time a window has ended, flyball findings look does so now.")
        return
    behind = format_duration(max(0, now_in(runtime) - state.until_us) // 60_000_000 * 60_000_000)
    monitors = counted_units(len(state.monitors), "monitor")
    say(f"{monitors}, the last look at {format_second(state.until_us)}, {behind} ago")
    _show(findings)


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
    json: Json = False,
) -> None:
    """Look at the windows that ended since the last look.

    With --since it looks at windows of the past as if it were then, and shows what would have been found; the incidents
    and the state of monitors stay as they are.
    """
    from flyball.operations import catch_up, look_and_record

    runtime = open_home(app, home)
    if until is not None and since is None:
        raise BadInput("--until", "given together with --since", until)
    catch_up(runtime)
    if since is None:
        rounds = look_and_record(runtime)
    else:
        from flyball.monitoring import SETTLE_US, Watcher, performance_monitor

        with tempfile.TemporaryDirectory(prefix="flyball-look-") as folder:
            watcher = Watcher(runtime, lambda latest: None, [performance_monitor(runtime)], Path(folder))
            end_us = now_in(runtime) if until is None else parse_timestamp(until) + SETTLE_US
            rounds = watcher.step(end_us, parse_timestamp(since))
    if json:
        show_json(_plain(rounds))
        return
    say(f"looked at {counted_units(len(rounds), 'window')}{_period(rounds)}")
    _show([finding for latest in rounds for finding in _new(latest)])


def _new(latest: "WatchRound") -> list["Finding"]:
    return [finding for finding in latest.decision.findings if finding.fingerprint in latest.decision.new]


def _period(rounds: list["WatchRound"]) -> str:
    return f", the last one until {format_second(rounds[-1].at_us)}" if rounds else ""


def _show(findings: list["Finding"]) -> None:
    if not findings:
        say("no findings")
        return
    rows = [
        [
            format_second(finding.at_us),
            format_second(finding.since_us),
            finding.severity,
            finding.origin,
            finding.message,
        ]
        for finding in findings
    ]
    show_table(["seen", "since", "severity", "origin", "what"], rows, optional=["origin"])


def _plain(rounds: list["WatchRound"]) -> list[dict[str, Any]]:
    return [
        {"at_us": latest.at_us, "looked": latest.looked, "new": _new(latest), "cleared": latest.decision.cleared}
        for latest in rounds
    ]
