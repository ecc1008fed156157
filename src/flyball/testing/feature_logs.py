"""An application with a feature of every kind, and logs with events at window boundaries, drawn by Hypothesis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from hypothesis import strategies as st

import flyball as fb
from flyball.events import Offsets
from flyball.testing.feature_oracle import Logged

if TYPE_CHECKING:
    import polars as pl

User = Annotated[int, fb.Ref("user")]
Shop = Annotated[str, fb.Ref("shop")]

TILE = 10_000_000
WINDOW = 6 * TILE
PARTITIONS = 3


class Act(fb.Event):
    """A user does something in a shop."""

    user: User
    shop: Annotated[str | None, fb.Ref("shop")] = None
    n: int | None = None
    x: Annotated[float | None, fb.real(scale=0.01)] = None
    t: str | None = None
    ok: bool = False
    tag: Literal["a", "b"] = "a"


class Label(fb.Event):
    """The label of an act, often known late."""

    user: User
    tag: str
    y: float


class Card(fb.Profile):
    """The profile of a shop."""

    shop: Shop
    size: int | None = None
    name: str | None = None


sliding = fb.tiled("1m", "10s")
short = fb.exact("1m", max_events=3)

user = fb.Entity(
    "user",
    acts=fb.count(Act, sliding),
    acts_exact=fb.count(Act, short),
    acts_ever=fb.count(Act, fb.lifetime),
    acts_delayed=fb.count(Act, sliding, delay="15s"),
    acts_one_tile=fb.count(Act, fb.tiled("10s", "10s")),
    oks=fb.count(Act, sliding, where=lambda a: a.ok | (a.n > 2)),
    some=fb.count(Act, short, where=lambda a: (a.t != "b") & ~a.ok),
    n_sum=fb.sum(Act, lambda a: a.n, sliding),
    n_sum_exact=fb.sum(Act, lambda a: a.n, short),
    x_sum=fb.sum(Act, lambda a: a.x, sliding),
    x_mean=fb.mean(Act, lambda a: a.x, sliding),
    x_std=fb.std(Act, lambda a: a.x, sliding),
    n_std=fb.std(Act, lambda a: a.n, fb.lifetime),
    n_min=fb.min(Act, lambda a: a.n, sliding),
    n_max=fb.max(Act, lambda a: a.n, fb.lifetime),
    x_max=fb.max(Act, lambda a: a.x, short),
    x_min_delayed=fb.min(Act, lambda a: a.x, sliding, delay="1us"),
    ok_max=fb.max(Act, lambda a: a.ok, sliding),
    n_last=fb.last(Act, lambda a: a.n, sliding),
    t_last=fb.last(Act, lambda a: a.t, fb.lifetime),
    ok_last=fb.last(Act, lambda a: a.ok, short),
    tag_first=fb.first(Act, lambda a: a.tag, sliding),
    x_first=fb.first(Act, lambda a: a.x, fb.lifetime, where=lambda a: a.ok),
    t_last_3=fb.last_n(Act, lambda a: a.t, 3, sliding),
    few_last=fb.last_n(Act, lambda a: a.x, 4, short),
    n_last_2=fb.last_n(Act, lambda a: a.n, 2),
    shops=fb.distinct(Act, lambda a: a.shop, sliding),
    few_n=fb.distinct(Act, lambda a: a.n, fb.lifetime, max_events=2),
    x_distinct=fb.distinct(Act, lambda a: a.x, fb.exact("1m", max_events=5)),
    heat=fb.decayed(Act, "20s", tile="10s"),
    x_heat=fb.decayed(Act, "8s", lambda a: a.x),
    ok_share=fb.ratio(fb.count(Act, sliding, where=lambda a: a.ok), fb.count(Act, sliding)),
    n_per_label=fb.ratio(fb.sum(Act, lambda a: a.n, sliding), fb.count(Label, fb.lifetime)),
    n_over_x=fb.mean(Act, lambda a: a.n / a.x, sliding),
    n_plus=fb.sum(Act, lambda a: a.n * 2 - 1, sliding),
    label=fb.target(Label, lambda r: r.y, prior=0.25, weight=3),
    since=fb.last(Act, lambda a: a.at),
)
shop = fb.Entity(
    "shop",
    profile=Card,
    size=fb.attribute(Card, lambda c: c.size),
    name=fb.attribute(Card, lambda c: c.name),
    visits=fb.count(Act, sliding),
    visitors=fb.distinct(Act, lambda a: a.user, short),
    mean_x=fb.mean(Act, lambda a: a.x, short),
)
user_shop = fb.Features(
    "user_shop", keys=(user, shop), visits=fb.count(Act, sliding), last_x=fb.last(Act, lambda a: a.x)
)
tag = fb.Features(
    "tag",
    keys=("tag",),
    label=fb.target(Label, lambda r: r.y, fb.lifetime, prior=0.5, weight=2.5),
    acts=fb.count(Act, sliding),
)
GROUPS: tuple[fb.Entity | fb.Features, ...] = (user, shop, user_shop, tag)
EVENT_TYPES: tuple[type[fb.Event], ...] = (Act, Label, Card)


class Row(msgspec.Struct, frozen=True):
    """A query: keys, time, and the offsets of a logged prediction or None."""

    keys: dict[str, str]
    at: int
    offsets: Offsets | None


NUMBERS = st.sampled_from([0, 1, -1, 2, 3, 7, -5, 2**53, 2**53 + 1, -(2**53), 2**63 - 1, -(2**63), None])
REALS = st.sampled_from(
    [0.0, -0.0, 0.1, 0.005, 1.005, -2.675, 3.5, 1e9, 1e13, 9e13, 1e300, float("nan"), float("inf"), float("-inf"), None]
)
TEXTS = st.sampled_from(["", "a", "b", "é", "zz", "\U0001f600", "\uffff", None])
STARTS = st.sampled_from([0, -7 * TILE, 1_600_000_000_000_000, -(10**15) - 3])
EDGES = st.sampled_from([-1, 0, 1])
LATE = st.sampled_from([0, 0, 0, 1, -1, 5, TILE, 3 * TILE + 1, WINDOW, 20 * TILE, -2 * TILE])


@st.composite
def events(draw: st.DrawFn, start: int) -> fb.Event:
    """One event near a multiple of the tile size, often at the same time as others."""
    at = start + draw(st.integers(-4, 9)) * TILE + draw(EDGES)
    person = draw(st.integers(1, 2))
    kind = draw(st.sampled_from(["act"] * 6 + ["label", "card"]))
    if kind == "card":
        return Card(shop=draw(st.sampled_from(["s", "t"])), size=draw(NUMBERS), name=draw(TEXTS), at=at)
    if kind == "label":
        return Label(user=person, tag=draw(st.sampled_from(["a", "b", ""])), y=draw(REALS) or 0.0, at=at)
    return Act(
        user=person,
        shop=draw(st.sampled_from(["s", "t", None])),
        n=draw(NUMBERS),
        x=draw(REALS),
        t=draw(TEXTS),
        ok=draw(st.booleans()),
        tag=draw(st.sampled_from(["a", "b"])),
        at=at,
    )


@st.composite
def logs(draw: st.DrawFn, most: int = 12) -> tuple[int, list[Logged]]:
    """(a start time, a log): events late, early, in any order and in several partitions."""
    start = draw(STARTS)
    log, ends = [], [0] * PARTITIONS
    for event in draw(st.lists(events(start), max_size=most)):
        partition = draw(st.integers(0, PARTITIONS - 1))
        if isinstance(event, Card):
            partition = 0  # the records of one key are in one partition
        log.append(Logged(event, event.at + draw(LATE), partition, ends[partition]))
        ends[partition] += 1
    return start, log


@st.composite
def questions(draw: st.DrawFn, start: int, log: Sequence[Logged], most: int = 5) -> list[Row]:
    """Queries at the window boundaries of events in the log, and at any offsets."""
    ats = sorted({logged.event.at for logged in log} | {logged.known_at for logged in log}) or [start]
    rows = []
    for _ in range(draw(st.integers(1, most))):
        base = draw(st.sampled_from(ats)) if draw(st.booleans()) else start + draw(st.integers(-5, 20)) * TILE
        at = base + draw(st.sampled_from([0, WINDOW, TILE, WINDOW + TILE, 15_000_000, 160_000_000])) + draw(EDGES)
        keys = {
            "user": str(draw(st.integers(1, 3))),
            "shop": draw(st.sampled_from(["s", "t", "nowhere"])),
            "tag": draw(st.sampled_from(["a", "b", "c"])),
        }
        offsets = None
        if draw(st.booleans()):
            offsets = tuple(draw(st.integers(0, len(log) + 1)) for _ in range(PARTITIONS))
        rows.append(Row(keys, at, offsets))
    return rows


@st.composite
def cases(draw: st.DrawFn, most: int = 12) -> tuple[list[Logged], list[Row]]:
    """A log and queries on it."""
    start, log = draw(logs(most))
    return log, draw(questions(start, log))


def frames_of(log: Sequence[Logged], types: Sequence[type[fb.Event]] = EVENT_TYPES) -> "dict[str, pl.DataFrame]":
    """{event type: its events as a frame}, as history stores the log; without types that do not occur."""
    import polars as pl

    plain: dict[Any, Any] = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    frames = {}
    for kind in types:
        chosen = [logged for logged in log if type(logged.event) is kind]
        if not chosen:
            continue
        columns = {}
        for name in kind.__struct_fields__:
            values = [getattr(logged.event, name) for logged in chosen]
            read = next((type(value) for value in values if value is not None), None)
            if read is None:
                read = {"n": int, "size": int, "x": float}.get(name, str)
            columns[name] = pl.Series(name, values, dtype=plain.get(read, pl.String), strict=True)
        for name in ("known_at", "partition", "offset"):
            columns[name] = pl.Series(name, [getattr(logged, name) for logged in chosen], dtype=pl.Int64)
        frames[kind.__name__.lower()] = pl.DataFrame(columns)
    return frames


def rows_frame(rows: Sequence[Row]) -> "pl.DataFrame":
    """The queries as `point_in_time` expects them."""
    import polars as pl

    columns: dict[str, Any] = {name: [row.keys[name] for row in rows] for name in ("user", "shop", "tag")}
    columns["at"] = pl.Series([row.at for row in rows], dtype=pl.Int64)
    stamps = [None if row.offsets is None else list(row.offsets) for row in rows]
    columns["offsets"] = pl.Series(stamps, dtype=pl.List(pl.Int64))
    return pl.DataFrame(columns)
