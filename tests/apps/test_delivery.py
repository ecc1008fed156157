"""The delivery application goes through the whole loop in its world, and what it releases is better in truth."""

import pytest

from flyball.app import load_app
from flyball.simulation import SimulationReport, simulate


@pytest.fixture(scope="module")
def report() -> SimulationReport:
    return simulate(load_app("delivery"), days=2, orders_a_day=700, shops=12, couriers=36)


def test_a_version_is_released_and_beats_the_baselines_in_truth(report: SimulationReport) -> None:
    assert report.learned[0].released, report.learned[0].reason
    served = [version for version in report.versions if version.version]
    answers = sum(version.answers for version in served)
    assert answers > 0.95 * report.answers
    for version in served:
        assert version.candidate in ("linear", "trees", "covering")
        oracle, shop = (version.references[name]["closeness"] for name in ("oracle", "shop_median"))
        assert oracle > version.true["closeness"] > shop + 0.5
    first = {version.candidate: version for version in report.learned[0].versions}
    best = max((one for one in first.values() if one.true), key=lambda one: one.true["closeness"])
    assert best.candidate != "shop_hour", "who sees the queues knows more than who sees the shop"


def test_it_learns_as_days_go_on(report: SimulationReport) -> None:
    assert report.per_day[-1].true["closeness"] > report.per_day[0].true["closeness"]
    assert 0.5 < report.per_day[-1].true["inside"] < 0.95


def test_every_line_is_ingested_and_outcomes_are_the_true_minutes(report: SimulationReport) -> None:
    assert sum(report.quarantined.values()) == report.duplicates == 0
    assert report.events["order"] == report.planted["order"]
    for version in report.versions:
        assert version.measured["delivery"] == pytest.approx(version.outcomes["delivery"], abs=1e-5)


def test_the_queue_is_what_has_come_in_less_what_has_gone_out() -> None:
    features = load_app("delivery").task.feature_set  # type: ignore[attr-defined]
    queue = features.derived["kitchen_queue"]
    assert queue.inputs == ("shop.accepted", "shop.picked", "shop.given_up")
    assert queue.function(9, 4, 2) == 3
    columns = {column.name for column in load_app("delivery").task.columns}  # type: ignore[attr-defined]
    assert {"kitchen_queue", "city_queue", "courier_load", "km", "hour"} <= columns
    assert not {"shop.accepted", "city.delivered", "order"} & columns
