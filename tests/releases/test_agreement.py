"""Agreement of two responses, against naive computations and values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.releases import BOUNDED, agreement, rank_biased_overlap
from flyball.tasks import RankedItem, Response


def ranked(*scores: tuple[str, float]) -> Response:
    return Response(tuple(RankedItem(item, score) for item, score in scores))


def naive_rbo(first: list[str], second: list[str], p: float) -> float:
    """Equation 32 of Webber, Moffat and Zobel (2010), term by term."""
    short, long = sorted((first, second), key=len)
    s, l = len(short), len(long)  # noqa: E741  as in the paper
    if not s:
        return float(not l)
    x = [len(set(short[:depth]) & set(long[:depth])) for depth in range(l + 1)]
    seen = sum(x[d] / d * p**d for d in range(1, l + 1))
    assumed = sum(x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, l + 1))
    return (1 - p) / p * (seen + assumed) + ((x[l] - x[s]) / l + x[s] / s) * p**l


lists = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=8)


@given(lists, lists, st.floats(0.1, 0.99))
def test_rank_biased_overlap_is_that_of_the_paper(first: list[str], second: list[str], p: float) -> None:
    found = rank_biased_overlap(first, second, p)
    assert found == pytest.approx(naive_rbo(first, second, p), abs=1e-12)
    assert found == rank_biased_overlap(second, first, p)
    assert 0.0 <= found <= 1.0


def test_rank_biased_overlap_of_the_same_list_is_1_and_of_strangers_0() -> None:
    assert rank_biased_overlap(list("abc"), list("abc")) == pytest.approx(1.0)
    assert rank_biased_overlap(list("abc"), list("xyz")) == 0.0
    assert rank_biased_overlap([], []) == 1.0
    # agreement at the top counts for more than agreement at the end
    assert rank_biased_overlap(list("abxy"), list("abcd")) > rank_biased_overlap(list("xyab"), list("cdab"))


@given(lists, lists)
def test_lists_are_measured_like_sets_and_places(first: list[str], second: list[str]) -> None:
    served = ranked(*((item, float(-place)) for place, item in enumerate(first)))
    answered = ranked(*((item, 10.0 - place) for place, item in enumerate(second)))
    measured = agreement(served, answered)
    if not first and not second:
        assert measured == {}
        return
    both = set(first) & set(second)
    assert measured["overlap"] == len(both) / max(len(first), len(second))
    assert measured["same_first"] == float(bool(first) and first[:1] == second[:1])
    if both:
        shifts = [abs(first.index(item) - second.index(item)) for item in both]
        assert measured["rank_shift"] == pytest.approx(np.mean(shifts))
        moved = [10.0 - second.index(item) + first.index(item) for item in both]
        assert measured["score_difference"] == pytest.approx(np.mean(moved))
    else:
        assert not {"rank_shift", "score_difference"} & set(measured)
    assert all(0.0 <= measured[name] <= 1.0 for name in BOUNDED if name in measured)


def test_values_decisions_and_classes() -> None:
    names = ("cat", "dog", "emu")
    served, other = Response(values=(0.5, 0.3, 0.2), decision="review"), Response(values=(0.2, 0.7, 0.1))
    measured = agreement(served, other, names)
    assert measured["cat_difference"] == pytest.approx(-0.3)
    assert measured["cat_distance"] == pytest.approx(0.3)
    assert (measured["same_class"], measured["same_decision"]) == (0.0, 0.0)
    assert agreement(served, served, names)["same_class"] == 1.0
    minutes = agreement(Response(values=(20.0, 30.0, 45.0)), Response(values=(21.0, 30.0, 41.0)), ("q10", "q50", "q90"))
    assert "same_class" not in minutes
    assert (minutes["q10_difference"], minutes["q90_difference"], minutes["q90_distance"]) == (1.0, -4.0, 4.0)
    assert agreement(Response(values=(1.0,)), Response(), ("value",)) == {}
