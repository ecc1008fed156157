"""A row online is the row of training, bit for bit; what is unknown, missing or overflows has a place."""

import enum
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from tests.tasks.predict.history import DAY_US, HOUR_US, MINUTE_US, START_US, past_of

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.events import Event
from flyball.tasks import OfflineFeatures, request_of
from flyball.tasks.predict.columns import Encoder, EventColumns, columns_in, vocabularies_in
from flyball.tasks.predict.examples import RequestHistory, training_data


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Order(fb.Event):
    order: Annotated[int, fb.Ref("order"), fb.integer(1)]
    kitchen: Annotated[str | None, fb.Ref("kitchen")]
    courier: Annotated[int, fb.Ref("courier")]
    km: float
    size: Size
    paid: bool
    channel: Literal["app", "phone"]
    tip: float | None = None
    tags: list[str] = []


class Delivered(fb.Event):
    order: Annotated[int, fb.Ref("order"), fb.integer(1)]


class Shift(fb.Event):
    zone: Annotated[str, fb.Ref("zone")]


Delivery = fb.joined("Delivery", Order, Delivered, by="order", within="6h")
KITCHEN = fb.Entity(
    "kitchen",
    orders=fb.count(Order, "1h"),
    last=fb.last(Order, lambda o: o.channel),
    kms=fb.last_n(Order, lambda o: o.km, n=3),
    minutes=fb.mean(Delivery, lambda d: d.elapsed_us / 60_000_000, "2h"),
)
PAIR = fb.Features("pair", keys=(KITCHEN, fb.Entity("courier")), together=fb.count(Order, "1d"))
DERIVED = fb.FeatureSet(
    Order,
    KITCHEN,
    PAIR,
    far=fb.computed(lambda km, tip: None if tip is None else km * 2 + tip, "km", "tip"),
    busy=fb.computed(lambda n, at: None if n is None else n * 10 + at % 7, "kitchen.orders", "at"),
    where=fb.computed(lambda kitchen, courier: f"{kitchen}/{courier}", "kitchen", "courier", kind=str),
    cross=fb.hashed("kitchen", "channel", size=16),
)


def task_of(**named: Any) -> fb.Predict:
    return fb.Predict(on=Order, target=fb.elapsed(Delivery, by="order", within="6h", unit="m"), **named)


def some_events(count: int = 300) -> list[tuple[Event, int]]:
    rng = np.random.default_rng(4)
    events: list[tuple[Event, int]] = []
    for number in range(count):
        at = START_US + number * MINUTE_US
        order = Order(
            at=at,
            order=number + 1,
            kitchen=None if rng.random() < 0.1 else "abc"[int(rng.integers(3))],
            courier=int(rng.integers(5)),
            km=float(rng.gamma(2.0)) if rng.random() < 0.9 else 1e308,  # twice that is infinite, and missing
            size=Size.SMALL if rng.random() < 0.5 else Size.LARGE,
            paid=bool(rng.random() < 0.5),
            channel="app" if rng.random() < 0.5 else "phone",
            tip=None if rng.random() < 0.3 else 1.5,
        )
        there = at + int(rng.integers(5, 90)) * MINUTE_US
        events += [(order, at), (Delivered(at=there, order=number + 1), there)]
    return sorted(events, key=lambda event: event[0].at)


@pytest.mark.parametrize("features", [(), (KITCHEN, PAIR), DERIVED], ids=["none", "features", "derived"])
def test_a_row_online_is_the_row_that_was_learned_from(features: Any) -> None:
    task = task_of(features=features, zone="Europe/Berlin")
    past = past_of(task, some_events(), START_US + 2 * DAY_US)
    history = RequestHistory(task, past)
    labeled = history.examples(past.as_of_us)
    assert len(labeled.rows) == 300
    data = training_data(task, history.table, labeled, history.at_us)
    columns = columns_in(data.texts)
    assert columns == task.columns
    encoder = Encoder(columns, vocabularies_in(data.texts, columns), task.zone)
    fields = history.frame.select([name for name in Order.__struct_fields__ if name != "at"]).to_dicts()
    requests = [
        request_of(Order, str(row), at, each)
        for row, (at, each) in enumerate(zip(history.at_us.tolist(), fields, strict=True))
    ]
    found: dict[str, Any] = {}
    named = [column.name for column in columns if column.name in task.feature_set.names]
    if named:
        reads = EventColumns(task, named)
        offline = OfflineFeatures(task.about.feature_groups, history.frames)
        readings = offline.read([reads.keys_of_request(one) for one in requests], history.at_us.tolist())
        found = reads.values(readings, requests)
    numbers, categories = encoder.arrays(requests, found)
    assert numbers.tobytes() == data.arrays["numbers"].tobytes()
    assert (categories == data.arrays["categories"]).all()
    for row in (0, 17, 299):  # alone as in the batch
        alone = encoder.arrays([requests[row]], {name: [values[row]] for name, values in found.items()})
        assert alone[0].tobytes() == numbers[row : row + 1].tobytes()
        assert (alone[1] == categories[row]).all()


def test_columns_have_the_kind_of_their_field() -> None:
    kinds = {column.name: column.kind for column in task_of(features=DERIVED).columns}
    assert "order" not in kinds  # it names the outcome
    assert "tags" not in kinds
    assert "kitchen.kms" not in kinds  # lists are no columns
    numbers = {name for name, kind in kinds.items() if kind == "number"}
    assert numbers == {
        *("km", "paid", "tip", "kitchen.orders", "kitchen.minutes", "pair.together"),
        *("far", "busy", "cross"),
    }
    categories = {name for name, kind in kinds.items() if kind == "category"}
    assert categories == {"kitchen", "courier", "size", "channel", "hour", "weekday", "kitchen.last", "where"}
    assert "km" not in {column.name for column in task_of(ignore=("km", "hour")).columns}


def test_what_training_never_saw_is_unknown_and_what_is_infinite_is_refused() -> None:
    task = task_of()
    vocabularies = {column.name: ["a", "app", "s"] for column in task.columns if column.kind == "category"}
    encoder = Encoder(task.columns, vocabularies)
    event = Order(at=START_US, order=1, kitchen="new", courier=1, km=2.5, size=Size.SMALL, paid=True, channel="app")
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name != "at"}
    request = request_of(Order, "1", START_US, fields)
    numbers, categories = encoder.arrays([request], {})
    assert np.isnan(numbers[0][encoder.number_names.index("tip")])
    assert numbers[0][encoder.number_names.index("paid")] == 1.0
    texts = encoder.texts(categories[0])
    assert (texts["kitchen"], texts["size"], texts["channel"]) == ("unknown", "s", "app")
    with pytest.raises(BadInput, match="km must be a finite number"):
        request_of(Order, "1", START_US, {**fields, "km": float("inf")})


def test_the_hour_is_that_of_the_zone() -> None:
    berlin, utc = (task_of(zone=zone) for zone in ("Europe/Berlin", "UTC"))
    for task, hour in ((utc, "0"), (berlin, "1")):
        past = past_of(task, some_events(2), START_US + 2 * HOUR_US)
        assert RequestHistory(task, past).table["hour"][0] == hour


def test_a_key_that_the_request_does_not_name_is_refused() -> None:
    zone = fb.Entity("zone", shifts=fb.count(Shift, "1h"))
    with pytest.raises(BadDeclaration, match="zone"):
        task_of(features=(zone,))
