"""Decisions in a prediction task: thresholds learned with a version, costs reported, reviews, verdicts that train."""

import asyncio
import random
import shutil
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from scipy import stats
from tests.cli.conftest import call
from tests.tasks.predict import city, payments

import flyball as fb
from flyball.app import App, load_app
from flyball.core import BadDeclaration, ManualClock, ManualStopwatch, new_id
from flyball.history import take_snapshot
from flyball.learning import learn
from flyball.learning.past import SnapshotPast
from flyball.models import load_artifact
from flyball.operations import catch_up
from flyball.outcomes import Prediction, followed, prediction_record
from flyball.policy import ACTIONS, Thresholds, compile_costs, decide_one
from flyball.policy.decide import uniform_of
from flyball.provenance import replay, why
from flyball.releases import ReleaseState
from flyball.runtime import Runtime, load_settings
from flyball.serving import ScoringProgress, Service, make_app
from flyball.simulation import ingest_pieces, new_plan, seed_home
from flyball.tasks import (
    DEFAULT_LEVEL,
    PRECOMPUTED_LEVEL,
    EvaluationSet,
    Request,
    Response,
    ServingLag,
    Stores,
    Undefined,
    answers_of,
    request_of,
    seed_of,
)
from flyball.tasks.predict.examples import RequestHistory
from flyball.tasks.predict.offline import PredictTruth

FILE = Path(payments.__file__)
START_US = 1_767_225_600_000_000
NOW_US = START_US + 30 * payments.DAY_US


def request(number: int, amount: float, risk: float, event_type: Any, at_us: int = NOW_US) -> Request:
    fields = {"payment": 100_000 + number, "card": 7, "amount": amount, "risk": risk}
    return request_of(event_type, new_id(at_us + number * 1_000, random.Random(number)), at_us + number * 1_000, fields)


class Bank:
    """A month of payments, what was learned from them, and answers to three hundred more."""

    def __init__(self, home: Path) -> None:
        self.app: App = load_app(str(FILE))
        self.clock = ManualClock(NOW_US)
        self.runtime = Runtime(self.app, load_settings(home), self.clock)
        ingest_pieces(self.runtime, "jsonl", [b"\n".join(payments.lines(30, START_US))], "month", "history")
        catch_up(self.runtime)
        self.report = learn(self.runtime, workers=1)
        service = Service(self.runtime, "test", random.Random(1), self.clock, stopwatch=ManualStopwatch())
        service.refresher.step()
        rng = np.random.default_rng(9)
        event_type = self.app.task.about.request
        self.requests = [
            request(n, float(rng.lognormal(3.5, 1.0)), float(rng.normal(0.5, 1.2)), event_type) for n in range(300)
        ]
        self.predictions: list[Prediction] = list(service.engine.answer(self.requests))
        self.runtime.predictions.append([prediction_record(one) for one in self.predictions])


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return Bank(tmp_path_factory.mktemp("bank"))


def version_of(bank: Bank) -> Any:
    return bank.runtime.registry.version(bank.report.champion or "")


def test_what_decisions_cost_is_reported_and_chosen_by(bank: Bank) -> None:
    outcomes = {one.name: one.outcome for one in bank.report.candidates}
    assert set(outcomes) == {"linear", "calibrated", "constant"}
    metrics = version_of(bank).metrics
    cost, saved = metrics["cost"]["value"], metrics["saved"]["value"]
    assert saved > 0
    assert metrics["savings"]["value"] == pytest.approx(saved / (saved + cost))
    shares = [metrics[f"{truth}_{sign}"]["value"] for truth in ("true", "false") for sign in ("positive", "negative")]
    assert sum(shares) == pytest.approx(1.0)
    caught, missed = metrics["true_positive"]["value"], metrics["false_negative"]["value"]
    assert metrics["flagged_recall"]["value"] == pytest.approx(caught / (caught + missed))
    assert {"calibration_error", "recall_at_fpr@0.01", "value_recall", "auc"} <= metrics.keys()
    assert metrics["declined"]["value"] + metrics["reviewed"]["value"] == pytest.approx(
        caught + metrics["false_positive"]["value"]
    )


def test_every_decision_is_that_of_the_costs_and_the_versions_thresholds(bank: Bank) -> None:
    version = version_of(bank)
    artifact = load_artifact(bank.runtime.artifacts / version.artifact)
    thresholds = Thresholds(*artifact.arrays["decide_thresholds"].tolist())
    assert thresholds.review_margin > 0  # more would be worth a look than eight a day
    costs = compile_costs(payments.POLICY)
    for asked, prediction in zip(bank.requests, bank.predictions, strict=True):
        decided = decide_one(
            payments.POLICY, thresholds, prediction.values[0], costs(asked.event), seed_of(prediction.id)
        )
        assert (prediction.decision, prediction.decision_propensity) == (decided.action, decided.propensity)
    assert {prediction.decision for prediction in bank.predictions} == {"approve", "decline", "review"}
    control = [one for one in bank.predictions if one.decision == "approve" and one.decision_propensity < 1]
    assert {one.decision_propensity for one in control} == {0.2}


def test_decisions_save_nearly_what_the_truth_would(bank: Bank) -> None:
    """By the true chance of fraud, against deciding by it without reviews and control."""
    costs = compile_costs(payments.POLICY)
    paid = least = accepted = 0.0
    for asked, prediction in zip(bank.requests, bank.predictions, strict=True):
        own, true = costs(asked.event), payments.chance(asked.event.risk)  # type: ignore[attr-defined]
        by_action = {
            "approve": true * own.false_approve,
            "decline": (1 - true) * own.false_decline,
            "review": own.review or 0.0,
        }
        paid += by_action["decline" if prediction.decision_propensity < 1 else prediction.decision]
        least += min(by_action["approve"], by_action["decline"])
        accepted += by_action["approve"]
    assert paid < least + 0.1 * (accepted - least)


def test_a_decision_replays_and_its_probability_is_explained(bank: Bank) -> None:
    for prediction in bank.predictions[:20]:
        again = replay(bank.runtime, prediction.id)
        assert (again.identical, again.differences) == (True, [])
    found = why(bank.runtime, bank.predictions[0].id)
    assert [value.name for value in found.values] == ["probability"]


def test_what_the_previous_version_decides_for_a_late_champion_is_its_own_and_replays(
    bank: Bank, tmp_path: Path
) -> None:
    copied = Runtime(bank.app, load_settings(shutil.copytree(bank.runtime.home, tmp_path / "home")), bank.clock)
    service = Service(copied, "late", random.Random(3), bank.clock, stopwatch=ManualStopwatch())
    service.refresher.step()
    serving, previous = service.engine.serving, bank.report.champion or ""
    late = ReleaseState(champion="v9", previous=previous, serial=9)
    pipelines = {previous: serving.pipelines[previous], "v9": serving.pipelines[previous]}
    service.engine.serving = msgspec.structs.replace(serving, release=late, pipelines=pipelines)
    own = {one.id: one for one in bank.predictions}
    answered = service.engine.answer_without("v9", bank.requests, ScoringProgress())
    made = [one for one in answered if one is not None]
    assert {(one.level, one.version, one.assigned, one.failed) for one in made} == {
        ("previous", previous, "v9", "late")
    }
    for one in made:
        assert (one.values, one.decision, one.decision_propensity) == (
            own[one.id].values,
            own[one.id].decision,
            own[one.id].decision_propensity,
        )
    event_type = bank.app.task.about.request
    asked = [request(n, 50.0 * n, 2.0, event_type, NOW_US + 1_000_000) for n in range(20)]
    again = [one for one in service.engine.answer_without("v9", asked, ScoringProgress()) if one is not None]
    copied.predictions.append([prediction_record(one) for one in again])
    assert [replay(copied, one.id).identical for one in again] == [True] * 20


def test_a_request_without_costs_is_left_to_the_caller(bank: Bank) -> None:
    service = Service(bank.runtime, "other", random.Random(2), bank.clock, stopwatch=ManualStopwatch())
    service.refresher.step()
    event_type = bank.app.task.about.request
    refund, plain = service.engine.answer([request(900, -20.0, 3.0, event_type), request(901, 20.0, -3.0, event_type)])
    assert (refund.decision, plain.decision) == ("abstain", "approve")
    assert refund.level == plain.level == "champion"


def test_the_fallback_decides_by_the_costs_of_the_request(bank: Bank) -> None:
    online = bank.app.task.online(Stores(bank.runtime.state, None, {}))
    event_type = bank.app.task.about.request
    empty = online.fallback(None)
    assert empty.answer(request(1, 10.0, 0.0, event_type), None)[0] == DEFAULT_LEVEL
    usual = msgspec.structs.replace(empty, values=(0.3,))  # type: ignore[type-var]
    decisions = [usual.answer(request(n, amount, 0.0, event_type), None) for n, amount in enumerate((1.0, 5_000.0))]
    assert [(level, response.decision) for level, response in decisions] == [
        (PRECOMPUTED_LEVEL, "approve"),
        (PRECOMPUTED_LEVEL, "review"),
    ]


def test_reviews_are_listed_and_a_verdict_becomes_a_label(bank: Bank) -> None:
    home = str(bank.runtime.home)
    bank.runtime.layout.simulated.write_text("its present is the end of what happened in it")

    def run(*words: str, code: int = 0) -> Any:
        ran = call("reviews", words[0], str(FILE), *words[1:], "--home", home, "--json")
        assert ran.code == code, ran.out + ran.err
        return ran.last if code == 0 else ran.err

    sent = [one for one in bank.predictions if one.decision == "review"]
    waiting = run("list", "--since", "40000d", "--limit", "1000")
    assert waiting["open"] == len(sent)
    assert [one["prediction"] for one in waiting["reviews"]] == [one.id for one in sent]
    entered = run("verdict", sent[0].id, "fraud=true")
    assert entered["event"] == {"type": "verdict", "payment": int(sent[0].key), "card": 7, "fraud": True}
    run("verdict", sent[1].id, "fraud=false")
    assert run("list", "--since", "40000d")["open"] == len(sent) - 2
    everything = run("list", "--since", "40000d", "--all", "--limit", "1000")["reviews"]
    assert [one["verdict"] and one["verdict"]["fraud"] for one in everything[:3]] == [True, False, None]
    assert "field fraud of Verdict must be given, as fraud=VALUE" in run("verdict", sent[2].id, "card=7", code=2)
    approved = next(one for one in bank.predictions if one.decision == "approve")
    assert "must be review, to be given a verdict, got 'approve'" in run("verdict", approved.id, "fraud=true", code=2)
    assert run("verdict", sent[1].id, "fraud=false")["verdict"] == "duplicate"
    assert "Z, fraud=false, got true: with --again" in run("verdict", sent[1].id, "fraud=true", code=1)
    assert run("verdict", sent[1].id, "fraud=true", "--again")["verdict"] == "accepted"
    assert "Z, fraud=true, got false" in run("verdict", sent[1].id, "fraud=false", code=1)
    listed = run("list", "--since", "40000d", "--all", "--limit", "2")["reviews"][1]
    assert (listed["verdict"]["fraud"], listed["verdicts"], listed["disagree"]) == (True, 2, True)
    plain = call("reviews", "list", str(FILE), "--since", "40000d", "--all", "--home", home).out
    assert "2 that disagree" in " ".join(plain.split())
    bank.runtime.layout.simulated.unlink()
    late = run("verdict", sent[2].id, "fraud=true", code=1)  # by the machine's clock months have passed
    assert "must come within 5d after its request" in late
    labels = bank.app.task.about.labels
    assert [(label.name, label.event.__name__) for label in labels] == [
        ("chargeback", "Chargeback"),
        ("chargeback", "Verdict"),
    ]
    assert all(label.impossible_after == ("decline",) for label in labels)


def test_reviews_of_a_simulated_home_are_listed_by_its_own_clock(tmp_path: Path, bank: Bank) -> None:
    """What happened in January is thirty days old in February, whenever the command is run."""
    runtime = Runtime(bank.app, load_settings(tmp_path), ManualClock(NOW_US))
    runtime.layout.simulated.write_text("made by flyball simulate")
    runtime.predictions.append([prediction_record(one) for one in bank.predictions])
    sent = [one for one in bank.predictions if one.decision == "review"]
    ran = call("reviews", "list", str(FILE), "--home", str(tmp_path), "--json")
    assert (ran.code, ran.last["open"]) == (0, len(sent)), ran.err
    runtime.layout.simulated.unlink()
    assert call("reviews", "list", str(FILE), "--home", str(tmp_path), "--json").last["open"] == 0


def test_a_verdict_trains_as_a_chargeback_does(tmp_path: Path) -> None:
    """The same month, chargebacks reported as verdicts of fraud: the same target for every payment."""
    app = load_app(str(FILE))
    output = [
        line.replace(b'"type":"chargeback"', b'"type":"verdict","card":1,"fraud":true')
        for line in payments.lines(12, START_US)
    ]
    not_fraud = [line.replace(b'"fraud":true', b'"fraud":false') for line in output]
    targets = []
    for name, month in (("plain", payments.lines(12, START_US)), ("output", output), ("not", not_fraud)):
        runtime = Runtime(app, load_settings(tmp_path / name), ManualClock(NOW_US))
        ingest_pieces(runtime, "jsonl", [b"\n".join(month)], "month", "history")
        catch_up(runtime)
        targets.append(RequestHistory(app.task, past_of(runtime)).examples(NOW_US).target)  # type: ignore[arg-type]
    assert 100 < targets[0].sum() < len(targets[0])
    assert targets[0].tolist() == targets[1].tolist()
    assert targets[2].sum() == 0


def past_of(runtime: Runtime) -> SnapshotPast:
    snapshot = take_snapshot(runtime.history_folder, runtime.schema, NOW_US, runtime.history_folder / "snapshots")
    return SnapshotPast(snapshot.frame, NOW_US, ServingLag())


@pytest.mark.parametrize(
    ("findings", "charged", "fraud"),
    [
        ([True], False, 1.0),
        ([True, False], False, 0.0),
        ([False, True], False, 1.0),
        ([True, False, True], False, 1.0),
        ([True, False], True, 1.0),  # no verdict takes a chargeback back
        ([False], False, 0.0),
    ],
)
def test_of_several_verdicts_the_latest_trains_and_is_the_outcome(
    tmp_path: Path, bank: Bank, findings: list[bool], charged: bool, fraud: float
) -> None:
    runtime = Runtime(bank.app, load_settings(tmp_path), ManualClock(NOW_US))
    fields = {"payment": 1, "card": 7}
    events: list[dict[str, Any]] = [{"type": "payment", "at": START_US, "amount": 10.0, "risk": 0.5, **fields}]
    events += [
        {"type": "verdict", "at": START_US + (hour + 1) * 3_600_000_000, "fraud": found, **fields}
        for hour, found in enumerate(findings)
    ]
    if charged:
        events.append({"type": "chargeback", "at": START_US + 7_200_000_000, "payment": 1})
    prediction = msgspec.structs.replace(
        bank.predictions[0],
        id=new_id(START_US, random.Random(1)),
        at_us=START_US,
        key="1",
        request=fields,
        decision="approve",
    )
    runtime.predictions.append([prediction_record(prediction)])
    ingest_pieces(runtime, "jsonl", [b"\n".join(map(msgspec.json.encode, events))], "month", "history")
    catch_up(runtime)
    history = RequestHistory(bank.app.task, past_of(runtime))  # type: ignore[arg-type]
    assert history.examples(NOW_US).target.tolist() == [fraud]
    held = [one.labels.get("chargeback", 0.0) for one in followed(runtime.outcomes_path, prediction)]
    assert held == [fraud]


def test_a_promise_keeps_its_level_and_an_interval_its_coverage(tmp_path: Path) -> None:
    """Kitchens that take 10, 30 and 20 minutes, a courier of four minutes a kilometer: the whole loop of a quote."""
    task = msgspec.structs.replace(city.app.task, kind="quantiles", decide=fb.quote(late=3, early=1), unit="day")
    assert task.about.values == ("q10", "q50", "q90", "quote")
    app = fb.App(
        "promise",
        events=[city.Order, city.Delivered, city.Cancelled, city.Delivery],
        task=task,
        candidates={"median": fb.conformal(fb.GroupMedian("kitchen"), level=0.8, groups=("kitchen",))},
        choose=fb.best("quote_cost"),
        gates=fb.gates(min_examples=1),
        world=fb.world(city.City),
    )
    now_us = START_US + 6 * payments.DAY_US
    runtime = Runtime(app, load_settings(tmp_path), ManualClock(now_us))
    seed_home(runtime, new_plan(app, now_us, days=5))
    report = learn(runtime, workers=1)
    metrics = runtime.registry.version(report.champion or "").metrics
    assert metrics["coverage"]["value"] == pytest.approx(0.8, abs=0.07)
    assert metrics["quote_late_share"]["value"] == pytest.approx(0.25, abs=0.07)
    assert metrics["quote_cost"]["low"] < metrics["quote_cost"]["value"] < metrics["quote_cost"]["high"]
    service = Service(runtime, "test", random.Random(1), runtime.clock, stopwatch=ManualStopwatch())
    service.refresher.step()
    fields = {"order": 900_000, "kitchen": "b", "km": 2.0}
    asked = request_of(city.Order, new_id(now_us, random.Random(4)), now_us, fields)
    (prediction,) = service.engine.answer([asked])
    q10, q50, q90, quote = prediction.values
    assert q10 < q50 < quote < q90
    assert quote == pytest.approx(q50 + stats.norm.ppf(0.75) / stats.norm.ppf(0.9) * (q90 - q50))
    runtime.predictions.append([prediction_record(prediction)])
    assert replay(runtime, prediction.id).identical
    found = why(runtime, prediction.id)
    assert [(value.name, value.value) for value in found.values][-1] == ("quote", quote)
    assert [(part.name, part.value) for part in found.values[-1].because] == [("75% quantile", quote)]


def test_a_sample_of_the_requests_is_reviewed_in_proportion() -> None:
    """Half of a day's requests: half as many reviews."""
    plan = payments.app.task.offline().plan()
    evaluation = EvaluationSet(
        window_us=(0, 10),
        at_us=np.arange(10),
        fields=[{}] * 10,
        contexts=[None] * 10,
        units=[str(row) for row in range(10)],
        unit_of=np.arange(10),
        truth=PredictTruth(np.array([0.0] * 7 + [1.0, 0.0, 1.0]), np.ones(10)),
        pool=20,
    )
    answers = answers_of([Response(values=(row / 10,)) for row in range(10)])
    ones = np.ones((1, 10))
    precision: Any = plan.metric("precision_a_day@6").prepare(answers, evaluation)
    assert precision(ones)[0] == pytest.approx(2 / 3)  # of the three best, rows 9 and 7
    undefined = plan.metric("auc").prepare(answers, evaluation.take(np.arange(5)))
    assert isinstance(undefined, Undefined)
    for wrong in ("precision_a_day@0", "precision_a_day@1.5", "recall_at_fpr@2"):
        with pytest.raises(BadDeclaration, match=r"must be"):
            plan.metric(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decide": fb.quote(3, 1)}, r"decide=fb.quote\(...\) of Predict must be for quantiles: a quote is the 75%"),
        (
            {"decide": fb.decide(lambda p: p.price, 1.0)},
            r"costs of decide must be made of fields of Payment, got",
        ),
        ({"decide": 3}, "decide of Predict must be made by fb.decide or fb.quote, got 3"),
        (
            {"decide": fb.decide(1.0, 1.0, review=1.0, verdict=payments.Chargeback)},
            "verdict Chargeback of decide must be an event type with one boolean field",
        ),
    ],
)
def test_what_does_not_fit_is_refused_where_it_is_declared(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        msgspec.structs.replace(payments.app.task, **change)


def test_a_version_keeps_the_costs_it_was_declared_with() -> None:
    task = payments.app.task
    declared = msgspec.json.decode(msgspec.json.encode(task.about.declaration))
    dearer = msgspec.structs.replace(task, decide=fb.decide(lambda p: 9 * p.amount, 1.0, verdict=None))  # type: ignore[type-var]
    restored = dearer.restore(declared)
    assert restored.decide == msgspec.structs.replace(payments.POLICY, verdict=None)
    assert task.restore(declared) is task
    assert ACTIONS[0] == "approve"


class Capacity:
    """A copy of the bank that is asked for more reviews in a day than it has."""

    def __init__(self, bank: Bank, folder: Path) -> None:
        copy = shutil.copytree(bank.runtime.home, folder / "home")
        self.bank, self.runtime = bank, Runtime(bank.app, load_settings(copy), ManualClock(TOMORROW_US))
        self.service = self.started()
        asked = [one.event for one in bank.requests]
        self.fields = [{"payment": 1, "card": 7, "amount": one.amount, "risk": one.risk} for one in asked]  # type: ignore[attr-defined]
        probe = self.requests(300, TOMORROW_US, seed=9)
        probing = self.started()
        probed = probing.engine.answer(probe)
        for answer in probed:  # as of dry requests: nothing is sent
            probing._reviews.forget(answer)  # type: ignore[union-attr]
        self.fields = [own for own, one in zip(self.fields, probed, strict=True) if one.reviews_today is not None]
        assert len(self.fields) >= 2

    def started(self) -> Service:
        service = Service(self.runtime, "test", random.Random(4), self.runtime.clock, stopwatch=ManualStopwatch())
        service.refresher.step()
        return service

    def requests(self, count: int, at_us: int, seed: int) -> list[Request]:
        """Each should be reviewed."""
        rng, event_type = random.Random(seed), self.bank.app.task.about.request
        return [
            request_of(event_type, new_id(at_us + n, rng), at_us + n, self.fields[n % len(self.fields)])
            for n in range(count)
        ]

    def serve(self, service: Service, requests: list[Request]) -> list[Prediction]:
        """As a process does that has answered and written."""
        answers = service.engine.answer(requests)
        for request, answer in zip(requests, answers, strict=True):
            service._record(request, answer, 0.001)
        self.runtime.predictions.append([prediction_record(one) for one in answers])
        return answers


TOMORROW_US = NOW_US + 2 * payments.DAY_US


def test_no_day_has_more_reviews_than_declared_and_the_rest_is_decided_by_costs_and_replays(
    bank: Bank, tmp_path: Path
) -> None:
    capacity = Capacity(bank, tmp_path)
    requests = capacity.requests(30, TOMORROW_US, seed=1)
    made = capacity.serve(capacity.service, requests)
    assert [one.decision for one in made[:8]] == ["review"] * 8
    assert "review" not in {one.decision for one in made[8:]}
    assert [one.reviews_today for one in made] == [*range(8), *[8] * 22]
    artifact = load_artifact(capacity.runtime.artifacts / version_of(bank).artifact)
    odds = float(artifact.arrays["decide_thresholds"][0])
    costs = compile_costs(payments.POLICY)
    for request, one in zip(requests[8:], made[8:], strict=True):
        own, p = costs(request.event), one.values[0]
        happens = p * odds / (p * odds + 1 - p)
        cheaper = "approve" if happens * own.false_approve <= (1 - happens) * own.false_decline else "decline"
        control = uniform_of(seed_of(one.id)) < payments.POLICY.control
        assert one.decision == ("approve" if cheaper == "approve" or control else "decline")
        drawn = payments.POLICY.control if control else 1 - payments.POLICY.control
        assert one.decision_propensity == (1.0 if cheaper == "approve" else drawn)
    assert {one.decision for one in made[8:]} == {"approve", "decline"}
    assert [replay(capacity.runtime, one.id).differences for one in made] == [[]] * 30
    assert "as the day had had 8 reviews, all that it may have" in why(capacity.runtime, made[8].id).text()
    assert "all that it may have" not in why(capacity.runtime, made[7].id).text()


def test_a_restart_and_a_second_process_know_the_reviews_of_the_day(bank: Bank, tmp_path: Path) -> None:
    capacity = Capacity(bank, tmp_path)
    first = capacity.serve(capacity.service, capacity.requests(3, TOMORROW_US, seed=1))
    second = capacity.started()
    more = capacity.serve(second, capacity.requests(4, TOMORROW_US + 1_000_000, seed=2))
    capacity.service.refresher.step()
    last = capacity.serve(capacity.service, capacity.requests(4, TOMORROW_US + 2_000_000, seed=3))
    assert [one.decision for one in [*first, *more]] == ["review"] * 7
    assert [one.decision == "review" for one in last] == [True, False, False, False]
    next_day = capacity.serve(capacity.service, capacity.requests(60, TOMORROW_US + payments.DAY_US, seed=4))
    assert sum(one.reviews_today is not None for one in next_day) > 8
    assert sum(one.decision == "review" for one in next_day) == 8


@pytest.mark.anyio
async def test_a_reply_says_that_the_capacity_is_used_up_and_a_dry_request_uses_none(
    bank: Bank, tmp_path: Path
) -> None:
    capacity = Capacity(bank, tmp_path)
    service = Service(capacity.runtime, "test", random.Random(4), capacity.runtime.clock, stopwatch=ManualStopwatch())
    transport = httpx.ASGITransport(app=make_app(service), raise_app_exceptions=True)
    await service.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            async with asyncio.timeout(60):
                while not service.engine.serving.pipelines:
                    await asyncio.sleep(0)
            asked = {**capacity.fields[0], "payment": 800_000}
            dry = [(await client.post("/v1/predict?dry=true", json=asked)).json() for _ in range(10)]
            kept = [(await client.post("/v1/predict", json=asked)).json() for _ in range(10)]
    finally:
        await service.stop()
    assert [one["decision"] for one in dry] == ["review"] * 10
    assert [one["decision"] == "review" for one in kept] == [True] * 8 + [False] * 2
    assert [one.get("capacity_used_up") for one in kept] == [None] * 8 + [True] * 2


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
