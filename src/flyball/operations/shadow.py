"""The process of shadows: there while a shadow is under release, last in priority, ended when it is held too long."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from flyball.core import Backoff, Counters, Elapsed, FlyballError, Stopwatch, SystemStopwatch
from flyball.operations.process import ChildProcess, python_argv, start_child, tail
from flyball.operations.process_specs import SHADOW, ProcessSpec, log_path, run_folder
from flyball.operations.single_process import SingleProcess
from flyball.operations.supervisor import Process
from flyball.releases import current, versions_in_shadow
from flyball.runtime import Runtime
from flyball.serving import ShadowRunner

IDLE_S = 0.1
_STOP_S, _STOP_TICK_S = 2.0, 0.02
QUEUED = 32
"""Requests waiting in the serving processes from which on a shadow takes up none: one whole batch of theirs."""
_PRESSURE_S = 0.05
_WORK_BYTES = 200
_OOM_FIRST = 1_000


def follow_shadows(runtime: Runtime, stop: threading.Event) -> None:
    """The loop around the steps of the shadow."""
    give_way()
    watch = SystemStopwatch()
    guard = FileGuard(guard_path(runtime.home))
    runner = ShadowRunner(runtime, runtime.clock, watch, guard, ServingPressure(runtime.counters_folder, watch))
    while not stop.is_set():
        step = runner.step()
        stop.wait(max(step.rest_s, 0.0 if step.looked else IDLE_S))


def give_way() -> None:
    """Let every other process come first: the processor only when nobody wants it, memory the first to be taken."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)
    choice = Path("/proc/self/oom_score_adj")
    if choice.exists():
        choice.write_text(str(_OOM_FIRST))


def guard_path(home: Path) -> Path:
    """Where the process of shadows notes what it is doing."""
    return run_folder(home) / "shadow.doing"


class FileGuard:
    """What this process is doing, in a file that outlives it; an alarm of the system ends it when that takes too long.

    The alarm needs no thread of Python: it ends a process that is held inside a library, too. Not made durable: when
    the machine goes down, nobody is at fault.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._unfinished = os.pread(self._descriptor, _WORK_BYTES, 0).rstrip(b" \0").decode(errors="replace")

    def unfinished(self) -> str:
        return self._unfinished

    def begin(self, work: str, within_s: float) -> None:
        self._write(work)
        signal.setitimer(signal.ITIMER_REAL, within_s)

    def end(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        self._write("")

    def _write(self, work: str) -> None:
        os.pwrite(self._descriptor, work.encode()[:_WORK_BYTES].ljust(_WORK_BYTES), 0)


class ServingPressure:
    """Whether served answers wait: a batch of requests or more, or some came late since the last look."""

    def __init__(self, counters: Path, stopwatch: Stopwatch) -> None:
        self._counters, self._stopwatch = counters, stopwatch
        self._looked_s, self._pressed = float("-inf"), False
        self._late: int | None = None

    def __call__(self) -> bool:
        now_s = self._stopwatch.read_s()
        if now_s - self._looked_s >= _PRESSURE_S:
            self._looked_s, self._pressed = now_s, self._look()
        return self._pressed

    def _look(self) -> bool:
        living = Counters.living(self._counters)
        counts = [counts for process, counts in Counters.per_process(self._counters).items() if process in living]
        late = sum(count.get(f"failures|{kind}", 0) for count in counts for kind in ("late", "overload"))
        before, self._late = self._late, late
        return (before is not None and late > before) or sum(count.get("gauge|queue", 0) for count in counts) >= QUEUED


def start_shadow(spec: ProcessSpec) -> ChildProcess:
    """Start the process of shadows."""
    shadow = msgspec.structs.replace(spec, name=SHADOW, channel=-1)
    log = log_path(spec.settings.folder, SHADOW)
    return start_child(python_argv("flyball.operations.child", SHADOW), msgspec.json.encode(shadow), log)


class ShadowProcess:
    """Keeps the process of shadows running while there is one under release; `launch` starts it.

    Pauses after a crash are measured by `stopwatch`, see `Elapsed`.
    """

    def __init__(self, runtime: Runtime, launch: Callable[[], Process], stopwatch: Stopwatch | None = None) -> None:
        self._runtime, self._shadow, self._elapsed = runtime, SingleProcess(launch), Elapsed(stopwatch)
        self._backoff, self._start_us = Backoff(), 0

    def step(self, now_us: int) -> list[str]:
        """Start, start again or stop it; what a person may want to know, in a line each."""
        passed_us = self._elapsed.us(now_us)
        lines = []
        if (code := self._shadow.ended()) is not None:
            pause_us = self._backoff.next_us(passed_us)
            self._start_us = passed_us + pause_us
            last = tail(log_path(self._runtime.home, SHADOW))
            lines.append(f"shadow {_end_words(code)}{f' ({last})' if last else ''}; again in {pause_us / 1e6:g} s")
        try:
            needed = bool(versions_in_shadow(current(self._runtime.registry)))
        except FlyballError:  # a registry that is away: what runs goes on
            return lines
        if needed and self._shadow.process is None and passed_us >= self._start_us:
            self._shadow.start()
        elif not needed and self._shadow.process is not None:
            self.stop()
        return lines

    def stop(self) -> None:
        """End it; what it was doing then is nobody's fault."""
        process = self._shadow.process
        if process is None:
            return
        process.terminate()
        waited = threading.Event()
        for _ in range(int(_STOP_S / _STOP_TICK_S)):
            if process.poll() is not None or waited.wait(_STOP_TICK_S):
                break
        self._shadow.kill()
        with suppress(FileNotFoundError):
            guard_path(self._runtime.home).unlink()


def _end_words(code: int) -> str:
    if code == -signal.SIGALRM:
        return "was held too long and ended"
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
