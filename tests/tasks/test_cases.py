"""Training data and evaluation cases hold what was known at their time, and nothing else."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.tasks import build_interactions, catalog_at, evaluation_cases
from flyball.tasks.recommend.known import catalogs_at

FILMS = ["a", "b", "c", "d"]


def pairs_of(data: Any) -> dict[tuple[str, str], tuple[float, float]]:
    return {
        (data.users[user], data.items[item]): (float(weight), float(rating))
        for user, item, weight, rating in zip(data.user_index, data.item_index, data.weights, data.ratings, strict=True)
    }


def test_rows_say_what_was_known_then(films: SimpleNamespace) -> None:
    rows = [
        ("rate", 1, "a", 5, 10, 10),
        ("rate", 1, "b", 1, 11, 90),  # became known late
        ("watch", 2, "a", 3, 12, 12),
        ("watch", 2, "c", 30, 13, 13),
        ("rate", 2, "c", 4, 60, 60),
    ]
    frames = films.frames(rows)
    early = build_interactions(frames, films.task(), films.schema, 50)
    assert early.users == ["1", "2"]
    assert early.items == ["a", "c"]
    found = pairs_of(early)
    assert found["1", "a"] == (1.0, 5.0)
    assert found["2", "a"][0] == 0.25
    assert found["2", "c"][0] == 1.0
    assert np.isnan(found["2", "c"][1])
    assert early.as_of_us == 50
    late = pairs_of(build_interactions(frames, films.task(), films.schema, 90))
    assert late["1", "b"] == (0.0, 1.0)
    assert late["2", "c"] == (1.0, 4.0)


def test_what_no_catalog_knows_stays_out_while_it_is_unknown(films: SimpleNamespace) -> None:
    rows = [
        ("rate", 1, "a", 5, 10, 10),
        ("rate", 1, "zzz", 5, 11, 11),
        ("rate", 9, "a", 5, 12, 12),
        ("rate", 3, "b", 5, 13, 13),
        ("card", "a", ["drama"], 1999, 1, 1),
        ("card", "b", ["drama"], 1999, 1, 1),
        ("card", "unseen", [], None, 1, 1),
        ("viewer", 1, "F", 2, 2),
        ("joined", 3, 2, 2),
        ("viewer", 9, "M", 12, 70),
    ]
    frames = films.frames(rows)
    before = build_interactions(frames, films.task(), films.schema, 50)
    assert set(pairs_of(before)) == {("1", "a"), ("3", "b")}
    assert before.items == ["a", "b", "unseen"]
    assert before.groups == ["F"]
    assert before.user_group.tolist() == [0, -1]
    after = build_interactions(frames, films.task(), films.schema, 70)
    assert set(pairs_of(after)) == {("1", "a"), ("3", "b"), ("9", "a")}
    assert after.groups == ["F", "M"]


def test_without_any_catalog_nothing_is_checked(films: SimpleNamespace) -> None:
    frames = films.frames([("rate", 1, "zzz", 5, 10, 10)])
    assert set(pairs_of(build_interactions(frames, films.task(), films.schema, 50))) == {("1", "zzz")}
    assert catalog_at(frames, films.film, films.schema, 50) is None
    nothing = build_interactions(films.frames([]), films.task(), films.schema, 50)
    assert (nothing.users, nothing.items, len(nothing.weights)) == ([], [], 0)


def test_a_group_is_that_of_the_latest_profile(films: SimpleNamespace) -> None:
    rows = [
        ("rate", 1, "a", 5, 10, 10),
        ("rate", 2, "a", 5, 10, 10),
        ("rate", 3, "a", 5, 10, 10),
        ("viewer", 1, "F", 5, 5),
        ("viewer", 1, "M", 3, 30),
        ("viewer", 2, "F", 5, 5),
        ("viewer", 2, None, 6, 6),
        ("viewer", 3, "F", 5, 5),
        ("viewer", 3, "M", 60, 60),
    ]
    data = build_interactions(films.frames(rows), films.task(), films.schema, 50)
    assert [data.groups[group] if group >= 0 else None for group in data.user_group] == ["F", None, "F"]


def test_the_catalog_gives_attributes_as_known_then(films: SimpleNamespace) -> None:
    frames = films.frames(
        [("card", "b", ["x", "y"], 1990, 1, 1), ("card", "b", ["z"], None, 2, 60), ("card", "a", [], 5, 1, 1)]
    )
    before = catalog_at(frames, films.film, films.schema, 50)
    assert before is not None
    assert before.ids == ["a", "b"]
    assert before.attributes("genres") == [[], ["x", "y"]]
    after = catalog_at(frames, films.film, films.schema, 60)
    assert after is not None
    assert after.attributes("genres") == [[], ["z"]]
    assert after.attributes("year") == [5, None]


def test_catalogs_at_many_times_are_those_at_each(films: SimpleNamespace) -> None:
    frames = films.frames(
        [
            ("card", "b", ["x"], 1990, 5, 5),
            ("rate", 1, "b", 5, 11, 11),
            ("card", "b", ["z"], None, 2, 20),
            ("card", "a", [], 5, 30, 30),
        ]
    )
    times_us = [4, 5, 12, 19, 20, 30, 99]
    together = catalogs_at(frames, films.film, films.schema, times_us)
    assert together == [catalog_at(frames, films.film, films.schema, at_us) for at_us in times_us]
    assert together[0] is None
    assert together[1] is together[2] is together[3]
    assert together[5] is together[6]


event = st.one_of(
    st.tuples(st.just("rate"), st.integers(1, 3), st.sampled_from(FILMS), st.integers(1, 5)),
    st.tuples(st.just("watch"), st.integers(1, 3), st.sampled_from(FILMS), st.sampled_from([1, 30])),
)
timed = st.tuples(event, st.integers(0, 99), st.sampled_from([0, 0, 0, 5, 60]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(timed, max_size=25))
def test_truth_and_histories_equal_a_naive_reading(films: SimpleNamespace, events: list[Any]) -> None:
    split, end = 50, 80
    rows = [(*fields, at, at + lag) for fields, at, lag in events]
    cases = evaluation_cases(films.frames(rows), films.task(), films.schema, split, end)
    expected: dict[str, list[str]] = {}
    for user in (1, 2, 3):
        for film in FILMS:
            mine = [row for row in rows if row[1] == user and row[2] == film]
            known = [row for row in mine if row[5] < split]
            likes = [
                row[4] for row in mine if (row[0] == "rate" and row[3] >= 4) or (row[0] == "watch" and row[3] >= 30)
            ]
            likes = [at for at in likes if at < end]
            hated = any(row[0] == "rate" and row[3] <= 2 and row[4] < end for row in mine)
            if likes and min(likes) >= split and not hated and not known:
                expected.setdefault(str(user), []).append(film)
    assert dict(zip(cases.users, cases.truth, strict=True)) == expected
    for user, history in zip(cases.users, cases.histories, strict=True):
        seen = {row[2] for row in rows if str(row[1]) == user and row[5] < split}
        assert set(history.seen) == set(history.items) == seen


def test_a_sample_is_drawn_by_its_seed_and_an_empty_window_refused(films: SimpleNamespace) -> None:
    frames = films.frames([("rate", user, "a", 5, 60, 60) for user in range(50)])
    few = evaluation_cases(frames, films.task(), films.schema, 50, 100, limit=10, seed=4)
    assert (len(few.users), few.pool) == (10, 50)
    again = evaluation_cases(frames, films.task(), films.schema, 50, 100, limit=10, seed=4)
    other = evaluation_cases(frames, films.task(), films.schema, 50, 100, limit=10, seed=5)
    assert few.users == again.users != other.users
    with pytest.raises(BadInput, match="split_us must be before end_us"):
        evaluation_cases(frames, films.task(), films.schema, 50, 50)


def test_histories_equal_the_online_ones(films: SimpleNamespace) -> None:
    from flyball.events import Slice
    from flyball.state import StateConsumer
    from flyball.stores import open_state
    from flyball.tasks import read_histories, views_of

    rng = np.random.default_rng(3)
    rows: list[tuple[Any, ...]] = [("viewer", user, "F" if user % 2 else None, 1, 1) for user in range(4)]
    rows += [
        ("rate", int(rng.integers(4)), f"f{rng.integers(1_500)}", int(rng.integers(1, 6)), int(rng.integers(2, 50)), 50)
        for _ in range(12_000)
    ]
    rows += [("rate", user, "later", 5, 60, 60) for user in range(4)]
    cases = evaluation_cases(films.frames(rows), films.task(), films.schema, 55, 100)
    store = open_state("memory://")
    signals = films.task().signals(films.schema)
    consumer = StateConsumer(views_of(films.schema, signals), store, partitions=1)
    names = {"rate": ("user", "film", "stars"), "viewer": ("user", "gender")}
    records = [
        films.schema.check(row[0], dict(zip(names[row[0]], row[1:-2], strict=True)), row[-2], row[-1])
        for row in rows[:-4]
    ]
    consumer.apply([Slice(0, 0, records)])
    online, _ = read_histories(store, signals, cases.users)
    assert min(len(one.seen) for one in online) > len(online[0].items) == 1_000
    for one, other in zip(cases.histories, online, strict=True):
        assert (one.user, one.items, one.group) == (other.user, other.items, other.group)
        assert sorted(one.seen) == sorted(other.seen)
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.ratings.tobytes() == other.ratings.tobytes()
        assert one.at_us.tobytes() == other.at_us.tobytes()
