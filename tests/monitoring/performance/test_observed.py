"""Observations: e-values of quiet looks, planted faults, slices, and evidence that the budget accepts."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, bank, calibrated, kitchen, market, rows

from flyball.core import BadInput
from flyball.monitoring import (
    MonitorState,
    Observation,
    Watcher,
    decide_findings,
    fingerprint_of,
    observe_performance,
    performance_monitor,
)
from flyball.monitoring.findings.budget import suspects_of
from flyball.monitoring.performance.observed import gap_e_value, joined, loss_plan, plan_e_value, unit_means
from flyball.monitoring.watch.suspected import Suspicions
from flyball.runtime import Runtime


def look(
    runtime: Runtime, day: int, before: int = 14, suspects: Suspicions | None = None
) -> dict[tuple[str, str], Observation]:
    """The observations of the look at one day."""
    since_us, suspected = START_US + day * DAY_US, suspects or {}
    until_us, before_us = since_us + DAY_US, before * DAY_US
    seen = observe_performance(runtime, since_us=since_us, until_us=until_us, before_us=before_us, suspects=suspected)
    return {(observation.monitor, observation.subject): observation for observation in seen}


def test_a_quiet_look_has_every_monitor_and_no_evidence(tmp_path: Path) -> None:
    seen = look(bank(tmp_path, days=25), 24)
    assert set(seen) == {
        ("performance", "chargeback"),
        ("performance", "chargeback.merchant=acme"),
        ("performance", "chargeback.merchant=corner"),
        ("calibration", "chargeback"),
        ("expected_performance", "chargeback"),
        ("label_share", "chargeback"),
        ("equal_answers", "predictions"),
    }
    assert max(observation.e_value for observation in seen.values()) < 10
    assert not seen["performance", "chargeback"].matters
    for observation in seen.values():
        assert msgspec.json.decode(msgspec.json.encode(observation), type=Observation) == observation


def test_losses_are_seen_when_their_labels_are_final(tmp_path: Path) -> None:
    """Outcomes have nothing to do with scores from day 20 on; labels take three days."""
    runtime = bank(tmp_path, days=26, change=lambda day, s: (s, s) if day < 20 else (s, 1 - s))
    before, after = look(runtime, 22), look(runtime, 23)
    assert before["performance", "chargeback"].e_value < 10
    seen = after["performance", "chargeback"]
    assert seen.e_value > 1e4
    assert seen.matters
    assert seen.severity == "high"
    assert seen.message.startswith("the Brier score of chargeback is 0.")
    assert after["calibration", "chargeback"].e_value > 1e3
    assert after["performance", "chargeback.merchant=acme"].e_value > 100
    assert after["expected_performance", "chargeback"].e_value < 10  # the scores did not change


def test_days_since_a_suspicion_are_no_reference(tmp_path: Path) -> None:
    """Outcomes follow other scores from day 20 on; labels take three days, so looks from day 23 on show it."""
    runtime = bank(tmp_path, days=28, change=lambda day, s: (s, s) if day < 20 else (s, 1 - s))
    before = look(runtime, 22)["performance", "chargeback"].evidence["now"]
    hidden = look(runtime, 26)
    since = {fingerprint_of("performance", "chargeback"): START_US + 23 * DAY_US}
    seen = look(runtime, 26, suspects=since)
    assert seen["performance", "chargeback"].evidence["before"] == pytest.approx(before, abs=0.02)
    assert hidden["performance", "chargeback"].evidence["before"] > before + 0.05
    assert seen["performance", "chargeback"].e_value > hidden["performance", "chargeback"].e_value
    assert seen["calibration", "chargeback"].evidence["p"] < hidden["calibration", "chargeback"].evidence["p"]
    slice = "performance", "chargeback.merchant=acme"  # part of what is suspected
    assert seen[slice].evidence["before"] < hidden[slice].evidence["before"]
    estimate = "expected_performance", "chargeback"  # of answers, which nothing suspects
    assert seen[estimate].evidence == hidden[estimate].evidence
    early = look(runtime, 26, suspects={fingerprint_of("performance", "chargeback"): START_US + 18 * DAY_US})
    assert early["performance", "chargeback"].evidence == hidden["performance", "chargeback"].evidence  # six are left
    of_slice = look(runtime, 26, suspects={fingerprint_of(*slice): START_US + 23 * DAY_US})
    assert of_slice[slice].evidence["before"] == seen[slice].evidence["before"]
    assert of_slice["performance", "chargeback"].evidence == hidden["performance", "chargeback"].evidence


def test_scores_in_the_middle_are_seen_before_labels(tmp_path: Path) -> None:
    runtime = bank(
        tmp_path, days=24, daily=300, change=lambda day, s: calibrated(day, s if day < 22 else 0.3 + 0.4 * s)
    )
    seen = look(runtime, 22)
    assert seen["expected_performance", "chargeback"].e_value > 50
    assert seen["expected_performance", "chargeback"].matters
    assert seen["performance", "chargeback"].e_value < 10
    assert look(runtime, 21)["expected_performance", "chargeback"].e_value < 10


def test_more_frequent_labels_are_seen_before_they_are_known(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)

    def change(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        happens = rng.random(len(scores)) < (0.2 if day < 22 else 0.5)
        return np.clip(rng.normal(0.3 + 0.3 * happens, 0.12), 0.01, 0.99), happens.astype(float)

    runtime = bank(tmp_path, days=24, change=change)
    seen = look(runtime, 22)["label_share", "chargeback"]
    assert seen.e_value > 50
    assert seen.matters
    assert seen.evidence["low"] < 0.5 < seen.evidence["high"]
    assert "instead of 18.70%" in seen.message
    assert look(runtime, 21)["label_share", "chargeback"].e_value < 10


def test_a_model_that_answers_the_same_is_seen(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=24, change=lambda day, s: calibrated(day, s if day < 22 else np.full_like(s, 0.3)))
    seen = look(runtime, 22)["equal_answers", "predictions"]
    assert seen.e_value > 1e4
    assert seen.message.startswith("150 answers in a row were the same from 2026-01-23")
    assert (seen.severity, seen.origin) == ("high", "own")


def test_numbers_and_lists_are_observed(tmp_path: Path) -> None:
    slow = kitchen(tmp_path / "kitchen", late=lambda day: 2.5 if day == 10 else 1.0)
    seen = look(slow, 10, before=8)
    assert seen["performance", "delivered"].e_value > 1e4
    assert look(slow, 9, before=8)["performance", "delivered"].e_value < 10
    missed = market(tmp_path / "market", hits=lambda day: 0.1 if day == 9 else 0.5)
    assert look(missed, 10, before=8)["performance", "positive"].e_value > 100
    assert look(missed, 9, before=8)["performance", "positive"].e_value < 10


def test_lists_that_lose_half_of_little_worth_matter(tmp_path: Path) -> None:
    """A tenth of lists is taken at position 2: the loss is 0.95 and cannot rise by a tenth, yet half of all is lost."""
    less = market(tmp_path / "less", hits=lambda day: 0.04 if day == 9 else 0.1)
    seen = look(less, 10, before=8)["performance", "positive"]
    assert seen.matters
    assert seen.severity == "high"
    assert not look(less, 11, before=8)["performance", "positive"].matters  # as before, or better


def test_quiet_days_make_no_finding_within_the_budget(tmp_path: Path) -> None:
    """20 days of seven monitors, a budget of one false finding in 30 looks."""
    runtime = bank(tmp_path, days=40, daily=80)
    states: dict[str, MonitorState] = {}
    found = 0
    for day in range(20, 40):
        since_us = START_US + day * DAY_US
        decision = decide_findings(
            states,
            list(look(runtime, day, suspects=suspects_of(states, since_us)).values()),
            since_us=since_us,
            at_us=since_us + DAY_US,
            run_length=30,
        )
        states = decision.states
        found += len(decision.new)
    assert found <= 1


def test_a_watcher_looks_at_performance_once_a_day(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=24, daily=40)
    looked = []
    monitor = performance_monitor(runtime)

    def counted(since_us: int, until_us: int, suspects: Suspicions) -> list[Observation]:
        seen = monitor(since_us, until_us, suspects)
        looked.append((until_us, len(seen)))
        return seen

    runtime.clock.move_to_us(START_US + 24 * DAY_US)  # type: ignore[attr-defined]
    Watcher(runtime, lambda one_round: None, [counted]).step(START_US + 24 * DAY_US, START_US + 22 * DAY_US)
    assert len(looked) == 47
    assert [until_us for until_us, count in looked if count] == [START_US + 23 * DAY_US]


def test_e_values_of_losses_have_a_mean_of_at_most_1() -> None:
    rng = np.random.default_rng(8)
    e_values = []
    for _ in range(400):
        plan = loss_plan([rng.beta(1, 4, 100) for _ in range(8)], "probability")
        assert plan is not None
        e_values.append(plan_e_value(plan, rng.beta(1, 4, 60)))
    assert np.mean(e_values) <= 1 + 3 * np.std(e_values) / 20
    assert np.mean(np.array(e_values) > 20) <= 0.05


def test_gaps_on_either_side_are_seen() -> None:
    rng = np.random.default_rng(10)
    noise = rng.choice([-0.5, 0.5], 500)
    assert gap_e_value(noise - noise.mean(), -0.02, 0.02) < 10
    assert gap_e_value(noise - noise.mean() + 0.2, -0.02, 0.02) > 100
    assert gap_e_value(noise - noise.mean() - 0.2, -0.02, 0.02) > 100


def test_predictions_of_a_unit_count_once() -> None:
    both = rows([0.2, 0.4, 0.6], [0, 0, 1], unit=np.array([1, 0, 1]), units=2)
    assert unit_means(both, "losses").tolist() == pytest.approx([(0.04 + 0.16) / 2, 0.16])
    assert unit_means(both, "gaps").tolist() == pytest.approx([0.1, -0.4])
    assert len(unit_means(both.only(np.zeros(3, bool)), "losses")) == 0
    assert len(joined([both, both])) == 6


def test_too_few_losses_have_no_plan() -> None:
    assert loss_plan([], "number") is None
    assert loss_plan([np.ones(29)], "number") is None
    assert loss_plan([np.zeros(50)], "number") is None


def test_a_look_must_fit_into_the_time_before(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=1, daily=5)
    with pytest.raises(BadInput, match="a multiple of the length of the look"):
        observe_performance(runtime, since_us=START_US, until_us=START_US + 2, before_us=3)
