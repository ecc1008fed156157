"""What kind of shift findings are about, and what it costs: covariate, label or concept, and the expected loss.

Concept: the measured loss rose by more than the same predictions were wrong before. Label: the estimated shares of the
labels changed, and explain how the predictions moved. Covariate: inputs are distributed otherwise, and neither holds.
Inputs are the columns of the requests and the features; what follows from answers moves with them, and is no cause.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from flyball.monitoring.findings.finding import Finding
from flyball.monitoring.findings.observation import Observation

ShiftKind = Literal["covariate", "label", "concept", ""]
PERFORMANCE, ESTIMATED, SHARES = "performance", "expected_performance", "label_share"
_EXPLAINED = 0.5
"""The part of a change from which it counts as explained."""
_WORLD = ("shift", "performance", "expected_performance", "label_share", "calibration")
_WORDS = {
    "covariate": "likely a covariate shift: inputs are distributed otherwise",
    "label": "likely a label shift: outcomes are more or less frequent, their cases look as before",
    "concept": "likely a concept shift: the same inputs have other outcomes",
}

MonitorEvidence = Mapping[str, Any]


class ExpectedLoss(Struct, frozen=True):
    """How much more is lost than before, of `loss`, by each prediction: between `low` and `high` with 95 %.

    `basis`: "measured" from labels, or "estimated" before they are known. `a_day`: predictions a day.
    """

    loss: str
    basis: Literal["measured", "estimated"]
    change: float
    low: float
    high: float
    a_day: float

    @property
    def words(self) -> str:
        """A line such as "+0.36 (0.21 to 0.51) of the absolute error, 300 times a day: +108 (63 to 153); measured"."""
        day = f"{self.change * self.a_day:+.3g} ({self.low * self.a_day:.3g} to {self.high * self.a_day:.3g})"
        return (
            f"{self.change:+.3g} ({self.low:.3g} to {self.high:.3g}) of {self.loss}, {self.a_day:,.0f} times a day: "
            f"{day} a day; {self.basis}"
        )


class Diagnosis(Struct, frozen=True):
    """`kind`: of the shift, "" where nothing says so, and `why`. `loss`: what it costs, None where it is unknown."""

    kind: ShiftKind
    why: str
    loss: ExpectedLoss | None


def expected_loss(latest: Mapping[str, MonitorEvidence]) -> ExpectedLoss | None:
    """The loss by the latest evidence of each monitor: measured if the change is sure or nothing is estimated."""
    measured = _loss_of(latest.get(PERFORMANCE), "measured")
    estimated = _loss_of(latest.get(ESTIMATED), "estimated")
    if measured is not None and (estimated is None or measured.low > 0 or measured.change >= estimated.change):
        return measured
    return estimated


def _loss_of(evidence: MonitorEvidence | None, basis: Literal["measured", "estimated"]) -> ExpectedLoss | None:
    if evidence is None or not {"now", "before", "low", "high", "loss", "a_day"} <= evidence.keys():
        return None
    numbers = [float(evidence[name]) for name in ("low", "high", "a_day")]
    if not all(abs(number) < 1e300 for number in numbers):
        return None
    change = float(evidence["now"]) - float(evidence["before"])
    return ExpectedLoss(str(evidence["loss"]), basis, change, *numbers)


def diagnose(holding: Sequence[Finding], latest: Mapping[str, MonitorEvidence], inputs: Sequence[str]) -> Diagnosis:
    """The kind of shift that `holding`, all findings that hold, are about.

    `latest`: {monitor of performance: its latest evidence}. `inputs`: tables of inputs, such as "events.order".
    """
    world = [finding for finding in holding if finding.origin != "own"]
    monitors = {finding.monitor.removesuffix("-daily") for finding in world}
    moved = any(
        finding.monitor.startswith("shift") and finding.subject.startswith(tuple(f"{table}." for table in inputs))
        for finding in world
    )
    loss = expected_loss(latest)
    kind, why = _kind(monitors, moved, latest)
    return Diagnosis(kind, why, loss)


def _kind(monitors: set[str], moved: bool, latest: Mapping[str, MonitorEvidence]) -> tuple[ShiftKind, str]:
    shares = latest.get(SHARES, {})
    by_labels = SHARES in monitors and float(shares.get("explained", 0.0)) >= _EXPLAINED
    part = _explained_part(latest.get(PERFORMANCE)) if PERFORMANCE in monitors else None
    of_loss = "" if part is None else f"{part:.0%} of the loss is expected of such predictions"
    if by_labels:
        return "label", of_loss or f"other shares explain {float(shares['explained']):.0%} of how predictions moved"
    if PERFORMANCE in monitors:
        if moved and (part is None or part >= _EXPLAINED):
            return ("covariate", of_loss) if part is not None else ("", "")
        return "concept", of_loss
    if moved:
        return "covariate", ""
    return ("label", "") if SHARES in monitors else ("", "")


def _explained_part(evidence: MonitorEvidence | None) -> float | None:
    """The part of the rise of the loss, from 0 to 1, that is expected of what was predicted; None if it is unknown."""
    if evidence is None or evidence.get("explained") is None:
        return None
    rise = float(evidence["now"]) - float(evidence["before"])
    return None if rise <= 0 else max(0.0, min(1.0, float(evidence["explained"]) / rise))


def latest_evidence(observations: Sequence[Observation]) -> dict[str, dict[str, Any]]:
    """{monitor of performance: the evidence of its first observation in a round}, that of all predictions."""
    latest: dict[str, dict[str, Any]] = {}
    for seen in observations:
        if seen.monitor in (PERFORMANCE, ESTIMATED, SHARES) and "low" in seen.evidence:
            latest.setdefault(seen.monitor, seen.evidence)
    return latest


def with_diagnosis(findings: Sequence[Finding], diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """The findings with the kind of shift and the expected loss in their evidence, and the kind in their message."""
    return tuple(_diagnosed(finding, diagnosis) for finding in findings)


def _diagnosed(finding: Finding, diagnosis: Diagnosis) -> Finding:
    evidence: dict[str, Any] = dict(finding.evidence)
    if diagnosis.loss is not None:
        evidence["expected_loss"] = diagnosis.loss.words
    shifts = finding.monitor.removesuffix("-daily") in _WORLD and finding.origin != "own"
    if not shifts or not diagnosis.kind:
        return replace(finding, evidence=evidence)
    why = f" ({diagnosis.why})" if diagnosis.why else ""
    return replace(
        finding,
        origin="world",
        message=f"{finding.message}; {_WORDS[diagnosis.kind]}{why}",
        evidence={**evidence, "shift": diagnosis.kind},
    )
