"""Detectors of many sequences: the calibrator's integral, the run length under dependence, power."""

import numpy as np
import pytest
from scipy import integrate, stats

from flyball.core import BadInput
from flyball.statistics import alarms_among, e_of_p, next_log_wealth


def test_e_of_p_is_the_likelihood_ratio_of_an_equal_mix_of_larger_deviations() -> None:
    rises = np.array([0, 1, 1.5, 2, 2.5, 3, 4, 5.5])
    for z in (-3.0, -0.5, 0.0, 1.0, 2.3, 4.0, 6.0):
        ratio = stats.norm.pdf(z - rises).mean() / stats.norm.pdf(z)
        assert e_of_p(stats.norm.sf(z)) == pytest.approx(ratio, rel=1e-9)
    assert e_of_p([0.0, 1.0]).tolist() == [np.inf, 1 / 8]
    assert (np.diff(e_of_p(np.linspace(1e-6, 1, 100_000))) < 0).all()
    assert e_of_p(np.zeros((2, 3))).shape == (2, 3)


def test_e_of_p_has_an_expectation_of_1_where_p_is_uniform() -> None:
    def density(z: float) -> float:
        return float(e_of_p(stats.norm.sf(z)) * stats.norm.pdf(z))

    parts = [integrate.quad(density, low, low + 5, epsabs=1e-10)[0] for low in range(-10, 20, 5)]
    assert sum(parts) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_a_p_value_outside_0_and_1_is_refused(bad: float) -> None:
    with pytest.raises(BadInput, match="p-values at position 1 must be"):
        e_of_p([0.5, bad])


def test_wealth_is_the_sum_over_all_starts() -> None:
    e = np.random.default_rng(1).exponential(1.0, 12)
    wealth = -np.inf
    for value in e:
        wealth = next_log_wealth(wealth, float(value))
    assert np.exp(wealth) == pytest.approx(sum(np.prod(e[start:]) for start in range(len(e))))
    assert next_log_wealth(3.0, 0.0) == -np.inf
    assert next_log_wealth(-np.inf, np.inf) == np.inf
    with pytest.raises(BadInput, match="e-value"):
        next_log_wealth(0.0, -1.0)
    for wrong in (-np.inf, np.nan):
        with pytest.raises(BadInput, match="e-value"):
            next_log_wealth(0.0, wrong)


def test_alarms_are_those_of_e_bh_on_the_wealth() -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        wealth = {str(number): float(value) for number, value in enumerate(rng.normal(4, 3, rng.integers(1, 9)))}
        most = [
            k
            for k in range(1, len(wealth) + 1)
            if sorted(wealth.values(), reverse=True)[k - 1] >= np.log(len(wealth) * 100 / k)
        ]
        assert len(alarms_among(wealth, 100)) == max(most, default=0)
    assert alarms_among({}, 100) == []


def test_with_shares_a_wealth_counts_as_that_of_so_many_more_sequences() -> None:
    rng = np.random.default_rng(6)
    for _ in range(300):
        logs = rng.normal(5, 3, rng.integers(2, 9))
        shares = rng.dirichlet(np.ones(len(logs)))
        weighted = sorted(zip(np.exp(logs) * shares, range(len(logs)), strict=True), reverse=True)
        most = max((k for k in range(1, len(logs) + 1) if weighted[k - 1][0] >= 100 / k), default=0)
        by_name = {str(number): float(log) for number, log in enumerate(logs)}
        alarms = alarms_among(by_name, 100, {str(number): float(share) for number, share in enumerate(shares)})
        assert alarms == [str(number) for _, number in weighted[:most]]


@pytest.mark.parametrize("shares", [{"a": 0.5, "b": 0.6}, {"a": 1.0}, {"a": 1.5, "b": -0.5}])
def test_shares_are_positive_and_sum_to_1(shares: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="shares of the budget must be above 0 for each sequence, with a sum of 1"):
        alarms_among({"a": 1.0, "b": 1.0}, 100, shares)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 1.0])
def test_the_time_to_the_first_false_alarm_is_at_least_the_run_length(correlation: float) -> None:
    """40 sequences, however much they depend on each other."""
    rng, run_length, first = np.random.default_rng(3), 60, list[int]()
    names = [str(number) for number in range(40)]
    for _ in range(60):
        wealth, looks = np.full(40, -np.inf), 0
        while looks < 40 * run_length and not alarms_among(dict(zip(names, wealth.tolist(), strict=True)), run_length):
            looks += 1
            shared, own = rng.normal(), rng.normal(size=40)
            p = _upper_tail(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)
            wealth = np.logaddexp(0.0, wealth) + np.log(e_of_p(p))
        first.append(looks)
    error = np.std(first) / np.sqrt(len(first))
    assert np.mean(first) >= run_length - 2 * error


def test_a_change_in_many_sequences_is_seen_sooner_than_in_one() -> None:
    def looks(changed: int) -> int:
        rng, wealth = np.random.default_rng(4), np.full(100, -np.inf)
        for look in range(1, 1_000):
            z = rng.normal(size=100)
            z[:changed] += 2.5
            wealth = np.logaddexp(0.0, wealth) + np.log(e_of_p(_upper_tail(z)))
            if alarms_among(dict(zip(map(str, range(100)), wealth.tolist(), strict=True)), 720):
                return look
        return 1_000

    assert looks(50) <= looks(1) < 30


def _upper_tail(z: np.ndarray) -> np.ndarray:
    return np.asarray(stats.norm.sf(z))


def test_wealth_is_at_most_the_sum_of_the_weights() -> None:
    wealth = -np.inf
    for _ in range(8):
        wealth = next_log_wealth(wealth, 1.0, 0.25)
    assert np.exp(wealth) == pytest.approx(2.0)
    with pytest.raises(BadInput, match="weight"):
        next_log_wealth(0.0, 1.0, 0.0)
