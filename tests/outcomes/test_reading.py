"""What an event says about responses, and what a prediction is joined by."""

import random
from typing import Annotated, Any

import msgspec
import pytest

import flyball.policy as policy
from flyball.core import BadDeclaration, new_id
from flyball.events import Event, Ref, Schema, joined
from flyball.outcomes import Prediction
from flyball.outcomes.reading import KeyedEvent, LabelEvent, Reader
from flyball.tasks import Label

User, Film, Shop = Annotated[int, Ref("user")], Annotated[str, Ref("film")], Annotated[int, Ref("shop")]


class Asked(Event):
    user: User
    shop: Shop | None = None


class Rated(Event):
    user: User
    film: Film | None
    stars: float | None = None


class Paid(Event):
    user: User
    shop: Shop | None


class Called(Event):
    user: User


class Returned(Event):
    user: User
    film: Film


Back = joined("Back", Paid, Called, by="user", within="1d")
SCHEMA = Schema([Asked, Rated, Paid, Called, Returned, Back])
LABELS = (
    Label(name="liked", event=Rated, by=("user", "film"), where=policy.trace(lambda r: r.stars >= 4), within_us=9),
    Label(name="stars", event=Rated, by=("user", "film"), value=policy.trace(lambda r: r.stars * 2), within_us=9),
    Label(name="paid", event=Paid, by=("user", "shop"), within_us=9, censored_by=(Paid,)),
    Label(name="called", event=Called, by=("user",), within_us=9),
    Label(name="rated", event=Rated, by=("user", "film"), within_us=9, censored_by=(Returned,)),
    Label(name="back", event=Back, by=("user",), within_us=9),
)
READER = Reader(SCHEMA, LABELS, "film", Asked)
FILMS, SHOPS, USERS = 0, 1, 2
"""Numbers of the groups, in order of the labels."""


def read(name: str, offset: int = 3, partition: int = 0, at: int = 5, **fields: Any) -> list[KeyedEvent]:
    return READER.read([(SCHEMA.check(name, {"user": 7, **fields}, at, at), offset, partition)])


def event_of(name: str, **fields: Any) -> LabelEvent:
    (found,) = read(name, **fields)
    return found.event


def asked(**request: Any) -> Prediction:
    fixed = {"items": [], "scores": [], "sources": [], "version": "v1", "level": "champion", "arm": "champion"}
    return Prediction(
        id=new_id(5, random.Random(1)),
        at_us=5,
        key="7",
        request_type="asked",
        request=request,
        propensity=1.0,
        offsets=(),
        **fixed,  # type: ignore[arg-type]
    )


def test_labels_that_join_by_the_same_values_are_one_group() -> None:
    assert [(group.names, group.items, group.labels) for group in READER.groups] == [
        (("user",), True, (0, 1, 4)),
        (("user", "shop"), False, (2,)),
        (("user",), False, (3, 5)),
    ]
    assert READER.types == {"rated", "paid", "called", "returned", "back"}


@pytest.mark.parametrize(
    ("stars", "bits", "values"),
    [
        (5, 0b10011, ((1, 10_000_000),)),
        (4, 0b10011, ((1, 8_000_000),)),
        (3.5, 0b10010, ((1, 7_000_000),)),
        (0, 0b10010, ((1, 0),)),
        (None, 0b10000, ()),  # without the number it says nothing for either
    ],
)
def test_an_event_qualifies_where_its_condition_holds_and_its_number_is_there(
    stars: float | None, bits: int, values: tuple[tuple[int, int], ...]
) -> None:
    event = event_of("rated", film="up", stars=stars)
    assert (event.bits, event.values, event.ends) == (bits, values, 0)


def test_it_may_end_the_wait_for_one_label_and_qualify_for_it() -> None:
    event = event_of("paid", shop=3)
    assert (event.bits, event.ends) == (0b100, 0b100)
    event = event_of("returned", film="up")
    assert (event.bits, event.ends) == (0, 0b10000)


def test_an_event_is_about_its_item_and_the_rest_of_its_key() -> None:
    (rated,) = read("rated", film="up")
    assert (rated.group, rated.key, rated.item) == (FILMS, "7", "up")
    (paid,) = read("paid", shop=3)
    assert (paid.group, paid.key, paid.item) == (SHOPS, "7\0" + "3", "")
    (called,) = read("called")
    assert (called.group, called.key, called.item) == (USERS, "7", "")


@pytest.mark.parametrize(("name", "missing"), [("rated", {"film": None}), ("paid", {"shop": None})])
def test_an_event_that_lacks_a_part_of_its_key_joins_nothing(name: str, missing: dict[str, None]) -> None:
    assert read(name, **missing) == []


def test_what_no_label_names_is_not_read() -> None:
    assert read("asked", shop=3) == []
    assert READER.read([]) == []


def test_touches_are_ordered_by_time_then_as_they_lie_in_the_log() -> None:
    places = [(1, 0, 5), (2, 0, 5), (2, 1, 5), (3, 0, 5), (0, 3, 6)]
    events = [read("called", offset, partition, at)[0].event for offset, partition, at in places]
    assert sorted(events, key=lambda event: event.order) == events
    assert len({event.order for event in events}) == len(events)


def test_two_pairs_of_a_joined_event_are_two_though_they_lie_at_one_place() -> None:
    record = SCHEMA.join_record("back", {"user": 7, "shop": 3, "elapsed_us": 2}, 5, 7)
    pairs = [msgspec.structs.replace(record, id=bytes([number]) * 16) for number in (1, 2)]
    events = [one.event for one in READER.read([(pair, 3, 0) for pair in pairs])]
    assert [event.pair for event in events] == [b"\1" * 16, b"\2" * 16]
    assert len({event.order for event in events}) == 2


def test_a_prediction_is_joined_by_its_key_and_by_the_fields_of_its_request() -> None:
    assert READER.keys(asked(user=7, shop=3)) == ["7", "7\0" + "3", "7"]
    assert READER.keys(asked(user=7, shop=None)) == ["7", None, "7"], "without the part nothing joins"
    assert READER.keys(asked(user=7)) == ["7", None, "7"]


def test_labels_that_the_request_has_no_field_for_are_refused() -> None:
    with pytest.raises(BadDeclaration, match="shop"):
        Reader(SCHEMA, LABELS, "film", Called)
