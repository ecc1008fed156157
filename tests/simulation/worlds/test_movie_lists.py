"""The truth about lists: bounds, order, and the laws behind them."""

import math
from itertools import pairwise

import numpy as np
import pytest

from flyball.simulation.world import DAY_US
from flyball.simulation.worlds.movies import Habits, MovieLife, list_quality, make_life, rankings
from flyball.simulation.worlds.movies.taste import accept_probability, attention_at, like_probability, normal_cdf

NOBODY: set[int] = set()


@pytest.fixture(scope="module")
def world() -> MovieLife:
    return make_life(400, 600, seed=9, start_us=0)


def test_normal_cdf_is_the_error_function() -> None:
    z = np.linspace(-6, 6, 101)
    exact = [0.5 * math.erfc(-x / math.sqrt(2)) for x in z.tolist()]
    assert normal_cdf(z) == pytest.approx(exact, abs=8e-8)


def test_attention_falls_from_the_top_and_nobody_starts_a_film_they_would_hate() -> None:
    assert all(above > below for above, below in pairwise(attention_at(20).tolist()))
    assert accept_probability(like_probability(np.array([-20.0])))[0] < 1e-9


def test_rankings_are_ordered_as_they_must_be(world: MovieLife) -> None:
    users = np.arange(200)
    seen = [set(range(user % 7)) for user in range(200)]
    lists = rankings(world, np.random.default_rng(1), users, seen, 20)
    quality = {name: list_quality(world, users, shown, seen, 20) for name, shown in lists.items()}
    for field in ("quality", "ndcg", "taken"):
        oracle, popular, chance = (getattr(quality[name], field).mean() for name in ("oracle", "popular", "random"))
        assert oracle > popular > chance > 0
    assert quality["oracle"].ndcg == pytest.approx(np.ones(200), abs=1e-6)
    for shown in lists.values():
        assert all(
            len(set(row)) == 20 and not set(row) & known for row, known in zip(shown.tolist(), seen, strict=True)
        )


def test_what_is_not_of_this_world_is_worth_nothing(world: MovieLife) -> None:
    users, nothing = np.array([3]), np.full((1, 20), -1)
    quality = list_quality(world, users, nothing, [NOBODY], 20)
    assert quality.quality[0] == quality.ndcg[0] == quality.taken[0] == 0
    half = list_quality(world, users, np.array([[-1, 5]]), [NOBODY], 2)
    assert half.quality[0] == pytest.approx(world.like_probability(3, [5])[0] / 2)
    assert 0 < half.quality[0] < 0.5


def test_a_list_counts_less_when_short_or_seen(world: MovieLife) -> None:
    users = np.array([3])
    full = rankings(world, np.random.default_rng(1), users, [NOBODY], 20)["popular"]
    whole, half = list_quality(world, users, full, [NOBODY], 20), list_quality(world, users, full[:, :10], [NOBODY], 20)
    known = list_quality(world, users, full, [set(full[0, :5].tolist())], 20)
    assert half.quality[0] < whole.quality[0]
    assert half.taken[0] < whole.taken[0]
    assert known.taken[0] < whole.taken[0]


def test_true_adoption_is_the_share_that_takes() -> None:
    world = make_life(8_000, 300, seed=6, start_us=0, habits=Habits(sessions_a_day=30, by_hour=False))
    sessions = world.sessions(DAY_US)
    shown = world.films.slugs[:20]
    seen: list[set[int]] = [set()] * len(sessions)
    expected = list_quality(world, sessions.users, np.tile(np.arange(20), (len(sessions), 1)), seen, 20).taken
    choices = world.decide(sessions, [shown] * len(sessions))
    assert len(sessions) > 4_000
    error = 4 * (expected.mean() / len(sessions)) ** 0.5
    assert (choices.rank >= 0).mean() == pytest.approx(expected.mean(), abs=error)
