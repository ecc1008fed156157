"""Labels of whole requests: what training learns from equals what the outcomes find, joined labels among them."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball as fb
from flyball.core import BadDeclaration, new_id
from flyball.events import Event, Record, Schema, Slice, partition
from flyball.history import with_joined
from flyball.outcomes import OutcomeConsumer, Prediction, followed, outcomes_by_version, prediction_record
from flyball.policy import trace
from flyball.tasks import About, Label, label_plans, label_requests

Order_ = Annotated[int, fb.Ref("order")]

DAY_US = 86_400_000_000
START_US = 1_770_000_000_000_000
PARTITIONS = 2
AS_OF_US = START_US + 40 * DAY_US


class Order(fb.Event):
    """A request that is an event, too."""

    order: Order_
    km: float = 1.0


class Pickup(fb.Event):
    courier: Annotated[int, fb.Ref("courier")]
    parcel: Order_


class Handover(fb.Event):
    parcel: Order_
    minutes: int | None = None


class Cancelled(fb.Event):
    order: Order_


Trip = fb.joined("Trip", Pickup, Handover, by="order", within="2d")
SCHEMA = Schema([Order, Pickup, Handover, Cancelled, Trip])
LABELS = (
    Label(
        name="minutes",
        event=Handover,
        by=("parcel",),
        value=trace(lambda h: h.minutes),
        within_us=2 * DAY_US,
        otherwise=None,
        censored_by=(Cancelled,),
    ),
    Label(name="cancelled", event=Cancelled, by=("order",), within_us=DAY_US),
    Label(
        name="trip_us",
        event=Trip,
        by=("parcel",),
        value=trace(lambda t: t.elapsed_us),
        within_us=3 * DAY_US,
        otherwise=-1.0,
    ),
    Label(
        name="wait_s",
        event=Handover,
        by=("parcel",),
        where=trace(lambda h: h.minutes > 1),
        elapsed_unit_us=1_000_000,
        within_us=2 * DAY_US,
        otherwise=None,
        censored_by=(Cancelled,),
    ),
    Label(
        name="quick",
        event=Handover,
        by=("parcel",),
        where=trace(lambda h: h.minutes > 2),
        latest=True,
        within_us=2 * DAY_US,
        censored_by=(Cancelled,),
    ),
    Label(name="quick", event=Pickup, by=("parcel",), where=trace(lambda p: p.courier == 3), within_us=DAY_US),
    Label(name="twice", event=Handover, by=("parcel",), at_least=2, within_us=DAY_US),
    Label(name="twice", event=Pickup, by=("parcel",), at_least=3, within_us=2 * DAY_US),
)
NAMES = ("minutes", "cancelled", "trip_us", "wait_s", "quick", "twice")
ABOUT = About(kind="eta", request=Order, labels=LABELS)


def record(name: str, at: int, known: int, order: int, number: int) -> Record:
    fields: dict[str, Any] = {
        "pickup": {"courier": number, "parcel": order},
        "handover": {"parcel": order, "minutes": number or None},
        "cancelled": {"order": order},
    }[name]
    return SCHEMA.check(name, fields, at, at + known)


steps = [0, 1, -1, DAY_US, DAY_US + 1, 2 * DAY_US, 2 * DAY_US + 1, 3 * DAY_US, 3 * DAY_US + 1]
times = st.one_of(st.sampled_from([START_US + step for step in steps]), st.integers(START_US, START_US + 5 * DAY_US))
events = st.lists(
    st.builds(
        record,
        st.sampled_from(["pickup", "pickup", "handover", "handover", "cancelled"]),
        times,
        st.sampled_from([0, DAY_US, 50 * DAY_US]),
        st.integers(1, 3),
        st.integers(0, 5),
    ),
    max_size=20,
    unique_by=lambda one: one.id,
)
requests = st.lists(st.tuples(st.integers(1, 3), times), max_size=6, unique=True)


def partitioned(came: Sequence[Record]) -> list[list[Record]]:
    log: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    for one in came:
        log[partition(one.key, PARTITIONS)].append(one)
    return log


def frames_of(log: list[list[Record]]) -> dict[str, pl.DataFrame]:
    frames = {}
    for name, declared in SCHEMA.types.items():
        rows = [
            {
                **{field: getattr(SCHEMA.decode(one), field) for field in declared.fields},
                "at": one.at,
                "known_at": one.known_at,
                "partition": number,
                "offset": offset,
            }
            for number, part in enumerate(log)
            for offset, one in enumerate(part)
            if one.type == name
        ]
        kinds: dict[str, Any] = dict.fromkeys(declared.fields, pl.Int64) | (
            {"km": pl.Float64} if name == "order" else {}
        )
        frames[name] = pl.DataFrame(
            rows, schema={**kinds, **dict.fromkeys(("at", "known_at", "partition", "offset"), pl.Int64)}
        )
    return with_joined(frames, [declared.cls for declared in SCHEMA.joined.values()])


def trained(asked: Sequence[tuple[int, int]], log: list[list[Record]], name: str) -> list[tuple[str, float | None]]:
    frame = pl.DataFrame(
        {"order": [o for o, _ in asked], "at": [at for _, at in asked]}, schema={"order": pl.Int64, "at": pl.Int64}
    )
    labels = [label for label in LABELS if label.name == name]
    found = label_requests(frame, labels, frames_of(log), SCHEMA, AS_OF_US)
    return list(zip(found["state"].to_list(), found["value"].to_list(), strict=True))


def responded(order: int, at_us: int, number: int) -> Prediction:
    return Prediction(
        id=new_id(at_us, random.Random(number)),
        at_us=at_us,
        key=str(order),
        request_type="order",
        request={"order": order, "km": 1.0},
        items=[],
        scores=[],
        sources=[],
        version="v1",
        arm="champion",
        propensity=1.0,
        level="champion",
        offsets=(0,),
    )


def found_online(
    folder: Path, predictions: Sequence[Prediction], log: list[list[Record]], rng: random.Random
) -> dict[str, dict[str, tuple[str, float | None]]]:
    """{id: {label: (state, value)}} after the events known at `AS_OF_US`, in any order, with restarts."""
    path = folder / "outcomes.db"
    at = [0] * PARTITIONS
    message = False
    while any(at[n] < len(log[n]) for n in range(PARTITIONS)) or not message:
        consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
        if not message and rng.random() < 0.4:
            consumer.apply_predictions([Slice(0, 0, [prediction_record(p) for p in predictions])])
            message = True
        number = rng.randrange(PARTITIONS)
        step = rng.randint(0, 3)
        consumer.apply_events([Slice(number, at[number], log[number][at[number] : at[number] + step])])
        at[number] = min(len(log[number]), at[number] + step)
        consumer.close()
    states: dict[str, dict[str, tuple[str, float | None]]] = {}
    for prediction in predictions:
        one = next(iter(followed(path, prediction)), None)
        held = {} if one is None else {name: ("held", value) for name, value in one.labels.items()}
        ended = {} if one is None else dict.fromkeys(one.censored, ("censored", None))
        states[prediction.id] = {**held, **ended}
    return states


@settings(max_examples=80, deadline=None)
@given(events, requests, st.randoms())
def test_the_training_label_of_a_request_is_its_outcome(
    tmp_path_factory: pytest.TempPathFactory, came: list[Record], asked: list[tuple[int, int]], rng: random.Random
) -> None:
    known = [one for one in came if one.known_at <= AS_OF_US]
    predictions = [responded(order, at, number) for number, (order, at) in enumerate(asked)]
    online = found_online(tmp_path_factory.mktemp("labels"), predictions, partitioned(known), rng)
    for name in NAMES:
        otherwise = next(label.otherwise for label in LABELS if label.name == name)
        absent = ("censored", None) if otherwise is None else ("otherwise", otherwise)
        expected = [online[p.id].get(name, absent) for p in predictions]
        assert trained(asked, partitioned(came), name) == expected, name


def test_a_label_is_open_until_its_window_has_closed() -> None:
    frames = frames_of([[], []])
    late = pl.DataFrame({"order": [1, 1, 1], "at": [AS_OF_US - DAY_US - 1, AS_OF_US - DAY_US, AS_OF_US]})
    found = label_requests(late, [LABELS[1]], frames, SCHEMA, AS_OF_US)
    assert found["state"].to_list() == ["otherwise", "open", "open"]
    assert found["value"].to_list() == [0.0, None, None]


def test_a_task_without_items_has_metrics_by_label(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.db"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    predictions = [responded(order, START_US, order) for order in range(1, 5)]
    consumer.apply_predictions([Slice(0, 0, [prediction_record(p) for p in predictions])])
    came = [
        record("pickup", START_US + 1, 0, 1, 9),
        record("handover", START_US + 61, 0, 1, 30),
        record("handover", START_US + 61, 0, 2, 50),
        record("cancelled", START_US + 5, 0, 3, 0),
    ]
    consumer.apply_events([Slice(0, 0, came)])
    labels = outcomes_by_version(path, START_US + 2 * DAY_US + 61_000_000)["v1"].labels
    minutes, cancelled, trip = labels["minutes"], labels["cancelled"], labels["trip_us"]
    assert (minutes.value, minutes.n, minutes.mature, minutes.censored, minutes.is_share) == (40.0, 2, 4, 1, False)
    assert minutes.low == pytest.approx(40 - 1.96 * 10, abs=0.01)
    assert (cancelled.value, cancelled.mature, cancelled.open) == (0.25, 4, 0)
    assert (trip.value, trip.mature, trip.open) == (None, 0, 4)
    assert trip.so_far == pytest.approx((60 - 1 - 1 - 1) / 4)


def test_a_joined_label_counts_when_it_is_complete() -> None:
    """`at` of Trip is that of the pickup; a label waits for the handover."""
    assert [plan.from_first for plan in label_plans([LABELS[2]], SCHEMA)] == [True]
    before = record("pickup", START_US - 5, 0, 1, 9)
    after = record("handover", START_US + 5, 0, 1, 30)
    assert trained([(1, START_US)], partitioned([before, after]), "trip_us") == [("held", 10.0)]


def test_labels_must_be_joined_by_what_their_events_have() -> None:
    class Strange(Event):
        courier: Annotated[int, fb.Ref("courier")]

    schema = Schema([Order, Strange])
    label = Label(name="strange", event=Strange, by=("order",), within_us=1)
    with pytest.raises(BadDeclaration, match="event Strange of the task must be naming a order by a field"):
        label_plans([label], schema)
    unknown = msgspec.structs.replace(LABELS[1], where=trace(lambda c: c.color == 1))
    with pytest.raises(BadDeclaration, match="color"):
        label_plans([unknown], SCHEMA)


def test_a_decision_after_which_no_label_can_come_leaves_the_response_out(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.db"
    label = msgspec.structs.replace(LABELS[1], impossible_after=("decline",))
    consumer = OutcomeConsumer(SCHEMA, msgspec.structs.replace(ABOUT, labels=(label,)), path)
    decisions = ["", "decline", "decline", ""]
    predictions = [
        msgspec.structs.replace(responded(order, START_US, order), decision=decision)
        for order, decision in enumerate(decisions)
    ]
    consumer.apply_predictions([Slice(0, 0, [prediction_record(p) for p in predictions])])
    consumer.apply_events([Slice(0, 0, [record("cancelled", START_US + 1, 0, 0, 0)])])
    metric = outcomes_by_version(path, AS_OF_US)["v1"].labels["cancelled"]
    assert (metric.value, metric.mature, metric.impossible, metric.n) == (0.5, 4, 2, 1)


def test_a_joined_event_does_not_hide_the_side_that_completes_it(tmp_path: Path) -> None:
    """Both are at one time and at one position of the log; and one pickup may have two handovers at one time."""
    came = [
        record("pickup", START_US, 0, 2, 1),
        record("handover", START_US, 0, 2, 5),
        record("handover", START_US, 0, 2, 7),
        record("pickup", START_US + 1, 0, 2, 3),
        record("pickup", START_US + 1, 0, 2, 4),
    ]
    for seed in range(6):
        rng = random.Random(seed)
        arrived = partitioned(rng.sample(came, len(came)))
        folder = tmp_path / str(seed)
        online = found_online(folder, [responded(2, START_US, 1)], arrived, rng)
        (found,) = online.values()
        for name in ("minutes", "trip_us", "twice"):
            assert found[name] == trained([(2, START_US)], arrived, name)[0]
        assert found["twice"] == ("held", 1.0)
        assert found["trip_us"] == ("held", 0.0)
