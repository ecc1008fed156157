"""Findings are open while their alert fires; those that a silence covers start nothing."""

from pathlib import Path

import msgspec
import pytest
from tests.learning.changing import START_US, changing

import flyball as fb
from flyball.core import ManualClock
from flyball.learning import LearningEvidence, evidence_causes, last_drift_us, open_findings
from flyball.monitoring import Finding, clear, record_findings
from flyball.runtime import Runtime, load_settings


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(changing(), load_settings(tmp_path), ManualClock(START_US))


def test_a_shift_that_lasts_is_no_cause_for_a_champion_that_was_learned_after_it_was_first_seen(
    runtime: Runtime,
) -> None:
    finding = Finding("shift", "features.km", START_US, START_US - 5, "high", "farther", "world")
    for look in range(5):
        again = msgspec.structs.replace(finding, at_us=START_US + 100 * look)
        record_findings(runtime, [again], START_US + 100 * look)
    findings = open_findings(runtime.registry)
    before = LearningEvidence("v1", START_US - 1, findings=findings)
    after = LearningEvidence("v2", START_US + 50, findings=findings)
    assert [cause.kind for cause in evidence_causes([fb.on_drift()], before)] == ["drift"]
    assert evidence_causes([fb.on_drift()], after) == []


def test_the_last_drift_is_that_of_the_world(runtime: Runtime) -> None:
    assert last_drift_us(runtime.registry) == 0
    own = Finding("volume", "events.Order", START_US, START_US - 5, "high", "lost", "own")
    world = Finding("shift", "features.km", START_US, START_US - 90, "low", "farther", "world")
    record_findings(runtime, [own, world], START_US)
    assert last_drift_us(runtime.registry) == START_US - 90
    assert last_drift_us(runtime.registry, START_US) == START_US - 90
    assert last_drift_us(runtime.registry, START_US - 1) == 0, "nobody had seen it yet"


def test_a_finding_is_open_from_its_first_look_to_the_one_that_does_not_see_it(runtime: Runtime) -> None:
    assert open_findings(runtime.registry) == ()
    finding = Finding("label", "outcomes.delivery", START_US, START_US - 5, "high", "slower", "world")
    record_findings(runtime, [finding], START_US)
    assert open_findings(runtime.registry) == (finding,)
    later = msgspec.structs.replace(finding, at_us=START_US + 9, message="slower still")
    record_findings(runtime, [later], START_US + 9)
    (shown,) = open_findings(runtime.registry)
    assert shown == msgspec.structs.replace(later, at_us=finding.at_us, since_us=finding.since_us)
    clear(runtime, finding.fingerprint, START_US + 20)
    assert open_findings(runtime.registry) == ()
