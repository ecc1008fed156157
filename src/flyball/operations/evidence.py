"""Keeps the evidence that triggers decide by: measured again at times, in a process of its own in live use."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from flyball.core import HomeBusy, Stopwatch
from flyball.learning import ErasedSince, LearningEvidence, UndoneVersion, erased_since, open_findings, undone_over
from flyball.monitoring import Finding
from flyball.operations.process import ChildProcess, python_argv, start_child, tail
from flyball.operations.process_specs import EVIDENCE, ProcessSpec, forget_report, log_path, read_report, write_report
from flyball.policy import OnErasure, OnPerformance, OnVolume
from flyball.releases import current
from flyball.runtime import Runtime

MINUTE_US = 60_000_000

OpenFindings = Callable[[], Sequence[Finding]]
"""The findings that are open now."""


class Measurement(Protocol):
    """A measurement of evidence under way."""

    def poll(self) -> LearningEvidence | None:
        """None while it runs."""
        ...


class EvidenceWatch:
    """The evidence about the present champion; `measure(now_us)` starts a measurement, None for never.

    It is measured again every `look` of the triggers, the shortest of them. Findings, by default those of the alerts
    that fire, and erasures are read once a minute.
    """

    def __init__(
        self,
        runtime: Runtime,
        measure: Callable[[int], Measurement] | None = None,
        findings: OpenFindings | None = None,
    ) -> None:
        self._runtime, self._measure = runtime, measure
        self._read_findings = findings or (lambda: open_findings(runtime.registry))
        looks = [t.look_us for t in runtime.app.retrain if isinstance(t, OnVolume | OnPerformance)]
        self._look_us = min(looks, default=None)
        self._running: Measurement | None = None
        self._measured, self._looked_us = LearningEvidence(), 0
        self._findings: tuple[Finding, ...] = ()
        self._read_us: int | None = None
        self._looks_at_erasures = any(isinstance(trigger, OnErasure) for trigger in runtime.app.retrain)
        self._erased: ErasedSince | None = None
        self._serial = -1
        self._undone: UndoneVersion | None = None

    def __call__(self, now_us: int) -> LearningEvidence:
        """What is known now; starts a measurement when one is due."""
        state = current(self._runtime.registry)
        if state.champion is None:
            return LearningEvidence()
        if state.champion != self._measured.champion:
            first = not self._measured.champion
            known_us = self._runtime.registry.version(state.champion).as_of_us
            self._measured, self._looked_us = LearningEvidence(state.champion, known_us), 0 if first else now_us
            self._read_us = None  # findings and erasures are about the champion
        self._step(now_us)
        if self._read_us is None or not 0 <= now_us - self._read_us < MINUTE_US:
            self._findings, self._read_us = tuple(self._read_findings()), now_us
            self._erased = self._erased_of(state.champion) if self._looks_at_erasures else None
        if state.serial != self._serial:
            version = self._runtime.registry.version(state.champion)
            self._serial, self._undone = state.serial, undone_over(self._runtime.registry, version)
        release = f"release {state.under_way[0].id}" if state.under_way else ""
        return msgspec.structs.replace(
            self._measured,
            findings=self._findings,
            release=release,
            erased=self._erased,
            undone=self._undone and self._with_newer(self._undone),
        )

    def _with_newer(self, undone: UndoneVersion) -> UndoneVersion:
        """With whether there are events since its snapshot."""
        newer = self._runtime.history.latest_at_us() > undone.known_us
        return msgspec.structs.replace(undone, newer=newer)

    def _erased_of(self, champion: str) -> ErasedSince | None:
        """What was erased of the champion's snapshot."""
        registry = self._runtime.registry
        return erased_since(registry).get(registry.version(champion).snapshot)

    def stop(self) -> None:
        """End a measurement that runs in a process."""
        if isinstance(self._running, EvidenceProcess):
            self._running.stop()

    def _step(self, now_us: int) -> None:
        if self._running is not None:
            measured = self._running.poll()
            if measured is None:
                return
            self._running = None
            if measured.champion == self._measured.champion and measured.at_us:
                self._measured = measured
        due = self._look_us is not None and not 0 <= now_us - self._looked_us < self._look_us
        if self._measure is not None and due:
            self._looked_us, self._running = now_us, self._measure(now_us)


class MeasuredNow:
    """A measurement in this process, for virtual time."""

    def __init__(self, runtime: Runtime, now_us: int, stopwatch: Stopwatch) -> None:
        from flyball.learning import measure_evidence  # it loads polars

        self._evidence = measure_evidence(runtime, now_us, stopwatch)

    def poll(self) -> LearningEvidence | None:
        return self._evidence


class EvidenceProcess:
    """A measurement in a process of its own, so that the governor stays small and responsive."""

    def __init__(self, process: ChildProcess, spec: ProcessSpec) -> None:
        self._process, self._spec = process, spec

    def poll(self) -> LearningEvidence | None:
        code = self._process.poll()
        if code is None:
            return None
        self._process.kill()
        evidence = read_report(self._spec.settings.folder, EVIDENCE, LearningEvidence) if code == 0 else None
        if evidence is None:
            return LearningEvidence(missing=tail(log_path(self._spec.settings.folder, EVIDENCE)))
        return evidence

    def stop(self) -> None:
        self._process.kill()


def start_evidence(spec: ProcessSpec) -> EvidenceProcess:
    """Start a measurement in a process of its own."""
    forget_report(spec.settings.folder, EVIDENCE)
    evidence_spec = msgspec.structs.replace(spec, name=EVIDENCE, channel=-1)
    argv = python_argv("flyball.operations.child", EVIDENCE)
    log = log_path(spec.settings.folder, EVIDENCE)
    return EvidenceProcess(start_child(argv, msgspec.json.encode(evidence_spec), log), evidence_spec)


def write_evidence(runtime: Runtime, stopwatch: Stopwatch) -> None:
    """Measure once and report it; a home in which a run learns is left for the next time."""
    from flyball.learning import measure_evidence  # it loads polars

    try:
        evidence = measure_evidence(runtime, runtime.clock.now_us(), stopwatch)
    except HomeBusy as error:
        evidence = LearningEvidence(missing=str(error))
    write_report(runtime.home, EVIDENCE, evidence)
