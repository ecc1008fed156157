"""The monitor of groups: e-values with a mean of at most 1, quiet months, and planted gaps that become findings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, WITHIN_DAYS, bank, bank_app, noisy_corner, rows

import flyball as fb
from flyball.monitoring import MonitorState, decide_findings, fairness_monitor, observe_fairness
from flyball.monitoring.fairness.observed import observe_groups, share_e_value
from flyball.monitoring.performance.logged import Logged

GROUPS = np.array(["acme", "corner", "kiosk"], object)


def day_of(rng: np.random.Generator, corner: float = 0.0, count: int = 300, **fields: Any) -> Logged:
    """A day of probabilities; the fraud of corner is missed more often, by `corner`."""
    group = rng.choice(GROUPS, count)
    actual = rng.random(count) < 0.3
    flagged = rng.random(count) < np.where(actual, np.where(group == "corner", 0.8 - corner, 0.8), 0.1)
    return rows(np.where(flagged, 0.6, 0.2), actual, slices={"merchant": group}, **fields)


def found(days: list[Logged], gates: Any) -> set[str]:
    """The subjects of findings over the days, with a budget of one false finding in 30 looks."""
    states: dict[str, MonitorState] = {}
    subjects = set[str]()
    for number, day in enumerate(days):
        seen = list(observe_groups(day, day, "merchant", gates, 0.05))
        decision = decide_findings(states, seen, since_us=number, at_us=number + 1, run_length=30.0)
        states = decision.states
        subjects |= {finding.subject for finding in decision.findings}
    return subjects


def test_e_values_of_equal_shares_have_a_mean_of_at_most_1() -> None:
    rng = np.random.default_rng(1)
    e_values = [share_e_value(rng.random(25) < 0.8, rng.random(90) < 0.8) for _ in range(2_000)]
    assert np.mean(e_values) <= 1 + 3 * np.std(e_values) / len(e_values) ** 0.5
    assert np.mean(np.array(e_values) > 20) <= 0.05


def test_the_e_value_is_the_ratio_of_fishers_probabilities() -> None:
    """By counting all ways to divide four hits among three units of the group and four others."""
    from itertools import combinations

    ways = [len({0, 1, 2} & set(chosen)) for chosen in combinations(range(7), 4)]
    expected = np.mean([odds**2 / np.mean([odds**hits for hits in ways]) for odds in (0.25, 0.5, 2.0, 4.0)])
    assert share_e_value([True, True, False], [True, True, False, False]) == pytest.approx(expected)


def test_equal_groups_have_findings_as_rarely_as_the_budget_says() -> None:
    """Twelve months of 30 days with a budget of one false finding a month: fewer than twelve by far."""
    rng = np.random.default_rng(2)
    quiet = sum(not found([day_of(rng) for _ in range(30)], fb.gates()) for _ in range(12))
    assert quiet >= 8


def test_a_planted_gap_becomes_a_finding_of_its_group() -> None:
    rng = np.random.default_rng(3)
    subjects = found([day_of(rng, corner=0.3) for _ in range(10)], fb.gates())
    assert "chargeback.true_positive_rate/merchant=corner" in subjects
    assert not any("false_positive_rate" in subject for subject in subjects)


def test_a_bound_of_the_gates_says_what_is_looked_at_and_what_matters() -> None:
    rng = np.random.default_rng(4)
    days = [day_of(rng, corner=0.3) for _ in range(10)]
    assert not found(days, fb.gates(max_gap={"true_positive_rate/merchant": 0.5}))
    bounded = list(observe_groups(days[0], days[0], "merchant", fb.gates(max_gap={"brier/merchant": 0.01}), 0.05))
    assert {seen.evidence["metric"] for seen in bounded} == {"brier"}


def test_weighted_rows_are_compared_by_their_weighted_means() -> None:
    """A control group of one in ten stands for the rest in one merchant alone; weighted, both are equal."""
    rng = np.random.default_rng(5)
    e_values = []
    for _ in range(200):
        group = rng.choice(GROUPS[:2], 600)
        flagged = rng.random(600) < 0.5
        kept = ~flagged | (group == "acme") | (rng.random(600) < 0.2)
        weight = np.where(flagged & (group == "corner"), 5.0, 1.0)
        sample = rows(np.where(flagged, 0.6, 0.2), np.ones(600), weight=weight, slices={"merchant": group})
        (seen,) = [
            seen
            for seen in observe_groups(sample.only(kept), sample.only(kept), "merchant", fb.gates(), 0.05)
            if "true_positive" in seen.subject
        ]
        e_values.append(seen.e_value)
    assert np.mean(np.array(e_values) > 20) <= 0.05


def test_small_groups_are_not_looked_at() -> None:
    sample = rows(np.full(50, 0.4), np.ones(50), slices={"merchant": np.array(["acme"] * 41 + ["corner"] * 9, object)})
    assert not list(observe_groups(sample, sample, "merchant", fb.gates(), 0.05))


def test_the_log_of_a_merchant_that_errs_more_is_seen_once_a_day(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=14, daily=300, change=noisy_corner, app=bank_app(groups=("merchant",)))
    end_us = START_US + 13 * DAY_US
    seen = {s.subject: s for s in observe_fairness(runtime, since_us=end_us - DAY_US, until_us=end_us)}
    assert set(seen) == {
        f"chargeback.{metric}/merchant=corner"
        for metric in ("true_positive_rate", "false_positive_rate", "brier", "calibration_gap")
    }
    worst = seen["chargeback.true_positive_rate/merchant=corner"]
    assert worst.matters
    assert worst.message.startswith("true_positive_rate of merchant=corner is 0.")
    assert f"of 2026-01-{13 - 7 - WITHIN_DAYS + 1:02d}" in worst.message
    monitor = fairness_monitor(runtime)
    assert len(monitor(end_us - DAY_US, end_us, {})) == 4
    assert monitor(end_us - DAY_US, end_us - DAY_US // 2, {}) == []
    assert fairness_monitor(bank(tmp_path / "plain", days=4, daily=5))(end_us - DAY_US, end_us, {}) == []
