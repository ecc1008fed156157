"""Change detection: the promised run length, planted rises, a naive loop over all starts, and streams in parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flyball.core import BadInput
from flyball.statistics import DetectorPlan, detect, plan_detector

VALUES = st.lists(st.floats(-1, 2), min_size=1, max_size=40)
PLAN = DetectorPlan(bound=0.3, low=0.0, high=1.0, stakes=(0.2, 1.0, 2.5), run_length=20.0)


def naive(plan: DetectorPlan, values: list[float]) -> list[int]:
    """The sum over all bets and starts, each computed from its beginning."""
    alarms, first = [], 0
    for position in range(len(values)):
        cut = np.clip(values[first : position + 1], plan.low, plan.high)
        wealth = [np.prod(1 + stake * (cut[start:] - plan.bound)) for stake in plan.stakes for start in range(len(cut))]
        if sum(wealth) / len(plan.stakes) >= plan.run_length:
            alarms.append(position)
            first = position + 1
    return alarms


@given(VALUES)
def test_alarms_are_those_of_the_sum_over_all_starts(values: list[float]) -> None:
    assert detect(PLAN, values)[1] == naive(PLAN, values)


@given(VALUES, st.lists(st.integers(0, 40), max_size=4))
def test_a_stream_in_parts_has_the_same_alarms(values: list[float], cuts: list[int]) -> None:
    state, alarms = None, []
    for part in np.split(np.array(values), sorted(min(cut, len(values)) for cut in cuts)):
        state, seen = detect(PLAN, part, state)
        alarms += seen
    whole, expected = detect(PLAN, values)
    assert alarms == expected
    assert state is not None
    assert state.count == whole.count == len(values)
    assert state.log_wealth == pytest.approx(whole.log_wealth)


def stream(rng: np.random.Generator, kind: str, count: int, mean: float) -> np.ndarray:
    return (rng.random(count) < mean).astype(float) if kind == "errors" else rng.beta(10 * mean, 10 * (1 - mean), count)


@pytest.mark.parametrize("kind", ["errors", "shares"])
def test_false_alarms_are_as_rare_as_stated(kind: str) -> None:
    rng, alarms, runs = np.random.default_rng(1), 0, 300
    for _ in range(runs):
        plan = plan_detector(stream(rng, kind, 500, 0.1), run_length=2_000, alpha=0.05)
        alarms += bool(detect(plan, stream(rng, kind, 200, 0.1))[1])
    # The sum less the number of values is a martingale: by Doob it reaches 2,000 within 200 values in a tenth at most.
    assert alarms <= stats.binom.ppf(0.999, runs, 0.05 + 200 / 2_000)


@pytest.mark.parametrize(("kind", "most"), [("errors", 350), ("shares", 60)])
def test_a_rise_is_found_soon(kind: str, most: int) -> None:
    rng, delays = np.random.default_rng(2), []
    for _ in range(40):
        plan = plan_detector(stream(rng, kind, 2_000, 0.1))
        _, alarms = detect(plan, np.concatenate([stream(rng, kind, 500, 0.1), stream(rng, kind, 3_000, 0.2)]))
        delays.append(next(at for at in alarms if at >= 500) - 500)
    assert np.mean(delays) < most


def test_the_bound_is_above_the_mean_as_often_as_stated() -> None:
    rng, below = np.random.default_rng(3), 0
    for _ in range(400):
        below += plan_detector((rng.random(300) < 0.1).astype(float)).bound < 0.1
    assert below <= stats.binom.ppf(0.999, 400, 0.05)


def test_a_fall_is_no_alarm() -> None:
    rng = np.random.default_rng(4)
    plan = plan_detector((rng.random(2_000) < 0.5).astype(float), run_length=1_000)
    assert detect(plan, np.zeros(20_000))[1] == []


def test_values_beyond_the_range_are_cut() -> None:
    plan = plan_detector(np.linspace(0, 10, 50), high=10.0)
    assert detect(plan, [1e9] * 5)[0] == detect(plan, [10.0] * 5)[0]


def test_constant_baselines_have_a_plan() -> None:
    assert detect(plan_detector(np.zeros(1_000)), np.zeros(50_000))[1] == []
    assert detect(plan_detector(np.zeros(1_000)), np.ones(20))[1] != []
    assert detect(plan_detector(np.ones(1_000)), np.ones(50_000))[1] == []
    assert plan_detector(np.full(100, 0.25)).bound >= 0.25


def test_what_makes_no_plan_is_refused() -> None:
    with pytest.raises(BadInput, match="values of the baseline must be 30 or more, got 2"):
        plan_detector([0.0, 1.0])
    with pytest.raises(BadInput, match="range of values"):
        plan_detector([0.5] * 50, low=1.0)
    with pytest.raises(BadInput, match="run_length must be a number above 0"):
        plan_detector([0.5] * 50, run_length=0)
    with pytest.raises(BadInput, match="values at position 1 must be finite"):
        detect(PLAN, [0.0, float("nan")])
