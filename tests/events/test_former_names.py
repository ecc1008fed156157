"""Names of an earlier declaration looked up through the lineage of the types."""

from typing import Annotated

import pytest

import flyball as fb
from flyball.core import Refused
from flyball.events import FormerNames, read_type

User = Annotated[int, fb.Ref("user")]


def rate(**fields: object) -> type[fb.Event]:
    """A class Rate with these fields, as the application's file said at some time."""
    return type("Rate", (fb.Event,), {"__annotations__": {"user": User, **fields}, "__module__": __name__})


def test_a_field_is_found_by_each_name_that_it_had() -> None:
    first, second = rate(stars=int), rate(score=Annotated[int, fb.renamed("stars")])
    now = rate(points=Annotated[int, fb.renamed("score")])
    rows = [read_type(first).written, read_type(second).written]
    names = FormerNames([now], rows)
    assert [names.field_of("Rate", field) for field in ("user", "stars", "score", "points", "at")] == [
        "user",
        "points",
        "points",
        "points",
        "at",
    ]
    unwritten = FormerNames([now], rows[:1], {"Rate": read_type(second).written})
    assert unwritten.field_of("Rate", "score") == "points", "no record was written with the second declaration"
    assert FormerNames([now]).field_of("Rate", "score") == "points", "as the class says itself"


def test_a_name_that_two_fields_had_is_followed_only_where_it_is_known_which_was_meant() -> None:
    first, then = rate(stars=int), rate(points=Annotated[int, fb.renamed("stars")])
    now = rate(points=int, stars=float)
    rows = [read_type(cls).written for cls in (first, then, now)]
    assert FormerNames([now], rows, {"Rate": rows[0]}).field_of("Rate", "stars") == "points"
    assert FormerNames([now], rows, {"Rate": rows[2]}).field_of("Rate", "stars") == "stars"
    with pytest.raises(Refused, match="field stars of Rate must have meant the same ever since"):
        FormerNames([now], rows).field_of("Rate", "stars")


def test_a_class_is_found_by_its_former_names() -> None:
    first = rate(stars=int)

    class Rating(fb.Event):
        former_names = ("Rate",)
        user: User
        points: Annotated[int, fb.renamed("stars")]

    names = FormerNames([Rating], [read_type(first).written], {"Rate": read_type(first).written})
    assert names.type_of("Rate") is names.type_of("Rating") is Rating
    assert names.field_of("Rate", "stars") == "points"


def test_what_is_not_declared_any_more_is_refused_by_name() -> None:
    names = FormerNames([rate(seconds=int)], [read_type(rate(stars=int, seconds=int)).written])
    with pytest.raises(Refused, match="event type Look must be declared, since the version was learned from it, got R"):
        names.type_of("Look")
    with pytest.raises(Refused, match="field stars of Rate must be declared, since .* got user, seconds"):
        names.field_of("Rate", "stars")
