"""A population is its own null: few false discoveries in it, though a part of it is foreign."""

import numpy as np
import pytest

from flyball.core import BadInput
from flyball.statistics import benjamini_hochberg, upper_tail_p_values

DRAWS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "exponential": lambda rng, n: rng.standard_exponential(n),
    "logistic": lambda rng, n: rng.logistic(size=n),
}


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_few_populations_have_any_discovery(name: str) -> None:
    rng = np.random.default_rng(1)
    with_any = 0
    for _ in range(200):
        size = rng.random(1_000)
        scores = DRAWS[name](rng, 1_000) * (1 + size) + 3 * size  # those of another size have another scale and level
        with_any += bool((benjamini_hochberg(upper_tail_p_values(scores, size)) <= 0.05).any())
    assert with_any <= 24, "5 % of 200, and three standard errors, and the estimate of the rate on top"


def test_foreign_scores_stand_out_though_all_are_of_one_size() -> None:
    rng = np.random.default_rng(2)
    size = np.r_[rng.random(1_000), np.full(30, 0.9)]
    scores = np.r_[rng.standard_normal(1_000), np.full(30, 9.0)]
    p = upper_tail_p_values(scores, size)
    assert (benjamini_hochberg(p)[1_000:] < 0.01).all()


def test_p_values_fall_as_scores_rise() -> None:
    scores = np.random.default_rng(3).standard_normal(300)
    p = upper_tail_p_values(scores, np.ones(300))
    order = np.argsort(scores)
    assert (np.diff(p[order]) <= 0).all()
    assert 0 < p.min() < 0.01
    assert p.max() == 1


def test_only_usual_scores_show_what_is_usual() -> None:
    scores = np.r_[np.random.default_rng(4).standard_normal(300), np.full(100, 7.0)]
    usual = np.arange(400) < 300
    among_all, among_usual = (upper_tail_p_values(scores, np.ones(400), usual=shown) for shown in (None, usual))
    assert among_usual[300:].max() < 1e-3 < among_all[300:].max()


def test_equal_scores_are_no_discoveries() -> None:
    assert upper_tail_p_values(np.zeros(400), np.ones(400)).min() >= 0.1
    mostly = np.r_[np.zeros(395), np.ones(5)]
    assert upper_tail_p_values(mostly, np.ones(400), least_scale=1.0).min() > 0.01
    assert upper_tail_p_values([], []).shape == (0,)


def test_sizes_must_fit() -> None:
    with pytest.raises(BadInput, match="sizes must be one for each of 3 scores"):
        upper_tail_p_values([1, 2, 3], [1, 2])
