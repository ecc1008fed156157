"""What triggers conclude from evidence, and what may hold a cause back."""

from typing import Any

import msgspec
import pytest

import flyball as fb
from flyball.learning import ErasedSince, LearningEvidence, Worsening, blocked_by, evidence_causes
from flyball.monitoring import Finding
from flyball.policy import trigger_text

HOUR_US = 3_600_000_000
KNOWN = LearningEvidence(champion="v3", known_us=1_000, at_us=2_000)


def with_labels(count: int) -> LearningEvidence:
    return msgspec.structs.replace(KNOWN, labels=count)


def test_an_erasure_from_the_snapshot_of_the_champion_is_a_cause_once_a_cooldown() -> None:
    trigger = fb.on_erasure(cooldown="1h")
    evidence = LearningEvidence("v2", 1_000)
    assert evidence_causes([trigger], evidence) == []
    erased = msgspec.structs.replace(evidence, erased=ErasedSince(1, 3, 2_000))
    (cause,) = evidence_causes([trigger], erased)
    assert (cause.kind, cause.fingerprint) == ("erasure", 'fb.on_erasure(cooldown="1h") v2')
    assert cause.message == "v2 learned from rows that were removed since, by 1 erasure of 3 persons at most"
    assert cause.evidence == {"champion": "v2", "erasures": 1, "people": 3, "last_us": 2_000}
    assert "cooldown of 1h" in blocked_by(cause, erased, 5_000, 6_000, False)
    assert blocked_by(cause, erased, 5_000, 5_000 + 3_600_000_000, False) == ""


def test_labels_are_enough_from_the_declared_number_on() -> None:
    triggers = [fb.on_volume(5_000), fb.every("1d")]
    assert evidence_causes(triggers, KNOWN) == []
    assert evidence_causes(triggers, with_labels(4_999)) == []
    (cause,) = evidence_causes(triggers, with_labels(5_000))
    assert (cause.kind, cause.trigger) == ("volume", "fb.on_volume(5_000)")
    assert cause.message == "5,000 new labels since the snapshot of v3, 5,000 are enough"
    assert cause.evidence == {"champion": "v3", "labels": 5_000, "enough": 5_000}
    assert evidence_causes(triggers, LearningEvidence(labels=9_999)) == [], "there is no champion"


@pytest.mark.parametrize(
    ("worse_by", "worse", "low", "due"),
    [
        (0.0, 0.1, 0.01, True),
        (0.0, 0.1, -0.01, False),  # it may be no worse
        (0.0, 0.1, None, False),  # too few units
        (0.2, 0.2, 0.01, True),
        (0.2, 0.19, 0.15, False),
        ("10%", 0.2, 0.01, True),  # of 2.0
        ("10%", 0.19, 0.15, False),
    ],
)
def test_a_worse_performance_counts_by_size_and_by_certainty(
    worse_by: Any, worse: float, low: float | None, due: bool
) -> None:
    trigger = fb.on_performance("mae", worse_by=worse_by)
    measured = Worsening("mae", 2.0, 2.0 + worse, worse, low, 400, 0.05)
    causes = evidence_causes([trigger], msgspec.structs.replace(KNOWN, worsening={trigger_text(trigger): measured}))
    assert bool(causes) == due
    if causes:
        assert causes[0].message.startswith("mae of v3 is 2.")
        assert causes[0].evidence["own"] == 2.0


def finding(monitor: str, at_us: int = 2_000, severity: Any = "low", origin: Any = "world") -> Finding:
    return Finding(monitor, "events.Order.km", at_us, at_us - 500, severity, f"{monitor} says so", origin)


def drifts(trigger: Any, *findings: Finding) -> list[tuple[str, str]]:
    causes = evidence_causes([trigger], msgspec.structs.replace(KNOWN, findings=findings))
    return [(cause.message, cause.refused) for cause in causes]


def test_findings_count_by_monitor_severity_and_only_about_data_that_the_champion_has_not_seen() -> None:
    assert drifts(fb.on_drift(), finding("shift")) == [("shift says so", "")]
    assert drifts(fb.on_drift("label_share"), finding("shift")) == []
    assert drifts(fb.on_drift("label_share", "shift"), finding("shift")) == [("shift says so", "")]
    assert drifts(fb.on_drift(severity="high"), finding("shift")) == []
    assert drifts(fb.on_drift(severity="high"), finding("shift", severity="high")) == [("shift says so", "")]
    assert drifts(fb.on_drift(), finding("shift", at_us=1_000)) == [], "its snapshot has them"
    assert drifts(fb.on_drift(), finding("shift", at_us=1_001)) != []
    three = [finding("volume"), finding("missing-daily"), finding("shift")]
    assert drifts(fb.on_drift("volume", "missing", "shift"), *three) == [("volume says so, and 2 more", "")]


def test_without_names_those_count_that_training_can_follow() -> None:
    for monitor in ("shift", "shift-daily", "performance", "expected_performance", "label_share", "calibration"):
        assert drifts(fb.on_drift(), finding(monitor)) == [(f"{monitor} says so", "")]
    for monitor in ("volume", "missing", "kind", "consumer", "stale_model", "left_running", "equal_answers"):
        assert drifts(fb.on_drift(), finding(monitor)) == []


def test_faults_of_our_own_pipeline_are_a_cause_that_is_refused() -> None:
    ((message, refused),) = drifts(fb.on_drift("volume"), finding("volume", origin="own"))
    assert (message, refused) == ("volume says so", "the findings are faults of our own pipeline: correct that first")
    both = finding("volume", origin="own"), finding("label_share", origin="unknown")
    assert drifts(fb.on_drift("volume", "label_share"), *both) == [("label_share says so", "")]


def test_a_cause_waits_for_a_run_a_release_and_its_cooldown() -> None:
    (cause,) = evidence_causes([fb.on_volume(10, cooldown="2h")], with_labels(10))
    released = msgspec.structs.replace(KNOWN, release="release rel4")
    assert blocked_by(cause, KNOWN, None, 0, False) == ""
    assert blocked_by(cause, KNOWN, None, 0, True) == "another run is under way"
    assert blocked_by(cause, released, None, 0, False).startswith("release rel4 is under way")
    last_us = 50 * HOUR_US
    assert blocked_by(cause, KNOWN, last_us, last_us + 2 * HOUR_US - 1, False).startswith(
        "cooldown of 2h since the run"
    )
    assert blocked_by(cause, KNOWN, last_us, last_us + 2 * HOUR_US, False) == ""
    assert blocked_by(cause, KNOWN, last_us, last_us - 1, False) == "", "the clock was set back"
