"""Requests are asked when users come, with what was known by then: the set equals a naive walk, request by request."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.tasks import EvaluationSet, build_interactions, evaluation_set
from flyball.tasks.recommend.request_times import AFTER_EVENTS, VISIT_GAP_US, sampled, visit_times

FILMS = ["a", "b", "c", "d"]
SPLIT, END = 50, 100
HOUR = 3_600_000_000

event = st.one_of(
    st.tuples(st.just("rate"), st.integers(1, 3), st.sampled_from(FILMS), st.integers(1, 5)),
    st.tuples(st.just("watch"), st.integers(1, 3), st.sampled_from(FILMS), st.sampled_from([1, 30])),
)
timed = st.tuples(event, st.integers(0, 99), st.sampled_from([0, 0, 0, 5, 60]))


def rows_of(events: list[Any], step_us: int = 1) -> list[tuple[Any, ...]]:
    return [(*fields, at * step_us, (at + lag) * step_us) for fields, at, lag in events]


def set_of(films: SimpleNamespace, rows: list[Any], step_us: int = 1, **further: Any) -> EvaluationSet:
    frames, task = films.frames(rows), films.task()
    split, end = SPLIT * step_us, END * step_us
    train = build_interactions(frames, task, films.schema, split - 1)
    return evaluation_set(frames, task, films.schema, train, (split, end), **further)


def naive_history(films: SimpleNamespace, rows: list[Any], user: str, before_us: int) -> dict[str, tuple[Any, ...]]:
    """{item: (weight, rating, at)} of everything known before that time, by the function that trains."""
    known = [row for row in rows if row[-1] < before_us]
    data = build_interactions(films.frames(known), films.task(), films.schema, 2**62)
    return {
        data.items[item]: (float(weight), float(rating), int(at))
        for row, item, weight, rating, at in zip(
            data.user_index, data.item_index, data.weights, data.ratings, data.at_us, strict=True
        )
        if data.users[row] == user
    }


def naive_requests(rows: list[Any], gap_us: int) -> set[tuple[str, int]]:
    """Before the first event of each visit and after so many of it, within the window."""
    found = set()
    for user in {row[1] for row in rows}:
        nth, last = 0, None
        for at in sorted(row[-2] for row in rows if row[1] == user):
            nth = 0 if last is None or at - last > gap_us else nth + 1
            last = at
            if nth in AFTER_EVENTS:
                found.add((str(user), at))
    return found


@pytest.mark.parametrize("step_us", [1, HOUR])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(timed, max_size=25), delay=st.sampled_from([0, 3]))
def test_the_set_equals_a_naive_walk(films: SimpleNamespace, step_us: int, events: list[Any], delay: int) -> None:
    rows, delay_us = rows_of(events, step_us), delay * step_us
    found = set_of(films, rows, step_us, apply_delay_us=delay_us)
    within_us = max(one.within_us for one in films.task().signals(films.schema).outcomes)
    final = {
        user: naive_history(films, [row for row in rows if row[-2] < END * step_us], user, 2**62) for user in "123"
    }
    expected = {}
    for user, at in naive_requests(rows, VISIT_GAP_US):
        if not SPLIT * step_us <= at < END * step_us:
            continue
        touched = {row[2] for row in rows if str(row[1]) == user and row[-1] < at}
        liked = {
            item
            for item, (weight, _, positive_at) in final[user].items()
            if weight == 1.0 and at <= positive_at <= at + within_us and positive_at >= SPLIT * step_us
        }
        if liked - touched:
            expected[user, at] = liked - touched
    got = {}
    for row, (at, fields) in enumerate(zip(found.at_us.tolist(), found.fields, strict=True)):
        items = found.truth.item_of[found.truth.request_of == row]
        got[fields["user"], at] = {found.truth.items[item] for item in items}
    kept = {user: [at for name, at in expected if name == user] for user, _ in expected}
    assert set(got) <= set(expected)
    assert {key: expected[key] for key in got} == got
    for user, times in kept.items():  # all of a user's requests, or as many as are drawn of one user
        assert sum(name == user for name, _ in got) == min(len(times), 4)
    for context, at in zip(found.contexts, found.at_us.tolist(), strict=True):
        history = naive_history(films, rows, context.user, at - delay_us)
        assert set(context.seen) == set(context.items) == set(history)
        for item, weight, rating, when in zip(
            context.items, context.weights, context.ratings, context.at_us, strict=True
        ):
            assert (float(weight), int(when)) == (history[item][0], history[item][2])
            assert float(rating) == pytest.approx(history[item][1], nan_ok=True)
    assert found.at_us.tolist() == sorted(found.at_us.tolist())
    rated = found.truth.rated
    for at, context, item, value in (
        [] if rated is None else zip(rated.at_us, rated.contexts, rated.items, rated.values, strict=True)
    ):
        user_rates = [row for row in rows if row[0] == "rate" and str(row[1]) == context.user and row[2] == item]
        first = min(row[-2] for row in user_rates)
        assert SPLIT * step_us <= first == at < END * step_us
        assert value in {row[3] for row in user_rates if row[-2] == first}
        assert set(context.seen) == set(naive_history(films, rows, context.user, int(at) - delay_us))


def test_a_visit_begins_after_a_gap_and_asks_again_within() -> None:
    touches = pl.DataFrame(
        {
            "user": ["u"] * 9 + ["v"],
            "at": [0, 1, 2, 3, 4, 5, VISIT_GAP_US + 5, 2 * VISIT_GAP_US + 6, 2 * VISIT_GAP_US + 7, 3],
        }
    )
    found = visit_times(touches, 0, 2**62)
    times = [at for user, at in found.iter_rows() if user == "u"]
    # exactly the gap apart is the same visit: the seventh event of the first one is none of 0, 1, 2, 5
    assert times == [0, 1, 2, 5, 2 * VISIT_GAP_US + 6, 2 * VISIT_GAP_US + 7]
    assert [at for user, at in found.iter_rows() if user == "v"] == [3]
    inside = visit_times(touches, 1, 5)
    assert [at for user, at in inside.iter_rows() if user == "u"] == [1, 2]


def test_a_visit_that_began_before_the_window_is_no_new_one() -> None:
    touches = pl.DataFrame({"user": ["u"] * 3, "at": [40, 41, 60]})
    assert visit_times(touches, 50, 100)["at_us"].to_list() == [60]  # the third event of it, not a first
    four = pl.DataFrame({"user": ["u"] * 4, "at": [39, 40, 41, 60]})
    assert visit_times(four, 50, 100)["at_us"].to_list() == []


def test_one_request_of_everybody_comes_before_a_second_of_anybody() -> None:
    requests = pl.DataFrame({"user": ["a"] * 9 + ["b", "c"], "at_us": [*range(9), 3, 5]})
    few = sampled(requests, 3, 4, seed=1)
    assert sorted(few["user"].to_list()) == ["a", "b", "c"]
    more = sampled(requests, 100, 4, seed=1)
    assert sorted(more["user"].to_list()) == ["a"] * 4 + ["b", "c"]
    assert more["at_us"].to_list() == sorted(more["at_us"].to_list())
    assert sampled(requests, 100, 4, seed=1).equals(more)
    assert any(not sampled(requests, 100, 4, seed=seed).equals(more) for seed in (2, 3, 4))


def test_logged_requests_are_asked_again_where_there_are_any(films: SimpleNamespace) -> None:
    rows = [("rate", user, "a", 5, 60 * HOUR, 60 * HOUR) for user in (1, 2)]

    def exposure(users: Any) -> Any:
        assert sorted(users) == ["1", "2"]
        return {"1": {"a": 0}}, {"1": [10, 55 * HOUR, 61 * HOUR, 200 * HOUR]}

    found = set_of(films, rows, HOUR, exposure=exposure, ips=True, min_examples=1)
    asked = [(fields["user"], at) for fields, at in zip(found.fields, found.at_us.tolist(), strict=True)]
    assert asked == [("1", 55 * HOUR), ("2", 60 * HOUR)]  # at 61 nothing was liked afterwards, 10 and 200 are outside
    assert found.truth.ips.pairs_shown == 1
    assert found.truth.ips.sufficient


def test_what_is_liked_after_the_labels_window_is_no_target(films: SimpleNamespace) -> None:
    day = 24 * HOUR  # the window of the label of this task

    def liked(at: int) -> list[int]:
        rows = [("rate", 1, "a", 1, 50 * HOUR, 50 * HOUR), ("rate", 1, "b", 5, at, at)]
        found = set_of(films, rows, HOUR)
        return [
            at_us for at_us, fields in zip(found.at_us.tolist(), found.fields, strict=True) if fields["user"] == "1"
        ]

    assert 50 * HOUR in liked(50 * HOUR + day)
    assert 50 * HOUR not in liked(50 * HOUR + day + 1)


def test_catalogs_are_those_known_before_the_requests(films: SimpleNamespace) -> None:
    rows: list[Any] = [("rate", user, "a", 5, 50 + user, 50 + user) for user in range(40)]
    rows += [("card", "a", ["x"], 1990, 1, 1), ("card", "b", ["y"], 1991, 70, 70)]
    found = set_of(films, rows)
    assert [sorted(each["film"].ids) for _, each in found.catalogs] == [["a"], ["a", "b"]]
    first = found.catalogs[1][0]
    assert found.at_us[first] > 70
    assert found.truth.catalog_size == 2


def test_slices_are_by_what_was_known_at_the_request(films: SimpleNamespace) -> None:
    rows: list[Any] = [("rate", 1, f"f{nth}", 5, 50 + nth, 50 + nth) for nth in range(30)]
    found = set_of(films, rows, max_users=10)
    lengths = [len(context.seen) for context in found.contexts]
    assert lengths == [at - 50 for at in found.at_us.tolist()]
    bounds = {"0": (0, 0), "1-4": (1, 4), "5-19": (5, 19), "20+": (20, 99)}
    for length, name in zip(lengths, found.slices["history_length"], strict=True):
        assert bounds[name or ""][0] <= length <= bounds[name or ""][1]


def test_a_sample_is_drawn_by_its_seed_and_bad_windows_are_refused(films: SimpleNamespace) -> None:
    rows = [("rate", user, "a", 5, 60, 60) for user in range(50)]
    few = set_of(films, rows, max_users=10, seed=4)
    assert (len(few.units), len(few.at_us)) == (10, 10)
    assert set_of(films, rows, max_users=10, seed=4).units == few.units
    assert set_of(films, rows, max_users=10, seed=5).units != few.units
    assert set_of(films, rows).pool == 50
    assert few.pool == 50
    with pytest.raises(BadInput, match="apply_delay_us must be 0 or more"):
        set_of(films, rows, apply_delay_us=-1)
    frames, task = films.frames(rows), films.task()
    with pytest.raises(BadInput, match="start of the window must be before its end"):
        evaluation_set(frames, task, films.schema, build_interactions(frames, task, films.schema, 40), (50, 50))


def test_a_part_of_the_set_keeps_its_truth(films: SimpleNamespace) -> None:
    rows = [("rate", user, film, 5, 60 + user, 60 + user) for user in range(9) for film in "ab"]
    whole = set_of(films, rows)
    rows_kept = np.array([1, 4, 8])
    part = whole.take(rows_kept)
    assert [fields["user"] for fields in part.fields] == ["1", "4", "8"]
    assert part.truth.counts(3).tolist() == [2, 2, 2]
    for new, old in enumerate(rows_kept.tolist()):
        own = part.truth.item_of[part.truth.request_of == new]
        assert own.tolist() == whole.truth.item_of[whole.truth.request_of == old].tolist()
