"""No user counts for more interactions in training than the task's `influence_cap`, and the latest ones count."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.conftest import Card, Joined, Rate, Viewer, Watch, make_frames, make_task

from flyball.events import Schema
from flyball.models import Interactions
from flyball.tasks import build_interactions

SCHEMA = Schema((Watch, Rate, Joined, Card, Viewer))
Rated = tuple[int, int, int]
"""(user, film, time) of a rating of five stars."""


def learned_from(rated: list[Rated], cap: int) -> Interactions:
    rows = [("rate", user, f"f{film}", 5, at, at) for user, film, at in rated]
    return build_interactions(make_frames(rows), make_task(influence_cap=cap), SCHEMA, 1_000)


def pairs_of(data: Interactions) -> set[tuple[str, str]]:
    pairs = zip(data.user_index.tolist(), data.item_index.tolist(), strict=True)
    return {(data.users[user], data.items[item]) for user, item in pairs}


@given(
    rated=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9), st.integers(0, 50)), max_size=40),
    cap=st.integers(1, 6),
)
def test_it_is_what_a_loop_over_users_keeps(rated: list[Rated], cap: int) -> None:
    liked_at: dict[tuple[int, int], int] = {}
    for user, film, at in rated:
        liked_at[user, film] = min(at, liked_at.get((user, film), at))
    expected = set()
    for user in {user for user, _ in liked_at}:
        own = sorted((at, f"f{film}") for (who, film), at in liked_at.items() if who == user)
        expected |= {(str(user), film) for _, film in own[-cap:]}
    assert pairs_of(learned_from(rated, cap)) == expected


def test_one_account_that_likes_everything_adds_no_more_than_the_cap() -> None:
    honest = [(user, film, 10 * user + film) for user in range(2, 12) for film in range(user % 4, 8)]
    greedy = [(1, film, 500 + film) for film in range(300)]
    data = learned_from([*honest, *greedy], 20)
    assert Counter(user for user, _ in pairs_of(data))["1"] == 20
    assert {pair for pair in pairs_of(data) if pair[0] != "1"} == {(str(user), f"f{film}") for user, film, _ in honest}
    assert data.weights.sum() == len(honest) + 20


def test_a_log_without_such_accounts_stays_as_it_is() -> None:
    rated = [(user, film, 7 * user + film) for user in range(1, 9) for film in range(12)]
    capped, free = (learned_from(rated, cap) for cap in (12, 1_000_000))
    assert (capped.users, capped.items) == (free.users, free.items)
    for name in ("user_index", "item_index", "weights", "ratings", "at_us"):
        np.testing.assert_array_equal(getattr(capped, name), getattr(free, name))
