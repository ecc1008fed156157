"""The review queue: responses that await a person's verdict. Verdicts are ordinary events."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

import msgspec

from flyball.core import BadInput, Refused, format_duration, format_timestamp
from flyball.events import EventLog, Schema, read_where
from flyball.outcomes.prediction import LAST_US, Prediction, prediction_of, records_between
from flyball.tasks import DEFAULT_LEVEL, Reviews, fields_of_event, references

_DAY_US = 86_400_000_000


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A response whose decision is a review by a person.

    `key`: the key that its verdict must name. `request`, `values`: the fields of the request and the predicted values.
    `level`: the fallback level that decided.
    `verdict`: the fields of the latest verdict, which counts; None while there is none. `verdict_at_us`: its time.
    `verdicts`: their number; `disagree`: whether they have different findings.
    """

    prediction: str
    at_us: int
    key: str
    request: dict[str, Any]
    values: list[float]
    version: str
    level: str = ""
    verdict: dict[str, Any] | None = None
    verdict_at_us: int | None = None
    verdicts: int = 0
    disagree: bool = False


class ReviewLoad(msgspec.Struct, frozen=True):
    """How many responses were sent to review. `per_day`: on average, since the first of them; `most`: on the busiest
    calendar day, which began at `busiest_us`; `by_default`: how many of all were sent by the default decision, since no
    version answered, which no limit of a day holds back."""

    per_day: float
    most: int
    busiest_us: int
    by_default: int = 0


Verdicts = Sequence[tuple[int, dict[str, Any]]]
"""When each came, and its fields."""


def read_reviews(
    predictions: EventLog, log: EventLog, schema: Schema, plan: Reviews, from_us: int = 0, until_us: int = LAST_US
) -> list[Review]:
    """The responses in `[from_us, until_us)` that were sent to review, oldest first, with their verdicts."""
    to_review = [
        prediction
        for record in records_between(predictions, from_us, until_us)
        if (prediction := prediction_of(record)).decision == plan.decision
    ]
    verdicts = _verdicts(log, schema, plan, from_us) if to_review else {}
    reviews = [_review(prediction, plan, verdicts) for prediction in to_review]
    return sorted(reviews, key=lambda review: (review.at_us, review.prediction))


def review_load(reviews: Sequence[Review], now_us: int, zone: tzinfo = UTC) -> ReviewLoad | None:
    """The load of these reviews until `now_us`, by days in `zone`; None without any. Less than a day since the first
    counts as one.

    >>> review_load([], now_us=0) is None
    True
    """
    if not reviews:
        return None
    days_of = [datetime.fromtimestamp(review.at_us // 1_000_000, zone).toordinal() for review in reviews]
    busiest, most = max(Counter(days_of).items(), key=lambda day: (day[1], -day[0]))
    midnight = datetime.combine(date.fromordinal(busiest), time.min, zone)
    days = max(1.0, (now_us - min(review.at_us for review in reviews)) / _DAY_US)
    by_default = sum(review.level == DEFAULT_LEVEL for review in reviews)
    return ReviewLoad(len(reviews) / days, most, round(midnight.timestamp() * 1e6), by_default)


def verdict_fields(plan: Reviews, prediction: Prediction, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a verdict event on a response: `verdict`, and the fields shared with the request by name or entity.

    Raises `BadInput` for a response that was not sent to review, for a missing field and for an unknown one.
    """
    if prediction.decision != plan.decision:
        decision = prediction.decision or "no decision"
        raise BadInput(f"decision of {prediction.id}", f"{plan.decision}, to be given a verdict", decision)
    name = plan.verdict.__name__
    fields = [field for field in plan.verdict.__struct_fields__ if field != "at"]
    for field in verdict:
        if field not in fields:
            raise BadInput(f"field of {name}", f"one of {', '.join(fields)}", field)
    values: dict[str, Any] = {plan.by[1]: prediction.request[plan.by[0]]}
    of_request = {entity: field for field, entity in references(plan.request).items()}
    for field, entity in references(plan.verdict).items():
        if entity in of_request:
            values.setdefault(field, prediction.request.get(of_request[entity]))
    values |= {field: value for field, value in prediction.request.items() if field in fields}
    values |= verdict
    required = [field.name for field in msgspec.structs.fields(plan.verdict) if field.required]
    for field in fields:
        if field not in values and field in required:
            raise BadInput(f"field {field} of {name}", f"given, as {field}=VALUE", None)
    return values


def verdicts_on(log: EventLog, schema: Schema, plan: Reviews, prediction: Prediction) -> Verdicts:
    """The verdicts that count for one response, in order of time."""
    return _belonging(prediction, plan, _verdicts(log, schema, plan, prediction.at_us))


def adds_to(
    plan: Reviews, prediction: Prediction, earlier: Verdicts, verdict: Mapping[str, Any], now_us: int, again: bool
) -> bool:
    """Whether a verdict at `now_us` adds something to the `earlier` verdicts on the response.

    Raises `Refused` if it comes too late to count, or if it contradicts the latest one; with `again`, such a verdict is
    a correction, which replaces it.
    """
    if now_us - prediction.at_us > plan.within_us:
        raise Refused(
            f"a verdict on {prediction.id} must come within {format_duration(plan.within_us)} after its request of "
            f"{format_timestamp(prediction.at_us)} to count as its outcome; its label is final now"
        )
    finding = verdict.get(plan.finding)
    if not earlier or not isinstance(finding, bool):
        return True
    at_us, latest = earlier[-1]
    if finding is bool(latest[plan.finding]):
        return False
    if not again:
        before, now = (str(value).lower() for value in (not finding, finding))
        raise Refused(
            f"a verdict on {prediction.id} must agree with the one of {format_timestamp(at_us)}, "
            f"{plan.finding}={before}, got {now}: with --again it is entered as a correction, which replaces that one"
        )
    return True


def _verdicts(
    log: EventLog, schema: Schema, plan: Reviews, from_us: int
) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """{key: the verdicts that name it, in order of time}."""
    name = plan.verdict.__name__.lower()
    verdicts: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for partition, end in enumerate(log.ends()):
        for piece in read_where(log, partition, 0, end, types={name: from_us}):
            records = [record for record in piece.records if record.type == name and record.at >= from_us]
            for event in schema.decode_many(records):
                key = str(getattr(event, plan.by[1]))
                verdicts.setdefault(key, []).append((event.at, fields_of_event(event)))
    for of_key in verdicts.values():
        of_key.sort(key=lambda verdict: verdict[0])
    return verdicts


def _belonging(prediction: Prediction, plan: Reviews, verdicts: Mapping[str, Verdicts]) -> Verdicts:
    """The verdicts on this response: those within its label's window, because a later request may have the same key."""
    of_key = verdicts.get(str(prediction.request.get(plan.by[0])), ())
    return [verdict for verdict in of_key if 0 <= verdict[0] - prediction.at_us <= plan.within_us]


def _review(prediction: Prediction, plan: Reviews, verdicts: Mapping[str, Verdicts]) -> Review:
    own = _belonging(prediction, plan, verdicts)
    findings = [bool(fields[plan.finding]) for _, fields in own]
    at_us, fields = own[-1] if own else (None, None)
    return Review(
        prediction=prediction.id,
        at_us=prediction.at_us,
        key=str(prediction.request.get(plan.by[0])),
        request=prediction.request,
        values=prediction.values,
        version=prediction.version,
        level=prediction.level,
        verdict=fields,
        verdict_at_us=at_us,
        verdicts=len(own),
        disagree=len(set(findings)) > 1,
    )
