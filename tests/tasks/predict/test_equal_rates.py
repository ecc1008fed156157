"""A rate made equal between regions: learned with a version, by a new arrangement, served, explained and reported."""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.tasks.predict import regions

import flyball as fb
from flyball.core import BadDeclaration, ManualClock, ManualStopwatch, Refused, new_id
from flyball.evaluation import Report
from flyball.learning import learn
from flyball.models import load_artifact
from flyball.operations import catch_up
from flyball.outcomes import Prediction, prediction_record
from flyball.policy import Thresholds, compile_costs, decide_one
from flyball.provenance import why
from flyball.releases import declare_arrangement
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation import ingest_pieces
from flyball.tasks import Request, request_of
from flyball.tasks.predict.examples import MOST_BALANCE, balance_of
from flyball.tasks.predict.thresholds import thresholds_of

START_US = 1_767_225_600_000_000
DAYS = 20
NOW_US = START_US + DAYS * regions.DAY_US
RULE = {"true_positive_rate/region": 0.05}


def decide(**named: Any) -> Any:
    return fb.decide(false_approve=lambda p: p.amount, false_decline=lambda p: 2 + 0.2 * p.amount, **named)


class Bank:
    """Twenty days of payments; a version by common thresholds, then one with a rule."""

    def __init__(self, home: Path) -> None:
        self.home = home
        plain = self.opened(decide())
        ingest_pieces(plain, "jsonl", [b"\n".join(regions.lines(DAYS, START_US))], "month", "history")
        catch_up(plain)
        self.before = learn(plain, workers=1)
        about = self.opened(decide(equal=RULE)).app.task.about
        self.changed = declare_arrangement(plain.registry, "regions", about.arrangement, "up", NOW_US)
        self.arranged = self.answers()
        self.after = learn(self.opened(decide(equal=RULE)), workers=1)
        self.answered = self.answers()

    def opened(self, policy: Any) -> Runtime:
        return Runtime(regions.make_app(decide=policy), load_settings(self.home), ManualClock(NOW_US))

    def answers(self) -> list[Prediction]:
        runtime = self.opened(decide(equal=RULE))
        service = Service(runtime, "test", random.Random(1), runtime.clock, stopwatch=ManualStopwatch())
        service.refresher.step()
        predictions = list(service.engine.answer(asked(120)))
        runtime.predictions.append([prediction_record(answer) for answer in predictions])
        return predictions

    def thresholds(self, version: str) -> Thresholds:
        runtime = self.opened(decide(equal=RULE))
        artifact = load_artifact(runtime.artifacts / runtime.registry.version(version).artifact)
        declared = runtime.task_of(runtime.registry.version(version).declaration)
        return thresholds_of(decide(equal=RULE), declared.decide, artifact.arrays, artifact.texts)  # type: ignore[attr-defined]

    def gap(self, reported: Any) -> tuple[float, bool]:
        evaluated = msgspec.convert(reported.evaluation, Report).of("linear")
        largest = next(groups for groups in evaluated.groups if groups.by == "region").largest["true_positive_rate"]
        return largest.difference.value, largest.certain


def asked(count: int) -> list[Request]:
    rng, ids = np.random.default_rng(9), random.Random(5)
    requests = []
    for number in range(count):
        at_us, region = NOW_US + number, ["north", "south", None][number % 3]
        risk = float(rng.normal(0.5, 1.0))
        fields = {"payment": 90_000 + number, "shop": "s1", "amount": 30.0, "risk": risk, "region": region}
        requests.append(request_of(regions.Payment, new_id(at_us, ids), at_us, fields))
    return requests


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return Bank(tmp_path_factory.mktemp("regions"))


def test_the_gap_is_smaller_with_thresholds_of_the_regions(bank: Bank) -> None:
    (before, certain), (after, _) = bank.gap(bank.before), bank.gap(bank.after)
    assert before > 0.15
    assert certain
    assert after < before / 2
    notes = " ".join(bank.after.notes)
    assert "true_positive_rate is equal by region within 0.05 on validation examples, at a cost of" in notes


@pytest.mark.parametrize("arranged", [True, False])
def test_each_decision_is_that_of_the_thresholds_of_its_region(bank: Bank, arranged: bool) -> None:
    answers, version = (bank.arranged, "v1") if arranged else (bank.answered, "v2")
    thresholds = bank.thresholds(version)
    assert thresholds.groups["south"] > thresholds.groups["north"]
    assert "none" not in thresholds.groups  # too few examples
    costs_of = compile_costs(decide())
    for request, prediction in zip(asked(120), answers, strict=True):
        assert prediction.version == version
        own = thresholds.of_group(request.event.region or "none")
        expected = decide_one(decide(), own, prediction.values[0], costs_of(request.event), 0)
        assert prediction.decision == expected.action


def test_why_names_the_threshold(bank: Bank) -> None:
    runtime = bank.opened(decide(equal=RULE))
    text = {region: why(runtime, bank.answered[number].id).text() for number, region in enumerate(("north", "south"))}
    assert "by the threshold of region=south, whose odds count " in text["south"]
    assert "for an equal true_positive_rate" in text["north"]
    assert "threshold" not in why(runtime, bank.answered[2].id).text()


def test_a_version_that_kept_no_groups_refuses_the_arrangement(bank: Bank) -> None:
    runtime = bank.opened(decide())
    artifact = load_artifact(runtime.artifacts / runtime.registry.version("v1").artifact)
    texts = {**artifact.texts, "decide_groups": []}
    with pytest.raises(Refused, match=r"must be by groups that the version kept of its requests \(none\), got region"):
        thresholds_of(decide(equal=RULE), decide(), artifact.arrays, texts)


def test_a_rule_is_by_a_field_among_the_groups() -> None:
    for by in ("shop.kind", "shop"):
        with pytest.raises(BadDeclaration, match="groups of equal of decide must be a field of Payment among groups="):
            regions.make_app(decide=decide(equal={f"selection_rate/{by}": 0.1}))


def test_groups_count_equally_in_training_alone(bank: Bank) -> None:
    app = regions.make_app(balance="region")
    assert app.task.about.declaration["balance"] == "region"
    with pytest.raises(BadDeclaration, match="balance of Predict must be one of groups= of the task"):
        regions.make_app(balance="shop")
    rng = np.random.default_rng(1)
    values, weight = rng.choice(np.array(["a", "b", ""]), 5_000, p=[0.7, 0.295, 0.005]), rng.uniform(1, 3, 5_000)
    balanced = balance_of(values.tolist(), weight) * weight
    assert balanced[values == "a"].sum() == pytest.approx(balanced[values == "b"].sum())
    assert balance_of(values.tolist(), weight)[values == ""].max() == MOST_BALANCE
