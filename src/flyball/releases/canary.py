"""Decides whether to advance, hold or stop: a pure function of a release, the evidence and the time.

Harm and safety of a guardrail are tested by e-processes for the difference of two rates, which are valid at every look
(Howard et al. 2021). Steps of a ramp have different shares, so they are not pooled: their e-processes are multiplied.
Harm: the rise is above the margin. Safe to advance to a share s: the rise is below margin / s, so that at most `margin`
of all responses become worse. So the early steps of a ramp need little evidence, the last one the whole margin. Where
margin / s is 1 or more, only a rise of 1 would be too much: one answer that is not worse refutes it, none does not.
Harm needs the part of alpha that `error_budget` gives to each comparison that may abort; to advance all of them must be
safe, so each needs alpha itself.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import log
from typing import Any

import msgspec

from flyball.core import format_duration
from flyball.releases.bandit import bandit_weights, differs, shown_rewards, with_weights
from flyball.releases.error_budget import (
    abort_alpha,
    abort_margins,
    guardrail_alphas,
    list_guardrails,
    shown_metric,
    watch_alpha,
)
from flyball.releases.evidence import Evidence, MetricEvidence, shown_counts
from flyball.releases.exposure_counts import AnswerCounts
from flyball.releases.release import CONTROL, OVER, WHOLE, Command, Release
from flyball.statistics import rate_difference_log_e

SILENCE, PATIENCE, BLOCKED = "silence", "patience", "blocked"
LAST = WHOLE
_Counter = Callable[[AnswerCounts, Mapping[str, float]], int]


def _late(counts: AnswerCounts, constants: Mapping[str, float]) -> int:
    return counts.failed.get("late", 0) + counts.failed.get("overload", 0)


COUNTED: dict[str, _Counter] = {
    "failed": lambda counts, constants: sum(counts.failed.values()) - _late(counts, constants),
    "late": _late,
    "empty": lambda counts, constants: counts.empty,
    "slow": lambda counts, constants: counts.slower_than(constants["slow_us"]) if "slow_us" in constants else 0,
}
"""{guardrail: a function that counts the responses which break it}."""


class ReleaseDecision(msgspec.Struct, frozen=True):
    """A decision about a release: the command, the reason as text, and the evidence. `changes`: fields of the release
    that change with it."""

    command: Command
    reason: str
    evidence: dict[str, Any]
    step: int | None = None
    held_for: str = ""
    changes: dict[str, Any] = {}


class GuardrailVerdict(msgspec.Struct, frozen=True):
    """The evidence on one guardrail of one arm. `log_e`: log e-value against a rise of exactly the margin."""

    guardrail: str
    arm: str
    rate: float
    control_rate: float
    answers: int
    margin: float
    log_e: float
    shown: str
    control_answers: int = 0

    @property
    def sentence(self) -> str:
        """The evidence in a sentence."""
        verdict_text = {"harm": "shown to rise more", "safe": "shown to rise less", "": "not yet decided"}[self.shown]
        accepted = f"a rise of {_points(self.margin)} is accepted: {verdict_text}"
        if not (self.answers and self.control_answers):
            answered = f"{self.answers:,} answers by {self.arm}, {self.control_answers:,} by control"
            return f"{self.guardrail}: {answered}; {accepted}"
        return (
            f"{self.guardrail}: {self.rate:.2%} of {self.answers:,} answers by {self.arm}, {self.control_rate:.2%} of "
            f"{self.control_answers:,} by control; {accepted}"
        )


def _points(share: float) -> str:
    """A difference of shares of answers, for a reader."""
    points = f"{100 * share:.3g}"
    return f"{points} point{'' if points == '1' else 's'}"


def advance(release: Release, evidence: Evidence, now_us: int) -> ReleaseDecision | None:
    """The next transition, None if there is nothing to do yet."""
    if release.state in OVER or release.state == "draft":
        return None
    if release.state == "champion":
        return _watch(release, evidence, now_us)
    harm = _harm(release, evidence)
    if harm is not None:
        return ReleaseDecision("abort", harm, summary(release, evidence))
    if release.state == "held":
        return _resumed(release, evidence)
    cause = _held_for(release, evidence, now_us)
    if cause is not None:
        return ReleaseDecision("hold", cause[1], summary(release, evidence), held_for=cause[0])
    if release.state == "shadow":
        return _out_of_the_shadow(release, evidence, now_us)
    if release.state == "bandit":
        return _reweighted(release, evidence, now_us)
    if release.state != "canary" or now_us - release.since_us < release.constants["step_time_us"]:
        return None
    following = release.step + 1
    share = release.steps[following] / WHOLE
    missing = not_shown(release, evidence, share)
    if missing:
        return None
    last = release.steps[following] == LAST
    reason = f"every guardrail is within its margin at {share:.0%}" + (
        f" and {', '.join(release.success)} not worse by more than accepted" if release.success else ""
    )
    if last:
        return ReleaseDecision("promote", reason, summary(release, evidence))
    return ReleaseDecision("advance", reason, summary(release, evidence), step=following)


def _out_of_the_shadow(release: Release, evidence: Evidence, now_us: int) -> ReleaseDecision | None:
    """The advance from the shadow to the first step of the canary, if steps are declared; else a person decides."""
    if not release.shadow_first or now_us - release.since_us < release.constants["shadow_us"]:
        return None
    if not_shown(release, evidence, 1.0):
        return None
    answers = sum(row.counts.answers for row in evidence.arms if row.arm != CONTROL)
    reason = f"every guardrail is within its margin over {answers:,} answers of the shadow"
    return ReleaseDecision("advance", reason, summary(release, evidence), step=0)


def _reweighted(release: Release, evidence: Evidence, now_us: int) -> ReleaseDecision | None:
    """The new shares of a bandit by the rewards of its arms, once the present shares have lasted for `every`."""
    if now_us - release.since_us < release.constants["step_time_us"] or not evidence.rewards:
        return None
    weights = bandit_weights(release, evidence.rewards, evidence.binary)
    if not differs(release, weights):
        return None
    shares = ", ".join(f"{arm} {share:.2%}" for arm, share in weights.get("", {}).items())
    groups = f"; {len(weights) - 1} groups of {release.group} apart" if release.group else ""
    shown = {"rewards": shown_rewards(evidence.rewards, weights)}
    reason = f"by {next(iter(release.success), 'reward')} so far: {shares}{groups}"
    return ReleaseDecision("reweight", reason, shown, changes=with_weights(release, weights))


def verdicts(release: Release, evidence: Evidence, share: float = 1.0) -> list[GuardrailVerdict]:
    """The evidence on every guardrail of every arm, evaluated for an advance to `share`.

    Empty for interleaving, where all arms take part in every response.
    """
    arms = [arm.name for arm in release.arms if arm.name != CONTROL]
    if release.acts_as == "interleave":
        return []
    return [
        _verdict(release, evidence, name, arm, margin, share)
        for name, margin in release.guardrails.items()
        for arm in arms
    ]


def not_shown(release: Release, evidence: Evidence, share: float) -> list[str]:
    """The evidence that is missing before the candidate may get `share` of the units; empty if none is.

    The responses of a shadow have no outcomes, so it is evaluated on a minimum number of responses, without success
    metrics.
    """
    missing = [
        f"{verdict.guardrail}: that it rises by less than {_points(min(verdict.margin / share, 1.0))} with "
        f"{verdict.arm}, which has {verdict.answers:,} answers so far"
        for verdict in verdicts(release, evidence, share)
        if verdict.shown != "safe"
    ]
    if release.acts_as == "shadow":
        return missing + _answers_missing(release, evidence)
    for name, margin in release.success.items():
        for arm in (arm.name for arm in release.arms if arm.name != CONTROL):
            metric = _metric(evidence, name, arm)
            if metric.missing:
                missing.append(f"{name}: {metric.missing}")
            elif metric.low <= -margin / share:
                missing.append(f"{name}: may still be worse by {-metric.low:.4g}, accepted {margin / share:.4g}")
    return missing


def _answers_missing(release: Release, evidence: Evidence) -> list[str]:
    answers = sum(row.counts.answers for row in evidence.arms if row.arm != CONTROL)
    fewest = int(release.constants["shadow_answers"])
    return [] if answers >= fewest else [f"{fewest:,} answers of the shadow, {answers:,} so far"]


def summary(release: Release, evidence: Evidence) -> dict[str, Any]:
    """The evidence of the decision, for the registry."""
    rows = [{"arm": row.arm, "share": row.share / WHOLE, **shown_counts(row.counts)} for row in evidence.arms]
    return {
        "arms": rows,
        "guardrails": [verdict.sentence for verdict in verdicts(release, evidence)],
        "metrics": [shown_metric(release, metric) for metric in evidence.metrics],
    }


def _verdict(
    release: Release, evidence: Evidence, name: str, arm: str, margin: float, share: float
) -> GuardrailVerdict:
    aborts, advances = (-log(alpha) for alpha in guardrail_alphas(release))
    count, constants = COUNTED[name], release.constants
    strata = [
        (count(control, constants), control.answers, count(counts, constants), counts.answers, part / WHOLE)
        for part, counts, control in _compared(release, evidence, arm)
    ]
    bad_control, all_control = sum(row[0] for row in strata), sum(row[1] for row in strata)
    bad, answers = sum(row[2] for row in strata), sum(row[3] for row in strata)
    rate, control_rate = bad / max(answers, 1), bad_control / max(all_control, 1)
    allowed = min(margin / share, 1.0)
    rise = _rise(strata)
    above = rise > margin
    log_e = _log_e(strata, margin if above else allowed, constants)
    shown = ""
    if above and log_e >= aborts:
        shown = "harm"
    elif rise < allowed and ((not above and log_e >= advances) or (allowed >= 1.0 and _comparable(strata))):
        shown = "safe"
    return GuardrailVerdict(name, arm, rate, control_rate, answers, margin, log_e, shown, all_control)


def _compared(release: Release, evidence: Evidence, arm: str) -> list[tuple[int, AnswerCounts, AnswerCounts]]:
    """(share, counts of the arm, counts of control) for each step; pooled for a bandit, whose shares change often."""
    if release.kind != "bandit":
        return evidence.strata(arm, CONTROL)
    own, control = AnswerCounts(), AnswerCounts()
    for row in evidence.arms:
        if row.arm in (arm, CONTROL):
            (own if row.arm == arm else control).add(row.counts)
    share = round(WHOLE * own.answers / max(own.answers + control.answers, 1))
    return [(share, own, control)]


_Stratum = tuple[int, int, int, int, float]


def _comparable(strata: list[_Stratum]) -> bool:
    """Whether both arms have answers in a stratum."""
    return any(all_control and answers for _, all_control, _, answers, _ in strata)


def _rise(strata: list[_Stratum]) -> float:
    """The difference of rates, with strata weighted as by Mantel and Haenszel (1959)."""
    weights = [n * m / (n + m) if n + m else 0.0 for _, m, _, n, _ in strata]
    if not sum(weights):
        return 0.0
    rises = (
        weight * (bad / n - bad_control / m)
        for weight, (bad_control, m, bad, n, _) in zip(weights, strata, strict=True)
        if weight
    )
    return sum(rises) / sum(weights)


def _log_e(strata: list[_Stratum], margin: float, constants: Mapping[str, float]) -> float:
    total = 0.0
    for bad_control, all_control, bad, answers, share in strata:
        if all_control and answers and 0 < share < 1:
            total += _log_e_of(
                bad_control, all_control, bad, answers, margin, constants["n_best"], constants["alpha"], share
            )
    return total


@lru_cache(4_096)
def _log_e_of(*arguments: float) -> float:
    """`rate_difference_log_e`, kept: one look asks for it several times, and strata of steps before never change."""
    return float(rate_difference_log_e(*arguments))


def _harm(release: Release, evidence: Evidence) -> str | None:
    if release.acts_as == "interleave":  # every list mixes arms, so compare with lists before the release
        names = list_guardrails(release)
        alpha = abort_alpha(release) or release.constants["alpha"] / max(len(names), 1)
        broken = _worse_than_before(release, evidence, names, alpha, "since lists are drafted")
        return broken or _harmful(release, evidence)
    for verdict in verdicts(release, evidence):
        if verdict.shown == "harm":
            return verdict.sentence
    return _harmful(release, evidence)


def _harmful(release: Release, evidence: Evidence) -> str | None:
    margins = abort_margins(release)
    for metric in evidence.metrics:
        margin, most = margins.get(metric.name), metric.aborts_from
        if margin is not None and not metric.missing and most < -margin:
            return shown_metric(release, metric)
    return None


def _resumed(release: Release, evidence: Evidence) -> ReleaseDecision | None:
    """The automatic end of a hold, after silence or an invalid comparison; only a person ends other holds."""
    if release.held_for == SILENCE and evidence.last_us > release.held_us:
        return ReleaseDecision("resume", "answers are coming again", {})
    if release.held_for == BLOCKED and not evidence.blocked:
        return ReleaseDecision("resume", "the arms can be compared again", {})
    return None


def _held_for(release: Release, evidence: Evidence, now_us: int) -> tuple[str, str] | None:
    if evidence.blocked:
        return BLOCKED, evidence.blocked
    began_us = release.started_us if release.kind == "bandit" else release.since_us
    waited_us, silence_us = now_us - began_us, release.constants.get("silence_us", 0.0)
    quiet_us = now_us - max(evidence.last_us, release.since_us)
    if silence_us and quiet_us >= silence_us:
        return SILENCE, f"no answer took part for {_shown_time(quiet_us)}"
    patience_us = release.constants.get("patience_us", 0.0)
    if not patience_us or waited_us < patience_us:
        return None
    if release.state != "canary" and not release.shadow_first:
        return PATIENCE, f"its planned time of {_shown_time(patience_us)} is over: decide by what releases show says"
    following = 1.0 if release.state == "shadow" else release.steps[release.step + 1] / WHOLE
    missing = not_shown(release, evidence, following)
    if not missing:
        return None
    return PATIENCE, f"not enough evidence within {_shown_time(patience_us)}: {'; '.join(missing)}"


def _shown_time(us: float) -> str:
    return format_duration(int(us) // 1_000_000 * 1_000_000)


def _metric(evidence: Evidence, name: str, arm: str) -> MetricEvidence:
    nothing = MetricEvidence(name, arm, "success", missing="nothing was measured yet")
    return next((metric for metric in evidence.metrics if (metric.name, metric.arm) == (name, arm)), nothing)


def _watch(release: Release, evidence: Evidence, now_us: int) -> ReleaseDecision | None:
    """The rollback of a new champion that is worse than the previous one, or that late outcomes show to be harmful."""
    if now_us >= release.watch_until_us or not release.over:
        return None
    late = _harmful(release, evidence)
    if late is not None:
        return ReleaseDecision("rollback", late, summary(release, evidence))
    names = list(release.guardrails)
    alpha = watch_alpha(release, max(len(names), 1))
    reason = _worse_than_before(release, evidence, names, alpha, "since it is the champion")
    if reason is None:
        return None
    shown = {"before": shown_counts(evidence.before), "since": shown_counts(evidence.since)}
    return ReleaseDecision("rollback", reason, shown)


def _worse_than_before(release: Release, evidence: Evidence, names: list[str], alpha: float, now: str) -> str | None:
    """A sentence on the first of these guardrails that is broken compared with the previous champion; None if none."""
    for name in names:
        margin, count, constants = release.guardrails[name], COUNTED[name], release.constants
        before, since = evidence.before, evidence.since
        strata = [(count(before, constants), before.answers, count(since, constants), since.answers, 0.5)]
        if _rise(strata) <= margin:
            continue
        log_e = _log_e(strata, margin, {"n_best": 2_000.0, **constants})
        if log_e >= -log(alpha):
            return (
                f"{name} {count(since, constants) / since.answers:.2%} of {since.answers:,} answers {now}, against "
                f"{count(before, constants) / before.answers:.2%} of {before.answers:,} by {release.over} before, "
                f"accepted {margin:+.2%}"
            )
    return None
