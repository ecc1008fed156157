"""Declarations that use every aggregate in every window, and logs of adversarial times for them."""

import math
from typing import Annotated, Any, Literal

import msgspec
from hypothesis import strategies as st

from flyball.events import Event, Profile, Record, Ref, Schema, Slice, integer, partition, real
from flyball.features import (
    Entity,
    Features,
    attribute,
    count,
    decayed,
    distinct,
    exact,
    first,
    last,
    last_n,
    max,
    mean,
    min,
    ratio,
    std,
    sum,
    target,
    tiled,
)
from flyball.testing.feature_oracle import Logged

SECOND = 1_000_000
User = Annotated[int, Ref("user")]
Film = Annotated[str, Ref("film")]


class Play(Event):
    user: User
    film: Film | None
    units: int | None
    price: Annotated[float, real(scale=0.01)] | None
    device: Literal["tv", "phone", "web"] = "tv"
    paid: bool = False


class Card(Profile):
    user: User
    country: str | None = None
    age: Annotated[int, integer(0, 200)] | None = None
    height: float | None = None


WIDE, NARROW = tiled("12s", "3s"), tiled("4s", "1s")
user = Entity(
    "user",
    profile=Card,
    plays=count(Play, WIDE),
    plays_narrow=count(Play, NARROW),
    plays_ever=count(Play, "lifetime"),
    plays_exact=count(Play, exact("7s", max_events=3)),
    on_tv=count(Play, WIDE, where=lambda p: p.device == "tv"),
    spent=sum(Play, lambda p: p.price, WIDE),
    spent_ever=sum(Play, lambda p: p.price, "lifetime", delay="2s"),
    units=sum(Play, lambda p: p.units, WIDE),
    half=mean(Play, lambda p: p.price / 2, NARROW, where=lambda p: p.paid),
    mean_exact=mean(Play, lambda p: p.units, exact("5s", max_events=2)),
    spread=std(Play, lambda p: p.units, WIDE),
    spread_ever=std(Play, lambda p: p.price, "lifetime"),
    spread_exact=std(Play, lambda p: p.units, exact("6s", max_events=4)),
    low=min(Play, lambda p: p.price, WIDE),
    high=max(Play, lambda p: p.units, NARROW),
    high_exact=max(Play, lambda p: p.units, exact("9s", max_events=3)),
    last_film=last(Play, lambda p: p.film),
    last_price=last(Play, lambda p: p.price, NARROW, delay="1s"),
    first_paid=first(Play, lambda p: p.paid, WIDE),
    first_film=first(Play, lambda p: p.film, exact("8s", max_events=3)),
    first_price=first(Play, lambda p: p.price),
    latest=last_n(Play, lambda p: p.film, 2, WIDE),
    latest_prices=last_n(Play, lambda p: p.price, 3),
    latest_exact=last_n(Play, lambda p: p.units, 2, exact("6s", max_events=3)),
    films=distinct(Play, lambda p: p.film, WIDE, max_events=2),
    prices=distinct(Play, lambda p: p.price, "lifetime", max_events=3),
    units_exact=distinct(Play, lambda p: p.units, exact("6s", max_events=3), max_events=2),
    share=ratio(count(Play, WIDE, where=lambda p: p.units > 0), count(Play, WIDE)),
    per_film=ratio(sum(Play, lambda p: p.price, NARROW), distinct(Play, lambda p: p.film, NARROW)),
    heat=decayed(Play, "2s", tile="1s"),
    heat_units=decayed(Play, "4s", lambda p: p.units, tile="2s"),
    heat_paid=decayed(Play, "2s", tile="1s", where=lambda p: p.paid),
    paid=target(Play, lambda p: p.paid, prior=0.3, weight=4),
    paid_lately=target(Play, lambda p: p.paid, WIDE, prior=0.3, weight=2.5),
    country=attribute(Card, lambda c: c.country),
    age=attribute(Card, lambda c: c.age),
    tall=attribute(Card, lambda c: c.height),
)
film = Entity(
    "film",
    plays=count(Play, WIDE),
    spread=std(Play, lambda p: p.price, tiled("6s", "2s")),
    devices=distinct(Play, lambda p: p.device, WIDE),
    heat=decayed(Play, "1s", tile="1s"),
)
user_film = Features(
    "user_film",
    keys=(user, film),
    plays=count(Play, exact("10s", max_events=2)),
    low=min(Play, lambda p: p.units, WIDE),
)
device = Features(
    "device",
    keys=("device",),
    plays=count(Play, NARROW),
    best=max(Play, lambda p: p.price, NARROW),
    first_film=first(Play, lambda p: p.film, NARROW),
    # all that one tile can hold of a value
    spread=std(Play, lambda p: p.units, NARROW),
    lowest=min(Play, lambda p: p.units, NARROW),
    highest=max(Play, lambda p: p.units, NARROW),
    first=first(Play, lambda p: p.units, NARROW),
)
DECLARED = (user, film, user_film, device)
SCHEMA = Schema([Play, Card])

_EDGES = [
    step * SECOND + off for step in range(-9, 34) for off in (-1, 0, 1)
]  # tiles of 1, 2 and 3 s end here, on both sides of 1970
TIMESTAMPS = st.sampled_from(_EDGES)
_NUMBERS = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from([2**53, -(2**53), 2**53 + 1, 2**62, -(2**63)]),
    st.integers(-(2**53), 2**53),
)
_ODD_REALS = [0.0, -0.0, 0.005, 0.015, 1e300, -1e300, 9.1e13, -9.1e13, 1e-9, math.nan, math.inf]
_REALS = st.one_of(
    st.none(),
    st.sampled_from(_ODD_REALS),
    st.floats(-100, 100),
)
_FILMS = st.sampled_from([None, "up", "Up", "ünder", "a\0b", "", "z" * 400, "\U0001f600"])

PLAYS: st.SearchStrategy[Event] = st.builds(
    Play,
    user=st.integers(1, 3),
    film=_FILMS,
    units=_NUMBERS,
    price=_REALS,
    device=st.sampled_from(["tv", "phone", "web"]),
    paid=st.booleans(),
    at=TIMESTAMPS,
)
CARDS: st.SearchStrategy[Event] = st.builds(
    Card,
    user=st.integers(1, 3),
    country=st.sampled_from([None, "ro", "de", ""]),
    age=st.sampled_from([None, 0, 44]),
    height=st.sampled_from([None, 1.75, float("nan")]),
    at=TIMESTAMPS,
)
KNOWN = st.tuples(st.one_of(PLAYS, PLAYS, PLAYS, CARDS), st.sampled_from([-3 * SECOND, 0, 0, 1, SECOND, 9 * SECOND]))
"""An event and how late it became known; earlier than it happened when it is stamped in the future."""


def record_of(event: Any, known_at: int, number: int) -> Record:
    fields = [getattr(event, name) for name in event.__struct_fields__ if name != "at"]
    return Record(
        type=type(event).__name__.lower(),
        key=str(fields[0]),
        at=event.at,
        known_at=known_at,
        id=number.to_bytes(16, "big"),
        body=msgspec.msgpack.encode(fields),
    )


class Built(msgspec.Struct):
    """A log of `partitions`, and the same for the oracle."""

    records: list[list[Record]]
    logged: list[Logged]

    def slices(self, after: tuple[int, ...], until: tuple[int, ...]) -> list[Slice]:
        return [
            Slice(place, low, self.records[place][low:high])
            for place, (low, high) in enumerate(zip(after, until, strict=True))
            if high > low
        ]


def build(events: list[tuple[Any, int]], partitions: int = 2) -> Built:
    """The log in which the events arrived in this order."""
    built = Built([[] for _ in range(partitions)], [])
    for number, (event, late) in enumerate(events):
        place = partition(str(event.user), partitions)
        record = record_of(event, event.at + late, number)
        built.logged.append(Logged(SCHEMA.decode(record), record.known_at, place, len(built.records[place])))
        built.records[place].append(record)
    return built
