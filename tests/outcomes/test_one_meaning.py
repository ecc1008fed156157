"""One declaration, one meaning: the label of training is the online state's is the outcome of a live response."""

import enum
import math
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball as fb
from flyball.app import App
from flyball.core import ManualClock, new_id
from flyball.events import Record, Schema, Slice, partition
from flyball.operations import Worker, consumers_of
from flyball.outcomes import OutcomeConsumer, Prediction, followed, outcomes_by_version, prediction_record
from flyball.runtime import Runtime, load_settings
from flyball.state import StateConsumer
from flyball.stores import MemoryStore
from flyball.tasks import UserHistory, interactions_frame, read_histories, views_of
from flyball.tasks.recommend.state.interactions import held_frame

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


NAMES = ("positive", "weak_positive")
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


def responded(at_us: int, visitor: int = 7, items: Sequence[str] = ("a",), number: int = 0) -> Prediction:
    return Prediction(
        id=new_id(at_us, random.Random(f"{at_us} {number}")),
        at_us=at_us,
        key=str(visitor),
        request_type="r",
        request={},
        items=list(items),
        scores=[1.0] * len(items),
        sources=["model"] * len(items),
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


def view(at: int, nth: int, visitor: int = 7, item: str = "a") -> Record:
    return SCHEMA.check("view", {"visitor": visitor, "item": item, "nth": nth}, at, at)


def buy(at: int, stars: int, visitor: int = 7, item: str = "a") -> Record:
    return SCHEMA.check("buy", {"visitor": visitor, "item": item, "stars": stars}, at, at)


events = st.lists(
    st.one_of(st.builds(view, times, st.integers(0, 2)), st.builds(buy, times, st.sampled_from([2, 3]))),
    max_size=12,
    unique_by=lambda record: record.id,
)


def trained(records: Sequence[Record]) -> dict[str, bool]:
    """The labels of training, of events of one pair."""
    return {name: at is not None for name, at in trained_at(records).items()}


def trained_at(records: Sequence[Record]) -> dict[str, int | None]:
    """The labels of training, of events of one pair: since when each holds, None where it does not."""
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
    held = held_frame(frames, TASK.signals(SCHEMA))
    row = {} if held is None or held.is_empty() else held.row(0, named=True)
    pairs = interactions_frame(frames, TASK.signals(SCHEMA), 1 << 62)
    labels = pairs.row(0, named=True) if pairs.height else {}
    assert [bool(labels.get(name)) for name in NAMES] == [row.get(f"{name}_at") is not None for name in NAMES]
    return {name: row.get(f"{name}_at") for name in NAMES}


def in_state(records: Sequence[Record]) -> float:
    """What the online state says the pair weighs."""
    return states({0: list(records)}, [7])[7, "a"]


def states(log: dict[int, list[Record]], visitors: Sequence[int]) -> dict[tuple[int, str], float]:
    """{(visitor, item): what the online state says the pair weighs}."""
    store, signals = MemoryStore(), TASK.signals(SCHEMA)
    consumer = StateConsumer(views_of(SCHEMA, signals), store, partitions=len(log))
    consumer.apply([Slice(number, 0, records) for number, records in log.items()])
    histories, _ = read_histories(store, signals, [str(visitor) for visitor in visitors])
    weights = dict.fromkeys(((visitor, item) for visitor in visitors for item in "ab"), 0.0)
    for visitor, history in zip(visitors, histories, strict=True):
        weights |= {(visitor, item): float(w) for item, w in zip(history.items, history.weights, strict=True)}
    return weights


def weight(label: dict[str, bool]) -> float:
    return 1.0 if label["positive"] else 0.25 if label["weak_positive"] else 0.0


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
    return {name: name in held for name in NAMES}


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
    assert in_state(rng.sample(window, len(window))) == weight(label)


VISITORS, PARTITIONS = (7, 8, 9), 4
visitors, items = st.sampled_from(VISITORS), st.sampled_from("ab")
shared_events = st.lists(
    st.one_of(
        st.builds(view, times, st.integers(0, 2), visitors, items),
        st.builds(buy, times, st.sampled_from([2, 3]), visitors, items),
    ),
    max_size=25,
    unique_by=lambda record: record.id,
)
responses = st.lists(
    st.builds(responded, times, visitors, st.lists(items, unique=True, max_size=2), st.integers(0, 99)),
    max_size=8,
    unique_by=lambda prediction: prediction.id,
)


def partitioned(records: Sequence[Record]) -> dict[int, list[Record]]:
    log: dict[int, list[Record]] = {number: [] for number in range(PARTITIONS)}
    for record in records:
        log[partition(record.key, PARTITIONS)].append(record)
    return log


def of_pair(records: Sequence[Record], visitor: int, item: str) -> list[Record]:
    events = [(record, SCHEMA.decode(record)) for record in records]
    return [record for record, event in events if (event.visitor, event.item) == (visitor, item)]  # type: ignore[attr-defined]


def consumed(
    path: Path, log: dict[int, list[Record]], predictions: Sequence[Prediction], rng: random.Random
) -> dict[tuple[str, str], set[str]]:
    """{(prediction id, item): labels} of streams delivered in pieces, in any order of partitions, with restarts."""
    consumer = OutcomeConsumer(SCHEMA, TASK.about, path)
    shown = [prediction_record(prediction) for prediction in predictions]
    ends = {("events", number): len(records) for number, records in log.items()} | {("predictions", 0): len(shown)}
    offsets = dict.fromkeys(ends, 0)
    while left := [part for part, end in ends.items() if offsets[part] < end]:
        stream, number = part = rng.choice(left)
        first, last = offsets[part], min(ends[part], offsets[part] + rng.randint(1, 4))
        if stream == "events":
            consumer.apply_events([Slice(number, first, log[number][first:last])])
        else:
            consumer.apply_predictions([Slice(0, first, shown[first:last])])
        offsets[part] = last
        if rng.random() < 0.2:
            consumer.close()
            consumer = OutcomeConsumer(SCHEMA, TASK.about, path)
    consumer.close()
    follows = {prediction.id: followed(path, prediction) for prediction in predictions}
    return {
        (id, one.item): {name for name in one.labels if name in NAMES} for id, some in follows.items() for one in some
    }


@settings(max_examples=80, deadline=None)
@given(shared_events, responses, st.randoms(use_true_random=False))
def test_of_several_responses_each_has_the_label_of_training_unless_one_before_has_it_from_the_same_event(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[Record],
    predictions: list[Prediction],
    rng: random.Random,
) -> None:
    path = tmp_path_factory.mktemp("meaning") / "outcomes.db"
    labels = consumed(path, partitioned(records), predictions, rng)
    completed: set[tuple[str, str, str, int]] = set()
    for prediction in sorted(predictions, key=lambda each: (each.at_us, each.id)):
        for item in prediction.items:
            pair = of_pair(records, int(prediction.key), item)
            window = [one for one in pair if prediction.at_us <= one.at <= prediction.at_us + HOUR_US]
            since = {
                name: (prediction.key, item, name, at) for name, at in trained_at(window).items() if at is not None
            }
            expected = {name for name, completion in since.items() if completion not in completed}
            assert labels.get((prediction.id, item), set()) == expected
            completed |= set(since.values())


@settings(max_examples=50, deadline=None)
@given(shared_events, st.randoms(use_true_random=False))
def test_what_training_and_state_count_some_response_is_given(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], rng: random.Random
) -> None:
    """With a response at the time of each event: a pair is positive when one of them is, and only then."""
    timestamps = sorted({(record.at, SCHEMA.decode(record).visitor) for record in records})  # type: ignore[attr-defined]
    predictions = [responded(at, visitor, "ab", number) for number, (at, visitor) in enumerate(timestamps)]
    arrived = rng.sample(records, len(records))
    labels = consumed(tmp_path_factory.mktemp("meaning") / "outcomes.db", partitioned(arrived), predictions, rng)
    weights = states(partitioned(arrived), VISITORS)
    for visitor in VISITORS:
        ids = [prediction.id for prediction in predictions if prediction.key == str(visitor)]
        for item in "ab":
            trained_label = trained(of_pair(records, visitor, item))
            some = {name for id in ids for name in labels.get((id, item), ())}
            assert {name: name in some for name in trained_label} == trained_label
            assert weights[visitor, item] == weight(trained_label)


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


@pytest.mark.parametrize("shown_min", [(50,), (0, 50), (0, 0, 50), (0, 5, 50)])
def test_a_response_shown_before_takes_nothing_from_the_one_that_holds_both_events(
    tmp_path: Path, shown_min: tuple[int, ...]
) -> None:
    """Views after 55 and 70 minutes, at least two within an hour: only what was shown after 50 holds both."""
    runtime = runtime_of(tmp_path, fb.outcome(View, at_least=2, within="1h"), START_US + DAY_US)
    minute_us = HOUR_US // 60
    predictions = [responded(START_US + at * minute_us, number=number) for number, at in enumerate(shown_min)]
    runtime.predictions.append([prediction_record(prediction) for prediction in predictions])
    ats = [START_US + at * minute_us for at in (55, 70)]
    runtime.log.append([SCHEMA.check("view", {"visitor": 7, "item": "a"}, at, at) for at in ats])
    drained(runtime)
    (history,), _ = read_histories(runtime.state, runtime.app.task.signals(runtime.schema), ["7"])
    assert history.weights.tolist() == [1.0]
    positive = [
        [one.events["view"] for one in followed(runtime.outcomes_path, prediction) if "positive" in one.labels]
        for prediction in predictions
    ]
    assert positive == [*[[]] * (len(shown_min) - 1), [2]]


class Device(enum.Enum):
    TV = "tv"
    PHONE = "phone"


class Use(fb.Event):
    visitor: Visitor
    item: Item
    device: Device = Device.TV
    amount: float | None = None
    pieces: int = 1
    kept: bool = False


USES: list[tuple[Any, dict[str, Any], bool]] = [
    (lambda u: u.device == "tv", {"device": "tv"}, True),
    (lambda u: u.device == "tv", {"device": "phone"}, False),
    (lambda u: u.device != "phone", {}, True),
    (lambda u: (u.amount * 2) < 4, {}, False),
    (lambda u: (u.amount * 2) < 4, {"amount": 1.5}, True),
    (lambda u: ~(u.amount >= 4), {}, True),
    (lambda u: (u.amount / u.pieces) > 1, {"amount": 5.0, "pieces": 0}, False),
    (lambda u: (u.amount / u.pieces) > 1, {"amount": 5.0, "pieces": 2}, True),
    (lambda u: u.kept & (u.pieces > 0), {"kept": True}, True),
    (lambda u: u.kept | (u.amount > 1), {}, False),
]
RATINGS: list[tuple[Any, dict[str, Any], float | None]] = [
    (lambda u: u.amount, {"amount": 2.5}, 2.5),
    (lambda u: u.amount, {}, None),
    (lambda u: u.amount * 2, {}, None),
    (lambda u: u.amount * 2, {"amount": 0.0}, 0.0),
    (lambda u: u.amount / u.pieces, {"amount": 5.0, "pieces": 0}, None),
    (lambda u: u.kept, {"kept": True}, 1.0),
    (lambda u: u.kept, {}, 0.0),
    (lambda u: u.amount * 1e300, {"amount": 1e300}, None),
    (lambda u: u.device, {}, None),
]


def three_of(
    folder: Path, task: fb.Recommend, fields: dict[str, Any]
) -> tuple[dict[str, Any], UserHistory, dict[str, float]]:
    """(row of training, history in the state, labels of a response) of one use."""
    schema = Schema([Use])
    record = schema.check("use", {"visitor": 7, "item": "a", **fields}, START_US, START_US)
    event = msgspec.to_builtins(schema.decode(record))
    row = {**event, "known_at": START_US, "partition": 0, "offset": 0}
    frame = pl.DataFrame([row], schema_overrides={"amount": pl.Float64, "pieces": pl.Int64})
    signals, store = task.signals(schema), MemoryStore()
    StateConsumer(views_of(schema, signals), store, partitions=1).apply([Slice(0, 0, [record])])
    consumer = OutcomeConsumer(schema, task.about, folder / "outcomes.db")
    prediction = responded(START_US)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(prediction)])])
    consumer.apply_events([Slice(0, 0, [record])])
    consumer.close()
    labels = {name: value for one in followed(folder / "outcomes.db", prediction) for name, value in one.labels.items()}
    history = read_histories(store, signals, ["7"])[0][0]
    return interactions_frame({"use": frame}, signals, 1 << 62).row(0, named=True), history, labels


@pytest.mark.parametrize(("where", "fields", "holds"), USES)
def test_a_filter_means_the_same_of_choices_missing_values_and_what_cannot_be_computed(
    tmp_path: Path, where: Any, fields: dict[str, Any], holds: bool
) -> None:
    task = fb.Recommend(fb.Entity("visitor"), fb.Entity("item"), positive=fb.outcome(Use, where=where))
    row, history, labels = three_of(tmp_path, task, fields)
    assert (row["positive"], history.weights.tolist() == [1.0], "positive" in labels) == (holds, holds, holds)


@pytest.mark.parametrize(("of", "fields", "rating"), RATINGS)
def test_a_number_means_the_same_where_it_is_missing_or_cannot_be_computed(
    tmp_path: Path, of: Any, fields: dict[str, Any], rating: float | None
) -> None:
    task = fb.Recommend(fb.Entity("visitor"), fb.Entity("item"), fb.outcome(Use), rating=fb.value(Use, of))
    row, history, labels = three_of(tmp_path, task, fields)
    numbers = [None if math.isnan(value) else value for value in (row["rating"], *history.ratings.tolist())]
    assert (numbers, labels.get("rating")) == ([rating, rating], rating)


@pytest.mark.parametrize(("days", "share"), [(0.5, 1.0), (2, 1.0), (6.9, 1.0), (7, 1.0), (7.1, 0.0)])
def test_within_says_how_long_after_a_response_an_event_counts(tmp_path: Path, days: float, share: float) -> None:
    runtime = runtime_of(tmp_path, fb.outcome(Buy, within="7d"), START_US)
    at = START_US + round(days * DAY_US)
    runtime.predictions.append([prediction_record(responded(START_US))])
    runtime.log.append([runtime.schema.check("buy", {"visitor": 7, "item": "a"}, at, at)])
    drained(runtime)
    outcomes = outcomes_by_version(runtime.outcomes_path, START_US + 8 * DAY_US)["v1"]
    assert (outcomes.responses, outcomes.labels["positive"].value) == (1, share)
