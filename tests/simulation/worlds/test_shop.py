"""The shop's world: it fills the declared fields, and its visitors have the tastes that were drawn."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

import flyball as fb
from flyball.app import load_app
from flyball.cli.template import write_project
from flyball.core import BadDeclaration
from flyball.simulation import DAY_US, Timeline, TrueOutcome, WorldRequest, simulate
from flyball.simulation.worlds.shop import ShopWorld
from flyball.tasks import RankedItem, Response

Reader = Annotated[int, fb.Ref("reader")]
Book = Annotated[int, fb.Ref("book")]


class Open(fb.Event):
    reader: Reader
    book: Book


class Borrow(fb.Event):
    reader: Reader
    book: Book
    days: Annotated[int, fb.integer(1, 28)]
    branch: str = "main"


class Cover(fb.Profile):
    book: Book
    genre: str | None = None


def library(seed: int = 1, **settings: int) -> ShopWorld:
    return ShopWorld(seed=seed, start_us=0, view=Open, buy=Borrow, card=Cover, **settings)  # type: ignore[arg-type]


def events_of(world: ShopWorld, days: int, shown: list[str]) -> list[dict[str, object]]:
    events = [json.loads(line) for _, lines in world.emit(0, Timeline()).lines for line in lines]
    requests = world.requests(days * DAY_US, Timeline())
    response = Response(tuple(RankedItem(item, 0.0) for item in shown))
    world.decide(requests, [response] * len(requests), [1] * len(requests))
    batch = world.emit((days + 1) * DAY_US, Timeline())
    return events + [json.loads(line) for _, lines in batch.lines for line in lines]


def test_declared_fields_are_filled_within_their_range() -> None:
    events = events_of(library(users=50, items=30), 5, [])
    kinds = Counter(str(event["type"]) for event in events)
    assert kinds["cover"] == 30
    assert kinds["open"] > kinds["borrow"] > 20
    borrowed = [event for event in events if event["type"] == "borrow"]
    assert {type(event["book"]) for event in borrowed} == {int}
    days = [int(str(event["days"])) for event in borrowed]
    assert 1 <= min(days) < max(days) <= 28
    assert all(1 <= int(str(event["reader"])) <= 50 for event in borrowed)
    genre = {event["book"]: event["genre"] for event in events if event["type"] == "cover"}
    assert len(set(genre.values())) == 5


def borrowed(shown: list[str]) -> tuple[ShopWorld, list[tuple[int, int]]]:
    """A world after ten days and its (reader, book) pairs, counted from 0."""
    world = library(users=400, items=40)
    events = [event for event in events_of(world, 10, shown) if event["type"] == "borrow"]
    return world, [(int(str(event["reader"])) - 1, int(str(event["book"])) - 1) for event in events]


def test_visitors_buy_what_they_want_and_from_the_top_of_the_list() -> None:
    world, pairs = borrowed([str(item) for item in range(1, 11)])
    _, alone = borrowed([])
    readers, books = np.array(pairs).T
    assert world._wants[readers, books].mean() > 2 * world._wants.mean()

    # What the list adds to what readers find alone, by its upper and lower half: one item of each category in each.
    def added(first: int) -> int:
        half = range(first, first + 5)
        return sum(book in half for _, book in pairs) - sum(book in half for _, book in alone)

    assert len(pairs) > 1.5 * len(alone) > 0
    expected = 0.85**5 * world._wants[:, 5:10].sum() / world._wants[:, :5].sum()
    assert added(5) / added(0) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("purchases", "counted"),
    [
        ([7 * DAY_US], [0]),
        ([7 * DAY_US, 7 * DAY_US + 1, 8 * DAY_US], [0]),  # the first purchase after both counts for the first
        ([7 * DAY_US + 1], [1]),
        ([8 * DAY_US, 8 * DAY_US + 1], [1]),
        ([8 * DAY_US + 1], []),
        ([DAY_US - 1, DAY_US], [0, 1]),  # each was followed by its own
        ([0, 7 * DAY_US + 1], [0, 1]),
    ],
)
def test_a_purchase_counts_for_the_first_answer_after_which_it_is_the_first(
    purchases: list[int], counted: list[int]
) -> None:
    world = library(users=1, items=5)
    world._shown[1, 0] = [WorldRequest(0, 0, {"user": 1}), WorldRequest(1, DAY_US, {"user": 1})]
    for at_us in purchases:
        world._count(1, 0, at_us)
    assert world._outcomes == [TrueOutcome(number, "positive", 1.0) for number in counted]


def test_quality_is_the_mean_wish_over_the_places_of_a_list() -> None:
    world, request = library(users=1, items=5), WorldRequest(0, 0, {"user": 1})
    response = Response((RankedItem("1", 0.0), RankedItem("no such book", 0.0)))
    assert world.true_quality([request], [response])["wanted"][0] == pytest.approx(world._wants[0, 0] / 10)
    assert world.true_quality([request], [response])["bought"][0] == pytest.approx(world._wants[0, 0] / 2)


def test_events_that_do_not_name_visitor_and_item_are_refused() -> None:
    class Visit(fb.Event):
        reader: Reader

    with pytest.raises(BadDeclaration, match="Visit in the shop's world must be an event with a Ref to book"):
        ShopWorld(seed=1, start_us=0, view=Visit, buy=Borrow)


def test_a_new_application_lives_at_once(tmp_path: Path) -> None:
    app = load_app(str(write_project("shop", tmp_path)[0]))
    report = simulate(app, days=3)
    served = [version for version in report.versions if version.version]
    assert served
    for version in report.versions:
        # By the end, what was measured is what truly was.
        assert version.measured["positive"] == pytest.approx(version.outcomes["positive"], abs=1e-9)
    for version in served:
        assert version.true["wanted"] > 1.2 * version.references["random"]["wanted"]
    assert report.per_day[-1].true["wanted"] > report.per_day[-1].references["popular"]["wanted"]
    assert "empty" not in report.levels
    assert np.isclose(sum(day.answers for day in report.per_day), report.answers)
