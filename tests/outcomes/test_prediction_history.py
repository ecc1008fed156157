"""Predictions as Parquet: a row for each item shown, each record once, whatever is delivered again or merged."""

import random
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadInput, new_id
from flyball.events import Record, Slice
from flyball.outcomes import Exposure, Prediction, prediction_consumer, prediction_record, read_predictions
from flyball.outcomes.prediction_history import prediction_columns, prediction_frame, with_later_columns

START_US = 1_700_000_000_000_000


def predicted(number: int, items: list[str], **fields: Any) -> Prediction:
    return Prediction(
        id=new_id(START_US + number * 1_000, random.Random(number)),
        at_us=START_US + number * 1_000,
        key=str(number % 3),
        request_type="query",
        request={"user": number % 3, "k": 5},
        items=items,
        scores=[1.0 / (rank + 1) for rank in range(len(items))],
        sources=["model"] * len(items),
        version="v1",
        arm="champion",
        propensity=0.5,
        level="champion",
        offsets=(number,),
        **fields,
    )


def naive(predictions: list[Prediction]) -> list[tuple[Any, ...]]:
    rows = []
    for one in sorted(predictions, key=lambda one: one.at_us):
        ranked: list[tuple[int | None, str | None]] = list(enumerate(one.items)) or [(None, None)]
        rows += [(one.id, one.at_us, one.key, one.version, rank, item) for rank, item in ranked]
    return rows


def rows(folder: Path, **options: Any) -> list[tuple[Any, ...]]:
    frame = read_predictions(folder, **options)
    return frame.select("prediction", "at", "key", "version", "rank", "item").rows()


def test_every_field_is_there(tmp_path: Path) -> None:
    shown = predicted(
        1,
        ["a", "b"],
        propensities={1: 0.25},
        parts=[(0.5, 2.0), (0.1, 3.0)],
        arrangement=3,
        took_us=70,
        stale_us=9,
        exposures=(Exposure("rel1", "candidate", 0.05),),
        assigned="v2",
        failed="late",
    )
    number = predicted(2, [], values=[12.5], decision="accept", decision_propensity=0.02)
    consumer = prediction_consumer(tmp_path, 1)
    consumer.apply([Slice(0, 0, [prediction_record(shown), prediction_record(number)])])
    consumer.flush()
    first, second, third = read_predictions(tmp_path).rows(named=True)
    common = {
        "prediction": shown.id,
        "at": shown.at_us,
        "known_at": shown.at_us,
        "partition": 0,
        "offset": 0,
        "key": "1",
        "request": '{"k":5,"user":1}',
        "version": "v1",
        "arrangement": 3,
        "arm": "champion",
        "propensity": 0.5,
        "level": "champion",
        "values": [],
        "decision": "",
        "decision_propensity": 1.0,
        "stale_us": 9,
        "took_us": 70,
        "request_type": "query",
        "assigned": "v2",
        "failed": "late",
        "exposures": [{"release": "rel1", "arm": "candidate", "propensity": 0.05}],
        "source": "model",
    }
    assert first == common | {"rank": 0, "item": "a", "score": 1.0, "item_propensity": 1.0, "parts": [0.5, 2.0]}
    assert second == common | {"rank": 1, "item": "b", "score": 0.5, "item_propensity": 0.25, "parts": [0.1, 3.0]}
    assert (third["prediction"], third["values"], third["decision"]) == (number.id, [12.5], "accept")
    assert third["decision_propensity"] == 0.02
    assert [third[name] for name in ("rank", "item", "score", "source", "item_propensity", "parts")] == [None] * 6


def test_parts_from_before_a_column_was_there_can_be_read() -> None:
    whole = pl.DataFrame(schema=prediction_columns())
    old = pl.DataFrame({"prediction": ["x"], **{name: [None] for name in prediction_columns() if name != "prediction"}})
    early = with_later_columns(old.drop("decision_propensity", "exposures", "assigned", "failed"))
    assert early.select("decision_propensity", "exposures", "assigned", "failed").row(0) == (1.0, [], "", "")
    assert early.schema["exposures"] == whole.schema["exposures"]
    assert early.columns == whole.columns
    mixed = with_later_columns(pl.concat([old.drop("decision_propensity"), old], how="diagonal"))
    assert mixed["decision_propensity"].to_list() == [1.0, 1.0]


def test_many_answers_are_one_frame_in_their_order() -> None:
    items = ["a", "b"]
    records = [(prediction_record(predicted(number, items[: number % 3])), 0, number) for number in range(2_500)]
    frame = prediction_frame(records)
    assert frame["offset"].to_list() == [number for number in range(2_500) for _ in range(max(1, number % 3))]
    assert frame.filter(pl.col("offset") == 2_498)["item"].to_list() == items
    assert frame.equals(pl.concat([prediction_frame([row]) for row in records]))


def test_without_any_there_are_columns(tmp_path: Path) -> None:
    frame = read_predictions(tmp_path)
    assert (frame.height, "item" in frame.columns) == (0, True)


def test_a_record_of_another_format_is_refused(tmp_path: Path) -> None:
    record = prediction_record(predicted(1, ["a"]))
    broken = msgspec.structs.replace(record, body=b"\x91\x09")
    consumer = prediction_consumer(tmp_path, 1)
    consumer.apply([Slice(0, 0, [broken])])
    with pytest.raises(BadInput, match="prediction record"):
        consumer.flush()
    assert consumer.offsets() == (0,)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_each_record_is_there_once_with_its_items_in_order(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("predictions")
    counts = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=30))
    predictions = [predicted(number, list("abcd")[:count]) for number, count in enumerate(counts)]
    records: list[Record] = list(map(prediction_record, predictions))
    reached = 0
    deliveries = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.booleans()), max_size=8))
    for back, on, flushed in [*deliveries, (0, len(records), True)]:
        consumer = prediction_consumer(folder, 1)  # as after a restart
        assert consumer.offsets() == (reached,)
        end = min(reached + on, len(records))
        consumer.apply([Slice(0, max(0, reached - back), records[max(0, reached - back) : end])])
        if flushed:
            consumer.flush()
            reached = end
    assert rows(folder) == naive(predictions)
    before, as_of = data.draw(st.integers(0, len(records))), data.draw(st.integers(-1, len(records)))
    assert rows(folder, before=(before,)) == naive(predictions[:before])
    known = [one for one in predictions if one.at_us <= START_US + as_of * 1_000]
    assert rows(folder, as_of_us=START_US + as_of * 1_000) == naive(known)
