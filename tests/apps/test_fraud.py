"""The fraud application goes through the whole loop in its world: labels of weeks, and a version better in truth."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flyball.app import load_app
from flyball.apps.fraud import deviations, times_usual
from flyball.core import parse_duration
from flyball.policy import (
    ACTIONS,
    CostColumns,
    Thresholds,
    choose_thresholds,
    compile_costs,
    cost_columns,
    intended_actions,
)
from flyball.simulation import DAY_US, SimulationReport, Timeline, simulate
from flyball.simulation.worlds.fraud import FraudWorld
from flyball.tasks import Response


@pytest.fixture(scope="module")
def report() -> SimulationReport:
    return simulate(load_app("fraud"), days=2, step="6h", customers=150, terminals=300, fraud=5.0)


def test_a_version_is_released_and_beats_the_baselines_in_truth(report: SimulationReport) -> None:
    assert report.learned[0].released, report.learned[0].reason
    served = [version for version in report.versions if version.version]
    assert sum(version.answers for version in served) > 0.5 * report.answers
    for version in served:
        assert version.candidate in ("logistic", "trees")
        assert version.true["closeness"] > version.references["approve_all"]["closeness"]
        assert version.true["saved"] > 0, "what it decides is worth more than to approve everything"


def test_labels_are_those_that_came_within_their_span(report: SimulationReport) -> None:
    for version in report.versions:
        # What comes after three weeks counts for nobody.
        assert 0.0 <= version.measured["chargeback"] <= version.outcomes["chargeback"] + 1e-9


def test_every_line_is_ingested(report: SimulationReport) -> None:
    assert sum(report.quarantined.values()) == report.duplicates == 0
    assert report.events["payment"] == report.planted["payment"]
    assert report.events["chargeback"] == report.planted["chargeback"] > 20


def test_the_past_is_long_enough_for_labels_before_the_test_window() -> None:
    app = load_app("fraud")
    assert app.world is not None
    span_us = app.task.about.labels[0].within_us
    assert span_us == parse_duration("21d")
    final_us = app.world.past_days * DAY_US - span_us
    # The last fifth of what is final is evaluated; what is learned from was final before it began.
    assert 0.8 * final_us - span_us > 14 * DAY_US


def test_thresholds_chosen_by_labels_save_nearly_what_the_best_ones_for_the_truth_would() -> None:
    """Probabilities whose odds are four times too low; labels are what the world charges back, the truth is its own."""
    policy = load_app("fraud").task.decide  # type: ignore[attr-defined]
    world = FraudWorld(seed=3, start_us=1_767_225_600_000_000, customers=300, terminals=400, fraud=5.0)
    requests = world.requests(1_767_225_600_000_000 + 30 * DAY_US, Timeline())
    fraud = np.array([world._frauds[request.number] > 0 for request in requests])
    charged_back = np.array([world._pending[request.number].back_us >= 0 for request in requests])
    day_of = np.array([request.at_us // DAY_US for request in requests])
    rng, rate = np.random.default_rng(0), fraud.mean()
    likelihood = np.exp(rng.normal(2.0 * fraud, 1.0) * 2.0 - 2.0)  # of a signal two deviations higher where it is fraud
    odds = likelihood * rate / (1 - rate) / 4
    probability = odds / (1 + odds)
    costs = cost_columns(
        [compile_costs(policy)(SimpleNamespace(amount=request.fields["amount"])) for request in requests]
    )

    def saved(thresholds: Thresholds, rows: Any) -> float:
        own = CostColumns(costs.false_approve[rows], costs.false_decline[rows], costs.review[rows])  # type: ignore[index]
        actions = intended_actions(policy, thresholds, probability[rows], own)
        responses = [Response(values=(0.5,), decision=ACTIONS[action]) for action in actions]
        return float(world.true_quality([requests[row] for row in rows], responses)["saved"].sum())

    first, second = np.flatnonzero(day_of < day_of[0] + 15), np.flatnonzero(day_of >= day_of[0] + 15)
    known = CostColumns(costs.false_approve[first], costs.false_decline[first], costs.review[first])  # type: ignore[index]
    chosen = choose_thresholds(policy, probability[first], charged_back[first], known, day_of[first]).thresholds
    tried = {
        each: saved(Thresholds(each, chosen.review_margin), second) for each in np.geomspace(1 / 64, 64, 25).tolist()
    }
    assert saved(chosen, second) > 0.95 * max(tried.values()) > 0
    assert saved(chosen, second) > saved(Thresholds(1.0, chosen.review_margin), second)


def test_habits_of_a_new_card_are_missing() -> None:
    assert times_usual(30.0, None) is times_usual(30.0, 0.0) is None
    assert times_usual(30.0, 10.0) == 3.0
    assert deviations(30.0, 10.0, None) is deviations(30.0, 10.0, 0.0) is deviations(30.0, None, 2.0) is None
    assert deviations(30.0, 10.0, 5.0) == 4.0
    columns = {column.name for column in load_app("fraud").task.columns}  # type: ignore[attr-defined]
    assert not {"card", "terminal", "payment"} & columns
    assert {"card.payments_1m", "card.payments_30d", "terminal.risk_30d", "merchant.category"} <= columns
