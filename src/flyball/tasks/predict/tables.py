"""Tables of a report: calibration, costs by threshold, and decisions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.policy import ACTIONS, CostColumns, Decide, Thresholds, costs_of_decisions, intended_actions
from flyball.tasks import metrics
from flyball.tasks.answers import Answers
from flyball.tasks.evaluation import EstimateAll, EvaluationSet, ReportTable
from flyball.tasks.metrics import Resampled
from flyball.tasks.predict.declaration import Predict
from flyball.tasks.predict.thresholds import as_columns, usable_costs

CHOSEN, FACTOR = "chosen_thresholds", "group_factors"
"""The name in the answers of a candidate for the odds and the review margin of its thresholds."""


def report_tables(
    task: Predict, answers: Answers, evaluation: EvaluationSet, estimates: EstimateAll
) -> list[ReportTable]:
    """The tables of one candidate, as far as its answers have the needed columns."""
    tables = []
    if task.target_kind.kind == "binary" and answers.values.shape[1]:
        tables.append(_reliability(answers, evaluation, estimates))
    policy, costs = task.decide, evaluation.truth.costs
    if isinstance(policy, Decide) and costs is not None and any(answers.decisions):
        rows = np.flatnonzero(usable_costs(costs))
        if len(rows):
            chosen = answers.further.get(CHOSEN)
            decided = answers.take(rows)
            tables.append(_confusion(decided, evaluation.take(rows), estimates))
            requests = _stood_for(evaluation)[rows]
            tables.append(_cost_curve(policy, decided, evaluation.take(rows), requests, chosen, estimates))
    return tables


def _reliability(answers: Answers, evaluation: EvaluationSet, estimates: EstimateAll) -> ReportTable:
    truth, units = evaluation.truth, len(evaluation.units)
    bins = metrics.reliability(answers.values[:, 0], truth.target, evaluation.unit_of, units, weight=truth.weight)
    measured: dict[str, Resampled] = {}
    for number, part in enumerate(bins):
        measured |= {f"{number} predicted": part.predicted, f"{number} observed": part.observed}
    values = estimates(measured)
    rows = []
    for number, part in enumerate(bins):
        observed = values[f"{number} observed"]
        rows.append([part.low, part.high, part.rows, values[f"{number} predicted"][0], *observed])
    columns = ("from", "to", "requests", "predicted", "observed", "low", "high")
    return ReportTable("reliability", "Reliability of the predicted probabilities", columns, rows)


def _confusion(answers: Answers, evaluation: EvaluationSet, estimates: EstimateAll) -> ReportTable:
    truth, units = evaluation.truth, len(evaluation.units)
    actions = _codes(answers)
    happened = truth.target > 0
    measured = {
        f"{action} {name}": metrics.request_mean((actions == code) & came, evaluation.unit_of, units, truth.weight)
        for code, action in enumerate(ACTIONS)
        for name, came in (("happened", happened), ("did not", ~happened))
    }
    values = estimates(measured)
    rows: list[list[Any]] = []
    caught = came_at_all = 0.0
    for code, action in enumerate(ACTIONS):
        if not (actions == code).any():
            continue
        came, did_not = (values[f"{action} {name}"][0] for name in ("happened", "did not"))
        rows.append([action, int((actions == code).sum()), came + did_not, came, did_not])
        came_at_all += came
        caught += came if action in ("decline", "review") else 0.0
    summary = ", ".join(f"{row[0]} {row[2]:.1%}" for row in rows)
    if came_at_all:
        summary += f"; of what happened {caught / came_at_all:.0%} was declined or reviewed"
    columns = ("decision", "requests", "share", "happened", "did not")
    title = "Decisions at the chosen thresholds"
    return ReportTable("confusion", title, columns, rows, summary=summary)


def _cost_curve(
    policy: Decide,
    answers: Answers,
    evaluation: EvaluationSet,
    requests: NDArray[np.float64],
    chosen: NDArray[Any] | None,
    estimates: EstimateAll,
) -> ReportTable:
    truth, units = evaluation.truth, len(evaluation.units)
    costs, day_of, probability = as_columns(truth.costs), truth.day_of(evaluation.at_us), answers.values[:, 0]
    curve = metrics.cost_curve(
        policy, probability, truth.target, costs, day_of, evaluation.unit_of, units, truth.weight, requests
    )
    measured = {f"{index}": point.cost for index, point in enumerate(curve.points)}
    measured |= {"approve all": curve.approve_all, "decline all": curve.decline_all}
    days = max(len(np.unique(day_of)), 1)
    labels: list[_Point] = [
        (f"odds x{point.odds:.3g}", point.odds, point.shares, point.reviews / days) for point in curve.points
    ]
    marked = None
    if chosen is not None:
        thresholds = Thresholds(*np.asarray(chosen, np.float64).tolist())
        actions = intended_actions(policy, thresholds, probability, costs, answers.further.get(FACTOR))
        paid = costs_of_decisions(actions, truth.target, costs)
        marked = int(sum(point.odds < thresholds.odds for point in curve.points))
        measured["chosen"] = metrics.request_mean(paid, evaluation.unit_of, units, truth.weight)
        accepted = costs_of_decisions(np.zeros(len(actions), np.int8), truth.target, costs)
        measured["saved"] = metrics.money_saved(paid, accepted, evaluation.unit_of, units, truth.weight)
        reviewed = actions == ACTIONS.index("review")
        measured["reviewed"] = metrics.request_mean(reviewed, evaluation.unit_of, units, requests)
        counted = np.bincount(actions, truth.weight, len(ACTIONS)) / truth.weight.sum()
        reviews = metrics.reviews_of(actions, requests) / days
        labels.insert(marked, ("chosen", thresholds.odds, dict(zip(ACTIONS, counted.tolist(), strict=True)), reviews))
    values = estimates(measured)
    rows = _curve_rows(labels, values, costs)
    limits = {} if policy.reviews_per_day is None else {"reviews a day": policy.reviews_per_day}
    title = "Mean cost by threshold, without the control group"
    summary = "" if marked is None else _saved(values["saved"], values["approve all"][0])
    notes: tuple[str, ...] = ()
    if marked is not None and policy.reviews_per_day is not None:
        notes = (_reviews_beside_declared(values["reviewed"], float(requests.sum()) / days, policy.reviews_per_day),)
    return ReportTable("cost_curve", title, _CURVE_COLUMNS, rows, marked, limits, summary, notes)


def _stood_for(evaluation: EvaluationSet) -> NDArray[np.float64]:
    """How many requests of the test window each evaluated one stands for: also more where these are a sample."""
    truth = evaluation.truth
    requests = truth.weight if truth.requests is None else truth.requests
    return np.asarray(requests * max(1.0, evaluation.pool / len(requests)), np.float64)


_Point = tuple[str, float | None, dict[str, float], float]
"""Thresholds of the curve: what they are called, their odds, the share of each decision, and the reviews of a day."""

_CURVE_COLUMNS = (
    "thresholds",
    "declined from",
    "cost",
    "low",
    "high",
    "saved",
    "approve",
    "review",
    "decline",
    "reviews a day",
)


def _curve_rows(
    labels: Sequence[_Point],
    values: Mapping[str, tuple[float, float | None, float | None]],
    costs: CostColumns,
) -> list[list[Any]]:
    """One row for each threshold, then the costs of approving and of declining all."""
    approving = values["approve all"][0]
    rows: list[list[Any]] = []
    point_number = 0
    for label, odds, shares, reviews in labels:
        name = "chosen" if label == "chosen" else str(point_number)
        point_number += label != "chosen"
        cost, low, high = values[name]
        threshold = None if odds is None else _threshold(costs, odds)
        by_action = [shares[action] for action in ("approve", "review", "decline")]
        rows.append([label, threshold, cost, low, high, approving - cost, *by_action, reviews])
    for label in ("approve all", "decline all"):
        cost, low, high = values[label]
        declined = float(label == "decline all")
        rows.append([label, None, cost, low, high, approving - cost, 1 - declined, 0.0, declined, 0.0])
    return rows


def _saved(saved: tuple[float, float | None, float | None], approving: float) -> str:
    """A sentence on the savings of the chosen thresholds against approving all, for each request, with an interval."""
    value, low, high = saved
    within = "" if low is None or high is None else f" [{low:.4g}, {high:.4g}]"
    share = f" of {approving:.4g}" if approving else ""
    return f"saves {value:.4g}{within}{share} a request against approving all"


def _reviews_beside_declared(share: tuple[float, float | None, float | None], a_day: float, declared: float) -> str:
    """The measured reviews a day with their interval, beside the declared ones. `a_day`: requests of a day."""
    value, low, high = share
    within = "" if low is None or high is None else f" [{low * a_day:.3g}, {high * a_day:.3g}]"
    beyond = ", more than declared" if low is not None and low * a_day > declared else ""
    return (
        f"reviews: {value * a_day:.3g}{within} a day asked for on the test window{beyond}; "
        f"reviews_per_day={declared:g} is the most that a served day has, and that an average day asked for of the "
        "examples that thresholds were chosen on"
    )


def _threshold(costs: CostColumns, odds: float) -> float:
    """The probability from which an example with mean costs is declined."""
    declined = float(costs.false_decline.mean())
    return declined / max(float(costs.false_approve.mean()) * odds + declined, 1e-300)


def _codes(answers: Answers) -> NDArray[np.int8]:
    return np.array([ACTIONS.index(name) if name else 0 for name in answers.decisions], np.int8)
