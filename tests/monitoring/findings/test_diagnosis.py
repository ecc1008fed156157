"""Diagnosis: planted kinds of shift are named, and what they cost stands beside them."""

from typing import Any

import pytest

from flyball.monitoring import Finding, Observation
from flyball.monitoring.findings.diagnosis import (
    ExpectedLoss,
    diagnose,
    expected_loss,
    latest_evidence,
    with_diagnosis,
)

INPUTS = ("events.order",)
WORSE: dict[str, Any] = {
    "loss": "the absolute error",
    "now": 9.0,
    "before": 5.0,
    "low": 3.0,
    "high": 5.0,
    "a_day": 300.0,
}
SHARE: dict[str, Any] = {"now": 0.2, "before": 0.05, "low": 0.15, "high": 0.25, "a_day": 300.0}


def finding(monitor: str, subject: str, origin: str = "unknown") -> Finding:
    return Finding(monitor, subject, 9, 5, "low", "it changed", origin)  # type: ignore[arg-type]


KM, LEVEL = finding("shift", "events.order.km"), finding("shift", "predictions.level", "own")
OUTCOME = finding("shift", "events.delivered.courier")
MEASURED, SHARES = finding("performance", "delivery"), finding("label_share", "fraud", "world")


@pytest.mark.parametrize(
    ("holding", "latest", "kind"),
    [
        ([KM], {}, "covariate"),
        ([KM, MEASURED], {"performance": {**WORSE, "explained": 3.6}}, "covariate"),
        ([KM, MEASURED], {"performance": {**WORSE, "explained": 0.4}}, "concept"),
        ([MEASURED], {"performance": {**WORSE, "explained": 0.1}}, "concept"),
        ([MEASURED], {"performance": WORSE}, "concept"),  # lists: nothing says what is expected, and no input moved
        ([KM, MEASURED], {"performance": WORSE}, ""),  # it may be either
        ([OUTCOME, MEASURED], {"performance": {**WORSE, "explained": 3.9}}, "concept"),  # an outcome is no input
        ([SHARES], {"label_share": {**SHARE, "explained": 0.9}}, "label"),
        ([SHARES, KM], {"label_share": {**SHARE, "explained": 0.9}}, "label"),
        ([SHARES, KM], {"label_share": {**SHARE, "explained": 0.1}}, "covariate"),
        ([SHARES], {"label_share": {**SHARE, "explained": 0.1}}, "label"),
        ([LEVEL], {}, ""),
        ([], {}, ""),
    ],
)
def test_a_planted_kind_is_named(holding: list[Finding], latest: dict[str, Any], kind: str) -> None:
    assert diagnose(holding, latest, INPUTS).kind == kind


def test_the_part_of_the_loss_that_predictions_explain_is_said() -> None:
    assert diagnose([MEASURED], {"performance": {**WORSE, "explained": 0.4}}, INPUTS).why == (
        "10% of the loss is expected of such predictions"
    )


def test_the_loss_is_measured_where_that_is_sure_and_else_estimated() -> None:
    measured = expected_loss({"performance": WORSE})
    assert measured == ExpectedLoss("the absolute error", "measured", 4.0, 3.0, 5.0, 300.0)
    assert measured.words == (
        "+4 (3 to 5) of the absolute error, 300 times a day: +1.2e+03 (900 to 1.5e+03) a day; measured"
    )
    unsure = {**WORSE, "now": 5.1, "low": -1.0, "high": 1.2}
    estimated = {**WORSE, "now": 6.0, "low": 0.5, "high": 1.5}
    chosen = expected_loss({"performance": unsure, "expected_performance": estimated})
    assert chosen is not None
    assert (chosen.basis, chosen.change) == ("estimated", 1.0)
    assert expected_loss({"performance": {**WORSE, "low": float("-inf")}}) is None
    assert expected_loss({"performance": {"now": 1.0}}) is None
    assert expected_loss({}) is None


def test_findings_of_the_world_carry_the_kind_and_all_carry_the_cost() -> None:
    diagnosis = diagnose([KM, LEVEL], {"performance": WORSE}, INPUTS)
    km, level = with_diagnosis([KM, LEVEL], diagnosis)
    assert (km.origin, km.evidence["shift"]) == ("world", "covariate")
    assert km.message == "it changed; likely a covariate shift: inputs are distributed otherwise"
    assert (level.origin, level.message) == ("own", "it changed")
    assert km.evidence["expected_loss"] == level.evidence["expected_loss"]
    assert with_diagnosis([KM], diagnose([], {}, INPUTS)) == (KM,)


def test_the_evidence_of_all_predictions_is_kept_and_not_that_of_slices() -> None:
    def seen(monitor: str, subject: str, **evidence: Any) -> Observation:
        return Observation(monitor, subject, 1.0, False, "fine", evidence=evidence)

    observations = [
        seen("volume", "events.order", low=1),
        seen("performance", "delivery", low=1.0),
        seen("performance", "delivery.shop=a", now=2.0),
        seen("label_share", "fraud", low=0.1),
    ]
    assert latest_evidence(observations) == {"performance": {"low": 1.0}, "label_share": {"low": 0.1}}
