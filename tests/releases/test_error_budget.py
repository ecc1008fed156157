"""The alpha of a release holds over all comparisons that may abort it; the parts are fixed when it is drafted."""

from typing import Any

import msgspec
import pytest

from flyball.policy import ReleasePlan, ab, bandit, canary, immediate, interleave, shadow, switchback
from flyball.releases import (
    AnswerCounts,
    ArmCounts,
    Evidence,
    MetricEvidence,
    Release,
    ReleaseState,
    abort_alpha,
    abort_margins,
    advance,
    harm_alpha,
    move,
)
from flyball.releases.error_budget import guardrail_alphas, shown_metric, watch_alpha
from flyball.releases.opening import draft

HARMFUL, SUCCESS = {"hidden": 0.01, "charged_back": 0.001}, {"bought": 0.01, "liked": 0.02, "returned": 0.05}
THREE = {"control": 1.0, "a": 1.0, "b": 1.0}


def drafted(plan: ReleasePlan, *versions: str) -> Release:
    return draft(ReleaseState(champion="v1"), plan, versions or ("v2",), "ann", "so", 0)


@pytest.mark.parametrize(
    ("plan", "versions", "tests"),
    [
        (canary(), 1, 4),
        (canary(success=SUCCESS, harmful=HARMFUL), 1, 4 + 5),
        (canary(success=SUCCESS, harmful=HARMFUL, shadow="1d"), 1, 2 * 4 + 5),
        (ab(success=SUCCESS), 1, 4 + 3),
        (ab(THREE, success=SUCCESS, harmful=HARMFUL), 2, 2 * (4 + 5)),
        (bandit(THREE, reward="bought", harmful=HARMFUL), 2, 2 * (4 + 2)),  # its reward moves shares, nothing else
        (switchback(success=SUCCESS), 1, 4 + 3),
        (interleave(credit="liked"), 1, 3 + 1),  # no list is slow by one arm alone
        (interleave("a", "b", credit="liked"), 2, 3),  # the other ranker still needs its comparison
        (shadow(steps=(10, 100), success=SUCCESS), 1, 2 * 4 + 3),
        (msgspec.structs.replace(shadow(success=SUCCESS), steps=()), 1, 4),
    ],
)
def test_alpha_is_divided_among_all_comparisons_that_may_abort(plan: ReleasePlan, versions: int, tests: int) -> None:
    release = drafted(plan, *(f"v{number + 2}" for number in range(versions)))
    assert release.constants["abort_tests"] == tests
    assert abort_alpha(release) * tests == pytest.approx(0.01)
    assert guardrail_alphas(release) == (abort_alpha(release), 0.01)


def test_a_champion_for_all_at_once_divides_it_among_guardrails_and_harmful_labels() -> None:
    release = drafted(immediate(harmful=HARMFUL))
    assert abort_alpha(release) == 0.0
    assert harm_alpha(release) == watch_alpha(release, 4) == 0.01 / 6


def test_a_release_from_before_the_budget_keeps_its_errors() -> None:
    release = drafted(ab(THREE, success=SUCCESS), "v2", "v3")
    plain = {name: value for name, value in release.constants.items() if not name.endswith("_tests")}
    before = msgspec.structs.replace(release, constants=plain)
    assert abort_alpha(before) == 0.0
    assert guardrail_alphas(before) == (0.01 / 8, 0.01 / 8)
    assert (watch_alpha(before, 4), harm_alpha(before)) == (0.01 / 4, 0.01)


def test_which_metrics_abort() -> None:
    assert abort_margins(drafted(ab(success=SUCCESS, harmful=HARMFUL))) == {**SUCCESS, **HARMFUL}
    assert abort_margins(drafted(bandit(reward="bought", harmful=HARMFUL))) == HARMFUL


def metric(high: float, abort_high: float | None) -> MetricEvidence:
    return MetricEvidence("bought", "candidate", "success", -0.05, -0.1, high, "", "bought: worse.", abort_high)


def test_harm_must_be_shown_at_the_level_of_an_abort() -> None:
    release, _ = move(drafted(canary(success={"bought": 0.02})), "start", 0, reason="", to="canary")
    arms = tuple(
        ArmCounts(name, share, AnswerCounts(10), 1) for name, share in (("candidate", 100), ("control", 9_900))
    )

    def decision(known: MetricEvidence) -> Any:
        return advance(release, Evidence(arms, metrics=(known,)), 1)

    assert decision(metric(-0.03, -0.01)) is None
    aborted = decision(metric(-0.03, -0.025))
    assert aborted.command == "abort"
    assert aborted.reason == "bought: worse. At 99.8 %, the level of an abort, it is worse by 0.025 or more."
    assert decision(metric(-0.03, None)).command == "abort"  # measured before the budget: its interval decides


def test_the_text_of_a_metric_says_whether_its_harm_is_enough() -> None:
    release = drafted(canary(success={"bought": 0.02}))
    assert shown_metric(release, metric(0.0, 0.1)) == "bought: worse."
    assert shown_metric(release, metric(-0.03, -0.01)) == (
        "bought: worse. An abort needs it at 99.8 %, where it may still be within 0.02."
    )
    assert shown_metric(release, MetricEvidence("bought", "candidate", "success", missing="units")) == "bought: units"
