"""Divides the error budget of a release among the comparisons that may abort it.

A release is aborted by the first comparison that shows harm, so the chance that any of them errs counts. Each gets the
same part of `alpha` (Bonferroni); Holm's method would not give more, because its first step is the same and nothing
follows an abort. The parts are fixed in the constants of the release when it is drafted.

To move on, every comparison must show that the arm is not worse (an intersection-union test, Berger 1982): an arm that
is worse in one of them must pass that one, so no correction is needed.
"""

from flyball.policy import ReleasePlan
from flyball.releases.evidence import MetricEvidence
from flyball.releases.release import CONTROL, Release

_LISTS = "interleave"


def abort_margins(release: Release) -> dict[str, float]:
    """{metric: margin} of the metrics of outcomes that abort a release when they are shown to be worse.

    A bandit reacts to its reward by its shares. With several rankers in one list, the others still need their
    comparison.
    """
    several = release.kind == _LISTS and len(release.arms) > 2
    return {**({} if several or release.kind == "bandit" else release.success), **release.harmful}


def drafted_constants(release: Release, plan: ReleasePlan) -> dict[str, float]:
    """The constants by which `release` divides its alpha, for a draft made from `plan`.

    `abort_tests`: the comparisons that may abort it. `watch_tests`: those by which the new champion is compared with
    the one before.
    """
    arms = sum(arm.name != CONTROL for arm in release.arms)
    watch = len(release.guardrails) + (len(release.harmful) if release.kind == "immediate" else 0)
    if release.kind == "immediate":
        return {"watch_tests": float(watch)}
    shadow_only = release.kind == "shadow" and not plan.steps
    outcomes = 0 if shadow_only else len(abort_margins(release)) * arms
    stages = 2 if plan.shadow_first or (release.kind == "shadow" and plan.steps) else 1  # each has counts of its own
    answers = len(list_guardrails(release)) if release.kind == _LISTS else len(release.guardrails) * arms
    return {"abort_tests": float(answers * stages + outcomes), "watch_tests": float(watch)}


def list_guardrails(release: Release) -> list[str]:
    """The guardrails of drafted lists: all arms take part in each, so none of them is slow alone."""
    return [name for name in release.guardrails if name != "slow"]


def abort_alpha(release: Release) -> float:
    """The error of one comparison that may abort the release; 0 for a release that was drafted without a budget."""
    tests = release.constants.get("abort_tests", 0.0)
    return release.constants["alpha"] / tests if tests else 0.0


def guardrail_alphas(release: Release) -> tuple[float, float]:
    """(of an abort, of moving on): the errors of one guardrail of one arm.

    Releases that were drafted without a budget keep what they had: alpha divided among guardrails and arms, for both.
    """
    alpha, aborts = release.constants["alpha"], abort_alpha(release)
    if aborts:
        return aborts, alpha
    both = alpha / (max(len(release.guardrails), 1) * (len(release.arms) - 1))
    return both, both


def watch_alpha(release: Release, guardrails: int) -> float:
    """The error of one comparison of a champion with the one before, of which there are as many as `guardrails` in a
    release that was drafted without a budget."""
    return release.constants["alpha"] / release.constants.get("watch_tests", float(guardrails))


def harm_alpha(release: Release) -> float:
    """The error of one harmful label of a champion that went to all at once; the whole alpha without a budget."""
    return release.constants["alpha"] / release.constants.get("watch_tests", 1.0)


def shown_metric(release: Release, metric: MetricEvidence) -> str:
    """The evidence on a metric as text, and whether harm that its interval shows is enough for an abort."""
    text, margin = metric.sentence or f"{metric.name}: {metric.missing}", abort_margins(release).get(metric.name)
    alpha = abort_alpha(release)
    if margin is None or metric.missing or metric.abort_high is None or metric.high >= -margin or not alpha:
        return text
    level = f"{100 * (1 - alpha):.4g} %"
    if metric.aborts_from < -margin:
        return f"{text} At {level}, the level of an abort, it is worse by {-metric.aborts_from:.4g} or more."
    return f"{text} An abort needs it at {level}, where it may still be within {margin:.4g}."
