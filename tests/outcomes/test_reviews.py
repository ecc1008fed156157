"""The review queue: what was sent to a person, joined with their verdicts, and the event that a verdict becomes."""

import random
from pathlib import Path
from typing import Annotated, Any

import pytest

import flyball as fb
from flyball.core import BadInput, new_id
from flyball.events import DeclaredLog, Schema, open_log
from flyball.outcomes import Prediction, prediction_record, read_reviews, verdict_fields
from flyball.tasks import Reviews

START_US, HOUR_US = 1_700_000_000_000_000, 3_600_000_000
PaymentId = Annotated[int, fb.Ref("payment")]


class Payment(fb.Event):
    payment: PaymentId
    card: Annotated[str, fb.Ref("card")]
    amount: float


class Verdict(fb.Event):
    of: PaymentId
    holder: Annotated[str, fb.Ref("card")]
    amount: float
    fraud: bool
    note: str = ""


PLAN = Reviews("review", Payment, Verdict, ("payment", "of"))


def paid(number: int, hours: int, decision: str = "review") -> Prediction:
    return Prediction(
        id=new_id(START_US + hours * HOUR_US, random.Random(number)),
        at_us=START_US + hours * HOUR_US,
        key=str(number),
        request_type="payment",
        request={"payment": number, "card": f"c{number}", "amount": 10.0 * number},
        items=[],
        scores=[],
        sources=[],
        values=[0.3],
        version="v1",
        arm="champion",
        propensity=1.0,
        level="champion",
        offsets=(),
        decision=decision,
    )


@pytest.fixture
def logs(tmp_path: Path) -> Any:
    schema = Schema((Payment, Verdict))
    predictions = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=2&unique=0")
    events = DeclaredLog(open_log(f"sqlite://{tmp_path}/events.db?partitions=2"), schema)
    return events.schema, predictions, events


def test_the_queue_holds_what_was_sent_to_review_with_its_first_verdict(logs: Any) -> None:
    schema, predictions, events = logs
    given = [paid(3, 5), paid(1, 1), paid(2, 3), paid(4, 2, "decline"), paid(5, 4, "approve")]
    predictions.append([prediction_record(one) for one in given])
    found: list[dict[str, Any]] = [
        {"of": 2, "holder": "c2", "amount": 20.0, "fraud": False, "at": START_US + 9 * HOUR_US},
        {"of": 2, "holder": "c2", "amount": 20.0, "fraud": True, "at": START_US + 8 * HOUR_US},
        {"of": 5, "holder": "c5", "amount": 50.0, "fraud": True, "at": START_US + 8 * HOUR_US},
    ]
    for one in found:
        at_us = one.pop("at")
        events.append([schema.check("verdict", one, at_us, at_us)])
    queue = read_reviews(predictions, events, schema, PLAN)
    assert [(one.key, one.verdict_at_us) for one in queue] == [("1", None), ("2", START_US + 8 * HOUR_US), ("3", None)]
    assert queue[1].verdict == {"of": 2, "holder": "c2", "amount": 20.0, "fraud": True, "note": ""}
    assert (queue[0].prediction, queue[0].values) == (given[1].id, [0.3])
    later = read_reviews(predictions, events, schema, PLAN, START_US + 3 * HOUR_US, START_US + 5 * HOUR_US)
    assert [one.key for one in later] == ["2"]
    assert read_reviews(predictions, events, schema, PLAN, START_US + 50 * HOUR_US) == []


def test_a_verdict_has_what_it_shares_with_the_request() -> None:
    fields = verdict_fields(PLAN, paid(7, 0), {"fraud": True})
    assert fields == {"of": 7, "holder": "c7", "amount": 70.0, "fraud": True}
    corrected = verdict_fields(PLAN, paid(7, 0), {"fraud": False, "amount": 1.0, "note": "called"})
    assert (corrected["amount"], corrected["note"]) == (1.0, "called")


def test_what_makes_no_verdict_is_refused() -> None:
    with pytest.raises(BadInput, match="field fraud of Verdict must be given, as fraud=VALUE, got None"):
        verdict_fields(PLAN, paid(7, 0), {})
    with pytest.raises(BadInput, match="field of Verdict must be one of of, holder, amount, fraud, note, got 'frod'"):
        verdict_fields(PLAN, paid(7, 0), {"frod": True})
    with pytest.raises(BadInput, match="must be review, to be given a verdict, got 'decline'"):
        verdict_fields(PLAN, paid(7, 0, "decline"), {"fraud": True})
    with pytest.raises(BadInput, match="got 'no decision'"):
        verdict_fields(PLAN, paid(7, 0, ""), {"fraud": True})
