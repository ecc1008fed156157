"""The review queue: what was sent to a person, joined with their verdicts, and the event that a verdict becomes."""

import random
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

import flyball as fb
from flyball.core import BadInput, Refused, new_id
from flyball.events import DeclaredLog, Schema, open_log
from flyball.outcomes import (
    Prediction,
    adds_to,
    prediction_record,
    read_reviews,
    review_load,
    verdict_fields,
    verdicts_on,
)
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


DAY_US = 24 * HOUR_US
PLAN = Reviews("review", Payment, Verdict, ("payment", "of"), "fraud", 30 * DAY_US)


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


def test_the_queue_holds_what_was_sent_to_review_with_its_latest_verdict(logs: Any) -> None:
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
    assert [(one.key, one.verdict_at_us) for one in queue] == [("1", None), ("2", START_US + 9 * HOUR_US), ("3", None)]
    assert queue[1].verdict == {"of": 2, "holder": "c2", "amount": 20.0, "fraud": False, "note": ""}
    assert (queue[0].prediction, queue[0].values, queue[0].level) == (given[1].id, [0.3], "champion")
    later = read_reviews(predictions, events, schema, PLAN, START_US + 3 * HOUR_US, START_US + 5 * HOUR_US)
    assert [one.key for one in later] == ["2"]
    assert read_reviews(predictions, events, schema, PLAN, START_US + 50 * HOUR_US) == []


def test_the_load_is_counted_by_day_until_now(logs: Any) -> None:
    schema, predictions, events = logs
    midnight = -(START_US // HOUR_US) % 24 + 1  # hours from the start until a day has begun
    hours = [midnight, midnight + 24, midnight + 25, midnight + 26, midnight + 47, midnight + 48]
    predictions.append([prediction_record(paid(number, hour)) for number, hour in enumerate(hours, 1)])
    queue = read_reviews(predictions, events, schema, PLAN)
    load = review_load(queue, queue[0].at_us + 3 * DAY_US)
    assert load is not None
    assert (load.per_day, load.most) == (2.0, 3), "the hour 47 is of the day after"
    assert load.busiest_us == (queue[1].at_us // DAY_US) * DAY_US
    assert load.by_default == 0
    unanswered = [msgspec.structs.replace(review, level="default") for review in queue[:2]]
    mixed = review_load([*unanswered, *queue[2:]], queue[0].at_us + 3 * DAY_US)
    assert mixed is not None
    assert mixed.by_default == 2
    soon = review_load(queue[:1], queue[0].at_us)
    assert soon is not None
    assert (soon.per_day, soon.most) == (1.0, 1)


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


def given(logs: Any, number: int, hours: int, fraud: bool) -> None:
    schema, _, events = logs
    at_us = START_US + hours * HOUR_US
    fields = {"of": number, "holder": f"c{number}", "amount": 10.0 * number, "fraud": fraud}
    events.append([schema.check("verdict", fields, at_us, at_us)])


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_of_verdicts_that_disagree_the_latest_counts(logs: Any, order: tuple[bool, bool]) -> None:
    schema, predictions, events = logs
    predictions.append([prediction_record(paid(1, 1))])
    for hours, fraud in zip((4, 6), order, strict=True):
        given(logs, 1, hours, fraud)
    (review,) = read_reviews(predictions, events, schema, PLAN)
    assert review.verdict is not None
    assert (review.verdict["fraud"], review.verdicts, review.disagree) == (order[1], 2, True)
    assert review.verdict_at_us == START_US + 6 * HOUR_US


def test_a_key_that_is_used_again_after_a_year_waits_for_a_verdict_of_its_own(logs: Any) -> None:
    schema, predictions, events = logs
    year = 365 * 24
    predictions.append([prediction_record(paid(1, hours)) for hours in (1, year)])
    given(logs, 1, 0, True)  # before either was asked
    given(logs, 1, 5, True)
    given(logs, 1, 5 + 31 * 24, False)  # the label of the first is final by then
    first, second = read_reviews(predictions, events, schema, PLAN)
    assert (first.verdicts, first.disagree, first.verdict_at_us) == (1, False, START_US + 5 * HOUR_US)
    assert (second.verdict, second.verdicts) == (None, 0)
    given(logs, 1, year + 2, False)
    _, second = read_reviews(predictions, events, schema, PLAN)
    assert second.verdict is not None
    assert second.verdict["fraud"] is False


def test_a_second_verdict_says_something_or_is_refused(logs: Any) -> None:
    schema, _, events = logs
    prediction, now_us = paid(1, 1), START_US + 9 * HOUR_US

    def adds(fraud: object, again: bool = False, now_us: int = now_us) -> bool:
        return adds_to(PLAN, prediction, verdicts_on(events, schema, PLAN, prediction), {"fraud": fraud}, now_us, again)

    assert adds(True)
    assert adds(False)
    given(logs, 1, 4, False)
    assert not adds(False)
    assert adds("yes")  # no truth value: what checks events says so
    with pytest.raises(Refused, match="Z, fraud=false, got true: with --again"):
        adds(True)
    assert adds(True, again=True)
    given(logs, 1, 5, True)
    assert not adds(True)
    with pytest.raises(Refused, match="Z, fraud=true, got false: with --again it is entered as a correction"):
        adds(False)
    assert adds(False, again=True)
    given(logs, 1, 6, False)
    assert not adds(False)
    assert adds(True, again=True)
    with pytest.raises(Refused, match="must come within 30d after its request of .* its label is final"):
        adds(True, now_us=prediction.at_us + 30 * DAY_US + 1)
