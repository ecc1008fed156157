"""Bandits: propensities against draws and closed forms, floors, stickiness and falling regret."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics import (
    BANDITS,
    Bandit,
    Sums,
    arm_probabilities,
    choose_arm,
    group_probabilities,
    policy_value,
    regret,
    with_floor,
)

ARMS = [Sums.of(np.repeat([0.0, 1.0], counts)) for counts in ((90, 10), (80, 20), (38, 12))]


def test_beta_propensities_are_the_shares_of_draws() -> None:
    rng = np.random.default_rng(0)
    draws = np.stack([rng.beta(1 + arm.mean() * arm.count, 1 + (1 - arm.mean()) * arm.count, 400_000) for arm in ARMS])
    expected = np.bincount(draws.argmax(axis=0), minlength=3) / 400_000
    assert arm_probabilities(Bandit(floor=0.0), ARMS) == pytest.approx(expected, abs=3e-3)


def test_gaussian_propensities_of_two_arms_have_a_closed_form() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    values = [rng.normal(1.0, 2.0, 200), rng.normal(1.1, 2.0, 100)]
    arms = [Sums.of(each) for each in values]
    wide = Bandit("thompson_gaussian", floor=0.0, prior=(0.0, 1e4))
    pooled = (199 * values[0].var(ddof=1) + 99 * values[1].var(ddof=1)) / 298
    z = (values[1].mean() - values[0].mean()) / np.sqrt(pooled / 200 + pooled / 100)
    assert arm_probabilities(wide, arms)[1] == pytest.approx(stats.norm.cdf(z), abs=1e-5)


def test_epsilon_greedy_and_ucb() -> None:
    greedy = arm_probabilities(Bandit("epsilon_greedy", epsilon=0.3, floor=0.0), ARMS)
    assert greedy.tolist() == pytest.approx([0.1, 0.1, 0.8])
    assert arm_probabilities(Bandit("epsilon_greedy", floor=0.0), [*ARMS, None])[3] == pytest.approx(0.925)
    bounds = [arm.mean() + np.sqrt(2 * np.log(250) / arm.count) for arm in ARMS]
    ucb = arm_probabilities(Bandit("ucb", floor=0.02), ARMS)
    assert int(ucb.argmax()) == int(np.argmax(bounds))
    assert ucb.min() == pytest.approx(0.02)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(-0.1, 0.6))
def test_floors(shares: list[float], floor: float) -> None:
    if not sum(shares) > 0.01:
        return
    probabilities = with_floor(np.array(shares) / sum(shares), floor)
    assert probabilities.sum() == pytest.approx(1.0)
    assert probabilities.min() >= min(max(floor, 0), 1 / len(shares)) - 1e-12


def test_the_same_unit_gets_the_same_arm_with_its_propensity() -> None:
    shares = [0.0, 0.25, 0.75, 0.0]
    chosen = [choose_arm(shares, u) for u in (0.0, 0.2499, 0.25, 0.999999)]
    assert chosen == [(1, 0.25), (1, 0.25), (2, 0.75), (2, 0.75)]


@pytest.mark.parametrize("rule", BANDITS)
def test_regret_falls_and_the_log_tells_each_arms_value(rule: str) -> None:
    rng = np.random.default_rng(7)
    true = np.array([0.10, 0.14, 0.25])
    prior = (0.15, 0.3) if rule == "thompson_gaussian" else (1.0, 1.0)
    bandit = Bandit(rule, epsilon=0.1, floor=0.03, prior=prior, width=0.3)
    arms: list[Sums | None] = [None, None, None]
    log: list[tuple[int, float, float]] = []
    given_away = []
    for _ in range(60):
        shares = arm_probabilities(bandit, arms)
        given_away.append(float(regret(shares, true)))
        batch = [choose_arm(shares, u) for u in rng.random(100)]
        rewards = [float(rng.random() < true[arm]) for arm, _ in batch]
        log += [(arm, propensity, reward) for (arm, propensity), reward in zip(batch, rewards, strict=True)]
        for arm in range(3):
            seen = [reward for (chosen, _), reward in zip(batch, rewards, strict=True) if chosen == arm]
            old = arms[arm]
            arms[arm] = Sums.of(seen) if old is None else old.merge(Sums.of(seen))
    assert np.mean(given_away[-15:]) < 0.03 < np.mean([0.15, 0.11, 0.0])
    chosen, propensity, reward = (np.array(column) for column in zip(*log, strict=True))
    for arm in range(3):
        value = policy_value((chosen == arm).astype(float), propensity, reward, "ips", alpha=0.001)
        assert value.low < true[arm] < value.high


def test_groups_learn_apart() -> None:
    by_group = group_probabilities(Bandit(), {"new": [ARMS[0], ARMS[1]], "old": [ARMS[1], ARMS[0]]})
    assert by_group["new"][1] == pytest.approx(by_group["old"][0])
    assert by_group["new"][1] > 0.9


def test_bad_arguments_are_refused() -> None:
    for call, message in [
        (lambda: arm_probabilities(Bandit("best"), ARMS), "epsilon_greedy, thompson_beta"),
        (lambda: arm_probabilities(Bandit(), []), "one or more"),
        (lambda: arm_probabilities(Bandit(), [Sums.of([3.0])]), "within \\[0, 1\\]"),
        (lambda: choose_arm([0.5, 0.4], 0.1), "summing to 1"),
        (lambda: choose_arm([0.5, 0.5], 1.0), "u in"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def test_ucb_takes_the_arm_whose_bound_is_highest() -> None:
    """.5 of 1,000 is at most .62 by its bound, .4 of 10 at most 1.58; of 1,000 too, it is behind."""
    usual = Sums.of([0.0, 1.0] * 500)
    for rewards, expected in (
        ([0.0, 0.0, 0.0, 1.0, 1.0] * 2, [0.0, 1.0]),
        ([0.0, 0.0, 0.0, 1.0, 1.0] * 200, [1.0, 0.0]),
    ):
        assert arm_probabilities(Bandit("ucb", floor=0.0), [usual, Sums.of(rewards)]).tolist() == expected
