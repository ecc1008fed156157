"""Adjusted p-values against published ones and brute-force definitions; e-BH against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.statistics.vectors import vectors

from flyball.core import BadInput
from flyball.statistics import benjamini_hochberg, e_benjamini_hochberg, holm, p_of_e

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_growthbooks_and_expans() -> None:
    known = vectors("gbstats_misc")
    case = known["benjamini_hochberg"]
    assert benjamini_hochberg(case["p"]) == pytest.approx(case["adjusted_in_input_order"])
    assert holm(known["holm_vs_bh"]["p"]) == pytest.approx(known["holm_vs_bh"]["holm"])
    assert benjamini_hochberg(known["holm_vs_bh"]["p"]) == pytest.approx(known["holm_vs_bh"]["bh"])
    for case in vectors("experiment_design")["corrected_alpha"]:
        if case["method"] == "bh":  # expan gives the level at which raw p-values are discoveries
            rejected = benjamini_hochberg(case["p"]) <= case["alpha"]
            assert rejected.tolist() == [p <= case["out"] for p in case["p"]]
        else:
            assert case["out"] == case["alpha"] / len(case["p"])


@given(P_VALUES, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_its_steps_do(p_values: list[float], alpha: float) -> None:
    expected = set()
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        expected.add(int(index))
    assert set(np.flatnonzero(holm(p_values) <= alpha).tolist()) == expected


@given(P_VALUES, st.sampled_from([0.01, 0.05, 0.2]))
def test_benjamini_hochberg_rejects_what_its_line_does(p_values: list[float], alpha: float) -> None:
    p = np.array(p_values)
    adjusted = benjamini_hochberg(p)
    below = [k for k in range(1, len(p) + 1) if np.sort(p)[k - 1] * len(p) / k <= alpha]
    expected = p <= np.sort(p)[max(below) - 1] if below else np.zeros(len(p), dtype=bool)
    assert ((adjusted <= alpha) == expected).all()
    assert benjamini_hochberg(p, np.full(len(p), 3.0)) == pytest.approx(adjusted)


def test_weights_move_the_rate() -> None:
    assert benjamini_hochberg([0.04, 0.9], [1.8, 0.2])[0] == pytest.approx(0.04 / 1.8 * 2)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=10))
def test_e_bh_is_bh_of_inverse_e_values(e_values: list[float]) -> None:
    p = np.minimum(1.0, 1 / np.maximum(e_values, 1e-300))
    expected = benjamini_hochberg(p) <= 0.05
    near = np.isclose(benjamini_hochberg(p), 0.05, rtol=1e-9)
    assert (e_benjamini_hochberg(e_values) == expected)[~near].all()


def test_p_of_a_sequence_never_rises() -> None:
    assert p_of_e([-1.0, 1.0, 0.0]).tolist() == pytest.approx([1.0, np.exp(-1), np.exp(-1)])


def test_bad_arguments_are_refused() -> None:
    for call, message in [
        (lambda: holm([1.2]), "p-values"),
        (lambda: benjamini_hochberg([0.1], [0.0]), "above 0"),
        (lambda: e_benjamini_hochberg([-1.0]), "0 or above"),
        (lambda: p_of_e([0.0, np.nan]), "log e-values"),
        (lambda: p_of_e(1.0), "log e-values"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def test_holm_by_hand() -> None:
    """3 x .01; 2 x .03; 1 x .04, which is no less than what stands before it."""
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("wrong", [[[0.1, 0.2], [0.3, 0.01]], 0.1])
def test_only_a_single_family_of_tests_is_adjusted(wrong: object) -> None:
    """Several rows could be several families, or one: ours to refuse, not to guess."""
    for correct in (holm, benjamini_hochberg, e_benjamini_hochberg):
        with pytest.raises(BadInput, match=r"-values must be of shape \(n,\), one dimension, got"):
            correct(wrong)  # type: ignore[operator]


def test_no_tests_have_no_discoveries() -> None:
    assert holm([]).tolist() == benjamini_hochberg([]).tolist() == e_benjamini_hochberg([]).tolist() == []
