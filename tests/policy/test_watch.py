"""`fb.watch`: what it takes, and what it says about what it does not take."""

from typing import Annotated, Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration


class Buy(fb.Event):
    visitor: Annotated[int, fb.Ref("visitor")]
    item: Annotated[int, fb.Ref("item")]
    price: float


def shop(ignore: list[str]) -> fb.App:
    task = fb.Recommend(fb.Entity("visitor"), fb.Entity("item"), positive=fb.outcome(Buy, within="1d"))
    return fb.App("shop", events=[Buy], task=task, candidates={"popular": fb.Popular()}, watch=fb.watch(ignore=ignore))


def test_the_defaults_look_every_hour() -> None:
    assert fb.watch().every_us == 3_600_000_000
    assert fb.watch("1d", ignore=["predictions"]).ignore == ("predictions",)


@pytest.mark.parametrize(
    ("arguments", "must"),
    [
        ({"every": "7h"}, "a part of a day"),
        ({"every": "2d"}, "a part of a day"),
        ({"every": "10s"}, "5m"),
        ({"every": 3}, "every of watch"),
        ({"days": 3}, "from 7 to 365"),
        ({"days": True}, "from 7 to 365"),
        ({"false_findings": 0}, "above 0"),
        ({"false_findings": float("nan")}, "above 0"),
        ({"false_findings": "1"}, "above 0"),
        ({"least": 1.0}, "above 0 and below 1"),
        ({"least": 0}, "above 0 and below 1"),
        ({"ignore": "predictions"}, "a list of subjects"),
        ({"ignore": [3]}, "a list of subjects"),
    ],
)
def test_what_it_does_not_take_is_named(arguments: dict[str, Any], must: str) -> None:
    with pytest.raises(BadDeclaration, match=must):
        fb.watch(**arguments)


@pytest.mark.parametrize("subject", ["events.Buy.price", "events.other", "event.buy", "", "buy"])
def test_ignoring_what_is_never_looked_at_is_refused(subject: str) -> None:
    with pytest.raises(BadDeclaration, match="or an event type: events.buy, got"):
        shop([subject])


def test_what_is_looked_at_may_be_ignored() -> None:
    subjects = [
        "events.buy",
        "events.buy.price",
        "predictions",
        "features.visitor.buys",
        "outcomes.buy.value",
        "quarantine",
    ]
    assert shop(subjects).watch.ignore == tuple(subjects)
