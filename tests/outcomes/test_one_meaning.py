"""One declaration, one meaning: the label of training is the online state's is the outcome of a live response."""

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball as fb
from flyball.app import App
from flyball.core import ManualClock, new_id
from flyball.events import Record, Schema, Slice
from flyball.operations import Worker, consumers_of
from flyball.outcomes import OutcomeConsumer, Prediction, followed, outcomes_by_version, prediction_record
from flyball.runtime import Runtime, load_settings
from flyball.state import StateConsumer
from flyball.stores import MemoryStore
from flyball.tasks import interactions_frame, read_histories, views_of

Visitor = Annotated[int, fb.Ref("visitor")]
Item = Annotated[str, fb.Ref("item")]

START_US = 1_770_000_000_000_000
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


class View(fb.Event):
    visitor: Visitor
    item: Item
    nth: int = 0


class Buy(fb.Event):
    item: Item
    visitor: Visitor
    stars: int = 3


SCHEMA = Schema([View, Buy])
TASK = fb.Recommend(
    fb.Entity("visitor"),
    fb.Entity("item"),
    positive=fb.any_of(
        fb.outcome(View, at_least=3, within="1h"), fb.outcome(Buy, where=lambda b: b.stars >= 3, within="1h")
    ),
    weak_positive=fb.outcome(View, at_least=2, within="1h"),
    rating=fb.value(Buy, lambda b: b.stars),
)


def responded(at_us: int) -> Prediction:
    return Prediction(
        id=new_id(at_us, random.Random(at_us)),
        at_us=at_us,
        key="7",
        request_type="r",
        request={},
        items=["a"],
        scores=[1.0],
        sources=["model"],
        version="v1",
        arm="champion",
        propensity=1.0,
        level="champion",
        offsets=(0,),
    )


times = st.one_of(
    st.sampled_from([START_US + step + off for step in (0, HOUR_US // 2, HOUR_US, 2 * HOUR_US) for off in (-1, 0, 1)]),
    st.integers(START_US - HOUR_US, START_US + 2 * HOUR_US),
)


def view(at: int, nth: int) -> Record:
    return SCHEMA.check("view", {"visitor": 7, "item": "a", "nth": nth}, at, at)


def buy(at: int, stars: int) -> Record:
    return SCHEMA.check("buy", {"visitor": 7, "item": "a", "stars": stars}, at, at)


events = st.lists(
    st.one_of(st.builds(view, times, st.integers(0, 2)), st.builds(buy, times, st.sampled_from([2, 3]))),
    max_size=12,
    unique_by=lambda record: record.id,
)


def trained(records: Sequence[Record]) -> dict[str, bool]:
    """The labels of training."""
    frames = {}
    for name, declared in SCHEMA.types.items():
        rows = [
            {
                **{field: getattr(SCHEMA.decode(record), field) for field in declared.fields},
                "at": record.at,
                "known_at": record.known_at,
                "partition": 0,
                "offset": offset,
            }
            for offset, record in enumerate(records)
            if record.type == name
        ]
        if rows:
            frames[name] = pl.DataFrame(rows)
    pairs = interactions_frame(frames, TASK.signals(SCHEMA), 1 << 62)
    row = pairs.row(0, named=True) if pairs.height else {"positive": False, "weak_positive": False}
    return {"positive": row["positive"], "weak_positive": row["weak_positive"]}


def in_state(records: Sequence[Record]) -> float:
    """What the online state says the pair weighs."""
    store, signals = MemoryStore(), TASK.signals(SCHEMA)
    StateConsumer(views_of(SCHEMA, signals), store, partitions=1).apply([Slice(0, 0, list(records))])
    return float(next(iter(read_histories(store, signals, ["7"])[0][0].weights), 0.0))


def outcome(folder: Path, prediction: Prediction, records: Sequence[Record], pieces: int) -> dict[str, bool]:
    """What the outcomes say, with a restart between any two pieces of the log, each delivered twice."""
    path = folder / "outcomes.db"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    cuts = [round(len(records) * part / pieces) for part in range(pieces + 1)]
    for number, (first, last) in enumerate(pairwise(cuts)):
        consumer = OutcomeConsumer(SCHEMA, TASK.about, path)
        for _ in range(2):
            consumer.apply_events([Slice(0, first, list(records[first:last]))])
            if number == pieces // 2:
                consumer.apply_predictions([Slice(0, 0, [prediction_record(prediction)])])
        consumer.close()
    held = {name for one in followed(path, prediction) for name in one.labels}
    return {name: name in held for name in ("positive", "weak_positive")}


@settings(max_examples=80, deadline=None)
@given(events, times, st.integers(1, 4), st.randoms())
def test_the_training_label_is_the_outcome(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], at_us: int, pieces: int, rng: random.Random
) -> None:
    """Of the events in the window of one response, in any order, however late, over restarts and redelivery."""
    folder = tmp_path_factory.mktemp("meaning")
    window = [record for record in records if at_us <= record.at <= at_us + HOUR_US]
    label = trained(window)
    arrived = rng.sample(records, len(records))
    assert outcome(folder, responded(at_us), arrived, pieces) == label
    assert in_state(rng.sample(window, len(window))) == (
        1.0 if label["positive"] else 0.25 if label["weak_positive"] else 0.0
    )


@settings(max_examples=40, deadline=None)
@given(events)
def test_what_training_counts_some_response_would_have_been_given(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    """A pair is positive when a response at the time of one of its events would have been, and only then."""
    folder = tmp_path_factory.mktemp("meaning")
    outcomes = [outcome(folder, responded(at), records, 1) for at in sorted({record.at for record in records})]
    label = trained(records)
    assert {name: any(one[name] for one in outcomes) for name in label} == label


def runtime_of(folder: Path, positive: object, now_us: int) -> Runtime:
    task = fb.Recommend(fb.Entity("visitor"), fb.Entity("item"), positive=positive, k=10)  # type: ignore[arg-type]
    app = App("shop", events=[View, Buy], task=task, candidates={"popular": fb.Popular()})
    return Runtime(app, load_settings(folder), ManualClock(now_us))


def drained(runtime: Runtime) -> None:
    Worker(consumers_of(runtime, flush_us=0)).drain(runtime.clock.now_us())


@pytest.mark.parametrize(("apart_us", "holds"), [(HOUR_US - 1, True), (HOUR_US, True), (HOUR_US + 1, False)])
def test_two_events_exactly_within_apart_count_everywhere(tmp_path: Path, apart_us: int, holds: bool) -> None:
    runtime = runtime_of(tmp_path, fb.outcome(View, at_least=2, within="1h"), START_US + DAY_US)
    prediction = responded(START_US)
    records = [SCHEMA.check("view", {"visitor": 7, "item": "a"}, at, at) for at in (START_US, START_US + apart_us)]
    runtime.predictions.append([prediction_record(prediction)])
    runtime.log.append(records)
    drained(runtime)
    (history,), _ = read_histories(runtime.state, runtime.app.task.signals(runtime.schema), ["7"])
    assert history.weights.tolist() == [1.0 if holds else 0.0]
    assert ["positive" in one.labels for one in followed(runtime.outcomes_path, prediction)] == [holds]
    frames = {
        "view": pl.DataFrame(
            [
                {"visitor": 7, "item": "a", "nth": 0, "at": r.at, "known_at": r.at, "partition": 0, "offset": place}
                for place, r in enumerate(records)
            ]
        )
    }
    assert interactions_frame(frames, runtime.app.task.signals(runtime.schema), 1 << 62)["positive"].to_list() == [
        holds
    ]


@pytest.mark.parametrize(("days", "share"), [(0.5, 1.0), (2, 1.0), (6.9, 1.0), (7, 1.0), (7.1, 0.0)])
def test_within_says_how_long_after_a_response_an_event_counts(tmp_path: Path, days: float, share: float) -> None:
    runtime = runtime_of(tmp_path, fb.outcome(Buy, within="7d"), START_US)
    at = START_US + round(days * DAY_US)
    runtime.predictions.append([prediction_record(responded(START_US))])
    runtime.log.append([runtime.schema.check("buy", {"visitor": 7, "item": "a"}, at, at)])
    drained(runtime)
    outcomes = outcomes_by_version(runtime.outcomes_path, START_US + 8 * DAY_US)["v1"]
    assert (outcomes.responses, outcomes.labels["positive"].value) == (1, share)
