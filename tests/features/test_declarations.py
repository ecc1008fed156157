"""Mistakes are reported when the file is read; a hash changes with the meaning and with nothing else."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.features.declaration.values import units_of
from flyball.features.declaration.windows import MAX_TILES
from flyball.policy import compile_python, trace


class Buy(fb.Event):
    user: Annotated[int, fb.Ref("user")]
    friend: Annotated[int | None, fb.Ref("user")] = None
    price: Annotated[float, fb.real(0, 100, scale=0.01)] = 0.0
    pieces: int = 1
    note: str = ""
    gift: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    way: Literal["web", "shop"] = "web"


class Place(fb.Profile):
    place: Annotated[str, fb.Ref("place")]
    size: int = 0


user = fb.Entity("user", buys=fb.count(Buy, "7d"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fb.Entity(3), "Entity name must be a word"),  # type: ignore[arg-type]
        (lambda: fb.Entity("place", Buy), "profile of Entity 'place' must be a class of fb.Profile"),  # type: ignore[arg-type]
        (lambda: fb.Entity("place", known_by=Buy), "known_by of Entity 'place' must be a tuple"),  # type: ignore[arg-type]
        (lambda: fb.Features("both", keys=user, n=fb.count(Buy, "7d")), "keys of Features 'both' must be a tuple"),  # type: ignore[arg-type]
        (lambda: fb.FeatureSet(3), "each group of a FeatureSet must be an fb.Entity"),  # type: ignore[arg-type]
        (lambda: fb.count(Buy, fb.tiled("62m", "5m")), "whole fraction of 62m"),
        (lambda: fb.count(Buy, fb.tiled("365d", "1m")), f"at most {MAX_TILES} tiles"),
        (lambda: fb.count(Buy, "10s"), "24 tiles or more"),
        (lambda: fb.count(Buy, "7 days"), "a duration such as 7d"),
        (lambda: fb.count(Buy, 7), 'such as "7d"'),
        (lambda: fb.count(Buy, "0s"), "longer than nothing"),
        (lambda: fb.count(Buy, fb.exact("1d", max_events=0)), "1..100000"),
        (lambda: fb.distinct(Buy, lambda b: b.note, "7d", max_events=10**6), "1..100000"),
        (lambda: fb.count(Buy, "7d", where=lambda b: b.prise > 3), "fields of Buy"),
        (lambda: fb.count(Buy, "7d", where=lambda b: b.price), "a comparison"),
        (lambda: fb.count(Buy, "7d", where=lambda b: b.note > 3), "numbers with numbers"),
        (lambda: fb.count(Buy, "7d", where=lambda b: b.gift and b.pieces > 1), "& and |"),
        (lambda: fb.count(Buy, "7d", delay="soon"), "a duration"),
        (lambda: fb.count(Buy, "7d", delay=f"{1 << 60}us"), "shorter than 36,000 years"),
        (lambda: fb.count(Buy, fb.exact(f"{1 << 60}us")), "shorter than 36,000 years"),
        (lambda: fb.decayed(Buy, f"{(1 << 60) // 20 + 1}us"), "36,000 years divided by 20"),
        (lambda: fb.sum(Buy, lambda b: b.note, "7d"), "a number"),
        (lambda: fb.sum(Buy, lambda b: b.note + b.pieces, "7d"), "a calculation with numbers"),
        (lambda: fb.sum(Buy, lambda b: b.price, "7d", scale=0.3), "one divided by a whole number"),
        (lambda: fb.sum(Buy, lambda b: b.price, "7d", scale=1e-12), "1e-9"),
        (lambda: fb.sum(Buy, "price", "7d"), "a function of the event"),
        (lambda: fb.last(Buy, lambda b: b.tags), "a number, text"),
        (lambda: fb.last(Buy, lambda b: b.note, scale=0.1), "left out"),
        (lambda: fb.last_n(Buy, lambda b: b.note, 0), "1..1000"),
        (lambda: fb.decayed(Buy, "1d", tile="7h"), "whole fraction"),
        (lambda: fb.decayed(Buy, "1d", tile="1m"), "at most 100"),
        (lambda: fb.target(Buy, lambda b: b.gift, prior=float("nan"), weight=1), "finite"),
        (lambda: fb.target(Buy, lambda b: b.gift, prior=0.5, weight=0), "above 0"),
        (lambda: fb.ratio(fb.mean(Buy, lambda b: b.price, "7d"), fb.count(Buy, "7d")), "fb.sum or fb.decayed"),
        (lambda: fb.attribute(Buy, lambda b: b.note), "subclass of fb.Profile"),
        (lambda: fb.Entity("user", size=fb.attribute(Place, lambda p: p.size)), "names a user"),
        (lambda: fb.Entity("shop", buys=fb.count(Buy, "7d")), "names a shop"),
        (lambda: fb.Entity("user", buys=7), "made by fb.count"),
        (lambda: fb.Features("x", keys=("price",), n=fb.count(Buy, "7d")), "whole numbers or text"),
        (lambda: fb.Features("x", keys=("nothing",), n=fb.count(Buy, "7d")), "a field 'nothing'"),
        (lambda: fb.Features("x", keys=(user, user), n=fb.count(Buy, "7d")), "different"),
        (lambda: fb.Features("x", keys=(), n=fb.count(Buy, "7d")), "a tuple"),
        (lambda: fb.Features("x", keys=(user,)), "one feature or more"),
        (lambda: fb.Features("a b", keys=(user,), n=fb.count(Buy, "7d")), "a word"),
        (lambda: fb.count(Buy, "7d", by="nobody"), "by of count"),
        (lambda: fb.Entity("user", n=fb.count(Buy, "7d", by="note")), "a field that names user"),
        (lambda: fb.Features("pair", keys=(user, "way"), n=fb.count(Buy, "7d", by="pieces")), "that names user or way"),
        (lambda: fb.sum(Buy, lambda b: abs(b.price), "7d"), "made of fields"),
        (lambda: fb.last(Buy, lambda b: b.note.lower()), "made of fields"),
    ],
)
def test_mistakes_are_reported(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadDeclaration) as error:
        make()
    assert message in str(error.value)


def hash_of(feature: Any, **more: Any) -> str:
    found: str = fb.Entity("user", n=feature, **more).features.definitions[0].hash
    return found


def test_a_hash_tells_the_meaning() -> None:
    base = hash_of(fb.sum(Buy, lambda b: b.price, "7d"))
    assert base == hash_of(fb.sum(Buy, lambda other: other.price, fb.tiled("7d", "6h"), scale=0.01, by="user"))
    others = [
        fb.sum(Buy, lambda b: b.price, "14d"),
        fb.sum(Buy, lambda b: b.price, fb.tiled("7d", "1h")),
        fb.sum(Buy, lambda b: b.price, fb.exact("7d")),
        fb.sum(Buy, lambda b: b.price, fb.exact("7d", max_events=7)),
        fb.sum(Buy, lambda b: b.price, "lifetime"),
        fb.sum(Buy, lambda b: b.price, "7d", scale=0.001),
        fb.sum(Buy, lambda b: b.price, "7d", delay="1s"),
        fb.sum(Buy, lambda b: b.price, "7d", by="friend"),
        fb.sum(Buy, lambda b: b.price, "7d", where=lambda b: b.pieces > 1),
        fb.sum(Buy, lambda b: b.price, "7d", where=lambda b: b.pieces > 1.0),
        fb.sum(Buy, lambda b: b.pieces, "7d"),
        fb.mean(Buy, lambda b: b.price, "7d"),
        fb.ratio(fb.sum(Buy, lambda b: b.price, "7d"), fb.count(Buy, "7d")),
        fb.decayed(Buy, "7d", lambda b: b.price),
        fb.decayed(Buy, "7d", lambda b: b.price, tile="7d"),
        fb.target(Buy, lambda b: b.price, "7d", prior=1, weight=1),
        fb.target(Buy, lambda b: b.price, "7d", prior=1, weight=2),
    ]
    assert len({base, *(hash_of(one) for one in others)}) == len(others) + 1


def test_a_hash_is_for_ever() -> None:
    """When this fails, values computed before mean something else: raise SEMANTICS and say so in the changelog."""
    assert hash_of(fb.count(Buy, "7d")) == HASH_OF_COUNT


HASH_OF_COUNT = "dd037afc994c36e8"


def test_default_tiles() -> None:
    tiles = {size: fb.tiled(size).text() for size in ("24s", "1m", "10m", "1h", "12h", "1d", "3d", "7d", "30d", "365d")}
    assert tiles == {
        "24s": "tiled(24s, 1s)",
        "1m": "tiled(1m, 1s)",
        "10m": "tiled(10m, 10s)",
        "1h": "tiled(1h, 1m)",
        "12h": "tiled(12h, 10m)",
        "1d": "tiled(1d, 1h)",
        "3d": "tiled(3d, 1h)",
        "7d": "tiled(7d, 6h)",
        "30d": "tiled(30d, 1d)",
        "365d": "tiled(365d, 1d)",
    }


def test_the_field_that_names_the_key() -> None:
    pair = fb.Features("pair", keys=(user, "way"), n=fb.count(Buy, "7d"), given=fb.count(Buy, "7d", by="friend"))
    assert [one.fields for one in pair.features.definitions] == [("user", "way"), ("friend", "way")]


@pytest.mark.parametrize(
    ("value", "per_unit", "units"),
    [
        (0.125, 100, 12),
        (0.135, 100, 14),
        (-0.125, 100, -12),
        (True, 1, 1),
        (None, 1, None),
        (float("nan"), 1, None),
        (float("-inf"), 1, None),
        (2**53, 1, 2**53),
        (2**53 + 1, 1, None),
        (-(2**53), 1, -(2**53)),
        (2**52, 4, None),
        (9.1e15, 1, None),
        (1e300, 10**9, None),
        ("7", 1, None),
    ],
)
def test_units(value: Any, per_unit: int, units: int | None) -> None:
    assert units_of(value, per_unit) == units


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda b: b.pieces + b.friend, None),
        (lambda b: b.pieces / 0, None),
        (lambda b: b.pieces // 0, None),
        (lambda b: b.friend > 3, False),
        (lambda b: ~(b.friend > 3), True),
        (lambda b: b.friend == None, True),  # noqa: E711  # recorded, not compared
        (lambda b: 10 - b.pieces, 9),
        (lambda b: (b.way == "web") & (b.price < 1), True),
    ],
)
def test_missing_in_expressions(read: Callable[[Any], Any], value: Any) -> None:
    assert compile_python(trace(read))(Buy(user=1, at=0)) == value
