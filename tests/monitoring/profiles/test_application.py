"""What changed in an application's data: planted changes of its events are named, usual days and references are not."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from flyball.app import load_app
from flyball.core import BadInput, ManualClock, NotFound
from flyball.events import LineSource, find_format, ingest
from flyball.monitoring import data_changes
from flyball.operations import catch_up
from flyball.runtime import Runtime
from flyball.settings import load_settings

DAY_US = 86_400_000_000
START_US = 1_767_225_600_000_000
DAYS = 15
APP = """
from typing import Annotated

import flyball as fb

Visitor = Annotated[int, fb.Ref("visitor"), fb.integer(1)]
Item = Annotated[str, fb.Ref("item")]


class Buy(fb.Event):
    visitor: Visitor
    item: Item
    price: float
    coupon: str | None = None


class Return(fb.Event):
    visitor: Visitor
    item: Item


app = fb.App(
    "shop",
    events=[Buy, Return],
    task=fb.Recommend(fb.Entity("visitor"), fb.Entity("item"), positive=fb.outcome(Buy, within="1d")),
    candidates={"popular": fb.Popular()},
)
"""
Change = Callable[[int, dict[str, object]], dict[str, object] | None]


def shop(folder: Path, change: Change) -> Runtime:
    """A shop of 15 days with 200 purchases a day; `change(day, event)` gives the event that really comes."""
    rng = random.Random(1)
    (folder / "shop.py").write_text(APP)
    lines = []
    for number in range(DAYS * 200):
        day = number // 200
        event: dict[str, object] = {
            "type": "buy",
            "at": START_US + number * DAY_US // 200,
            "visitor": day * 100 + rng.randrange(1, 400),  # new visitors every day, which is no shift
            "item": f"item-{rng.randrange(30)}",
            "price": round(rng.lognormvariate(3 + 0.1 * (day % 7 >= 5), 1), 2),
        }
        if rng.random() < 0.3:
            event["coupon"] = rng.choice(["a", "b"])
        changed = change(day, event)
        if changed is not None:
            lines.append(json.dumps(changed).encode())
    clock = ManualClock(START_US + 20 * DAY_US)
    runtime = Runtime(load_app(str(folder / "shop.py")), load_settings(folder / "home"), clock)
    source = LineSource("test", find_format("jsonl", {}), "jsonl", "history")
    ingest([b"\n".join(lines) + b"\n"], source, runtime.inlet)
    catch_up(runtime)
    return runtime


def same(day: int, event: dict[str, object]) -> dict[str, object]:
    return event


def test_a_usual_day_is_no_change(tmp_path: Path) -> None:
    result = data_changes(shop(tmp_path, same), last_us=DAY_US, before_us=14 * DAY_US)
    assert not result.differs
    assert {shift.column for shift in result.tables["buy"].shifts} == {"price", "coupon"}
    assert (result.volumes["buy"].rows, result.volumes["buy"].usual) == (200, pytest.approx(200, abs=1))
    assert result.skipped == {"return": "no rows in the last window", "predictions": "no rows in the last window"}


def test_planted_changes_of_the_last_day_are_named(tmp_path: Path) -> None:
    def change(day: int, event: dict[str, object]) -> dict[str, object]:
        return event if day < DAYS - 1 else {**event, "price": float(str(event["price"])) * 3, "coupon": "c"}

    runtime = shop(tmp_path, change)
    result = data_changes(runtime, last_us=DAY_US, before_us=14 * DAY_US)
    assert {(shift.column, shift.aspect) for shift in result.tables["buy"].shifts if shift.shifted} == {
        ("price", "values"),
        ("coupon", "values"),
        ("coupon", "missing"),
    }
    before = data_changes(runtime, last_us=DAY_US, before_us=7 * DAY_US, until_us=result.until_us - DAY_US)
    assert not before.differs


def test_lost_events_are_a_change_of_volume(tmp_path: Path) -> None:
    def change(day: int, event: dict[str, object]) -> dict[str, object] | None:
        return event if day < DAYS - 1 or str(event["item"])[-1] in "0123" else None

    volume = data_changes(shop(tmp_path, change), last_us=DAY_US, before_us=14 * DAY_US).volumes["buy"]
    assert volume.rows < 120
    assert volume.p is not None
    assert volume.p < 0.001


def test_names_and_lengths_are_checked(tmp_path: Path) -> None:
    runtime = shop(tmp_path, same)
    with pytest.raises(NotFound, match="no event type 'sell'; known: buy, return, predictions"):
        data_changes(runtime, last_us=DAY_US, before_us=DAY_US, names=["sell"])
    with pytest.raises(BadInput, match="a multiple of the length of the last window"):
        data_changes(runtime, last_us=DAY_US, before_us=DAY_US * 3 // 2)
    assert set(data_changes(runtime, last_us=DAY_US, before_us=DAY_US, names=["buy"]).tables) == {"buy"}
