"""Detectors of many sequences: the calibrator's integral, the run length under dependence, power."""

import numpy as np
import pytest
from scipy import integrate, stats

from flyball.core import BadInput
from flyball.statistics import alarms_among, e_of_p, next_log_wealth


def test_e_of_p_is_the_mean_over_all_power_calibrators() -> None:
    for p in (1e-9, 1e-4, 0.02, 0.5, 0.9985, 0.9995, 1.0):
        mean = integrate.quad(lambda k, p=p: k * p ** (k - 1), 0, 1, epsrel=1e-10)[0]
        assert e_of_p(p) == pytest.approx(mean, rel=1e-5)
    assert e_of_p([0.0]).tolist() == [np.inf]
    assert (np.diff(e_of_p(np.linspace(1e-6, 1, 100_000))) < 0).all()


def test_e_of_p_has_an_expectation_of_1_where_p_is_uniform() -> None:
    """With p = exp(-u); behind u = 600 the integrand is 1 / u^2."""
    inner = integrate.quad(lambda u: float(e_of_p(np.exp(-u))) * np.exp(-u), 0, 600, limit=500)[0]
    assert inner + 1 / 600 == pytest.approx(1.0, rel=1e-5)


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
