"""Costs, capacity and bands of decisions change without training, with a revision of their own that answers keep."""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.cli.conftest import call
from tests.tasks.predict import city, payments

import flyball as fb
from flyball.app import App
from flyball.core import ManualClock, ManualStopwatch, Refused, new_id
from flyball.learning import learn
from flyball.models import load_artifact
from flyball.operations import catch_up
from flyball.outcomes import Prediction, prediction_record
from flyball.policy import choose_thresholds, compile_costs, cost_columns, decide_one, decide_unreviewed
from flyball.provenance import replay
from flyball.releases import declare_arrangement, rollback_arrangement
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation import ingest_pieces
from flyball.tasks import Request, request_of, seed_of
from flyball.tasks.predict.thresholds import thresholds_of

START_US = 1_767_225_600_000_000
NOW_US = START_US + 30 * payments.DAY_US

DEARER = fb.decide(
    false_approve=lambda p: 4 * p.amount,
    false_decline=lambda p: 2 + 0.1 * p.amount,
    review=6.0,
    reviews_per_day=2,
    abstain=(0.49, 0.51),
    control=0.2,
    verdict=payments.Verdict,
)


def declared(policy: Any) -> App:
    return fb.App(
        "payments",
        events=[payments.Payment, payments.Chargeback, payments.Verdict],
        task=msgspec.structs.replace(payments.app.task, decide=policy),
        candidates={"linear": fb.Linear()},
        choose=fb.best("cost"),
        gates=fb.gates(min_examples=20),
    )


def asked(count: int) -> list[Request]:
    rng, ids = np.random.default_rng(9), random.Random(5)
    requests = []
    for number in range(count):
        at_us, amount, risk = NOW_US + number, float(rng.lognormal(3.5, 1.0)), float(rng.normal(0.5, 1.2))
        fields = {"payment": 200_000 + number, "card": 7, "amount": amount, "risk": risk}
        requests.append(request_of(payments.Payment, new_id(at_us, ids), at_us, fields))
    return requests


class Served:
    """A month learned by the costs of old; answers by them, then by dearer ones without training, then rolled back."""

    def __init__(self, home: Path) -> None:
        self.home = home
        old = self.opened(payments.POLICY)
        ingest_pieces(old, "jsonl", [b"\n".join(payments.lines(30, START_US))], "month", "history")
        catch_up(old)
        self.version = learn(old, workers=1).champion or ""
        self.before = self.answers(old)
        self.new = self.opened(DEARER)
        about = self.new.app.task.about
        self.change = declare_arrangement(self.new.registry, "payments", about.arrangement, "up", NOW_US)
        self.after = self.answers(self.new)
        rollback_arrangement(self.new.registry, "too few reviewers", "ann", NOW_US + 1)
        self.again = self.answers(self.new)

    def opened(self, policy: Any) -> Runtime:
        return Runtime(declared(policy), load_settings(self.home), ManualClock(NOW_US))

    def answers(self, runtime: Runtime) -> list[Prediction]:
        service = Service(runtime, "test", random.Random(1), runtime.clock, stopwatch=ManualStopwatch())
        service.refresher.step()
        predictions = list(service.engine.answer(asked(200)))
        runtime.predictions.append([prediction_record(one) for one in predictions])
        return predictions


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Served(tmp_path_factory.mktemp("bank"))


def test_new_costs_serve_without_training_and_roll_back(served: Served) -> None:
    assert (served.change.changed, served.change.state.arrangement) == (True, 2)
    assert {one.version for one in (*served.before, *served.after)} == {served.version}
    assert [one.arrangement for one in (served.before[0], served.after[0], served.again[0])] == [1, 2, 1]
    before, after, again = ([one.decision for one in day] for day in (served.before, served.after, served.again))
    assert before == again != after
    assert after.count("approve") < before.count("approve")
    assert after.count("review") < before.count("review")
    assert "abstain" in after


def test_each_decision_is_that_of_the_new_costs_and_of_thresholds_chosen_by_them(served: Served) -> None:
    """An oracle of its own over what the version kept of its validation examples."""
    version = served.new.registry.version(served.version)
    arrays = load_artifact(served.new.artifacts / version.artifact).arrays
    probability, actual, day_of, weight, requests = arrays["decide_validation"].T
    names = ["amount", "risk"]
    costs_of = compile_costs(DEARER)
    fields = [dict(zip(["payment", "card", *names], row, strict=False)) for row in arrays["decide_fields"].tolist()]
    own = [costs_of(fb_namespace(row)) for row in fields]
    days = day_of.astype(np.int64)
    chosen = choose_thresholds(DEARER, probability, actual, cost_columns(own), days, weight, requests).thresholds
    for request, prediction in zip(asked(200), served.after, strict=True):
        costs = costs_of(request.event)
        decided_by = decide_unreviewed if prediction.capacity_used_up else decide_one
        decided = decided_by(DEARER, chosen, prediction.values[0], costs, seed_of(prediction.id))
        assert (prediction.decision, prediction.decision_propensity) == (decided.action, decided.propensity)


def fb_namespace(row: dict[str, float]) -> Any:
    return type("Row", (), row)


def test_old_answers_replay_by_their_own_costs(served: Served) -> None:
    for prediction in (*served.before[:20], *served.after[:20], *served.again[:20]):
        again = replay(served.new, prediction.id)
        assert (again.identical, again.differences) == (True, [])


def test_costs_of_what_no_version_kept_are_refused(served: Served) -> None:
    version = served.new.registry.version(served.version)
    artifact = load_artifact(served.new.artifacts / version.artifact)
    strange = fb.decide(false_approve=lambda p: p.price, false_decline=1.0)
    with pytest.raises(Refused, match=r"numbers that the version kept of its requests \(.*amount.*\), got price"):
        thresholds_of(strange, payments.POLICY, artifact.arrays, artifact.texts)
    plain = payments.app.task.about.declaration
    with pytest.raises(Refused, match=r"costs of decide must be made of fields of Payment.*run flyball learn"):
        payments.app.task.restore({**plain, "decide": {**DEARER.plain(), "false_approve": ["field", "price"]}})


def test_a_quote_changes_without_training() -> None:
    task = msgspec.structs.replace(city.app.task, kind="quantiles", decide=fb.quote(late=3, early=1))
    assert task.about.arrangement == {"decide": {"late": 3.0, "early": 1.0}}
    assert task.arranged({"decide": {"late": 1.0, "early": 1.0}}).decide == fb.quote(1, 1)
    assert task.arranged({"decide": None}).decide is None
    assert task.arranged({}) is task
    with pytest.raises(Refused, match=r"level of quote\(late=99, early=1\) must be within the predicted quantiles"):
        task.arranged({"decide": {"late": 99.0, "early": 1.0}})


def test_the_command_names_costs_and_capacity(served: Served, tmp_path: Path) -> None:
    ran = call("arrangements", "list", payments.__file__, "--home", str(served.home))
    assert ran.code == 0, ran.err
    first, second = (next(line for line in ran.out.splitlines() if line.startswith(name)) for name in ("a1", "a2"))
    assert "serving" in first
    assert "serving" not in second
    assert "false_approve=amount false_decline=(2+(0.1*amount)) review=6.0 reviews_per_day=8 " in first
    assert "false_approve=(4*amount)" in second
    assert "abstain=0.49:0.51 control=0.2 false_approve=(4*amount)" in second
    assert "reviews_per_day=2 " in second
