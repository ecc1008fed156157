"""Features computed over history are those that the naive oracle says, to the last bit."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.offline import CI, START, act, bits, check, row

from flyball.features import Entity, attribute, point_in_time
from flyball.features.offline.finalize import double_of_spread
from flyball.testing import feature_logs as logs
from flyball.testing.feature_oracle import Logged


@CI
@given(logs.cases(), st.sampled_from([0, 0, 1, logs.TILE]))
def test_every_feature_is_what_the_oracle_says(case: tuple[list[Logged], list[logs.Row]], delay_us: int) -> None:
    check(*case, delay_us)


@CI
@given(logs.cases(most=60))
def test_longer_logs(case: tuple[list[Logged], list[logs.Row]]) -> None:
    check(*case)


STARTS = {"in 2020": START, "at 1970": 0, "before 1970": -START}
QUESTIONS = {
    "at k*h": 0,
    "at k*h - 1": -1,
    "at k*h + 1": 1,
    "in a tile": 3_000_000,
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_events_on_every_edge(start: int, question: int) -> None:
    q = start + 40 * logs.TILE + question
    edges = {q, q - 15_000_000}  # the right edge, without and with delay
    edges |= {end - logs.WINDOW for end in edges} | {(end - logs.WINDOW) // logs.TILE * logs.TILE for end in edges}
    edges |= {q - 160_000_000, q - 8_000_000, (q - 400_000_000) // logs.TILE * logs.TILE, q // logs.TILE * logs.TILE}
    ats = sorted(edge + step for edge in edges for step in (-1, 0, 1))
    log = [act(at, place, user=place + 10) for place, at in enumerate(ats)]  # each alone, and all together
    log += [act(at, place + 100, n=place, x=place / 4, t=str(place)) for place, at in enumerate(ats)]
    check(log, [row(q, user=place + 10) for place in range(len(ats))] + [row(q), row(q + 1), row(q - 1)])


@pytest.mark.parametrize("late", [-1, 0, 1, 2])
@pytest.mark.parametrize("delay_us", [0, 1, logs.TILE])
def test_known_at_the_very_time_is_known(late: int, delay_us: int) -> None:
    q = START + 7
    log = [act(q - 2 * logs.TILE, 0, known_at=q - delay_us + late, n=1), act(q - logs.TILE, 1, n=2), act(q - 5, 2)]
    check(log, [row(q + step) for step in (-1, 0, 1)], delay_us)


@pytest.mark.parametrize("seen", [0, 1, 2, 3, 9])
def test_offsets_count_the_records_before_them(seen: int) -> None:
    log = [act(START - place, place, known_at=START + 100, n=place) for place in range(3)]
    log += [act(START - 9 - place, place, partition=2, n=-place) for place in range(3)]
    vectors = [(seen, 0, 0), (0, 5, seen), (seen, 1, 3), (seen,)]
    check_any_length(log, [row(START + 1, offsets) for offsets in vectors])


@pytest.mark.parametrize("delay_us", [1, 5, logs.TILE])
def test_applying_takes_time_even_when_nothing_is_late(delay_us: int) -> None:
    q = START + 7
    log = [act(q - delay_us + step, place, n=place, x=place / 4) for place, step in enumerate((-2, -1, 0, 1))]
    check(log, [row(q + step) for step in (-2, -1, 0, 1, 2)], delay_us)


def test_partitions_that_a_stamp_did_not_have_are_not_seen() -> None:
    log = [act(START, 0), act(START + 1, 1), act(START + 2, 0, partition=1), act(START + 3, 0, partition=2)]
    check_any_length(log, [row(START + 9, (2,))])
    check_any_length(log, [row(START + 9, (1,)), row(START + 9, (2, 0))])
    check_any_length(log, [row(START + 9, (2, 1)), row(START + 9, (1, 1))])


def check_any_length(log: Sequence[Logged], rows: Sequence[logs.Row]) -> None:
    padded = [logs.Row(one.keys, one.at, ((one.offsets or ()) + (0, 0, 0))[:3]) for one in rows]
    whole = point_in_time(logs.GROUPS, logs.frames_of(log), logs.rows_frame(padded)).drop("offsets")
    assert whole.equals(point_in_time(logs.GROUPS, logs.frames_of(log), logs.rows_frame(rows)).drop("offsets"))
    check(log, padded)


def test_equal_times_are_ordered_by_value_whatever_the_arrival() -> None:
    values = [(3, "b"), (7, "é"), (-5, ""), (7, "\U0001f600"), (None, "\uffff"), (2, None)]
    for shift in range(len(values)):
        turned = values[shift:] + values[:shift]
        check([act(START, place, n=n, t=t) for place, (n, t) in enumerate(turned)], [row(START + 1)])


@pytest.mark.parametrize("events", [1, 2, 3, 4, 5, 6, 7])
def test_caps_are_met_and_passed(events: int) -> None:
    check([act(START + place, place, n=place, x=place / 4) for place in range(events)], [row(START + 1_000)])
    check([act(START + place, place, n=place % 2, x=0.25) for place in range(events)], [row(START + 1_000)])


@pytest.mark.parametrize("size", [2**53, 2**52, 2**40, 2**30, 10**9, 10**6])
def test_sums_of_large_units_are_exact(size: int) -> None:
    log = [act(START + place, place, n=size - place % 3, x=(size - place) / 7 % 1e13) for place in range(40)]
    log += [act(START + place, place + 40, n=-size + place, x=-1.005) for place in range(3)]
    check(log, [row(START + step) for step in (1, 2, 39, 41, 1_000)])


@pytest.mark.parametrize("units", [2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**32 + 1])
def test_reals_on_both_sides_of_32_bits_are_exact(units: int) -> None:
    for sign in (1, -1):
        log = [act(START + place, place, x=sign * (units - place) / 100, ok=True) for place in range(3)]
        check(log, [row(START + step) for step in (1, 2, 4)])


def test_spreads_of_large_units_round_once() -> None:
    for sign in (1, -1):
        values = [sign * (2**30 + step) for step in (0, 12_345, 7)]
        check(
            [act(START + place, place, n=n) for place, n in enumerate(values)], [row(START + step) for step in (2, 3)]
        )


@settings(CI, max_examples=300)
@given(st.integers(2, 2**24 - 1), st.integers(0, 2**62 - 1), st.integers(-(2**60) + 1, 2**60 - 1))
def test_spreads_of_124_bits_are_the_nearest_doubles(n: int, squares: int, total: int) -> None:
    most = min(math.isqrt(n * squares), 2**60 - 1)
    for size in (most, most - 1, total % (most + 1)):
        if size >= 0:
            got = double_of_spread(np.array([n]), np.array([-size]), np.array([squares]))
            assert bits(float(got[0])) == bits(float(n * squares - size * size))


def test_a_missing_key_has_no_events() -> None:
    log = [act(START, 0), act(START + 1, 1, user=2)]
    rows = logs.rows_frame([row(START + 5), row(START + 5, user=2)])
    missing = rows.with_columns(user=pl.Series([None, "2"], dtype=pl.String))
    nobody = rows.with_columns(user=pl.Series(["77", "2"]))
    answers = [point_in_time([logs.user, logs.user_shop], logs.frames_of(log), one) for one in (missing, nobody)]
    assert answers[0].drop("user").equals(answers[1].drop("user"))
    assert answers[0]["user.acts"].to_list() == [0, 1]


def test_what_is_not_yet_known_before_the_window_hides_nothing_in_it() -> None:
    q = START + 40 * logs.TILE
    unknown = act(q - 50 * logs.TILE, 0, known_at=q + 1)
    for inside in range(1, 4):
        known = [act(q - logs.TILE - step, 1 + step, n=step, x=step / 4, t="abc"[step]) for step in range(inside)]
        check([unknown, *known], [row(q), row(q, (0, 0, 0))])
        check([*known, msgspec.structs.replace(unknown, offset=9)], [row(q), row(q, (4, 0, 0))])


def test_of_two_profiles_at_one_time_the_later_in_the_log_counts() -> None:
    for sizes in ((1, 2), (2, 1), (None, 3), (3, None)):
        cards = [Logged(logs.Card(shop="s", size=size, at=START), START, 0, place) for place, size in enumerate(sizes)]
        check(cards, [row(START + 1), row(START + 1, (1, 0, 0))])
        check(cards[::-1], [row(START + 1)])


def test_an_attribute_may_be_calculated() -> None:
    shop = Entity(
        "shop",
        profile=logs.Card,
        double=attribute(logs.Card, lambda card: card.size * 2),
        large=attribute(logs.Card, lambda card: card.size > 3),
    )
    cards = [
        Logged(logs.Card(shop="s", size=size, at=START + place), START + place, 0, place)
        for place, size in enumerate((2, 7, None))
    ]
    rows = [row(START + step) for step in range(4)]
    check(cards, rows, groups=[shop])
    found = point_in_time([shop], logs.frames_of(cards), logs.rows_frame(rows))
    assert found["shop.double"].to_list() == [None, 4, 14, None]
    assert found["shop.large"].to_list() == [None, False, True, False]


def test_events_a_microsecond_out_of_order() -> None:
    check([act(START + 1, 0, n=4), act(START, 1, n=2)], [row(START + step) for step in (0, 1, 2)])


def test_long_histories_of_few_keys() -> None:
    log = [
        act(
            START + (place * 7919) % 900 * logs.TILE // 100,
            place,
            known_at=START + place * logs.TILE // 100,
            n=place * 31 % 101,
            x=place % 17 / 4,
            t="abcdefgh"[place % 8],
            ok=place % 3 == 0,
        )
        for place in range(700)
    ]
    rows = [row(START + step * logs.TILE // 3) for step in range(0, 300, 23)]
    rows += [row(START + step * logs.TILE, (step * 60, 0, 0)) for step in range(1, 12, 3)]
    check(log, rows)


def test_nothing_known_of_anyone() -> None:
    check([], [row(START)])
    check([act(START)], [logs.Row({"user": "9", "shop": "?", "tag": "?"}, START + 1, None)])


def test_rows_may_give_keys_as_whole_numbers_or_text() -> None:
    log = [act(START, 0), act(START + 1, 1)]
    text = logs.rows_frame([row(START + 5)])
    whole = text.with_columns(pl.col("user").cast(pl.Int64))
    padded = text.with_columns(user=pl.lit("01"))
    frames = logs.frames_of(log)
    asked = [point_in_time([logs.user], frames, rows)["user.acts"].to_list() for rows in (text, whole, padded)]
    assert asked == [[2], [2], [0]]
