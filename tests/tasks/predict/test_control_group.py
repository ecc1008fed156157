"""What was declined is learned from by the few that were approved all the same, each counting as all it stands for."""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.tasks.predict import payments

from flyball.core import ManualClock, new_id
from flyball.history import take_snapshot
from flyball.learning import learn
from flyball.learning.past import SnapshotPast
from flyball.operations import catch_up
from flyball.outcomes import decisions_frame, prediction_of_response, prediction_record
from flyball.policy import uniform_of
from flyball.runtime import Runtime, load_settings
from flyball.simulation import ingest_pieces
from flyball.tasks import Response, ServingLag, request_of, seed_of
from flyball.tasks.predict.examples import Labeled, RequestHistory, last_decisions

START_US = 1_767_225_600_000_000
DAYS, A_DAY = 30, 400
NOW_US = START_US + DAYS * payments.DAY_US
BAR, CONTROL = 1.0, 0.1
"""Payments of a risk above the bar are declined, but for the control group."""


class Declining:
    """A month in which the risky were declined: no chargeback of them can come, though half of them are fraud."""

    def __init__(self, home: Path, logged: bool = True) -> None:
        self.runtime = Runtime(payments.app, load_settings(home), ManualClock(NOW_US))
        rng, ids = np.random.default_rng(5), random.Random(5)
        lines, records = [], []
        self.fraud: list[bool] = []
        for number in range(DAYS * A_DAY):
            at_us = START_US + number * payments.DAY_US // A_DAY
            risk, amount = round(float(rng.normal(0, 1)), 3), round(float(rng.lognormal(3.5, 1.0)), 2)
            fields = {"payment": number + 1, "card": int(rng.integers(1, 60)), "amount": amount, "risk": risk}
            lines.append((at_us, {"type": "payment", **fields}))
            self.fraud.append(rng.random() < payments.chance(risk))
            request = request_of(payments.Payment, new_id(at_us, ids), at_us, fields)
            control = uniform_of(seed_of(request.id)) < CONTROL
            decision = "decline" if risk > BAR and not control else "approve"
            propensity = 1.0 if risk <= BAR else CONTROL if control else 1 - CONTROL
            response = Response((), (0.5,), decision, (), propensity)
            stamp: Any = {"version": "v0", "arm": "", "propensity": 1.0, "level": "champion", "offsets": ()}
            records.append(prediction_record(prediction_of_response(request, response, **stamp)))
            if self.fraud[-1] and decision == "approve":
                lines.append((at_us + 2 * payments.DAY_US, {"type": "chargeback", "payment": number + 1}))
        ended = [msgspec.json.encode({**fields, "at": at}) for at, fields in sorted(lines, key=lambda line: line[0])]
        ingest_pieces(self.runtime, "jsonl", [b"\n".join(ended)], "month", "history")
        if logged:
            self.runtime.predictions.append(records)
        catch_up(self.runtime)

    def examples(self) -> Labeled:
        runtime = self.runtime
        folder = runtime.history_folder
        snapshot = take_snapshot(folder, runtime.schema, NOW_US, folder / "snapshots")

        def decisions() -> Any:
            return decisions_frame(runtime.predictions, NOW_US)

        past = SnapshotPast(snapshot.frame, NOW_US, ServingLag(), None, decisions)
        return RequestHistory(payments.app.task, past).examples(NOW_US)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def declining(tmp_path_factory: pytest.TempPathFactory) -> Declining:
    return Declining(tmp_path_factory.mktemp("declining"))


def test_the_weighted_share_of_fraud_is_the_true_one_and_the_naive_is_not(declining: Declining) -> None:
    examples = declining.examples()
    true = float(np.mean(np.array(declining.fraud)[: int(examples.rows[-1]) + 1]))
    weighted = float(np.average(examples.target, weights=examples.weight))
    naive = float(examples.target.mean())
    # Of some 2,000 declined payments a tenth stands for all: what 200 draws of a chance near a half leave open.
    error = 0.16 * float(np.sqrt(0.25 / 200))
    assert weighted == pytest.approx(true, abs=4 * error)
    assert naive < true - 8 * error
    assert examples.control == int((examples.weight > 1).sum()) > 100
    assert set(np.unique(examples.weight).round(9).tolist()) == {1.0, 1 / CONTROL}


def test_what_was_declined_is_no_negative(declining: Declining, tmp_path: Path) -> None:
    """Without the log of answers each declined payment looks as if nobody had charged it back."""
    examples, without = declining.examples(), Declining(tmp_path, logged=False).examples()
    assert (without.states["censored"], without.control) == (0, 0)
    mature = len(without.rows)
    assert mature - len(examples.rows) == pytest.approx(0.9 * 0.159 * mature, rel=0.1)  # a normal lies above 1
    assert without.target.mean() < examples.target.mean()


def test_learning_and_evaluation_count_by_the_propensity(declining: Declining) -> None:
    """The probability of the risky is about a half, and evaluation says that the version's probabilities are right."""
    report = learn(declining.runtime, workers=1)
    version = declining.runtime.registry.version(report.champion or "")
    assert version.metrics["calibration"]["low"] < 1 < version.metrics["calibration"]["high"]
    constant = next(candidate for candidate in report.candidates if candidate.name == "constant")
    assert constant.metrics["calibration"]["value"] == pytest.approx(1.0, abs=0.35)
    share = np.array(declining.fraud).mean()
    events = constant.metrics["true_positive"]["value"] + constant.metrics["false_negative"]["value"]
    assert events == pytest.approx(share, abs=0.06)


@given(
    st.lists(st.tuples(st.integers(1, 2), st.integers(0, 60)), min_size=1, max_size=8, unique=True),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 60), st.sampled_from(["approve", "decline"])), max_size=8),
)
def test_a_decision_belongs_to_one_request_of_a_key_that_comes_again(
    requests: list[tuple[int, int]], answers: list[tuple[int, int, str]]
) -> None:
    within = 5
    answers = sorted(answers, key=lambda answer: answer[1])
    expected: list[str | None] = [None] * len(requests)
    ambiguous = False
    for key, at, decision in answers:
        gaps = sorted((abs(at - asked), index) for index, (name, asked) in enumerate(requests) if name == key)
        ambiguous |= len(gaps) > 1 and gaps[0][0] == gaps[1][0] <= within
        if gaps and gaps[0][0] <= within:
            expected[gaps[0][1]] = decision
    assume(not ambiguous)  # halfway between two requests either may have it
    frame = pl.DataFrame(requests, schema={"customer": pl.Int64, "at": pl.Int64}, orient="row")
    decisions = pl.DataFrame(
        [(at, f'{{"customer":{key}}}', decision, 0.5) for key, at, decision in answers],
        schema={"at": pl.Int64, "request": pl.String, "decision": pl.String, "propensity": pl.Float64},
        orient="row",
    )
    matched = last_decisions(frame, "customer", decisions, within)
    assert matched["decision"].to_list() == expected
    assert [value is None for value in matched["propensity"].to_list()] == [value is None for value in expected]
