"""Rates of groups against naive counts, with and without decisions, and what may be declared a group."""

from typing import Any

import msgspec
import numpy as np
import pytest
from tests.tasks.predict import regions

import flyball as fb
from flyball.core import BadDeclaration
from flyball.tasks import Answers, Response, answers_of, evaluation_of
from flyball.tasks.predict.group_metrics import GROUP_METRICS, group_families
from flyball.tasks.predict.offline import PredictTruth


def value(name: str, answers: Answers, target: np.ndarray, weight: np.ndarray) -> float:
    evaluation = evaluation_of(np.arange(len(target)), [{}] * len(target), PredictTruth(target, weight))
    prepared: Any = group_families()[name].make(0.0).prepare(answers, evaluation)
    return float(prepared(np.ones((1, len(target))))[0])


@pytest.mark.parametrize("decides", [True, False])
def test_rates_are_shares_of_what_is_flagged(decides: bool) -> None:
    rng = np.random.default_rng(3)
    scores, target, weight = rng.random(200), (rng.random(200) < 0.4).astype(float), rng.choice([1.0, 5.0], 200)
    actions = rng.choice(["approve", "review", "decline", "abstain"], 200) if decides else [""] * 200
    answers = answers_of([Response(values=(float(p),), decision=str(a)) for p, a in zip(scores, actions, strict=True)])
    counted = dict.fromkeys(("all", "flagged", "positive", "hit", "negative", "alarm"), 0.0)
    for score, action, happened, counts in zip(scores, actions, target, weight, strict=True):
        flagged = action in ("review", "decline") if decides else score >= 0.5
        counted["all"] += counts
        counted["flagged"] += counts * flagged
        counted["positive"] += counts * happened
        counted["hit"] += counts * happened * flagged
        counted["negative"] += counts * (1 - happened)
        counted["alarm"] += counts * (1 - happened) * flagged
    expected = {
        "selection_rate": counted["flagged"] / counted["all"],
        "true_positive_rate": counted["hit"] / counted["positive"],
        "false_positive_rate": counted["alarm"] / counted["negative"],
        "calibration_gap": sum(weight * (target - scores)) / sum(weight),
    }
    assert set(expected) == set(GROUP_METRICS)
    for name, rate in expected.items():
        assert value(name, answers, target, weight) == pytest.approx(rate)


def test_groups_are_fields_or_features_with_names_of_values() -> None:
    assert regions.app.task.about.groups == ("region", "shop.kind")
    for groups in (("amount",), ("other",), ("shop.other",), "region", ("payment",), ("region", "region"), None):
        with pytest.raises(BadDeclaration, match="groups of Predict must be a tuple of fields of Payment or features"):
            msgspec.structs.replace(regions.app.task, groups=groups)


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        ("true_positive_rate", "metric of max_gap of gates(...) must be a metric and the attribute of groups"),
        (
            "true_positive_rate/region=north",
            "metric of max_gap of gates(...) must be a metric and the attribute of groups",
        ),
        ("true_positive_rate/shop", "must be one of groups= of the task: region, shop.kind"),
        ("savings/region", "must be a metric that groups are compared by: log_loss, auc, brier, selection_rate"),
    ],
)
def test_a_bound_on_a_gap_names_a_metric_and_declared_groups(gap: str, says: str) -> None:
    with pytest.raises(BadDeclaration) as error:
        regions.make_app(gates=fb.gates(max_gap={gap: 0.1}))
    assert says in str(error.value)


def test_without_groups_there_are_no_such_metrics() -> None:
    with pytest.raises(BadDeclaration, match="one of groups= of the task"):
        regions.make_app(groups=(), gates=fb.gates(max_gap={"cost/region": 0.1}))
    assert "true_positive_rate" not in regions.make_app(groups=()).task.offline().plan().families
