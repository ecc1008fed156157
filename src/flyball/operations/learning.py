"""The governor at work: what it looks at, and learning in a process of its own."""

import threading
from typing import TYPE_CHECKING

import msgspec

from flyball.core import SystemStopwatch
from flyball.operations.governor import Governor, GovernorDecision
from flyball.operations.process import ChildProcess, python_argv, start_child, tail
from flyball.operations.process_specs import LEARN, GovernorReport, ProcessSpec, log_path, write_report
from flyball.releases import current
from flyball.runtime import Runtime

if TYPE_CHECKING:
    from flyball.learning import LearnReport

TICK_S = 0.5
_OUTCOME = "outcome: "


class RuntimeState:
    """What the governor looks at, read from the stores."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def champion(self) -> str | None:
        return current(self._runtime.registry).champion

    def last_attempt_us(self) -> int | None:
        runs = self._runtime.registry.runs()
        return runs[-1].started_us if runs else None

    def events(self) -> int:
        return sum(self._runtime.log.ends())


class LearningProcess:
    """`learn` in a subprocess, so that the governor stays small and quick."""

    def __init__(self, process: ChildProcess, spec: ProcessSpec) -> None:
        self._process, self._spec = process, spec

    def poll(self) -> str | None:
        code = self._process.poll()
        if code is None:
            return None
        self._process.kill()
        last = tail(log_path(self._spec.settings.folder, self._spec.name))
        if code == 0 and last.startswith(_OUTCOME):
            return last.removeprefix(_OUTCOME)
        return f"learning ended with code {code}: {last}"

    def stop(self) -> None:
        self._process.kill()


def start_learning(spec: ProcessSpec) -> LearningProcess:
    """Begin to learn in a subprocess."""
    learn_spec = msgspec.structs.replace(spec, name=LEARN, channel=-1)
    argv = python_argv("flyball.operations.child", "learn")
    log = log_path(spec.settings.folder, learn_spec.name)
    return LearningProcess(start_child(argv, msgspec.json.encode(learn_spec), log), learn_spec)


def govern(runtime: Runtime, spec: ProcessSpec, stop: threading.Event) -> None:
    """The loop around the governor's ticks."""
    governor = Governor(
        runtime.app.retrain, RuntimeState(runtime), lambda now_us: start_learning(spec), stopwatch=SystemStopwatch()
    )
    serial, message = 0, ""
    try:
        while not stop.is_set():
            now_us = runtime.clock.now_us()
            decision = governor.tick(now_us)
            if decision.kind in ("started", "finished"):
                serial, message = serial + 1, _words(decision)
            doing = "learning" if governor.job is not None else "waiting"
            write_report(runtime.home, "governor", GovernorReport(now_us, doing, decision.next_us, serial, message))
            stop.wait(TICK_S)
    finally:
        if isinstance(governor.job, LearningProcess):
            governor.job.stop()


def _words(decision: GovernorDecision) -> str:
    return f"learning starts ({decision.words})" if decision.kind == "started" else decision.words


def learn_once(runtime: Runtime) -> None:
    """Learn now; the last line of output says what came out."""
    from flyball.learning import learn

    report = learn(runtime, progress=lambda progress: print(progress, flush=True), by="governor")
    print(_OUTCOME + learn_words(report), flush=True)


def learn_words(report: "LearnReport") -> str:
    """What a run of learning came to, in one line."""
    if report.status == "too_little_data":
        return f"too little data: {report.reason}"
    return f"learned in {report.seconds:.1f} s: {report.reason}"
