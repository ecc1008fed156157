"""The edges of every gate and of the choice, on reports whose numbers are planted."""

from typing import Any

import msgspec
import numpy as np
import pytest

import flyball as fb
from flyball.core import Refused
from flyball.evaluation import (
    NOT_REQUIRED,
    Cost,
    Estimate,
    Evaluated,
    GateResult,
    GroupComparison,
    GroupMetrics,
    LargestGap,
    Report,
    Rivals,
    check_gates,
    choose,
)
from flyball.evaluation.gates import holds
from flyball.policy import MetricGate

WIDTH_95, ONE_SIDED_90 = 3.9199, 1.2816


def report_of(
    metrics: dict[str, dict[str, Estimate]],
    differences: dict[str, dict[tuple[str, str], Estimate]] | None = None,
    better: dict[str, Any] | None = None,
    **further: Any,
) -> Report:
    """`metrics`: {name: {metric: estimate}}; `differences`: {metric: {(name, other): estimate}}."""
    pairs: dict[str, dict[str, dict[str, Estimate]]] = {}
    for metric, gaps in (differences or {}).items():
        for (name, other), gap in gaps.items():
            pairs.setdefault(metric, {}).setdefault(name, {})[other] = gap
    costs = further.pop("costs", {})
    evaluated = {
        name: Evaluated(name, "candidate", "", metrics=own, cost=Cost(answer_us=costs.get(name, 100.0)))
        for name, own in metrics.items()
    }
    return Report(
        requests=200,
        units=further.pop("units", 100),
        start_us=0,
        end_us=1,
        seed=0,
        resamples=10,
        evaluated=evaluated,
        better=better or {"ndcg@5": "high", "rmse": "low", "ratio": 1.0},
        differences=pairs,
        **further,
    )


def gate(
    name: str,
    report: Report,
    rivals: Rivals | None = None,
    metric: str = "ndcg@5",
    own: tuple[MetricGate, ...] = (),
    **gates: Any,
) -> GateResult:
    results = check_gates(fb.gates(**gates), own, report, "mine", rivals or Rivals(), metric)
    return next(result for result in results if result.name == name)


def alone(**metrics: Estimate) -> Report:
    return report_of({"mine": {"ndcg@5": Estimate(0.3, 0.2, 0.4), **metrics}})


def test_as_many_users_as_are_needed_are_enough() -> None:
    report = report_of({"mine": {}}, units=30)
    assert gate("enough_examples", report, min_examples=30).passed
    assert not gate("enough_examples", report, min_examples=31).passed
    assert gate("enough_examples", report, min_examples=31).metrics == {"units": 30, "least": 31}


def test_a_gate_that_is_only_reported_says_so_and_rejects_nothing() -> None:
    report, strict = report_of({"mine": {}}, units=30), fb.gates(min_examples=31)
    relaxed = msgspec.structs.replace(strict, advisory=("enough_", "beats_"))
    by_name = {result.name: result for result in check_gates(relaxed, (), report, "mine", Rivals(), "ndcg@5")}
    assert by_name["enough_examples"].passed
    assert by_name["enough_examples"].reason.endswith(f"at least 31 are needed for a decision{NOT_REQUIRED}")
    assert by_name["beats_random"].reason == f"there is no random baseline to compare with{NOT_REQUIRED}"
    assert not by_name["ran"].reason.endswith(NOT_REQUIRED)
    assert not gate("enough_examples", report, min_examples=31).passed


def test_a_response_may_take_as_long_as_is_allowed() -> None:
    report = report_of({"mine": {}}, costs={"mine": 50_000.0})
    assert gate("answers_in_time", report, max_answer="50ms").passed
    assert not gate("answers_in_time", report, max_answer="49999us").passed


@pytest.mark.parametrize(
    ("bounds", "estimate", "passed"),
    [
        ({"at_least": 0.2}, Estimate(0.3, 0.2, 0.4), True),
        ({"at_least": 0.2}, Estimate(0.3, 0.1999, 0.4), False),  # the value is above it, not the whole interval
        ({"at_least": 0.2, "certain": False}, Estimate(0.2, 0.1, 0.4), True),
        ({"at_least": 0.2, "certain": False}, Estimate(0.1999, 0.1, 0.4), False),
        ({"at_least": 0.2}, Estimate(0.2), True),
        ({"at_most": 0.4}, Estimate(0.3, 0.2, 0.4), True),
        ({"at_most": 0.4}, Estimate(0.3, 0.2, 0.4001), False),
        ({"at_most": 0.4, "certain": False}, Estimate(0.4, 0.2, 0.9), True),
        ({"at_most": 0.4, "certain": False}, Estimate(0.4001, 0.2, 0.9), False),
        ({"at_most": 0.4}, Estimate(0.4), True),
        ({"above": 0.0}, Estimate(0.0, 0.0, 0.0), False),
        ({"above": 0.0}, Estimate(0.001, 0.0, 0.1), True),
        ({"at_least": 0.1, "at_most": 0.3}, Estimate(0.2, 0.1, 0.3), True),
        ({"at_least": 0.1, "at_most": 0.3}, Estimate(0.2, 0.0, 0.3), False),
        ({"at_least": 0.1}, None, False),
        ({"at_least": 0.75, "refuted": True}, Estimate(0.7, 0.65, 0.75), True),
        ({"at_least": 0.75, "refuted": True}, Estimate(0.7, 0.65, 0.7499), False),
        ({"at_most": 0.4, "refuted": True}, Estimate(0.5, 0.4, 0.6), True),
        ({"at_most": 0.4, "refuted": True}, Estimate(0.5, 0.4001, 0.6), False),
        ({"at_least": 0.75, "refuted": True}, Estimate(0.7), False),
    ],
)
def test_a_bound_holds_on_the_right_side_alone(bounds: dict[str, Any], estimate: Estimate | None, passed: bool) -> None:
    assert holds(MetricGate("bound", "coverage@5", **bounds), estimate) is passed


def test_bounds_by_name_say_what_they_compared() -> None:
    report = alone(**{"coverage@5": Estimate(0.3, 0.2, 0.4), "rmse": Estimate(0.9, 0.8, 1.0)})
    passed = gate("at_least coverage@5", report, at_least={"coverage@5": 0.2})
    assert passed.passed
    assert passed.metrics == {"value": 0.3, "low": 0.2, "high": 0.4}
    failed = gate("at_most rmse", report, at_most={"rmse": 0.99})
    assert not failed.passed
    assert failed.reason == "rmse is 0.9000 [0.8000, 1.0000], it must be at most 0.99, the whole interval"
    absent = gate("at_least map@5", report, at_least={"map@5": 0.2})
    assert (absent.passed, "it has no map@5" in absent.reason) == (False, True)


def test_a_bound_may_be_on_a_slice() -> None:
    from flyball.evaluation import SliceMetrics

    own = Evaluated(
        "mine", "candidate", "", slices=[SliceMetrics("history_length", "0", 9, 9, {"ndcg@5": Estimate(0.1)})]
    )
    report = report_of({})
    report.evaluated["mine"] = own
    name = "ndcg@5/history_length=0"
    assert gate(f"at_least {name}", report, at_least={name: 0.1}).passed
    assert not gate(f"at_least {name}", report, at_least={name: 0.11}).passed
    assert not gate(f"at_least {name[:-1]}1", report, at_least={f"{name[:-1]}1": 0.0}).passed


def test_a_gap_between_groups_must_be_shown_to_be_small() -> None:
    gap = LargestGap("auc", "north", "south", Estimate(0.04, 0.0, 0.09), 3)
    few = [GroupMetrics("north", 40, 40, {}), GroupMetrics("south", 9, 9, {}, not_compared={"rmse": "9 are too few"})]
    groups = [GroupComparison("region", few, [], {"auc": gap})]
    mine = msgspec.structs.replace(alone().of("mine"), groups=groups)
    report = msgspec.structs.replace(alone(), evaluated={"mine": mine})
    allowed = gate("max_gap auc/region", report, max_gap={"auc/region": 0.1})
    assert allowed.passed
    assert allowed.metrics == {"value": 0.04, "low": 0.0, "high": 0.09}
    refused = gate("max_gap auc/region", report, max_gap={"auc/region": 0.08})
    assert not refused.passed
    assert refused.reason == (
        "auc differs most between region=north (more) and region=south, by 0.0400 [0.0000, 0.0900], it must be at most "
        "0.08, the whole interval"
    )
    unknown = gate("max_gap rmse/region", report, max_gap={"rmse/region": 1.0})
    assert not unknown.passed
    assert unknown.reason == (
        "rmse cannot be compared between groups of region, more requests of each are needed: north: enough; "
        "south: 9 are too few"
    )


def test_a_tasks_gate_says_why_and_gives_way_to_a_bound_on_its_metric() -> None:
    own = (MetricGate("full_lists", "full_lists@5", at_least=0.99, certain=False, why="lists stay short"),)
    report = alone(**{"full_lists@5": Estimate(0.5, 0.5, 0.5)})
    refused = gate("full_lists", report, own=own)
    assert (refused.passed, refused.reason) == (False, "lists stay short")
    names = [
        result.name
        for result in check_gates(fb.gates(at_least={"full_lists@5": 0.5}), own, report, "mine", Rivals(), "ndcg@5")
    ]
    assert "full_lists" not in names
    assert gate("at_least full_lists@5", report, own=own, at_least={"full_lists@5": 0.5}).passed


@pytest.mark.parametrize(
    ("metric", "gap", "passed"),
    [
        ("ndcg@5", Estimate(0.1, 0.0001, 0.2), True),
        ("ndcg@5", Estimate(0.1, 0.0, 0.2), False),
        ("rmse", Estimate(-0.1, -0.2, -0.0001), True),
        ("rmse", Estimate(-0.1, -0.2, 0.0), False),
        ("rmse", Estimate(0.1, 0.05, 0.2), False),
        ("ndcg@5", Estimate(0.1), False),
    ],
)
def test_the_baseline_must_be_beaten_for_certain(metric: str, gap: Estimate, passed: bool) -> None:
    both = {"ndcg@5": Estimate(0.3), "rmse": Estimate(1.0)}
    report = report_of({"mine": both, "random": both}, {metric: {("mine", "random"): gap}})
    rivals = Rivals(None, "random", "random")
    assert gate("beats_random", report, rivals, metric).passed is passed


def test_a_metric_with_a_target_is_better_the_nearer_it_is() -> None:
    report = report_of(
        {"mine": {"ratio": Estimate(1.1, 1.09, 1.11)}, "random": {"ratio": Estimate(0.5, 0.49, 0.51)}},
        {"ratio": {("mine", "random"): Estimate(0.6, 0.55, 0.65)}},
    )
    assert gate("beats_random", report, Rivals(None, "random", "random"), "ratio").passed  # 0.1 off against 0.5
    turned = report_of(
        {"mine": {"ratio": Estimate(1.6, 1.59, 1.61)}, "random": {"ratio": Estimate(0.5, 0.49, 0.51)}},
        {"ratio": {("mine", "random"): Estimate(1.1, 1.05, 1.15)}},
    )
    assert not gate("beats_random", turned, Rivals(None, "random", "random"), "ratio").passed


def test_where_the_baseline_has_no_such_metric_another_is_compared() -> None:
    report = report_of(
        {"mine": {"ndcg@5": Estimate(0.3), "rmse": Estimate(1.0)}, "random": {"ndcg@5": Estimate(0.1)}},
        {"ndcg@5": {("mine", "random"): Estimate(0.2, 0.1, 0.3)}},
    )
    passed = gate("beats_random", report, Rivals(None, "random", "random", "ndcg@5"), "rmse")
    assert passed.passed
    assert passed.reason.startswith("ndcg@5 minus that of random is 0.2000")
    assert not gate("beats_random", report, Rivals(None, "random", "random"), "rmse").passed
    assert not gate("beats_random", report, Rivals(None, "", "random")).passed
    assert gate("beats_random", report, Rivals(None, "mine", "random")).reason == "it is the random baseline"


def held_against(gap: Estimate, metric: str = "ndcg@5", own_recipe: bool = False, **gates: Any) -> GateResult:
    """Against a champion of 0.5."""
    both = {metric: Estimate(0.5)}
    report = report_of({"mine": both, "old": both}, {metric: {("mine", "old"): gap}})
    return gate("holds_champion", report, Rivals("old", own_recipe=own_recipe), metric, **gates)


def interval(worst: float, value: float) -> Estimate:
    """With `worst` as the lower end of the one-sided 90 % interval."""
    half = (value - worst) / ONE_SIDED_90 * WIDTH_95 / 2
    return Estimate(value, value - half, value + half)


def test_another_recipe_may_lose_what_is_allowed_with_90_percent_confidence() -> None:
    assert held_against(interval(-0.0249999, 0.01), max_loss=0.05).passed  # 5 % of 0.5
    assert not held_against(interval(-0.0250001, 0.01), max_loss=0.05).passed
    assert held_against(interval(-0.0499, 0.01), max_loss=0.1).passed
    low = held_against(interval(-0.0250001, 0.01), max_loss=0.05)
    assert low.metrics["allowed"] == 0.025
    assert low.metrics["worst"] == pytest.approx(-0.0250001)


def test_of_errors_a_higher_one_is_a_loss() -> None:
    worse, better = interval(-0.03, 0.01), interval(-0.02, 0.01)

    def turned(gap: Estimate) -> Estimate:
        assert gap.low is not None
        assert gap.high is not None
        return Estimate(-gap.value, -gap.high, -gap.low)

    assert held_against(turned(better), "rmse").passed
    assert not held_against(turned(worse), "rmse").passed


def test_the_champions_own_recipe_must_be_refuted() -> None:
    poor = Estimate(-0.1, -0.2, 0.0)
    assert held_against(poor, own_recipe=True).passed  # not significantly worse
    assert not held_against(poor).passed
    assert not held_against(Estimate(-0.1, -0.2, -0.0001), own_recipe=True).passed
    near = Estimate(-0.01, -0.015, -0.005)  # significantly, but by less than is allowed
    assert held_against(near, own_recipe=True).passed


def test_of_one_model_under_two_names_the_champion_as_it_serves_decides() -> None:
    both = {"ndcg@5": Estimate(0.5)}
    report = report_of({"mine": both, "old": both}, {"ndcg@5": {("mine", "old"): Estimate(0.0, 0.0, 0.0)}})
    rivals = Rivals("old", own_recipe=True, same_model="mine is compared with v1 as it serves")

    def results(gap: Estimate | None) -> dict[str, GateResult]:
        served = None if gap is None else report_of({"mine": both, "old": both}, {"ndcg@5": {("mine", "old"): gap}})
        made = check_gates(fb.gates(), (), report, "mine", rivals, "ndcg@5", served)
        return {result.name: result for result in made}

    same = results(None)["holds_champion"]
    assert (same.passed, same.metrics) == (True, {})
    assert same.reason.startswith("old had learned from part of the test window")
    assert same.reason.endswith("mine is compared with v1 as it serves")
    assert "holds_served_champion" not in results(None)
    better, worse = Estimate(0.2, 0.1, 0.3), Estimate(-0.2, -0.3, -0.1)
    assert results(better)["holds_served_champion"].passed
    refused = results(worse)["holds_served_champion"]
    assert not refused.passed
    assert refused.reason.startswith(
        "on 200 requests of 100 requests since 1970-01-01T00:00:00Z, which neither has seen"
    )
    assert refused.metrics["difference"] == -0.2


def test_a_champion_that_cannot_be_compared_blocks_or_not() -> None:
    both = {"ndcg@5": Estimate(0.5)}
    without = report_of({"mine": both, "old": both})
    assert not gate("holds_champion", without, Rivals("old")).passed
    without.evaluated["old"] = Evaluated("old", "champion", "", failed="ValueError: gone")
    assert gate("holds_champion", without, Rivals("old")).passed
    names = [result.name for result in check_gates(fb.gates(), (), without, "mine", Rivals("mine"), "ndcg@5")]
    assert "holds_champion" not in names


def test_what_is_corrected_decides() -> None:
    own = {"ndcg@5": Estimate(0.5), "ips_ndcg@5": Estimate(0.2)}
    gaps = {
        "ndcg@5": {("mine", "old"): Estimate(-0.2, -0.3, -0.1)},
        "ips_ndcg@5": {("mine", "old"): Estimate(0.1, 0.05, 0.15)},
    }
    report = report_of({"mine": own, "old": own}, gaps, decided_by={"ndcg@5": "ips_ndcg@5"})
    result = gate("holds_champion", report, Rivals("old"))
    assert result.passed
    assert result.reason.startswith("ndcg@5 (IPS) minus the champion's 0.2000 is 0.1000")
    plain = report_of({"mine": own, "old": own}, gaps)
    assert not gate("holds_champion", plain, Rivals("old")).passed
    assert choose(fb.best("ndcg@5"), report, ["mine", "old"])[1] == "mine has the best ndcg@5 (IPS) 0.2000 of 2"


def candidates(costs: dict[str, float], gap: Estimate, values: dict[str, float], metric: str = "ndcg@5") -> Report:
    own = {name: {metric: Estimate(value)} for name, value in values.items()}
    first, second = values
    return report_of(own, {metric: {(first, second): gap}}, costs=costs)


def test_times_within_a_quarter_are_the_same() -> None:
    policy, noise = fb.cheapest_within_noise("ndcg@5"), Estimate(0.01, -0.01, 0.03)
    values = {"good": 0.31, "quick": 0.30}
    assert choose(policy, candidates({"good": 125.0, "quick": 100.0}, noise, values), list(values))[0] == "good"
    assert choose(policy, candidates({"good": 125.1, "quick": 100.0}, noise, values), list(values))[0] == "quick"


@pytest.mark.parametrize(
    ("gap", "winner"),
    [
        (Estimate(0.01, 0.0, 0.02), "quick"),
        (Estimate(0.01, 0.0001, 0.02), "good"),
        (Estimate(0.0, -0.02, 0.0), "quick"),
        (Estimate(0.01), "quick"),
    ],
)
def test_what_has_zero_in_its_interval_is_within_noise(gap: Estimate, winner: str) -> None:
    values = {"good": 0.31, "quick": 0.30}
    report = candidates({"good": 900.0, "quick": 100.0}, gap, values)
    assert choose(fb.cheapest_within_noise("ndcg@5"), report, list(values))[0] == winner


def test_the_lowest_error_and_the_nearest_to_a_target_win() -> None:
    gap = Estimate(-0.1, -0.2, -0.05)
    report = candidates({}, gap, {"good": 0.9, "poor": 1.0}, "rmse")
    assert choose(fb.best("rmse"), report, ["poor", "good"])[0] == "good"
    near = candidates({}, gap, {"near": 0.95, "far": 1.2}, "ratio")
    assert choose(fb.best("ratio"), near, ["far", "near"])[0] == "near"


def test_ties_go_to_the_quicker_then_by_name() -> None:
    values = {"b": 0.3, "a": 0.3}
    tie = Estimate(0.0, -0.1, 0.1)
    assert choose(fb.best("ndcg@5"), candidates({"a": 2.0, "b": 1.0}, tie, values), ["a", "b"])[0] == "b"
    assert choose(fb.best("ndcg@5"), candidates({}, tie, values), ["b", "a"])[0] == "a"


def test_who_failed_cannot_be_chosen() -> None:
    report = candidates({}, Estimate(0.1), {"good": 0.9, "other": 0.1})
    report.evaluated["good"] = Evaluated("good", "candidate", "", failed="broke", metrics={"ndcg@5": Estimate(0.9)})
    assert choose(fb.best("ndcg@5"), report, ["good", "other"])[0] == "other"
    with pytest.raises(Refused, match="choosing by ndcg@5 must have a candidate with that metric, got good"):
        choose(fb.best("ndcg@5"), report, ["good"])


def test_two_equally_far_on_either_side_of_the_target_are_a_tie() -> None:
    # Much noise that both share, little of their own: the difference says nothing of which is nearer to the target.
    rng, wrong, runs = np.random.default_rng(1), 0, 1_000
    for shared, own, others in rng.normal(0, (0.5, 0.02, 0.02), (runs, 3)):
        mine, theirs = 0.8 + shared + own, 1.2 + shared + others
        half, gap = 1.96 * float(np.hypot(0.5, 0.02)), 1.96 * 0.02 * 2**0.5
        report = report_of(
            {
                "mine": {"ratio": Estimate(mine, mine - half, mine + half)},
                "base": {"ratio": Estimate(theirs, theirs - half, theirs + half)},
            },
            {"ratio": {("mine", "base"): Estimate(mine - theirs, mine - theirs - gap, mine - theirs + gap)}},
        )
        wrong += gate("beats_random", report, Rivals(None, "base", "random"), "ratio").passed
    assert wrong <= 0.025 * runs
