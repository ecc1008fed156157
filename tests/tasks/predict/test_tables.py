"""What a report shows beside metrics: reliability, decisions and the cost curve, each against a count by hand."""

import re
from typing import Any

import numpy as np
import pytest
from tests.tasks.predict import city, payments

from flyball.evaluation import resample
from flyball.policy import ACTIONS, Thresholds, compile_costs, decide_one
from flyball.tasks import EvaluationSet, ReportTable, Response, answers_of
from flyball.tasks.predict.offline import PredictTruth
from flyball.tasks.predict.tables import CHOSEN, report_tables

ROWS, DAYS = 400, 10


def estimates(measured: Any) -> Any:
    drawn = resample(measured, ROWS, seed=0, resamples=50)
    found = {name: one.estimate() for name, one in drawn.items()}
    return {name: (one.value, one.low, one.high) for name, one in found.items()}


class Asked:
    """Payments with their probabilities; decisions by the declared costs and some thresholds, no control group."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.amount, self.probability = rng.lognormal(3.5, 1.0, ROWS), rng.beta(0.4, 2.0, ROWS)
        self.happened = (rng.random(ROWS) < self.probability).astype(np.float64)
        self.requests = rng.choice([1.0, 5.0], ROWS)
        self.weight = self.requests * self.amount  # weight=lambda p: p.amount
        self.thresholds = Thresholds(1.3, 4.0)
        costs_of = compile_costs(payments.POLICY)
        self.costs = [costs_of(type("P", (), {"amount": amount})) for amount in self.amount.tolist()]
        self.actions = [
            decide_one(payments.POLICY, self.thresholds, probability, costs, 0).intended
            for probability, costs in zip(self.probability.tolist(), self.costs, strict=True)
        ]
        matrix = np.array([(cost.false_approve, cost.false_decline, cost.review) for cost in self.costs])
        self.evaluation = EvaluationSet(
            window_us=(0, DAYS * payments.DAY_US),
            at_us=np.arange(ROWS) * (DAYS * payments.DAY_US // ROWS),
            fields=[{}] * ROWS,
            contexts=[None] * ROWS,
            units=[str(row) for row in range(ROWS)],
            unit_of=np.arange(ROWS),
            truth=PredictTruth(self.happened, self.weight, matrix, requests=self.requests),
            pool=4 * ROWS,
        )
        responses = [
            Response(values=(probability,), decision=action)
            for probability, action in zip(self.probability.tolist(), self.actions, strict=True)
        ]
        chosen = np.array([self.thresholds.odds, self.thresholds.review_margin])
        self.answers = answers_of(responses, {CHOSEN: chosen})


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


@pytest.fixture(scope="module")
def tables(asked: Asked) -> dict[str, ReportTable]:
    return {one.name: one for one in report_tables(payments.app.task, asked.answers, asked.evaluation, estimates)}  # type: ignore[arg-type]


def test_each_bin_says_what_was_predicted_and_what_came(asked: Asked, tables: dict[str, ReportTable]) -> None:
    rows = tables["reliability"].rows
    assert sum(row[2] for row in rows) == ROWS
    for start, end, count, predicted, observed, low, high in rows:
        inside = (asked.probability > start) & (asked.probability <= end) | (asked.probability == start)
        assert inside.sum() == pytest.approx(count, abs=1)
        weight = asked.weight[inside]
        assert predicted == pytest.approx(np.average(asked.probability[inside], weights=weight), abs=0.02)
        assert observed == pytest.approx(np.average(asked.happened[inside], weights=weight), abs=0.06)
        assert low <= observed <= high


def test_decisions_are_counted_by_what_came(asked: Asked, tables: dict[str, ReportTable]) -> None:
    table, total = tables["confusion"], asked.weight.sum()
    assert sum(row[2] for row in table.rows) == pytest.approx(1.0)
    for action, count, share, happened, did_not in table.rows:
        mine = np.array([one == action for one in asked.actions])
        assert count == mine.sum()
        assert share == pytest.approx(asked.weight[mine].sum() / total)
        assert happened == pytest.approx((asked.weight * asked.happened)[mine].sum() / total)
        assert happened + did_not == pytest.approx(share)
    flagged = np.isin(asked.actions, ["decline", "review"])
    caught = (asked.weight * asked.happened)[flagged].sum() / (asked.weight * asked.happened).sum()
    assert f"of what happened {caught:.0%} was declined or reviewed" in table.summary


def test_the_chosen_point_costs_what_the_decisions_came_to(asked: Asked, tables: dict[str, ReportTable]) -> None:
    table = tables["cost_curve"]
    assert table.marked is not None
    row = dict(zip(table.columns, table.rows[table.marked], strict=True))
    paid = []
    for action, happened, cost in zip(asked.actions, asked.happened, asked.costs, strict=True):
        wrong = {"approve": happened * cost.false_approve, "decline": (1 - happened) * cost.false_decline}
        paid.append(wrong.get(action, cost.review))
    assert row["thresholds"] == "chosen"
    assert row["cost"] == pytest.approx(np.average(np.array(paid, np.float64), weights=asked.weight))
    approved = np.average([cost.false_approve for cost in asked.costs] * asked.happened, weights=asked.weight)
    assert row["saved"] == pytest.approx(approved - row["cost"])
    saved, low, high, of = (float(text) for text in re.findall(r"-?[\d.]+", table.summary))
    assert (saved, of) == pytest.approx((approved - row["cost"], approved), rel=1e-3)
    gain = np.array([cost.false_approve for cost in asked.costs]) * asked.happened - np.array(paid, np.float64)
    error = np.sqrt((asked.weight**2 * (gain - saved) ** 2).sum()) / asked.weight.sum()  # of a ratio of sums
    assert low == pytest.approx(saved - 1.96 * error, abs=error)
    assert high == pytest.approx(saved + 1.96 * error, abs=error)
    reviews = float(asked.requests[[action == "review" for action in asked.actions]].sum())
    assert row["reviews a day"] == pytest.approx(4 * reviews / DAYS)  # a quarter of the requests is evaluated
    for line in table.rows[:-2]:
        if line[0] != "chosen":
            assert line[table.columns.index("reviews a day")] <= 8.0 + 1e-9
    shares = [row[action] for action in ACTIONS[:3]]
    assert sum(shares) == pytest.approx(1.0)
    odds = [line[1] for line in table.rows if line[1] is not None]
    assert odds == sorted(odds, reverse=True), "the chosen stands among its neighbors"
    assert table.limits == {"reviews a day": 8.0}


def test_the_reviews_of_the_test_window_stand_beside_the_declared_ones(
    asked: Asked, tables: dict[str, ReportTable]
) -> None:
    table = tables["cost_curve"]
    assert table.marked is not None
    a_day = table.rows[table.marked][table.columns.index("reviews a day")]
    (note,) = table.notes
    measured, low, high = (float(text) for text in re.findall(r"[\d.]+", note)[:3])
    share = np.average([action == "review" for action in asked.actions], weights=asked.requests)
    error = np.sqrt((asked.requests**2 * (np.array([a == "review" for a in asked.actions]) - share) ** 2).sum())
    error *= 4 / DAYS
    assert measured == pytest.approx(a_day, rel=0.01)
    assert (low, high) == pytest.approx((a_day - 1.96 * error, a_day + 1.96 * error), abs=error)
    assert ("more than declared" in note) == (low > 8)
    assert "reviews_per_day=8 is the most that a served day has" in note


def test_a_number_has_no_tables(asked: Asked) -> None:
    assert report_tables(city.app.task, asked.answers, asked.evaluation, estimates) == []  # type: ignore[arg-type]
