"""An application whose success, features and outcomes come from a joined type, through its consumers and back."""

import random
from pathlib import Path
from typing import Annotated

import pytest

import flyball as fb
from flyball.app import App
from flyball.core import ManualClock, new_id
from flyball.events import IMPORTED
from flyball.operations import Worker, consumers_of
from flyball.outcomes import Prediction, followed, outcomes_by_version, prediction_record
from flyball.provenance.log_features import LogFeatures
from flyball.runtime import Runtime, load_settings
from flyball.state import state_at
from flyball.tasks import interactions_frame, read_histories

Visitor = Annotated[int, fb.Ref("visitor")]
Item = Annotated[str, fb.Ref("item")]
Basket = Annotated[int, fb.Ref("basket")]

START_US = 1_770_000_000_000_000
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


class Added(fb.Event):
    visitor: Visitor
    item: Item
    basket: Basket


class Paid(fb.Event):
    """Of a basket, by whoever; lies in another partition than what was added."""

    basket: Basket
    cents: int = 100


Sale = fb.joined("Sale", Added, Paid, by="basket", within="2d")


def runtime_of(folder: Path, now_us: int) -> Runtime:
    visitor = fb.Entity("visitor", sales=fb.count(Sale, "30d"), cents=fb.sum(Sale, lambda s: s.cents, "30d"))
    item = fb.Entity("item", share=fb.ratio(fb.count(Sale, "30d"), fb.count(Added, "30d")))
    task = fb.Recommend(
        visitor,
        item,
        positive=fb.outcome(Sale, within="3d"),
        weak_positive=fb.outcome(Added, within="1d"),
        rating=fb.value(Sale, lambda s: s.cents),
    )
    app = App("shop", events=[Added, Paid, Sale], task=task, candidates={"popular": fb.Popular()})
    return Runtime(app, load_settings(folder), ManualClock(now_us))


def responded(visitor: int, items: list[str]) -> Prediction:
    return Prediction(
        id=new_id(START_US, random.Random(visitor)),
        at_us=START_US,
        key=str(visitor),
        request_type="r",
        request={},
        items=items,
        scores=[1.0] * len(items),
        sources=["model"] * len(items),
        version="v1",
        arm="champion",
        propensity=1.0,
        level="champion",
        offsets=(0,),
    )


def drained(runtime: Runtime) -> None:
    Worker(consumers_of(runtime, flush_us=0)).drain(runtime.clock.now_us())


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Three visitors; baskets 1 and 2 are paid, 2 before the event of its adding arrived, 3 too late."""
    runtime = runtime_of(tmp_path, START_US + 10 * DAY_US)
    check = runtime.schema.check

    def added(visitor: int, item: str, basket: int, at: int) -> None:
        fields = {"visitor": visitor, "item": item, "basket": basket}
        runtime.log.append([check("added", fields, at, at)])
        drained(runtime)

    def paid(basket: int, at: int, cents: int) -> None:
        runtime.log.append([check("paid", {"basket": basket, "cents": cents}, at, at)])
        drained(runtime)

    added(1, "a", 1, START_US)
    added(1, "b", 1, START_US + HOUR_US)
    paid(1, START_US + 2 * DAY_US, 700)
    paid(2, START_US + 2 * HOUR_US, 300)
    added(2, "a", 2, START_US + HOUR_US)
    added(3, "a", 3, START_US)
    paid(3, START_US + 2 * DAY_US + 1, 900)
    return runtime


def test_history_state_and_training_hold_the_same_sales(runtime: Runtime) -> None:
    sales = runtime.history.events("sale")
    assert sales.select("visitor", "item", "basket", "cents", "elapsed_us").sort("visitor", "item").rows() == [
        (1, "a", 1, 700, 2 * DAY_US),
        (1, "b", 1, 700, 2 * DAY_US - HOUR_US),
        (2, "a", 2, 300, HOUR_US),
    ]
    assert runtime.history.snapshot(START_US + 10 * DAY_US).frame("sale").equals(sales)
    histories, _ = read_histories(runtime.state, runtime.app.task.signals(runtime.schema), ["1", "2", "3"])
    weights = {one.user: dict(zip(one.items, one.weights.tolist(), strict=True)) for one in histories}
    assert weights == {"1": {"a": 1.0, "b": 1.0}, "2": {"a": 1.0}, "3": {"a": 0.25}}
    frames = {name: runtime.history.events(name) for name in ("added", "sale")}
    pairs = interactions_frame(frames, runtime.app.task.signals(runtime.schema), START_US + 10 * DAY_US)
    trained: dict[str, dict[str, float]] = {}
    for user, item, weight in pairs.select("user", "item", "weight").rows():
        trained.setdefault(user, {})[item] = weight
    assert trained == weights
    positive_at = dict(pairs.filter(pairs["user"] == "2").select("item", "positive_at").rows())
    assert positive_at == {"a": START_US + 2 * HOUR_US}, "when the sale was complete"


def test_the_state_of_then_is_rebuilt_for_one_visitor(runtime: Runtime) -> None:
    rebuilt = state_at(runtime.log, runtime.log.ends(), runtime.views, ["1"])
    (then,), _ = read_histories(rebuilt, runtime.app.task.signals(runtime.schema), ["1"])
    (now,), _ = read_histories(runtime.state, runtime.app.task.signals(runtime.schema), ["1"])
    assert (then.items, then.weights.tolist(), then.ratings.tolist()) == (
        now.items,
        now.weights.tolist(),
        [700.0, 700.0],
    )


def test_features_are_what_the_log_gives_for_the_same_offsets(runtime: Runtime) -> None:
    assert runtime.features is not None
    at_us = START_US + 10 * DAY_US
    asked = [{"visitor": [("1",), ("2",), ("3",)], "item": [("a",), ("b",)]}]
    (online,) = runtime.features.read(asked, [at_us])
    (again,) = LogFeatures(runtime, online.offsets).read(asked, [at_us])
    assert online.groups["visitor"].rows() == [[2, 1400], [1, 300], [0, None]]
    assert again.groups["visitor"].rows() == online.groups["visitor"].rows()
    assert again.groups["item"].rows() == online.groups["item"].rows()
    assert again.digest == online.digest
    assert online.groups["item"].rows()[0] == [2 / 3]


def test_a_sale_follows_the_response_that_showed_the_item(runtime: Runtime) -> None:
    prediction = responded(1, ["b", "a"])
    runtime.predictions.append([prediction_record(prediction)])
    drained(runtime)
    labels = {one.item: one.labels for one in followed(runtime.outcomes_path, prediction)}
    assert labels["a"] == {"adopted": 1.0, "weak_positive": 1.0, "positive": 1.0, "rating": 700.0}
    assert labels["b"].keys() == {"adopted", "weak_positive", "positive", "rating"}
    metric = outcomes_by_version(runtime.outcomes_path, START_US + 10 * DAY_US)["v1"].labels["positive"]
    assert (metric.value, metric.n) == (1.0, 2)


@pytest.mark.parametrize("seed", range(6))
def test_a_side_that_is_imported_long_after_joins_everywhere(tmp_path: Path, seed: int) -> None:
    """Two months of live baskets; some were paid in time, some as an import says that comes whenever: one meaning."""
    rng, runtime = random.Random(seed), runtime_of(tmp_path, START_US + 80 * DAY_US)
    check, log = runtime.schema.check, runtime.log
    predictions = [responded(visitor, ["a", "b"]) for visitor in range(1, 5)]
    runtime.predictions.append([prediction_record(prediction) for prediction in predictions])
    baskets: list[tuple[int, str, int, int]] = []
    sold: dict[tuple[int, str], list[int]] = {}
    for number in range(60):
        visitor, item, at = 1 + number % 4, rng.choice("ab"), START_US + number * DAY_US // (8 if number < 30 else 1)
        fields = {"visitor": visitor, "item": item, "basket": number}
        log.append([check("added", fields, at, at)])
        baskets.append((visitor, item, number, at))
        log.append([check("paid", {"basket": 1_000 + number}, at, at)])  # of a basket of somewhere else
        if rng.random() < 0.5:
            visitor, item, basket, at = baskets.pop(rng.randrange(len(baskets)))
            apart_us = rng.choice([0, DAY_US, 2 * DAY_US, 2 * DAY_US + 1])
            log.append([check("paid", {"basket": basket}, at + apart_us, at + apart_us, flags=IMPORTED)])
            if apart_us <= 2 * DAY_US:
                sold.setdefault((visitor, item), []).append(at + apart_us)
        if rng.random() < 0.3:
            drained(runtime)
    drained(runtime)
    assert runtime.history.events("sale").height == sum(map(len, sold.values()))
    signals, visitors = runtime.app.task.signals(runtime.schema), ["1", "2", "3", "4"]
    histories, _ = read_histories(runtime.state, signals, visitors)
    weights = {
        (one.user, item): weight
        for one in histories
        for item, weight in zip(one.items, one.weights.tolist(), strict=True)
    }
    frames = {name: runtime.history.events(name) for name in ("added", "sale")}
    pairs = interactions_frame(frames, signals, START_US + 80 * DAY_US)
    assert weights == {(user, item): weight for user, item, weight in pairs.select("user", "item", "weight").rows()}
    assert {(int(user), item) for (user, item), weight in weights.items() if weight == 1.0} == sold.keys()
    for prediction in predictions:
        came = {one.item for one in followed(runtime.outcomes_path, prediction) if "positive" in one.labels}
        assert came == {
            item
            for (visitor, item), ats in sold.items()
            if str(visitor) == prediction.key and any(at <= START_US + 3 * DAY_US for at in ats)
        }
    asked = [{"visitor": [(visitor,) for visitor in visitors], "item": [("a",), ("b",)]}]
    assert runtime.features is not None
    (online,) = runtime.features.read(asked, [START_US + 80 * DAY_US])
    (again,) = LogFeatures(runtime, online.offsets).read(asked, [START_US + 80 * DAY_US])
    assert online.digest == again.digest
