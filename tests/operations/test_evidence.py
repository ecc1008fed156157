"""The evidence is measured again at times, is about the present champion, and brings findings and releases along."""

from pathlib import Path

import msgspec
import pytest
from tests.learning.changing import START_US, changing, filled

import flyball as fb
from flyball.core import FileLock, ManualClock, ManualStopwatch
from flyball.learning import LEARNING_LOCK, CaseLog, ErasedSince, LearningEvidence, learn
from flyball.monitoring import Finding
from flyball.operations import EvidenceWatch, Governor, MeasuredNow, RuntimeState
from flyball.operations.evidence import write_evidence
from flyball.operations.process_specs import EVIDENCE, read_report
from flyball.registry import AuditEntry, add_entry, add_versions, cases_of
from flyball.releases import case_reports, promote, rollback, waiting_cases
from flyball.runtime import Runtime, load_settings
from flyball.simulation import DAY_US, simulate

HOUR_US = DAY_US // 24
FINDING = Finding("label_share", "outcomes.delivery", START_US + 4 * DAY_US, START_US, "low", "slower", "world")


class ByHand:
    """A measurement that ends when it is set."""

    def __init__(self) -> None:
        self.evidence: LearningEvidence | None = None

    def poll(self) -> LearningEvidence | None:
        return self.evidence


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    runtime = filled(tmp_path, changing([fb.on_volume(50, look="2h"), fb.on_drift(), fb.on_erasure()]), 4)
    assert learn(runtime, START_US + 3 * DAY_US, workers=1).released
    return runtime


def test_an_erasure_from_the_snapshot_of_the_champion_opens_a_case(runtime: Runtime) -> None:
    watch, now_us = EvidenceWatch(runtime), START_US + 4 * DAY_US
    assert watch(now_us).erased is None
    snapshot = runtime.registry.version("v1").snapshot
    after = {"removed": {"events": 2}, "people": 1, "snapshots": ["another", snapshot]}
    entry = AuditEntry(at_us=now_us, by="ann", action="erase", subject="1 user", reason="", before={}, after=after)
    add_entry(runtime.registry, entry)
    assert watch(now_us + DAY_US).erased == ErasedSince(1, 1, now_us)
    cases, begun = CaseLog(runtime.registry, runtime.app.name), list[tuple[str, ...]]()

    def start(at_us: int, case_ids: tuple[str, ...]) -> MeasuredNow:
        begun.append(case_ids)
        return MeasuredNow.__new__(MeasuredNow)

    state = RuntimeState(runtime, watch)
    governor = Governor(runtime.app.retrain, state, start, cases=cases)  # type: ignore[arg-type]
    assert governor.tick(now_us + DAY_US).kind == "started"
    (case,) = [case for case in cases_of(runtime.registry) if case.id in begun[0]]
    assert (case.kind, case.trigger) == ("erasure", "fb.on_erasure()")
    assert case.cause == "v1 learned from rows that were removed since, by 1 erasure of 1 person at most"


def test_it_is_measured_at_once_and_then_every_look(runtime: Runtime) -> None:
    started: list[tuple[int, ByHand]] = []

    def measure(now_us: int) -> ByHand:
        started.append((now_us, ByHand()))
        return started[-1][1]

    watch, now_us = EvidenceWatch(runtime, measure), START_US + 4 * DAY_US
    bare = LearningEvidence("v1", START_US + 3 * DAY_US)
    assert watch(now_us) == bare
    assert watch(now_us + 3 * HOUR_US) == bare, "it still runs"
    assert [at_us for at_us, _ in started] == [now_us]
    started[0][1].evidence = LearningEvidence("v1", START_US + 3 * DAY_US, now_us, labels=7)
    assert watch(now_us + HOUR_US).labels == 7
    assert watch(now_us + 2 * HOUR_US - 1).labels == 7
    assert len(started) == 1
    watch(now_us + 2 * HOUR_US)
    assert [at_us for at_us, _ in started] == [now_us, now_us + 2 * HOUR_US]
    started[1][1].evidence = LearningEvidence("v0", 0, now_us, labels=9_999)
    assert watch(now_us + 2 * HOUR_US + 1).labels == 7, "that was about another champion"


def test_a_version_that_was_rolled_back_keeps_the_finding_from_learning_again(runtime: Runtime) -> None:
    registry, now_us = runtime.registry, START_US + 4 * DAY_US
    watch, cases = EvidenceWatch(runtime, findings=lambda: [FINDING]), CaseLog(registry, runtime.app.name)
    assert watch(now_us).undone is None
    champion = registry.version("v1")
    newer = msgspec.structs.replace(champion, id="", as_of_us=champion.as_of_us + 1, state="candidate")
    (second,) = add_versions(registry, [newer])
    actor = runtime.actor("root", "night drill", now_us)
    checks = {"artifacts": actor.artifacts, "about": actor.about, "opens": actor.opens}
    promote(registry, second.id, "better", "governor", now_us, **checks)  # type: ignore[arg-type]
    assert watch(now_us).undone is None
    rollback(registry, "night drill", "root", now_us, **checks)  # type: ignore[arg-type]
    undone = watch(now_us).undone
    assert undone is not None
    assert (undone.version, undone.by, undone.reason, undone.newer) == (second.id, "root", "night drill", True)
    governor = Governor([fb.on_drift(cooldown="1m")], RuntimeState(runtime, watch), pytest.fail, cases=cases)
    assert governor.tick(now_us + 1_000_000).kind == "waiting"
    (line,) = waiting_cases(registry)
    assert f"waits: {second.id} was rolled back by root at " in line


def test_findings_are_read_once_a_minute(runtime: Runtime) -> None:
    reads: list[int] = []

    def findings() -> list[Finding]:
        reads.append(1)
        return [FINDING]

    watch, now_us = EvidenceWatch(runtime, findings=findings), START_US + 4 * DAY_US
    for second in range(61):
        assert watch(now_us + second * 1_000_000).findings == (FINDING,)
    assert len(reads) == 2


def test_the_process_reports_what_it_measured_and_leaves_a_home_that_learns(runtime: Runtime) -> None:
    write_evidence(runtime, ManualStopwatch())
    evidence = read_report(runtime.home, EVIDENCE, LearningEvidence)
    assert evidence is not None
    assert evidence.labels is not None
    assert evidence.labels > 50
    with FileLock(runtime.home / LEARNING_LOCK, "learning"):
        write_evidence(runtime, ManualStopwatch())
    missed = read_report(runtime.home, EVIDENCE, LearningEvidence)
    assert missed is not None
    assert (missed.champion, missed.labels) == ("", None)
    assert "must be free" in missed.missing


def test_from_evidence_to_a_case_a_run_and_a_release(runtime: Runtime) -> None:
    """A day of new labels, a finding beside them: one run, two cases, and both know what came of it."""
    watch = EvidenceWatch(runtime, lambda now_us: MeasuredNow(runtime, now_us, ManualStopwatch()), lambda: [FINDING])

    class Learned:
        def __init__(self, now_us: int, case_ids: tuple[str, ...]) -> None:
            self._outcome = learn(runtime, now_us, workers=1, by="governor", cases=case_ids).reason

        def poll(self) -> str | None:
            return self._outcome

    log, now_us = CaseLog(runtime.registry, "changing"), runtime.clock.now_us()
    governor = Governor(runtime.app.retrain, RuntimeState(runtime, watch), Learned, cases=log)
    assert governor.tick(now_us).kind == "waiting", "the measurement is read at the next tick"
    manual = case_reports(runtime.registry)[0].case
    assert (manual.id, manual.kind) == ("c1", "manual")
    cooldown = "cooldown of 6h since the run that started at 2026-01-05T00:00:00Z"
    runtime.clock.move_to_us(now_us + 6 * HOUR_US)  # type: ignore[attr-defined]
    assert governor.tick(now_us + 6 * HOUR_US).kind == "started"
    assert governor.tick(now_us + 6 * HOUR_US + 1).kind == "finished"
    volume, drift = sorted(case_reports(runtime.registry)[1:], key=lambda report: report.case.kind, reverse=True)
    assert (volume.case.kind, drift.case.kind) == ("volume", "drift")
    assert {volume.case.run, drift.case.run} == {"r2"}
    assert {volume.verdict, drift.verdict} == {"promoted"}
    assert [refusal["reason"] for refusal in drift.case.refusals] == [cooldown]
    assert volume.case.expected["cost_s"] is not None
    assert all(case.status == "closed" for case in cases_of(runtime.registry))
    assert msgspec.to_builtins(volume.case)["outcome"].startswith("v2 (linear) is the champion now")


def test_a_planted_change_is_learned_in_virtual_time_and_its_case_says_so(tmp_path: Path) -> None:
    """From the second day on everything takes twenty minutes more; learning follows by its cause, not by schedule."""
    triggers = [fb.on_performance("mae", worse_by="10%", look="12h")]
    app, home = changing(triggers, change_day=4.0, slower=20.0), tmp_path / "home"
    simulate(app, days=3, home=home)
    first, second, *_ = case_reports(Runtime(app, load_settings(home), ManualClock(START_US)).registry)
    assert (first.case.kind, first.verdict, first.version) == ("first", "promoted", "v1")
    assert (second.case.kind, second.verdict) == ("performance", "promoted")
    assert second.case.trigger == 'fb.on_performance("mae", worse_by="10%", look="12h")'
    assert second.case.evidence["worse"] > 0.1 * second.case.evidence["own"]
    assert second.case.evidence["low"] > 0
