"""The queue of what a person should look at, and their verdicts, which are events like any other."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.core import BadInput
from flyball.events import EventLog, Schema, read_where
from flyball.outcomes.prediction import LAST_US, Prediction, prediction_of, records_between
from flyball.tasks import Reviews, fields_of_event, references


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A response whose decision asks for a person. `key`: what its verdict names; `request`, `values`: what was asked
    and answered. `verdict`: the fields of the verdict, None while it is open; `verdict_at_us`: when it came."""

    prediction: str
    at_us: int
    key: str
    request: dict[str, Any]
    values: list[float]
    version: str
    verdict: dict[str, Any] | None = None
    verdict_at_us: int | None = None


def read_reviews(
    predictions: EventLog, log: EventLog, schema: Schema, plan: Reviews, from_us: int = 0, until_us: int = LAST_US
) -> list[Review]:
    """What was sent to review in `[from_us, until_us)`, oldest first, each with its first verdict."""
    to_review = [
        prediction
        for record in records_between(predictions, from_us, until_us)
        if (prediction := prediction_of(record)).decision == plan.decision
    ]
    verdicts = _verdicts(log, schema, plan, from_us) if to_review else {}
    reviews = [_review(prediction, plan, verdicts) for prediction in to_review]
    return sorted(reviews, key=lambda review: (review.at_us, review.prediction))


def verdict_fields(plan: Reviews, prediction: Prediction, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the verdict on a response: those it shares with the request, by name or entity, and `verdict`.

    Raises `BadInput` for a response that was not sent to review, a field that neither gives and one there is not.
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


def _verdicts(log: EventLog, schema: Schema, plan: Reviews, from_us: int) -> dict[str, tuple[int, dict[str, Any]]]:
    """{key: the first verdict that names it: when, fields}."""
    name = plan.verdict.__name__.lower()
    verdicts: dict[str, tuple[int, dict[str, Any]]] = {}
    for partition, end in enumerate(log.ends()):
        for piece in read_where(log, partition, 0, end, types={name: from_us}):
            records = [record for record in piece.records if record.type == name and record.at >= from_us]
            for event in schema.decode_many(records):
                key = str(getattr(event, plan.by[1]))
                if key not in verdicts or event.at < verdicts[key][0]:
                    verdicts[key] = (event.at, fields_of_event(event))
    return verdicts


def _review(prediction: Prediction, plan: Reviews, verdicts: Mapping[str, tuple[int, dict[str, Any]]]) -> Review:
    key = str(prediction.request.get(plan.by[0]))
    at_us, fields = verdicts.get(key, (None, None))
    return Review(
        prediction=prediction.id,
        at_us=prediction.at_us,
        key=key,
        request=prediction.request,
        values=prediction.values,
        version=prediction.version,
        verdict=fields,
        verdict_at_us=at_us,
    )
