"""Metrics against naive loops over their textbook definitions, published vectors and the laws they obey."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data import real

from flyball.core import BadInput
from flyball.tasks import (
    ACCURACY,
    coverage,
    mean_popularity,
    ndcg,
    novelty,
    popularity_share,
    self_information,
    short_head,
)


def naive(name: str, shown: list[Any], relevant: set[Any], k: int) -> float:
    """One user's metric, item by item."""
    found, gain, precisions = 0, 0.0, 0.0
    for place, item in enumerate(shown[:k], start=1):
        if item in relevant:
            found += 1
            gain += 1 / math.log2(place + 1)
            precisions += found / place
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))
    return {
        "precision": found / k,
        "recall": found / len(relevant),
        "hit_rate": float(found > 0),
        "map": precisions / min(k, len(relevant)),
        "ndcg": gain / ideal,
    }[name]


users = st.lists(
    st.tuples(
        st.lists(st.integers(0, 12), max_size=8, unique=True), st.sets(st.integers(0, 12), min_size=1, max_size=10)
    ),
    min_size=1,
    max_size=6,
)


def arrays_of(cases: list[tuple[list[int], set[int]]]) -> tuple[Any, Any]:
    hits = np.zeros((len(cases), 8), bool)
    for row, (shown, relevant) in enumerate(cases):
        hits[row, : len(shown)] = [item in relevant for item in shown]
    return hits, np.array([len(relevant) for _, relevant in cases])


@given(cases=users, k=st.integers(1, 12), name=st.sampled_from(sorted(ACCURACY)))
def test_accuracy_equals_the_naive_loop(cases: list[tuple[list[int], set[int]]], k: int, name: str) -> None:
    hits, relevant = arrays_of(cases)
    values = ACCURACY[name](hits, relevant, k)
    assert values.tolist() == pytest.approx([naive(name, shown, wanted, k) for shown, wanted in cases])
    assert ((values >= 0) & (values <= 1 + 1e-12)).all()


@given(cases=users, k=st.integers(1, 8), name=st.sampled_from(sorted(ACCURACY)), seed=st.integers(0, 9))
def test_the_order_of_users_does_not_matter(cases: Any, k: int, name: str, seed: int) -> None:
    hits, relevant = arrays_of(cases)
    order = np.random.default_rng(seed).permutation(len(cases))
    assert ACCURACY[name](hits[order], relevant[order], k).tolist() == ACCURACY[name](hits, relevant, k)[order].tolist()


@given(relevant=st.integers(1, 20), k=st.integers(1, 10))
def test_an_ideal_list_gets_the_most_there_is(relevant: int, k: int) -> None:
    hits = (np.arange(k) < relevant)[None, :]
    counts = np.array([relevant])
    values = {name: float(measure(hits, counts, k)[0]) for name, measure in ACCURACY.items()}
    assert values["ndcg"] == values["map"] == 1.0
    assert values["hit_rate"] == 1.0
    assert values["recall"] == pytest.approx(min(k, relevant) / relevant)
    assert values["precision"] == pytest.approx(min(k, relevant) / k)


@given(hits=st.lists(st.booleans(), min_size=2, max_size=8), place=st.integers(0, 6))
def test_a_hit_moved_up_never_lowers_what_looks_at_places(hits: list[bool], place: int) -> None:
    place = min(place, len(hits) - 2)
    better = hits.copy()
    better[place], better[place + 1] = max(hits[place : place + 2]), min(hits[place : place + 2])
    counts = np.array([max(1, sum(hits))])
    for name in ("ndcg", "map"):
        low, high = (ACCURACY[name](np.array([row]), counts, len(hits))[0] for row in (hits, better))
        assert high >= low - 1e-12


def test_ndcg_of_a_worked_example() -> None:
    # hits at places 1 and 3 of 3, two relevant: (1 + 1/2) / (1 + 1/log2 3)
    value = ndcg(np.array([[True, False, True]]), np.array([2]), 3)[0]
    assert value == pytest.approx(1.5 / (1 + 1 / math.log2(3)))


def test_users_without_relevant_items_and_odd_cutoffs_are_refused() -> None:
    with pytest.raises(BadInput, match="relevant must be 1 or more"):
        ndcg(np.zeros((1, 3), bool), np.array([0]), 3)
    with pytest.raises(BadInput, match="k must be 1 or more"):
        ndcg(np.zeros((1, 3), bool), np.array([1]), 0)
    with pytest.raises(BadInput, match="relevant must be 1 long"):
        ndcg(np.zeros((1, 3), bool), np.array([1, 1]), 3)


def test_beyond_accuracy_of_worked_examples() -> None:
    lists = np.array([[0, 1], [0, -1], [-1, -1]], np.int32)
    assert coverage(lists, 4) == 0.5
    touched = np.array([4, 2, 0])
    information = self_information(touched, 8)
    assert information.tolist() == [1.0, 2.0, 3.0]
    assert novelty(lists, information).tolist() == [1.5, 1.0, 0.0]
    assert mean_popularity(lists, touched).tolist() == pytest.approx([0.5, 4 / 6, 0])
    head = short_head(np.array([1, 5, 2, 2]))
    assert head.tolist() == [False, True, False, False]
    assert popularity_share(np.array([[1, 2]], np.int32), head).tolist() == [0.5]


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=12), share=st.sampled_from([0.2, 0.5, 1.0]))
def test_the_short_head_is_the_fewest_that_hold_the_share(counts: list[int], share: float) -> None:
    touched = np.array(counts)
    head = short_head(touched, share)
    held = touched[head].sum()
    assert held >= share * touched.sum() - 1e-9
    if head.any():
        assert held - touched[head].min() < share * touched.sum()
        assert touched[head].min() >= max(touched[~head], default=0)


@pytest.fixture
def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(real("..", "vectors", "recsys_beyond_accuracy.json").read_text())
    return found


def lists_of(reco: list[Any], k: int) -> tuple[list[str], list[str], Any]:
    """(users, items, lists) of rows (user, item, rank), numbered in order of name."""
    named, items = sorted({row[0] for row in reco}), sorted({row[1] for row in reco})
    lists = np.full((len(named), k), -1, np.int32)
    for user, item, rank in reco:
        if rank <= k:
            lists[named.index(user), rank - 1] = items.index(item)
    return named, items, lists


@pytest.mark.data
@pytest.mark.parametrize("k", [1, 2])
def test_novelty_equals_rectools(vectors: dict[str, Any], k: int) -> None:
    known = vectors["miuf"]
    named, items, lists = lists_of(known["reco_user_item_rank"], k)
    touched = np.array([sum(row[1] == item for row in known["inter"]) for item in items])
    information = self_information(touched, len({row[0] for row in known["inter"]}))
    expected = [known[f"k{k}"][user] for user in named]
    assert novelty(lists, information).tolist() == pytest.approx(expected)


@pytest.mark.data
@pytest.mark.parametrize("k", [1, 3])
def test_mean_popularity_equals_rectools(vectors: dict[str, Any], k: int) -> None:
    known = vectors["avg_rec_popularity"]
    _, items, lists = lists_of(known["reco"], k)
    touched = np.array([sum(row[1] == item for row in known["inter"]) for item in items])
    assert mean_popularity(lists, touched).tolist() == pytest.approx(known[f"k{k}_norm"])


@pytest.mark.data
def test_coverage_equals_rectools(vectors: dict[str, Any]) -> None:
    known = vectors["catalog_coverage"]
    rows = list(zip(known["reco_user"], known["item"], known["rank"], strict=True))
    assert coverage(lists_of(rows, known["k"])[2], known["catalog"]) == pytest.approx(known["share"])


@pytest.mark.data
def test_novelty_of_items_equals_recommenders(vectors: dict[str, Any]) -> None:
    known = vectors["ms_recommenders"]
    touched = np.array([known["train"]["item"].count(item) for item in range(1, 6)])
    # there the share is of all interactions
    bits = self_information(touched, len(known["train"]["item"]))
    assert bits.tolist() == pytest.approx(known["item_novelty_bits"], abs=1e-5)
