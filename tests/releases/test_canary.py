"""A canary goes on when it is shown to be safe, stops at once when it is not, and does neither for want of evidence."""

from functools import cache
from math import comb
from typing import Any

import msgspec
import numpy as np
import pytest

from flyball.policy import ReleasePlan, ab, bandit, canary, immediate, interleave
from flyball.releases import (
    AnswerCounts,
    ArmCounts,
    Evidence,
    MetricEvidence,
    Release,
    ReleaseArm,
    ReleaseDecision,
    ReleaseState,
    advance,
    move,
    not_shown,
    verdicts,
)
from flyball.releases.opening import draft

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def running(plan: ReleasePlan | None = None, **fields: Any) -> Release:
    plan = plan or canary(1, 5, 25, 50, 100)
    release = draft(ReleaseState(champion="v1"), plan, ["v2"], "ann", "so", 0)
    to: Any = plan.kind
    started, _ = move(release, "start", 0, reason="", to=to, started_us=0, over="v1")
    return msgspec.structs.replace(started, **fields)


def arm(name: str, share: int, answers: int, failed: int = 0, last_us: int = HOUR_US, **fields: Any) -> ArmCounts:
    counts = AnswerCounts(answers, {"score": failed} if failed else {}, latency={0: answers}, **fields)
    return ArmCounts(name, share, counts, last_us)


def seen(candidate: tuple[int, int], control: tuple[int, int], share: int = 100, **fields: Any) -> Evidence:
    """(answers, failed) of the arms."""
    arms = (arm("candidate", share, *candidate), arm("control", 10_000 - share, *control))
    return Evidence(arms, **fields)


def decided(release: Release, evidence: Evidence, now_us: int) -> str:
    decision = advance(release, evidence, now_us)
    return "" if decision is None else decision.command


def test_a_version_that_fails_is_aborted_after_a_handful_of_answers() -> None:
    assert decided(running(), seen((10, 10), (1_000, 1)), 1) == "abort"
    assert decided(running(), seen((2, 2), (200, 0)), 1) == ""


def test_it_goes_on_after_its_time_once_it_is_shown_to_be_safe() -> None:
    release, enough = running(), seen((100, 0), (10_000, 10))
    assert decided(release, enough, HOUR_US - 1) == ""
    decision = advance(release, enough, HOUR_US)
    assert decision is not None
    assert (decision.command, decision.step) == ("advance", 1)
    assert "every guardrail is within its margin at 5%" in decision.reason
    assert decided(release, seen((10, 0), (1_000, 1)), HOUR_US) == ""


def test_the_last_step_needs_the_whole_margin_and_makes_the_champion() -> None:
    release = running(step=3)
    few, many = seen((300, 0), (300, 0), 5_000), seen((3_000, 3), (3_000, 3), 5_000)
    assert decided(release, few, HOUR_US) == ""
    assert "failed" in not_shown(release, few, 1.0)[0]
    assert decided(release, many, HOUR_US) == "promote"


LOOKS = (0, 1, 2, 3, 5, 8, 12, 20, 40, 100)


@pytest.mark.parametrize(
    ("steps", "margin"), [((1, 5, 100), 0.01), ((1, 3, 100), 0.01), ((0.5, 1, 100), 0.01), ((0.1, 0.5, 100), 0.02)]
)
def test_the_first_step_lets_no_harm_beyond_the_margin_through(steps: tuple[float, ...], margin: float) -> None:
    """Exactly, not drawn: the chance that a look passes the step, over every number of broken answers at each look.

    Control never fails, the candidate with a chance of `rise`. At the next share, `rise` times it of all answers are
    broken: if that is the margin or more, the step is passed with a chance of at most alpha; else it may be.
    """
    release = running(canary(*steps), guardrails={"failed": margin})
    first, following = release.steps[0], release.steps[1] / 10_000

    @cache
    def passes(answers: int, failed: int) -> bool:
        evidence = seen((answers, failed), (answers * (10_000 - first) // first, 0), first)
        (verdict,) = verdicts(release, evidence, following)
        return verdict.shown == "safe"

    for rise in (0.01, 0.06, min(margin / following, 1.0), 0.2, 0.34, 0.5, 0.9, 1.0):
        chances, passed, before = {0: 1.0}, 0.0, 0
        for answers in LOOKS:
            more, after = answers - before, dict[int, float]()
            for failed, chance in chances.items():
                for broken in range(more + 1):
                    part = comb(more, broken) * rise**broken * (1 - rise) ** (more - broken)
                    after[failed + broken] = after.get(failed + broken, 0.0) + chance * part
            passed += sum(chance for failed, chance in after.items() if passes(answers, failed))
            chances = {failed: chance for failed, chance in after.items() if not passes(answers, failed)}
            before = answers
        if rise * following >= margin:
            assert passed <= release.constants["alpha"]
        if rise == 1.0:
            assert passed == 0
        if rise == 0.01:
            assert passed > 0.5, "what costs far less than is accepted is let through soon"


def test_a_step_that_nobody_was_answered_in_is_not_passed_however_small_the_next_share() -> None:
    release = running(canary(0.1, 0.5, 1, 100, silence="30d"))
    for evidence in (Evidence(), seen((0, 0), (500, 0), 10), seen((1, 1), (500, 0), 10)):
        assert decided(release, evidence, HOUR_US) == ""
    assert decided(release, seen((1, 0), (500, 0), 10), HOUR_US) == "advance"
    assert decided(release, seen((1, 0), (0, 0), 10), HOUR_US) == ""


def test_steps_are_strata_and_a_change_of_traffic_between_them_is_no_harm() -> None:
    """Pooled, the candidate looks worse: it had most of its answers in the hour when everything failed more often."""
    arms = (
        arm("candidate", 100, 50, 0),
        arm("control", 9_900, 5_000, 5),
        arm("candidate", 5_000, 2_000, 200),
        arm("control", 5_000, 2_000, 200),
    )
    (failed, *_) = verdicts(running(step=3), Evidence(arms))
    assert failed.rate - failed.control_rate > 0.03
    assert failed.shown != "harm"


@pytest.mark.parametrize("answers", [0, 1, 5])
def test_too_little_traffic_is_held_and_never_promoted(answers: int) -> None:
    for step in range(4):
        release = running(canary(1, 5, 25, 50, 100, silence="30d"), step=step)
        share = release.steps[step]
        evidence = seen((answers, 0), (answers, 0), share)
        for day in range(7):
            assert decided(release, evidence, day * DAY_US) == ""
        decision = advance(release, evidence, 7 * DAY_US)
        assert isinstance(decision, ReleaseDecision)
        assert (decision.command, decision.held_for) == ("hold", "patience")
        assert "not enough evidence within 7d" in decision.reason


def test_silence_is_held_and_over_when_answers_come_again() -> None:
    release = running()
    quiet = seen((100, 0), (10_000, 10))
    decision = advance(release, quiet, 3 * HOUR_US)
    assert decision is not None
    assert (decision.command, decision.held_for, decision.reason) == ("hold", "silence", "no answer took part for 2h")
    held, _ = move(release, "hold", 3 * HOUR_US, reason="", held_for="silence")
    assert decided(held, quiet, 4 * HOUR_US) == ""
    again = Evidence((arm("candidate", 100, 1, last_us=4 * HOUR_US), *quiet.arms))
    assert decided(held, again, 4 * HOUR_US) == "resume"
    paused, _ = move(held, "pause", 3 * HOUR_US, reason="")
    assert decided(paused, again, 4 * HOUR_US) == ""


def test_what_a_person_paused_is_still_aborted_for_harm() -> None:
    paused, _ = move(running(), "pause", 1, reason="")
    assert decided(paused, seen((10, 10), (1_000, 1)), 2) == "abort"


def test_a_clock_that_is_set_back_lets_nothing_go_on() -> None:
    release = running(since_us=10 * HOUR_US)
    assert decided(release, seen((100, 0), (10_000, 10)), 0) == ""


def metric(low: float, high: float, missing: str = "") -> MetricEvidence:
    return MetricEvidence("liked", "candidate", "success", (low + high) / 2, low, high, missing, "liked: so and so")


def test_a_success_metric_must_be_shown_to_be_not_worse() -> None:
    release = running(canary(1, 50, 100, success={"liked": 0.02}), step=1)
    counts: Any = {"candidate": (3_000, 3), "control": (3_000, 3), "share": 5_000}
    assert decided(release, seen(**counts), HOUR_US) == ""
    assert not_shown(release, seen(**counts), 1.0) == ["liked: nothing was measured yet"]
    assert decided(release, seen(**counts, metrics=(metric(-0.03, 0.05),)), HOUR_US) == ""
    assert decided(release, seen(**counts, metrics=(metric(-0.01, 0.05, "units"),)), HOUR_US) == ""
    assert decided(release, seen(**counts, metrics=(metric(-0.01, 0.05),)), HOUR_US) == "promote"
    assert decided(release, seen(**counts, metrics=(metric(-0.09, -0.03),)), HOUR_US) == "abort"


def test_arms_that_cannot_be_compared_hold_it() -> None:
    evidence = seen((100, 0), (10_000, 10), blocked="units are not split as declared")
    decision = advance(running(), evidence, HOUR_US)
    assert decision is not None
    assert (decision.command, decision.held_for) == ("hold", "blocked")
    held, _ = move(running(), "hold", HOUR_US, reason="", held_for="blocked")
    assert decided(held, evidence, HOUR_US) == ""
    assert decided(held, seen((100, 0), (10_000, 10)), HOUR_US) == "resume"


def test_an_experiment_is_never_promoted_by_itself() -> None:
    release = running(ab(days=14))
    good = seen((90_000, 0), (90_000, 900), 5_000)
    assert decided(release, good, 13 * DAY_US) == ""
    assert decided(release, good, 14 * DAY_US) == "hold"


def watched(failed_since: int, answers_since: int = 500, **fields: Any) -> Evidence:
    before, since = AnswerCounts(5_000, {"score": 5}), AnswerCounts(answers_since, {"score": failed_since})
    return Evidence(before=before, since=since, **fields)


def test_a_champion_under_watch_is_rolled_back_for_harm_and_only_then() -> None:
    release = draft(ReleaseState(champion="v1"), immediate(), ["v2"], "ann", "so", 0)
    release, _ = move(release, "start", 0, reason="", to="champion", over="v1", watch_until_us=7 * DAY_US)
    assert decided(release, watched(0), HOUR_US) == ""
    decision = advance(release, watched(30), HOUR_US)
    assert decision is not None
    assert decision.command == "rollback"
    assert "failed 6.00% of 500 answers since it is the champion, against 0.10% of 5,000 by v1" in decision.reason
    assert decided(release, watched(30), 7 * DAY_US) == ""
    late = MetricEvidence("chargeback", "candidate", "harmful", -0.03, -0.04, -0.02)
    careful = msgspec.structs.replace(release, harmful={"chargeback": 0.01})
    assert decided(careful, watched(0, metrics=(late,)), 6 * DAY_US) == "rollback"
    assert decided(release, watched(0, metrics=(late,)), 6 * DAY_US) == ""


def test_drafted_lists_are_aborted_for_harm_beside_the_answers_of_before() -> None:
    release = running(interleave(credit="liked"))
    assert decided(release, watched(0), DAY_US) == ""
    broken = advance(release, watched(100), DAY_US)
    assert broken is not None
    assert (broken.command, "of 500 answers since lists are drafted, against" in broken.reason) == ("abort", True)
    slow = Evidence(before=AnswerCounts(2_000, latency={0: 2_000}), since=AnswerCounts(500, latency={40: 500}))
    timed = msgspec.structs.replace(release, constants={**release.constants, "slow_us": 1_000.0})
    assert advance(timed, slow, DAY_US) is None, "a draft asks every version"
    assert verdicts(release, watched(100)) == []


def test_users_who_prefer_control_end_a_draft_of_two_and_not_one_of_three() -> None:
    release = running(interleave(credit="liked"))
    worse = Evidence(metrics=(metric(-0.3, -0.1),))
    assert decided(release, worse, DAY_US) == "abort"
    three = msgspec.structs.replace(release, arms=(*release.arms, ReleaseArm("other", "v3")))
    assert decided(three, worse, DAY_US) == ""
    assert decided(running(bandit(reward="liked")), worse, DAY_US) == ""


def test_an_arm_of_a_bandit_that_fails_aborts_it_whatever_its_shares_were() -> None:
    release = running(bandit(reward="liked"))
    release = msgspec.structs.replace(release, arms=(*release.arms, ReleaseArm("other", "v3")))

    def counts(failed: int) -> Evidence:
        rows = [("control", 4_000, 2), ("candidate", 5_000, 2), ("other", 1_000, failed)]
        later = [("control", 3_000, 1), ("candidate", 6_500, 3), ("other", 500, failed)]
        return Evidence(tuple(arm(name, share, share, bad) for name, share, bad in (*rows, *later)))

    assert decided(release, counts(1), HOUR_US) == ""
    assert decided(release, counts(150), HOUR_US) == "abort"
    bad = next(verdict for verdict in verdicts(release, counts(150)) if verdict.shown == "harm")
    assert (bad.guardrail, bad.arm, bad.answers, bad.rate) == ("failed", "other", 1_500, 0.2)


def test_slow_and_late_answers_have_guardrails_of_their_own() -> None:
    release = running(constants={**running().constants, "slow_us": 1_000.0})
    late = Evidence((ArmCounts("candidate", 100, AnswerCounts(40, {"late": 20}), 1), arm("control", 9_900, 4_000)))
    slow = Evidence((ArmCounts("candidate", 100, AnswerCounts(40, latency={40: 20, 0: 20}), 1), late.arms[1]))
    for evidence, name in ((late, "late"), (slow, "slow")):
        decision = advance(release, evidence, 1)
        assert decision is not None
        assert decision.reason.startswith(f"{name}: 50.00% of 40 answers by candidate, 0.00% of ")


def test_verdicts_name_what_both_arms_did_and_what_is_accepted() -> None:
    evidence = Evidence((arm("candidate", 100, 40, 20), arm("control", 9_900, 4_000)))
    failed = next(one for one in verdicts(running(), evidence) if one.guardrail == "failed")
    assert failed.sentence == (
        "failed: 50.00% of 40 answers by candidate, 0.00% of 4,000 by control; a rise of 1 point is accepted: "
        "shown to rise more"
    )
    nothing = next(one for one in verdicts(running(), Evidence()) if one.guardrail == "slow")
    assert nothing.sentence == (
        "slow: 0 answers by candidate, 0 by control; a rise of 2 points is accepted: not yet decided"
    )


def ramp(p_control: float, p_candidate: float, per_hour: int, rng: np.random.Generator) -> tuple[str, int]:
    """(how it ended, answers of the candidate before that) of a whole ramp, looked at every hour."""
    release, rows, exposed = running(canary(1, 10, 50, 100)), dict[tuple[str, int], AnswerCounts](), 0
    for hour in range(1, 100):
        share = release.steps[release.step]
        candidates = int(rng.binomial(per_hour, share / 10_000))
        exposed += candidates
        for name, part, answers, p in (
            ("candidate", share, candidates, p_candidate),
            ("control", 10_000 - share, per_hour - candidates, p_control),
        ):
            counts = rows.setdefault((name, part), AnswerCounts())
            counts.add(AnswerCounts(answers, {"score": int(rng.binomial(answers, p))}, latency={0: answers}))
        arms = tuple(ArmCounts(name, part, counts, hour * HOUR_US) for (name, part), counts in rows.items())
        decision = advance(release, Evidence(arms), hour * HOUR_US)
        if decision is not None and decision.command != "advance":
            return decision.command, exposed
        if decision is not None:
            release, _ = move(release, "advance", hour * HOUR_US, reason="", step=decision.step)
    return "", exposed


def test_ramps_without_a_difference_are_promoted_and_bad_ones_aborted_early() -> None:
    rng = np.random.default_rng(1)
    assert [ramp(0.02, 0.02, 2_000, rng)[0] for _ in range(6)] == ["promote"] * 6
    worse = [ramp(0.02, 0.2, 2_000, rng) for _ in range(6)]
    assert [ended for ended, _ in worse] == ["abort"] * 6
    assert max(exposed for _, exposed in worse) < 1_000  # of 12,000 and more that a whole ramp takes
