"""Watching the data of an application: a short-lived process looks each time a window has ended."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flyball.core import FileLock, counted_units
from flyball.events import read_worker_report
from flyball.operations.process import ChildProcess, python_argv, start_child, tail
from flyball.operations.process_specs import WATCH, ProcessSpec, log_path, report_path, run_folder
from flyball.operations.shadow import give_way
from flyball.operations.supervisor import Process
from flyball.releases import current
from flyball.runtime import Runtime

if TYPE_CHECKING:
    from flyball.monitoring import Observation, WatchRound

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
        self._every_us, self._launch, self._log = every_us, launch, log
        self._process: Process | None = None
        self._next_us: int | None = None

    def step(self, now_us: int) -> list[str]:
        """Start the process if it is due, or take in its end."""
        if self._process is not None:
            return self._ended()
        if self._next_us is None or self._next_us > now_us + self._every_us + FIRST_LOOK_US + START_AFTER_US:
            self._next_us = now_us + FIRST_LOOK_US  # the start, or the clock was set back
        if now_us >= self._next_us:
            self._next_us = (
                (now_us - START_AFTER_US) // self._every_us * self._every_us + self._every_us + START_AFTER_US
            )
            self._process = self._launch()
        return []

    def stop(self) -> None:
        """End the process, if there is one: it continues where it was at the next start."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _ended(self) -> list[str]:
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return []
        self._process.kill()
        self._process = None
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
    from flyball.monitoring import Watcher, performance_monitor, record_findings

    def record(latest: "WatchRound") -> None:
        decision = latest.decision
        record_findings(runtime, decision.findings, runtime.clock.now_us(), decision.cleared, latest.at_us)

    with FileLock(run_folder(runtime.home) / "watch.lock", "watching the data"):
        extra = [lambda since_us, until_us: _facts(runtime, until_us), performance_monitor(runtime)]
        watcher = Watcher(runtime, record, extra)
        return watcher.step(runtime.clock.now_us())


def _facts(runtime: Runtime, until_us: int) -> list["Observation"]:
    """The facts of now, for the window that ended last; those of windows before it are not known any more."""
    from flyball.monitoring import known_facts

    if runtime.clock.now_us() - until_us > START_AFTER_US + runtime.app.watch.every_us:
        return []
    report = read_worker_report(report_path(runtime.home, "worker"))
    return known_facts(runtime, list(current(runtime.registry).under_way), report)


def watch_words(latest: "WatchRound") -> str:
    """What a round changed, in a line; "" for nothing."""
    decision = latest.decision
    new = [finding for finding in decision.findings if finding.fingerprint in decision.new]
    words = [f"{finding.severity}: {finding.message}" for finding in new]
    if decision.cleared:
        words.append(f"{counted_units(len(decision.cleared), 'finding')} over")
    return "; ".join(words)
