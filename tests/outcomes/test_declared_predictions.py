"""Requests in the stream of predictions, read after their type was declared otherwise."""

import random
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

import flyball as fb
from flyball.core import Refused, new_id
from flyball.events import Record, open_log, read_type
from flyball.outcomes import (
    Prediction,
    find_prediction,
    open_predictions,
    prediction_record,
    request_of_prediction,
)
from flyball.outcomes.prediction import prediction_of

START_US = 1_700_000_000_000_000
ORDER = Annotated[str, fb.Ref("order")]


def order(name: str = "Order", former: tuple[str, ...] = (), **fields: Any) -> type[fb.Event]:
    """The request's class as the application's file said at some time; {field: (annotation, default)}."""
    body: dict[str, Any] = {field: default for field, (_, default) in fields.items() if default is not ...}
    annotations = {"order": ORDER, **{field: annotation for field, (annotation, _) in fields.items()}}
    return type(
        name, (fb.Event,), {"__annotations__": annotations, "__module__": __name__, "former_names": former} | body
    )


FIRST = order(shop=(str, "none"), km=(int, 0))
LATER = {
    "the same": (FIRST, {"order": "o1", "shop": "s7", "km": 3}),
    "a renamed field": (
        order(kitchen=(Annotated[str, fb.renamed("shop")], "none"), km=(int, 0)),
        {"order": "o1", "kitchen": "s7", "km": 3},
    ),
    "a renamed class in another order": (
        order("Meal", ("Order",), km=(int, 0), shop=(str, "none")),
        {"order": "o1", "km": 3, "shop": "s7"},
    ),
    "a wider type, a field less and one more": (
        order(km=(float, 0.0), note=(str | None, None)),
        {"order": "o1", "km": 3.0, "note": None},
    ),
}


RNG = random.Random(3)


def predicted(request_type: type[fb.Event], request: dict[str, Any]) -> Record:
    return prediction_record(
        Prediction(
            id=new_id(START_US, RNG),
            at_us=START_US,
            key="o1",
            request_type=request_type.__name__.lower(),
            request=request,
            items=[],
            scores=[],
            sources=[],
            version="v1",
            arm="champion",
            propensity=1.0,
            level="champion",
            offsets=(1,),
        )
    )


@pytest.mark.parametrize("later", LATER)
def test_a_request_is_read_as_its_type_is_declared_now(tmp_path: Path, later: str) -> None:
    url = f"sqlite://{tmp_path}/predictions.db?partitions=1&unique=0"
    then, (cls, expected) = open_predictions(open_log(url), FIRST, read_type(FIRST)), LATER[later]
    old = predicted(FIRST, {"order": "o1", "shop": "s7", "km": 3})
    then.append([old])
    now = open_predictions(open_log(url), cls, read_type(cls))
    new = predicted(cls, expected)
    now.append([new])
    for record in (old, new):
        prediction = find_prediction(now, prediction_of(record).id)
        assert prediction.request == expected
        request = request_of_prediction(prediction, cls)
        assert msgspec.to_builtins(request.event) == {**expected, "at": START_US}
    pieces = now.read((0,), 10)
    read = [prediction_of(record).request for piece in pieces for record in piece.records]
    assert read == [expected, expected]
    stored = [record.schema for piece in pieces for record in piece.stored or piece.records]
    assert stored == [read_type(FIRST).fingerprint, read_type(cls).fingerprint]


@pytest.mark.parametrize("declared", [True, False])
def test_a_stream_of_answers_to_other_requests_is_refused(tmp_path: Path, declared: bool) -> None:
    """Nothing could read them: neither the consumers nor a replay."""
    url = f"sqlite://{tmp_path}/predictions.db?partitions=1&unique=0"
    refund = order("Refund", amount=(int, 0))
    open_predictions(open_log(url), refund, read_type(refund))  # nothing was answered yet
    open_predictions(open_log(url), FIRST, read_type(FIRST)).append([predicted(FIRST, {"order": "o1"})])
    with pytest.raises(Refused, match=r"that this home has answered, order, got Refund: .*former_names of Refund"):
        open_predictions(open_log(url), refund, read_type(refund) if declared else None)
