"""Entities that a response names, by hand: its key, what its request refers to, and every item of every list."""

from typing import Annotated

import msgspec

import flyball as fb
from flyball.outcomes import Prediction, named_in
from flyball.outcomes.prediction import Team
from flyball.tasks import About


class Visit(fb.Event):
    user: Annotated[str, fb.Ref("user")]
    shop: Annotated[str | None, fb.Ref("shop")] = None
    seen: list[Annotated[str, fb.Ref("film")]] = []
    words: str = ""


class Beat(fb.Event):
    keyed = False
    sensor: str


ABOUT = About(kind="recommend", request=Visit, items="film")
EMPTY = Prediction(
    id="0" * 26,
    at_us=1,
    key="ann",
    request_type="Visit",
    request={},
    items=[],
    scores=[],
    sources=[],
    version="v1",
    arm="champion",
    propensity=1.0,
    level="champion",
    offsets=(),
)


def team(items: list[str]) -> Team:
    return Team("control", "v1", 0, items, [""] * len(items), (), 0)


def test_what_a_request_refers_to_and_what_is_shown_are_named() -> None:
    answer = msgspec.structs.replace(
        EMPTY, request={"user": "ann", "shop": "s1", "seen": ["f1", "f2"], "words": "cy"}, items=["f3", "f4"]
    )
    assert set(named_in(ABOUT)(answer)) == {
        ("user", "ann"),
        ("shop", "s1"),
        ("film", "f1"),
        ("film", "f2"),
        ("film", "f3"),
        ("film", "f4"),
    }


def test_items_of_lists_that_took_part_are_named_though_they_were_not_shown() -> None:
    answer = msgspec.structs.replace(EMPTY, items=["f1"], teams=(team(["f1", "f2"]), team(["f3"])))
    assert set(named_in(ABOUT)(answer)) == {("user", "ann"), ("film", "f1"), ("film", "f2"), ("film", "f3")}


def test_fields_that_are_missing_or_null_and_lists_that_are_none_name_nobody() -> None:
    for request in ({}, {"shop": None, "seen": None}, {"seen": "f1"}):
        assert set(named_in(ABOUT)(msgspec.structs.replace(EMPTY, request=request))) == {("user", "ann")}


def test_numbers_are_named_as_text_and_a_task_without_items_names_none() -> None:
    answer = msgspec.structs.replace(EMPTY, request={"shop": 7}, items=["f1"])
    assert set(named_in(About(kind="predict", request=Visit))(answer)) == {("user", "ann"), ("shop", "7")}


def test_a_request_without_references_has_a_key_of_no_entity() -> None:
    assert list(named_in(About(kind="predict", request=Beat))(EMPTY)) == [("", "ann")]
