"""Watching the data of an application: a short-lived process looks each time a window has ended."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flyball.core import FileLock, NotFound, counted_units
from flyball.events import read_worker_report
from flyball.operations.process import ChildProcess, python_argv, start_child, tail
from flyball.operations.process_specs import WATCH, ProcessSpec, alive, log_path, report_path, run_folder
from flyball.operations.shadow import give_way
from flyball.operations.single_process import SingleProcess
from flyball.operations.supervisor import Process
from flyball.releases import current
from flyball.runtime import Runtime

if TYPE_CHECKING:
    from flyball.monitoring import AcceptedShift, ExtraMonitor, Observation, WatchRound

FIRST_LOOK_US = 120_000_000
"""How long after the start of a service the first look begins; what a new service does first matters more."""
START_AFTER_US = 150_000_000
"""How long after the end of a window the process starts that looks at it; longer than windows take to settle."""
_FOUND = "found: "


class WatchSchedule:
    """Starts `launch` when a window of `every_us` has ended, one at a time; returns a line when there is news.

    The process prints its news in a last line that begins with "found: ".
    """

    def __init__(self, every_us: int, launch: Callable[[], Process], log: Path) -> None:
        self._every_us, self._look, self._log = every_us, SingleProcess(launch), log
        self._next_us: int | None = None

    def step(self, now_us: int) -> list[str]:
        """Start the process if it is due, or take in its end."""
        if (code := self._look.ended()) is not None:
            return self._news(code)
        if self._look.process is not None:
            return []
        if self._next_us is None or self._next_us > now_us + self._every_us + FIRST_LOOK_US + START_AFTER_US:
            self._next_us = now_us + FIRST_LOOK_US  # the start, or the clock was set back
        if now_us >= self._next_us:
            self._next_us = (
                (now_us - START_AFTER_US) // self._every_us * self._every_us + self._every_us + START_AFTER_US
            )
            self._look.start()
        return []

    def stop(self) -> None:
        """End the process, if there is one: it continues where it was at the next start."""
        self._look.kill()

    def _news(self, code: int) -> list[str]:
        last = tail(self._log)
        if code != 0:
            return [f"watching the data failed: {last or f'code {code}'}"]
        return [last.removeprefix(_FOUND)] if last.startswith(_FOUND) else []


def start_watching(spec: ProcessSpec) -> ChildProcess:
    """Start the process that looks at the windows that ended."""
    watch = msgspec.structs.replace(spec, name=WATCH, channel=-1)
    log = log_path(spec.settings.folder, WATCH)
    return start_child(python_argv("flyball.operations.child", WATCH), msgspec.json.encode(watch), log)


def watch_once(runtime: Runtime) -> None:
    """Look at the windows that ended, after everything else that wants the processor; the last line is the news."""
    give_way()
    news = [line for line in map(watch_words, look_and_record(runtime)) if line]
    print(_FOUND + "; ".join(news) if news else "nothing new", flush=True)


def look_and_record(runtime: Runtime) -> list["WatchRound"]:
    """Look at the windows that ended, and record findings, which become incidents.

    Raises `HomeBusy` while another process does.
    """
    from flyball.monitoring import Watcher, record_findings

    def record(latest: "WatchRound") -> None:
        decision = latest.decision
        record_findings(runtime, decision.findings, runtime.clock.now_us(), decision.cleared, latest.at_us)

    with FileLock(run_folder(runtime.home) / "watch.lock", "watching the data"):

        def facts(since_us: int, until_us: int, suspects: object) -> list["Observation"]:
            return _facts(runtime, until_us)

        watcher = Watcher(runtime, record, [facts, *watch_monitors(runtime)])
        return watcher.step(runtime.clock.now_us())


def watch_monitors(runtime: Runtime) -> list["ExtraMonitor"]:
    """The monitors that look at an application besides those of its data: askers, performance, exposure, groups and
    suspects."""
    from flyball.monitoring import (
        asker_monitor,
        exposure_monitor,
        fairness_monitor,
        performance_monitor,
        suspects_monitor,
    )

    monitors = (asker_monitor, performance_monitor, exposure_monitor, fairness_monitor, suspects_monitor)
    return [make(runtime) for make in monitors]


def accept_finding(runtime: Runtime, id: str, by: str, reason: str, even_own: bool = False) -> "AcceptedShift":
    """Accept a finding that holds as a lasting shift: its monitor compares with what came since it, and it is over.

    Raises `NotFound` for another id than that of a finding that holds, `Refused` for one that cannot be accepted, as a
    fault of our own without `even_own`, and `HomeBusy` while another process looks.
    """
    from flyball.monitoring import note_accepted, read_state, record_findings, watch_folder, write_state

    with FileLock(run_folder(runtime.home) / "watch.lock", "watching the data"):
        state = read_state(watch_folder(runtime))
        holding = {finding.fingerprint: finding for finding in state.findings}
        if id not in holding:
            raise NotFound("finding", id, tuple(holding), "flyball findings list shows what holds")
        now_us = runtime.clock.now_us()
        accepted = note_accepted(runtime.registry, holding.pop(id), by, reason, now_us, even_own)
        monitors = {key: known for key, known in state.monitors.items() if key != id}
        kept = msgspec.structs.replace(state, monitors=monitors, findings=tuple(holding.values()))
        write_state(watch_folder(runtime), kept)
        record_findings(runtime, (), now_us, [id])
    return accepted


def _facts(runtime: Runtime, until_us: int) -> list["Observation"]:
    """The facts of now, for the window that ended last; those of windows before it are not known any more."""
    from flyball.monitoring import known_facts, read_serving_reports

    if runtime.clock.now_us() - until_us > START_AFTER_US + runtime.app.watch.every_us:
        return []
    report = read_worker_report(report_path(runtime.home, "worker"))
    serving = [known for known in read_serving_reports(run_folder(runtime.home)) if alive(known.pid)]
    return known_facts(runtime, list(current(runtime.registry).under_way), report, serving)


def watch_words(latest: "WatchRound") -> str:
    """What a round changed, in a line; "" for nothing."""
    decision = latest.decision
    new = [finding for finding in decision.findings if finding.fingerprint in decision.new]
    words = [f"{finding.severity}: {finding.message}" for finding in new]
    if decision.cleared:
        words.append(f"{counted_units(len(decision.cleared), 'finding')} over")
    return "; ".join(words)
