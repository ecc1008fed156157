"""Causes to learn again: what triggers conclude from the evidence about the champion. Plain values and functions."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.core import format_duration, format_second
from flyball.learning.erasures import ErasedSince
from flyball.learning.undone import UndoneVersion
from flyball.monitoring import Finding
from flyball.policy import EvidenceTrigger, OnDrift, OnErasure, OnPerformance, OnVolume, trigger_text
from flyball.registry import CaseKind

DRIFTS = ("shift", "label_share", "performance", "expected_performance", "calibration")
"""The monitors that count where a trigger names none: what training can follow. Lost rows, missing values and consumers
that stand still are for people."""

FEWEST_UNITS = 100
"""Units that must be measured before a worse performance counts: the interval is asymptotic."""


class Worsening(msgspec.Struct, frozen=True):
    """By how much a metric of the champion got worse than in its own evaluation.

    `own`: its value there; `live`: on requests since its snapshot whose labels are final, of so many `units`. `worse`:
    the difference, above 0 for worse; `low`: its lower end, valid at every look with probability 1 - `alpha`, None
    while there are too few units.
    """

    metric: str
    own: float
    live: float
    worse: float
    low: float | None
    units: int
    alpha: float


class LearningEvidence(msgspec.Struct, frozen=True):
    """What triggers decide by.

    `champion`: the version it is about, "" for none; `known_us`: of its snapshot. `at_us`: when `labels` and
    `worsening` were measured, 0 for not yet. `labels`: how many became final since the snapshot. `worsening`: {text of
    the trigger: what was measured}. `findings`: those that are open now. `release`: one that is under way, "" for none.
    `missing`: why something could not be measured. `erased`: what was erased of its snapshot. `undone`: a newer version
    that was rolled back or aborted, so that the champion serves again.
    """

    champion: str = ""
    known_us: int = 0
    at_us: int = 0
    labels: int | None = None
    worsening: dict[str, Worsening] = {}
    findings: tuple[Finding, ...] = ()
    release: str = ""
    missing: str = ""
    erased: ErasedSince | None = None
    undone: UndoneVersion | None = None


class LearningCause(msgspec.Struct, frozen=True):
    """A trigger that wants to learn, in a sentence and in numbers. `refused`: why it must not, by what it is about.

    `fingerprint`: the same for a cause that is seen again. `seen_us`: when the newest of what it is about was first
    seen, 0 for what only grows, such as labels.
    """

    trigger: str
    kind: CaseKind
    message: str
    evidence: dict[str, Any] = {}
    fingerprint: str = ""
    refused: str = ""
    cooldown_us: int = 0
    seen_us: int = 0


def evidence_causes(triggers: Sequence[Any], evidence: LearningEvidence) -> list[LearningCause]:
    """The causes that the evidence gives to triggers; those of a schedule are no concern of it."""
    if not evidence.champion:
        return []
    causes = [_cause(trigger, evidence) for trigger in triggers if isinstance(trigger, EvidenceTrigger)]
    return [cause for cause in causes if cause is not None]


def kept_back(cause: LearningCause, evidence: LearningEvidence, now_us: int) -> str:
    """Why a cause starts no run again after the version that learned last was undone, "" if it may."""
    undone = evidence.undone
    return "" if undone is None else undone.keeps_back(cause.seen_us, cause.cooldown_us, now_us)


def blocked_by(
    cause: LearningCause, evidence: LearningEvidence, last_us: int | None, now_us: int, running: bool
) -> str:
    """Why a cause may not start a run now, "" if it may. `last_us`: when the last run started."""
    if cause.refused:
        return cause.refused
    if running:
        return "another run is under way"
    if evidence.release:
        return f"{evidence.release} is under way: its version is newer than the champion"
    if last_us is not None and last_us <= now_us < last_us + cause.cooldown_us:
        since = format_second(last_us)
        return f"cooldown of {format_duration(cause.cooldown_us)} since the run that started at {since}"
    return ""


def _cause(trigger: EvidenceTrigger, evidence: LearningEvidence) -> LearningCause | None:
    if isinstance(trigger, OnVolume):
        return _volume(trigger, evidence)
    if isinstance(trigger, OnErasure):
        return _erasure(trigger, evidence)
    return _performance(trigger, evidence) if isinstance(trigger, OnPerformance) else _drift(trigger, evidence)


def _erasure(trigger: OnErasure, evidence: LearningEvidence) -> LearningCause | None:
    if evidence.erased is None:
        return None
    message = f"{evidence.champion} learned from rows that were removed since, by {evidence.erased.words}"
    cause = _of(trigger, evidence, "erasure", message, msgspec.structs.asdict(evidence.erased))
    return msgspec.structs.replace(cause, seen_us=evidence.erased.last_us)


def _volume(trigger: OnVolume, evidence: LearningEvidence) -> LearningCause | None:
    if evidence.labels is None or evidence.labels < trigger.labels:
        return None
    return _of(
        trigger,
        evidence,
        "volume",
        f"{evidence.labels:,} new labels since the snapshot of {evidence.champion}, {trigger.labels:,} are enough",
        {"labels": evidence.labels, "enough": trigger.labels},
    )


def _performance(trigger: OnPerformance, evidence: LearningEvidence) -> LearningCause | None:
    measured = evidence.worsening.get(trigger_text(trigger))
    if measured is None or measured.low is None or measured.low <= 0:
        return None
    limit = abs(measured.own) * trigger.worse_by if trigger.relative else trigger.worse_by
    if measured.worse < limit:
        return None
    message = (
        f"{trigger.metric} of {evidence.champion} is {measured.live:.4g} on {measured.units:,} units since its "
        f"snapshot, {measured.own:.4g} in its evaluation: worse by {measured.worse:.3g}, at least {measured.low:.3g}"
    )
    return _of(trigger, evidence, "performance", message, {**msgspec.structs.asdict(measured), "limit": limit})


def _drift(trigger: OnDrift, evidence: LearningEvidence) -> LearningCause | None:
    findings = [
        finding
        for finding in evidence.findings
        if finding.at_us > evidence.known_us
        and finding.monitor.removesuffix("-daily") in (trigger.monitors or DRIFTS)
        and (trigger.severity == "low" or finding.severity == "high")
    ]
    if not findings:
        return None
    learnable = [finding for finding in findings if finding.origin != "own"]
    refused = "" if learnable else "the findings are faults of our own pipeline: correct that first"
    shown = learnable or findings
    further = f", and {len(shown) - 1} more" if len(shown) > 1 else ""
    numbers = {"findings": [msgspec.to_builtins(finding) for finding in shown]}
    cause = _of(trigger, evidence, "drift", f"{shown[0].message}{further}", numbers)
    return msgspec.structs.replace(cause, refused=refused, seen_us=max(finding.at_us for finding in shown))


def _of(
    trigger: EvidenceTrigger, evidence: LearningEvidence, kind: CaseKind, message: str, numbers: dict[str, Any]
) -> LearningCause:
    text = trigger_text(trigger)
    return LearningCause(
        text,
        kind,
        message,
        {"champion": evidence.champion, **numbers},
        f"{text} {evidence.champion}",
        cooldown_us=trigger.cooldown_us,
    )
