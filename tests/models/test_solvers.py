"""Solvers of one model agree: with the exact solution, and with each other in the loss they leave."""

import tracemalloc

import numpy as np
import pytest
from tests.models.losses import _dense, als_loss

from flyball.models import EASE, BiasedMF, ImplicitALS, Interactions, SparseEASE, rated
from flyball.testing.model_checks import sample_interactions


def _weights(learned: dict[str, np.ndarray], size: int) -> np.ndarray:
    """The sparse rows as a dense matrix: row j, column i holds what liking j adds to i."""
    dense = np.zeros((size, size))
    for j in range(size):
        part = slice(learned["near_ptr"][j], learned["near_ptr"][j + 1])
        dense[j, learned["near"][part]] = learned["similarities"][part]
    return dense


def _ease_loss(users_items: np.ndarray, weights: np.ndarray, l2: float) -> float:
    return float(((users_items - users_items @ weights) ** 2).sum() + l2 * (weights**2).sum())


def test_sparse_ease_with_every_item_in_every_block_is_ease() -> None:
    data = sample_interactions(users=200, items=20, pairs=2_500)
    sparse = _weights(SparseEASE(l2=5.0, candidates=50).fit(data, 0), 20)
    full = EASE(l2=5.0).fit(data, 0)
    dense = np.zeros((20, 20))
    dense[np.ix_(full["kept"], full["kept"])] = full["weights"]
    assert sparse == pytest.approx(dense, abs=1e-5)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_each_column_of_sparse_ease_is_a_ridge_regression_on_its_block(shared: float) -> None:
    data = sample_interactions(users=80, items=30, pairs=700)
    users_items = _dense(data)
    weights = _weights(SparseEASE(l2=4.0, candidates=6, shared=shared).fit(data, 0), 30)
    checked = 0
    for item in range(30):
        block = np.flatnonzero(weights[:, item])
        if not len(block):
            continue
        assert len(block) <= 6
        own = users_items[:, block]
        right = np.linalg.solve(own.T @ own + 4.0 * np.eye(len(block)), own.T @ users_items[:, item])
        assert weights[block, item] == pytest.approx(right, abs=1e-5)
        checked += 1
    assert checked > 20


def test_sparse_ease_comes_near_the_full_ones_loss() -> None:
    """With a quarter of the items as candidates at most an eighth of what the full one gains is lost."""
    data = sample_interactions(users=300, items=60, pairs=4_000)
    users_items, l2 = _dense(data), 20.0
    full = EASE(l2=l2).fit(data, 0)
    dense = np.zeros((60, 60))
    dense[np.ix_(full["kept"], full["kept"])] = full["weights"]
    nothing, best = (_ease_loss(users_items, weights, l2) for weights in (np.zeros((60, 60)), dense))
    left = [
        _ease_loss(users_items, _weights(SparseEASE(l2=l2, candidates=size).fit(data, 0), 60), l2)
        for size in (2, 15, 59)
    ]
    assert nothing > left[0] > left[1] > left[2] >= best * (1 - 1e-9)
    assert left[1] - best < 0.125 * (nothing - best)


def test_the_memory_of_sparse_ease_does_not_grow_with_the_square_of_the_items() -> None:
    items = 6_000
    data = sample_interactions(users=1_500, items=items, pairs=12_000)
    model = SparseEASE(candidates=20)
    model.fit(sample_interactions(), 0)  # compiled
    tracemalloc.start()
    learned = model.fit(data, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(array.nbytes for array in learned.values()) <= 8 * items * (20 + 1) + 8
    assert peak < items * items


def test_one_block_of_all_factors_is_the_exact_half_step() -> None:
    data = sample_interactions()
    exact = ImplicitALS(factors=12, iterations=3, solver="cholesky").fit(data, 1)
    blocks = ImplicitALS(factors=12, iterations=3, solver="block", block=16).fit(data, 1)
    assert blocks["item_factors"] == pytest.approx(exact["item_factors"], abs=1e-4)


@pytest.mark.parametrize("block", [4, 6, 16])
@pytest.mark.parametrize("nu", [1.0, 0.0])
def test_blocks_of_factors_leave_the_loss_of_the_full_solver(block: int, nu: float) -> None:
    data = sample_interactions(users=150, items=60, pairs=2_500)
    shape = {"factors": 32, "iterations": 60, "nu": nu, "alpha": 10.0, "reg": 0.05 if nu else 3.0}
    full = als_loss(ImplicitALS(**shape, solver="cholesky"), data)
    assert als_loss(ImplicitALS(**shape, solver="block", block=block), data) == pytest.approx(full, rel=1e-3)


def _rating_loss(model: BiasedMF, data: Interactions) -> float:
    """Squared error plus reg per rating, biases and users solved exactly for the items found."""
    ratings = rated(data)
    learned = model.fit(data, 1)
    q = learned["item_factors"][:, 1 : model.factors + 1].astype(np.float64)
    mean = ratings.ratings.astype(np.float64).mean()
    base, total = learned["base_ratings"].astype(np.float64) - mean, 0.0
    for user in range(len(data.users)):
        mine = ratings.user_index == user
        if not mine.any():
            continue
        items, count = ratings.item_index[mine], mine.sum()
        own = np.hstack([np.ones((count, 1)), q[items]])
        rest = ratings.ratings[mine] - mean - base[items]
        x = np.linalg.solve(own.T @ own + model.reg * count * np.eye(own.shape[1]), own.T @ rest)
        total += ((rest - own @ x) ** 2).sum() + model.reg * count * (x**2).sum()
    counts = np.bincount(ratings.item_index, minlength=len(base))
    return float(total + model.reg * (counts * (base**2 + (q**2).sum(axis=1)))[counts > 0].sum())


def test_one_round_of_alternating_least_squares_is_the_papers_equations() -> None:
    data = sample_interactions(users=30, items=20, pairs=350)
    model = BiasedMF(factors=3, epochs=1, reg=0.2, solver="als")
    learned, ratings = model.fit(data, 2), rated(data)
    start = model._drawn(ratings, 2)
    mean = ratings.ratings.astype(np.float64).mean()
    rest, y = ratings.ratings - mean, np.hstack([np.zeros((20, 1)), start["q"][:, :3]]).astype(np.float64)
    x = np.zeros((30, 4))
    for rows, index, solved, fixed in (
        (ratings.user_index, ratings.item_index, x, y),
        (ratings.item_index, ratings.user_index, y, x),
    ):
        for row in range(len(solved)):
            mine = rows == row
            if mine.any():
                own = np.hstack([np.ones((mine.sum(), 1)), fixed[index[mine], 1:]])
                right = own.T @ (rest[mine] - fixed[index[mine], 0])
                solved[row] = np.linalg.solve(own.T @ own + 0.2 * mine.sum() * np.eye(4), right)
    seen = np.bincount(ratings.item_index, minlength=20) > 0
    assert learned["item_factors"][seen, 1:4] == pytest.approx(y[seen, 1:], abs=1e-4)
    assert learned["base_ratings"][seen] == pytest.approx(mean + y[seen, 0], abs=1e-4)


def test_alternating_least_squares_leaves_no_more_loss_than_descent() -> None:
    data = sample_interactions(users=200, items=60, pairs=4_000)
    descent = _rating_loss(BiasedMF(factors=8, epochs=300, reg=0.1), data)
    exact = _rating_loss(BiasedMF(factors=8, epochs=30, reg=0.1, solver="als"), data)
    assert exact < descent * 1.01
