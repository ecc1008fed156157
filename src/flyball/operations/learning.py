"""Runs the governor: reads the state for its decisions, and runs learning in a subprocess."""

import logging
import threading
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec

from flyball.core import FlyballError, LeaseLost, StoreUnavailable, SystemStopwatch
from flyball.learning import CaseLog, LearningEvidence
from flyball.operations.evidence import EvidenceWatch, start_evidence
from flyball.operations.governor import Governor, GovernorDecision
from flyball.operations.incidents import Delivery, IncidentControl
from flyball.operations.leadership import GOVERNOR, LeaseRenewer, WhileHeld, keeping, write_with
from flyball.operations.machine import is_shared
from flyball.operations.process import ChildProcess, python_argv, start_child, tail
from flyball.operations.process_specs import LEARN, WATCH, GovernorReport, ProcessSpec, log_path, write_report
from flyball.operations.removal_pause import is_removing
from flyball.operations.retention import RetentionSchedule, retention_every_us, start_retention
from flyball.operations.shadow import ShadowProcess, start_shadow
from flyball.operations.watching import WatchSchedule, start_watching
from flyball.releases import Controller, current
from flyball.runtime import Runtime

if TYPE_CHECKING:
    from flyball.learning import LearnReport

TICK_S = 0.5
_CONTROL_TICKS = 2
"""The number of ticks between two checks of the releases."""
_OUTCOME = "outcome: "
_AWAY_S = 1.0
"""How long to wait before another try while the registry is away."""


class RuntimeState:
    """The state that the governor's decisions depend on, read from the stores."""

    def __init__(self, runtime: Runtime, watch: EvidenceWatch | None = None) -> None:
        self._runtime, self._watch = runtime, watch or EvidenceWatch(runtime)

    def champion(self) -> str | None:
        return current(self._runtime.registry).champion

    def last_attempt_us(self) -> int | None:
        runs = self._runtime.registry.runs()
        return runs[-1].started_us if runs else None

    def events(self) -> int:
        return sum(self._runtime.log.ends())

    def evidence(self, now_us: int) -> LearningEvidence:
        return self._watch(now_us)


class LearningProcess:
    """`learn` in a subprocess, so that the governor stays small and responsive."""

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


def start_learning(spec: ProcessSpec, cases: tuple[str, ...] = ()) -> LearningProcess:
    """Start learning in a subprocess, for these cases."""
    learn_spec = msgspec.structs.replace(spec, name=LEARN, channel=-1, cases=cases)
    argv = python_argv("flyball.operations.child", "learn")
    log = log_path(spec.settings.folder, learn_spec.name)
    return LearningProcess(start_child(argv, msgspec.json.encode(learn_spec), log), learn_spec)


def lead(runtime: Runtime, spec: ProcessSpec, stop: threading.Event) -> None:
    """Govern while this machine leads, and stand by while another does or the registry is away, until `stop`."""
    renewer = LeaseRenewer(runtime, GOVERNOR) if is_shared(runtime.settings, "registry") else None
    every_us = retention_every_us(runtime.app.retention)
    retention = RetentionSchedule(runtime.layout, every_us, lambda: start_retention(spec))
    try:
        with keeping([] if renewer is None else [renewer]):
            _lead(runtime, spec, stop, renewer, retention)
    finally:
        retention.stop()


def _lead(
    runtime: Runtime,
    spec: ProcessSpec,
    stop: threading.Event,
    renewer: LeaseRenewer | None,
    retention: RetentionSchedule,
) -> None:
    serial = 0
    while not stop.is_set():
        lease = None if renewer is None else renewer.lease
        message = "" if lease is None else f"leads with token {lease.token}"
        try:
            if is_removing(runtime.layout):
                news = retention.step(runtime.clock.now_us())
                serial += bool(news)
                _stand_by(runtime, serial, "; ".join(news) or "waits for a removal to end")
            elif renewer is None or lease is not None:
                write_with(runtime, lease)
                govern(
                    runtime,
                    msgspec.structs.replace(spec, lease=lease),
                    WhileHeld(stop, renewer, partial(is_removing, runtime.layout)),
                    retention,
                    message,
                )
            else:
                _stand_by(runtime, serial, "another machine leads, or the registry is away: standing by")
        except (LeaseLost, StoreUnavailable) as error:
            if renewer is not None and isinstance(error, LeaseLost):
                renewer.lose()
            serial += 1
            logging.getLogger("flyball.governor").warning("waits: %s", error)
            _stand_by(runtime, serial, f"waits: {error}")
            stop.wait(_AWAY_S)
        stop.wait(TICK_S)


def _stand_by(runtime: Runtime, serial: int, message: str) -> None:
    write_report(runtime.home, "governor", GovernorReport(runtime.clock.now_us(), "waiting", None, serial, message))


def govern(
    runtime: Runtime, spec: ProcessSpec, stop: WhileHeld, retention: RetentionSchedule, message: str = ""
) -> None:
    """Run the governor's ticks until `stop` is set. `message`: what is reported first."""
    watch = EvidenceWatch(runtime, lambda now_us: start_evidence(spec))
    cases = CaseLog(runtime.registry, runtime.app.name)
    cases.recover(runtime.clock.now_us())
    governor = Governor(
        runtime.app.retrain,
        RuntimeState(runtime, watch),
        lambda now_us, case_ids: start_learning(spec, case_ids),
        stopwatch=SystemStopwatch(),
        cases=cases,
    )
    serial, ticks = int(bool(message)), 0
    releases = ReleaseControl(runtime)
    incidents, delivery = IncidentControl(runtime), Delivery(runtime)
    shadow = ShadowProcess(runtime, lambda: start_shadow(spec), SystemStopwatch())
    watching = WatchSchedule(
        runtime.app.watch.every_us, lambda: start_watching(spec), log_path(spec.settings.folder, WATCH)
    )
    delivery.start()
    try:
        while not stop.is_set():
            now_us = runtime.clock.now_us()
            decision = governor.tick(now_us)
            news = [_words(decision)] if decision.kind in ("started", "finished") else []
            if ticks % _CONTROL_TICKS == 0:
                news += [*releases.step(now_us), *shadow.step(now_us), *incidents.step(now_us), *delivery.news()]
                news += [*watching.step(now_us), *retention.step(now_us, governor.job is not None)]
            ticks += 1
            if news:
                serial, message = serial + 1, "; ".join(news)
            doing = "learning" if governor.job is not None else "waiting"
            write_report(runtime.home, "governor", GovernorReport(now_us, doing, decision.next_us, serial, message))
            stop.wait(TICK_S)
    finally:
        if isinstance(governor.job, LearningProcess):
            governor.job.stop()
        watch.stop()
        shadow.stop()
        watching.stop()
        delivery.stop()


class ReleaseControl:
    """Runs the release controller of a home; returns a line for each change, and for each new reason why it cannot
    run."""

    def __init__(self, runtime: Runtime, by: str = "governor") -> None:
        self._runtime, self._by, self._trouble = runtime, by, ""

    @cached_property
    def _controller(self) -> Controller:
        # these import polars, which is needed only during a release
        from flyball.operations.bandit_rewards import BanditRewards
        from flyball.operations.release_metrics import ReleaseMetrics

        runtime = self._runtime
        return Controller(
            runtime.registry,
            runtime.exposure_counter,
            lambda now_us, reason: runtime.actor(self._by, reason, now_us),
            ReleaseMetrics(runtime, runtime.known_metrics),
            runtime.shadow_counter,
            BanditRewards(runtime, runtime.known_metrics),
        )

    def step(self, now_us: int) -> list[str]:
        """Check every release once."""
        try:
            changes = self._controller.step(now_us)
        except FlyballError as error:  # a store is unavailable: the next step tries again
            trouble, self._trouble = self._trouble, str(error)
            return [] if trouble == self._trouble else [f"releases could not be checked: {error}"]
        self._trouble = ""
        return [change.message for change in changes]


def _words(decision: GovernorDecision) -> str:
    return f"learning starts ({decision.words})" if decision.kind == "started" else decision.words


def learn_once(runtime: Runtime, cases: Sequence[str] = ()) -> None:
    """Learn now, for these cases; the last line of output is the result."""
    from flyball.learning import learn

    report = learn(runtime, progress=lambda progress: print(progress, flush=True), by="governor", cases=cases)
    print(_OUTCOME + learn_words(report), flush=True)


def learn_words(report: "LearnReport") -> str:
    """The result of a run of learning, in one line."""
    if report.status == "too_little_data":
        return f"too little data: {report.reason}"
    return f"learned in {report.seconds:.1f} s: {report.reason}"
