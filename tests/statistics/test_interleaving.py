"""Team draft against published outputs and credit, fairness, and the units it needs beside an A/B test."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import (
    harvest_position_bias,
    infer_interleaving,
    interleaving_wealth,
    plan_interleaving,
    team_credit,
    team_draft,
    unit_preference,
)


def test_the_published_lists_are_all_that_come() -> None:
    known = vectors("interleaving")["team_draft"]
    for case in known["possible"]:
        drawn = [team_draft(case["lists"], case["k"], np.random.default_rng(seed)) for seed in range(400)]
        if "out" in case:
            assert {draft.items for draft in drawn} == {tuple(out) for out in case["out"]}, case
        else:
            assert len(set(drawn)) == case["n_distinct_rankings"]
    for case in known["teams"]:
        drawn = [team_draft(case["lists"], case["k"], np.random.default_rng(seed)) for seed in range(100)]
        published = {items[0]: int(team) for team, items in case["teams"].items()}
        assert published in [dict(zip(draft.items, draft.teams, strict=True)) for draft in drawn]


def test_the_published_teams_and_credit() -> None:
    known = vectors("interleaving")["team_draft"]
    for case in known["credit"]:
        teams = [0 if item in case["teams"]["0"] else 1 for item in case["ranking"]]
        for clicks, wins in case["clicks_to_wins"]:
            a, b = team_credit(teams, clicks)
            assert ([[0, 1]] if a > b else [[1, 0]] if b > a else []) == wins


def test_credit_is_what_clicks_are_worth() -> None:
    """A purchase of 30 at the second place outweighs two clicks of 1 on the other ranker's items."""
    assert team_credit([0, 1, 0], {0: 1.0, 1: 30.0, 2: 1.0}) == [2.0, 30.0]
    assert team_credit([0, 1, 0], [0, 1, 2]) == [2.0, 1.0]


@given(st.lists(st.permutations(range(8)), min_size=2, max_size=4), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_draft_is_what_its_rounds_say(rankings: list[list[int]], size: int, seed: int) -> None:
    draft = team_draft(rankings, size, np.random.default_rng(seed))
    assert len(set(draft.items)) == len(draft.items) == size
    for position, (item, team) in enumerate(zip(draft.items, draft.teams, strict=True)):
        left = [other for other in rankings[team] if other not in draft.items[:position]]
        assert item == left[0]
    rounds = [draft.teams[first : first + len(rankings)] for first in range(0, size, len(rankings))]
    assert all(len(set(teams)) == len(teams) for teams in rounds)


def test_lists_that_end_early() -> None:
    draft = team_draft([["a"], ["a", "b"]], 9, np.random.default_rng(1))
    assert set(draft.items) == {"a", "b"}


def clicks_of(rng: np.random.Generator, users: int, better: float) -> np.ndarray:
    """Preferences of users who see five lists each; each of b's items draws clicks `better` times as often."""
    credit = rng.poisson([[1.5, 1.5 * better]], size=(users, 2)).astype(float)
    return unit_preference(credit[:, 0], credit[:, 1])


def test_equal_rankers_are_rarely_told_apart_at_any_look() -> None:
    rng = np.random.default_rng(2)
    plan = plan_interleaving(n_best=1_000)
    errs = 0
    for _ in range(60):
        wealth = interleaving_wealth(plan, [])
        for _ in range(10):
            wealth = wealth.merge(interleaving_wealth(plan, clicks_of(rng, 100, 1.0)))
            inference = infer_interleaving(plan, wealth)
            if inference.low > 0 or inference.high < 0:
                errs += 1
                break
    assert errs <= 8


def test_a_better_ranker_wins() -> None:
    plan = plan_interleaving(n_best=1_000)
    wealth = interleaving_wealth(plan, clicks_of(np.random.default_rng(3), 2_000, 1.25))
    inference = infer_interleaving(plan, wealth)
    assert inference.verdict == "better"
    assert inference.p < 0.05
    assert infer_interleaving(plan, interleaving_wealth(plan, [])).verdict == "too early"


def test_users_without_clicks_prefer_none() -> None:
    assert unit_preference([0, 1, 3], [0, 3, 1]).tolist() == [0.0, 0.5, -0.5]


def test_examination_is_harvested_whatever_the_relevance() -> None:
    """Position 1 is examined half as often as 0; relevance differs by item, places are by chance."""
    rng = np.random.default_rng(4)
    relevance = rng.choice([0.1, 0.8], size=40_000)
    at = rng.integers(0, 2, size=40_000)
    clicks = rng.random(40_000) < relevance * np.where(at == 0, 1.0, 0.5)
    ratio, above, below = harvest_position_bias(at, 1 - at, clicks)[0, 1]
    assert ratio == pytest.approx(2.0, abs=0.1)
    assert above + below == 40_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: team_draft([["a"]], 1, rng), "two or more"),
        (lambda rng: team_draft([["a", "a"], ["b"]], 1, rng), "naming an item once"),
        (lambda rng: team_draft([["a"], ["b"]], 0, rng), "size must be a whole number, 1 or more"),
        (lambda rng: team_credit([0, 1], [2]), "from 0 to 1"),
    ],
)
def test_bad_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call(np.random.default_rng(0))
