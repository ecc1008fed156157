"""Values at the edges of what counts, each written down by hand, offline and online."""

import math
import operator
from itertools import permutations, zip_longest
from typing import Any

import polars as pl
import pytest
from tests.features.online_events import record_of

import flyball as fb
from flyball.events import Schema, Slice
from flyball.features import FeatureConsumer, FeatureReader, point_in_time
from flyball.stores.memory import MemoryStore
from flyball.testing import feature_logs as logs
from flyball.testing.feature_logs import Act
from flyball.testing.feature_oracle import Logged

START = 1_600_000_000_000_000 // logs.TILE * logs.TILE
TOP = 2**53


def offline(entity: fb.Entity, events: list[Act], at_us: int) -> list[Any]:
    log = [Logged(event, event.at, 0, place) for place, event in enumerate(events)]
    frame = point_in_time([entity], logs.frames_of(log), pl.DataFrame({"user": ["1"], "at": [at_us]}))
    return list(frame.drop("user", "at").row(0))


def online(entity: fb.Entity, events: list[Act], at_us: int, sealed_at: frozenset[int] = frozenset()) -> list[Any]:
    """Fed one by one, known at `at_us - 1`, and made tiles after as many events as `sealed_at` says."""
    store = MemoryStore()
    consumer = FeatureConsumer(Schema([Act]), [entity], store, partitions=1, grace_us=0, rows=1_000)
    for place, event in enumerate(events, start=1):
        consumer.apply([Slice(0, place - 1, [record_of(event, at_us - 1, place)])])
        if place in sealed_at:
            consumer.seal("user", [("1",)])
    return FeatureReader([entity], store).read({"user": ["1"]}, at_us).groups["user"].row(0)


def sealed(entity: fb.Entity, events: list[Act], at_us: int) -> list[Any]:
    return online(entity, events, at_us, frozenset({len(events)}))


def sealed_one_by_one(entity: fb.Entity, events: list[Act], at_us: int) -> list[Any]:
    return online(entity, events, at_us, frozenset(range(len(events) + 1)))


def half_sealed(entity: fb.Entity, events: list[Act], at_us: int) -> list[Any]:
    return online(entity, events, at_us, frozenset({len(events) // 2}))


def sealed_as_time_passes(entity: fb.Entity, events: list[Act], at_us: int) -> list[Any]:
    """Each event known when it happens and made a tile at once; at last another's, at the very time asked about."""
    store = MemoryStore()
    consumer = FeatureConsumer(Schema([Act]), [entity], store, partitions=1, grace_us=0, rows=1_000)
    for place, event in enumerate([*events, Act(user=2, at=at_us)]):
        consumer.apply([Slice(0, place, [record_of(event, event.at, place)])])
        consumer.seal("user", [("1",)])
    assert consumer.counts().horizon_us == at_us
    return FeatureReader([entity], store).read({"user": ["1"]}, at_us).groups["user"].row(0)


ALL = pytest.mark.parametrize(
    "computed", [offline, online, sealed, sealed_one_by_one, half_sealed, sealed_as_time_passes]
)


def act(at: int, **fields: Any) -> Act:
    return Act(user=1, at=START + at, **fields)


@ALL
@pytest.mark.parametrize("sign", [1, -1])
def test_reals_of_up_to_2_to_the_53_units_count_and_no_more(computed: Any, sign: int) -> None:
    largest = 90_071_992_547_409.92  # 2**53 hundredths
    assert largest * 100.0 == float(TOP)
    assert math.nextafter(largest, math.inf) * 100.0 > float(TOP)
    user = fb.Entity("user", total=fb.sum(Act, lambda a: a.x, "lifetime"), last=fb.last(Act, lambda a: a.x))
    fits, beyond = sign * largest, sign * math.nextafter(largest, math.inf)
    assert computed(user, [act(0, x=fits), act(1, x=beyond)], START + 2) == [sign * TOP / 100, sign * TOP / 100]
    assert computed(user, [act(1, x=beyond)], START + 2) == [None, None]


@ALL
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("others", [[], [None], [TOP + 1]])
def test_whole_numbers_up_to_2_to_the_53_units_count_and_no_more(computed: Any, sign: int, others: list[Any]) -> None:
    ever = "lifetime"
    user = fb.Entity(
        "user",
        ones=fb.max(Act, lambda a: a.n * sign, ever),
        plain=fb.last(Act, lambda a: a.n),
        hundredths=fb.sum(Act, lambda a: a.n, ever, scale=0.01),
    )
    more = [act(place, n=n) for place, n in enumerate(others)]
    assert computed(user, [*more, act(9, n=sign * TOP)], START + 10) == [TOP, sign * TOP, None]
    assert computed(user, [*more, act(9, n=sign * (TOP + 1))], START + 10) == [None, None, None]
    most = TOP // 100
    assert computed(user, [*more, act(9, n=sign * most)], START + 10) == [most, sign * most, sign * float(most)]
    assert computed(user, [*more, act(9, n=sign * (most + 1))], START + 10)[2] is None


@pytest.mark.parametrize("rows", [0, 100_000], ids=["sealed", "as they are"])
@pytest.mark.parametrize("ago", [1, logs.TILE], ids=["one tile", "two tiles"])
def test_squares_of_more_than_120_bits_are_exact(rows: int, ago: int) -> None:
    """So many of the largest values carry from the second word of a sum of squares into the third."""
    window = fb.tiled("1m", "1s")
    user = fb.Entity("user", spread=fb.std(Act, lambda a: a.n, window), most=fb.max(Act, lambda a: a.n, window))
    values = [TOP - place % 7 if place % 2 else -TOP for place in range(18_000)]
    events = [act(-ago if place < 9_000 else 0, n=n) for place, n in enumerate(values)]
    n, total, squares = len(values), sum(values), sum(value * value for value in values)
    assert squares >> 120
    must = [math.sqrt(float(n * squares - total * total) / float(n * (n - 1))), TOP]
    store = MemoryStore()
    consumer = FeatureConsumer(Schema([Act]), [user], store, partitions=1, grace_us=0, rows=rows)
    for low in (0, 9_000):
        records = [record_of(event, START + 1, low + place) for place, event in enumerate(events[low : low + 9_000])]
        consumer.apply([Slice(0, low, records)])
    assert FeatureReader([user], store).read({"user": ["1"]}, START + 1).groups["user"].row(0) == must
    assert offline(user, events, START + 1) == must


@ALL
def test_units_are_rounded_half_to_even(computed: Any) -> None:
    user = fb.Entity("user", all=fb.last_n(Act, lambda a: a.x, 6))
    halves = [0.125, 0.375, -0.125, -0.375, 0.625, 0.004]
    found = computed(user, [act(place, x=x) for place, x in enumerate(halves)], START + 9)
    assert found == [[0.0, 0.62, -0.38, -0.12, 0.38, 0.12]]


SLIDING, SHORT = fb.tiled("1m", "10s"), fb.exact("1m", max_events=9)


@ALL
@pytest.mark.parametrize("order", list(permutations([3, 7, -5])))
def test_at_one_time_the_greatest_is_last_and_the_smallest_first(computed: Any, order: tuple[int, ...]) -> None:
    texts = {3: "b", 7: "c", -5: "a"}
    events = [act(0, n=n, t=texts[n]) for n in order]
    for window in (fb.lifetime, SLIDING, SHORT):
        user = fb.Entity(
            "user",
            last=fb.last(Act, lambda a: a.n, window),
            last_text=fb.last(Act, lambda a: a.t, window),
            first=fb.first(Act, lambda a: a.n, window),
            first_text=fb.first(Act, lambda a: a.t, window),
            latest=fb.last_n(Act, lambda a: a.n, 2, window),
        )
        assert computed(user, events, START + 10) == [7, "c", -5, "a", [7, 3]]
        assert computed(user, [*events, act(-1, n=9, t="z")], START + 10) == [7, "c", 9, "z", [7, 3]]
        assert computed(user, [*events, act(1, n=-9, t="")], START + 10) == [-9, "", -5, "a", [-9, 7]]


@ALL
def test_a_value_at_the_left_end_and_again_later_is_one(computed: Any) -> None:
    window = fb.tiled("1m", "10s")
    user = fb.Entity(
        "user",
        numbers=fb.distinct(Act, lambda a: a.n, window),
        texts=fb.distinct(Act, lambda a: a.t, window),
        numbers_exact=fb.distinct(Act, lambda a: a.n, SHORT),
    )
    minute = 60_000_000
    events = [act(0, n=1, t="a"), act(0, n=2, t="b"), act(-1, n=3, t="c"), act(5, n=1, t="a"), act(6, n=3, t="c")]
    assert computed(user, events, START + minute) == [3, 3, 3]
    assert computed(user, events[:4], START + minute) == [2, 2, 2]
    assert computed(user, events[:3], START + minute) == [2, 2, 2]
    assert computed(user, events[:4], START + minute + 1) == [2, 2, 1]


@ALL
@pytest.mark.parametrize("size", range(1, 12))
def test_more_different_values_than_are_kept_are_missing(computed: Any, size: int) -> None:
    tile = logs.TILE
    user = fb.Entity(
        "user",
        two=fb.distinct(Act, lambda a: a.n, "lifetime", max_events=2),
        texts=fb.distinct(Act, lambda a: a.t, "lifetime", max_events=2),
        sliding=fb.distinct(Act, lambda a: a.n, fb.tiled("30s", "10s"), max_events=3),
        eight=fb.distinct(Act, lambda a: a.n, "lifetime", max_events=8),
    )
    events = [act(place * tile, n=place % size, t=str(place % size)) for place in range(2 * size)]
    found = computed(user, events, START + 2 * size * tile)
    assert found == [
        size if size <= 2 else None,
        size if size <= 2 else None,
        min(size, 3),
        size if size <= 8 else None,
    ]


@ALL
@pytest.mark.parametrize("window", [fb.exact("1m", max_events=9), fb.tiled("1m", "1m"), fb.tiled("50s", "10s")])
def test_the_left_end_is_in_every_window_and_a_microsecond_before_is_not(computed: Any, window: Any) -> None:
    user = fb.Entity(
        "user",
        count=fb.count(Act, window),
        sum=fb.sum(Act, lambda a: a.n, window),
        spread=fb.std(Act, lambda a: a.x, window),
        least=fb.min(Act, lambda a: a.n, window),
        most=fb.max(Act, lambda a: a.n, window),
        first=fb.first(Act, lambda a: a.t, window),
        last=fb.last(Act, lambda a: a.t, window),
        latest=fb.last_n(Act, lambda a: a.n, 3, window),
        different=fb.distinct(Act, lambda a: a.n, window),
        texts=fb.distinct(Act, lambda a: a.t, window),
    )
    left = 3 * 60_000_000  # a multiple of the tiles; so is the end, since the window is
    end = START // 60_000_000 * 60_000_000 - START + left + window.size_us
    before, on, after = (
        act(end - window.size_us - 1, n=9, x=0.5, t="z"),
        act(end - window.size_us, n=-9, x=2.5, t="a"),
        act(end - window.size_us + 1, n=4, x=4.5, t="m"),
    )
    alone = [1, -9.0, None, -9, -9, "a", "a", [-9], 1, 1]
    assert computed(user, [before, on], START + end) == alone
    assert computed(user, [before], START + end) == [0, None, None, None, None, None, None, [], 0, 0]
    both = [2, -5.0, math.sqrt(2.0), -9, 4, "a", "m", [4, -9], 2, 2]
    assert computed(user, [before, on, after], START + end) == both


@ALL
def test_what_decays_halves_every_half_life_by_whole_tiles(computed: Any) -> None:
    tile = logs.TILE
    user = fb.Entity("user", heat=fb.decayed(Act, "10s", lambda a: a.n, tile="10s"))
    counted = fb.Entity("user", heat=fb.decayed(Act, "10s", tile="10s"))
    events = [act(0, n=8), act(tile - 1, n=8), act(tile, n=4), act(2 * tile, n=2), act(3 * tile - 2, n=None)]
    for q in (2 * tile + 1, 3 * tile - 1):
        seen = [event for event in events if event.at < START + q]
        assert computed(user, seen, START + q) == [16 / 4 + 4 / 2 + 2]
        assert computed(counted, seen, START + q) == [2 / 4 + 1 / 2 + len(seen) - 3]
    end = START + 20 * tile
    assert computed(user, [act(0, n=2**20)], end) == [1.0]  # the window is 20 half-lives
    assert computed(user, [act(-1, n=2**20)], end) == [None]
    assert computed(counted, [act(-1)], end) == [0.0]
    assert computed(user, [act(0, n=2**21)], end + tile - 1) == [2.0]
    assert computed(user, [act(0, n=2**21)], end + tile) == [None]


@ALL
@pytest.mark.parametrize("asked", range(1, 32))
def test_no_feature_depends_on_which_others_are_declared(computed: Any, asked: int) -> None:
    """The same values of any of the aggregates that share the tiles of one field; their squares have 108 bits."""
    huge = [TOP, TOP - 1, -(TOP - 2), 3, TOP]
    events = [act(at, n=n) for at, n in zip((1, 0, 0, 2, 1), huge, strict=True)]
    spread = math.sqrt(float(5 * sum(n * n for n in huge) - sum(huge) ** 2) / 20.0)
    all_of_them = [
        (fb.sum, float(sum(huge))),
        (fb.std, spread),
        (fb.min, -(TOP - 2)),
        (fb.max, TOP),
        (fb.first, -(TOP - 2)),
    ]
    chosen = [one for place, one in enumerate(all_of_them) if asked >> place & 1]
    features = {f"f{place}": make(Act, lambda a: a.n, SLIDING) for place, (make, _) in enumerate(chosen)}
    assert computed(fb.Entity("user", **features), events, START + 20) == [value for _, value in chosen]


@pytest.mark.parametrize("computed", [offline, online])
@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
def test_a_filter_compares_as_python_and_what_is_missing_only_differs(computed: Any, compare: Any) -> None:
    reals = [None, math.nan, -math.inf, -0.5, -0.0, 0.0, 5e-324, 0.5, math.inf]
    numbers = [None, -(2**63), -1, 0, 1, 2, 2**63 - 1]
    texts = [None, "", "a", "b", "b\0", "ba", "é", "\uffff", "\U0001f600"]
    ever = fb.lifetime
    user = fb.Entity(
        "user",
        reals=fb.count(Act, ever, where=lambda a: compare(a.x, 0.0)),
        reals_by_number=fb.count(Act, ever, where=lambda a: compare(a.x, 0)),
        swapped=fb.count(Act, ever, where=lambda a: compare(0, a.x)),
        numbers=fb.count(Act, ever, where=lambda a: compare(a.n, 1)),
        numbers_by_real=fb.count(Act, ever, where=lambda a: compare(a.n, 0.5)),
        texts=fb.count(Act, ever, where=lambda a: compare(a.t, "b")),
        none=fb.count(Act, ever, where=lambda a: ~compare(a.t, "b")),
        both=fb.count(Act, ever, where=lambda a: compare(a.t, "b") & compare(a.x, 0.0)),
        either=fb.count(Act, ever, where=lambda a: compare(a.t, "b") | compare(a.x, 0.0)),
    )
    rows = list(zip_longest(reals, numbers, texts))
    events = [act(place, x=x, n=n, t=t) for place, (x, n, t) in enumerate(rows)]

    def holds(value: Any, constant: Any) -> bool:
        return compare is operator.ne if value is None else bool(compare(value, constant))

    by_real, by_text = [holds(x, 0.0) for x, _, _ in rows], [holds(t, "b") for _, _, t in rows]
    assert computed(user, events, START + 100) == [
        sum(by_real),
        sum(by_real),
        sum(compare is operator.ne if x is None else bool(compare(0, x)) for x, _, _ in rows),
        sum(holds(n, 1) for _, n, _ in rows),
        sum(holds(n, 0.5) for _, n, _ in rows),
        sum(by_text),
        len(rows) - sum(by_text),
        sum(x and t for x, t in zip(by_real, by_text, strict=True)),
        sum(x or t for x, t in zip(by_real, by_text, strict=True)),
    ]
