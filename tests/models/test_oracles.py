"""Kernels against naive numpy written from the papers' formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.models import (
    EASE,
    BiasedMF,
    BiasModel,
    Histories,
    ImplicitALS,
    ItemKNN,
    Popular,
    canonical,
    histories_of,
    positives,
    top_k,
)
from flyball.models.factors import item_side, padded
from flyball.testing.model_checks import sample_interactions


def _dense(data):
    liked = positives(data)
    users_items = np.zeros((len(data.users), len(data.items)))
    users_items[liked.user_index, liked.item_index] = liked.weights
    return users_items


def _known(histories: Histories, row: int) -> slice:
    return slice(histories.indptr[row], histories.indptr[row + 1])


@pytest.mark.parametrize("shrink", [0.0, 7.5])
def test_item_knn_similarity_is_the_shrunk_cosine(shrink):
    data = sample_interactions()
    users_items = _dense(data)
    norms = np.sqrt((users_items**2).sum(axis=0))
    with np.errstate(invalid="ignore"):
        cosines = (users_items.T @ users_items) / (np.outer(norms, norms) + shrink)
    np.fill_diagonal(cosines, 0.0)
    model = ItemKNN(k=6, shrink=shrink)
    learned = model.fit(data, 0)
    for item in range(len(data.items)):
        first, last = learned["near_ptr"][item], learned["near_ptr"][item + 1]
        row = np.nan_to_num(cosines[item])
        best = sorted((j for j in range(len(row)) if row[j] > 0), key=lambda j: (-np.float32(row[j]), j))[:6]
        assert learned["near"][first:last].tolist() == sorted(best)
        assert learned["similarities"][first:last] == pytest.approx(row[sorted(best)], rel=1e-6)


def test_ease_is_its_closed_form():
    data = sample_interactions()
    model = EASE(l2=3.0)
    learned = model.fit(data, 0)
    users_items = _dense(data)[:, learned["kept"]]
    inverse = np.linalg.inv(users_items.T @ users_items + 3.0 * np.eye(users_items.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    assert learned["weights"] == pytest.approx(weights, abs=1e-6)
    histories = histories_of(data, [0, 1, 2])
    scores = model.score(learned, histories)[:, learned["kept"]]
    assert scores == pytest.approx(users_items[:3] @ weights, abs=1e-5)


def test_the_blocked_sweep_inverts_beyond_one_block():
    rng = np.random.default_rng(0)
    data = sample_interactions(users=200, items=203, pairs=6_000)
    learned = EASE(l2=1.0).fit(data, 0)
    users_items = _dense(data)[:, learned["kept"]]
    assert users_items.shape[1] > 128, "more than two blocks of 64 pivots"
    inverse = np.linalg.inv(users_items.T @ users_items + np.eye(users_items.shape[1]))
    row = int(rng.integers(users_items.shape[1]))
    expected = -inverse[row] / np.diag(inverse)
    expected[row] = 0.0
    assert learned["weights"][row] == pytest.approx(expected, abs=1e-6)


def test_ease_keeps_the_most_popular_items():
    data = sample_interactions()
    learned = EASE(items=5).fit(data, 0)
    totals = _dense(data).sum(axis=0)
    assert sorted(learned["kept"].tolist()) == sorted(np.argsort(-totals, kind="stable")[:5].tolist())
    scores = EASE(items=5).score(learned, histories_of(data, [0, 1]))
    assert np.isneginf(np.delete(scores, learned["kept"], axis=1)).all()


def _als_row(y, weights, alpha, reg, frequency, nu):
    """Hu, Koren, Volinsky, equation 4, for one user: (Y'CY + r I)^-1 Y'C p over all items."""
    confidence = 1.0 + alpha * weights
    ridge = reg * (alpha * weights.sum() + frequency) ** nu
    return np.linalg.solve((y.T * confidence) @ y + ridge * np.eye(y.shape[1]), (y.T * confidence) @ (weights > 0))


@pytest.mark.parametrize("factors", [1, 5, 16, 33])
@pytest.mark.parametrize("nu", [0.0, 1.0])
def test_als_folds_in_by_the_papers_equation(factors, nu):
    data = sample_interactions()
    model = ImplicitALS(factors=factors, alpha=3.0, reg=0.1, nu=nu, iterations=2, solver="cholesky")
    learned = model.fit(data, 3)
    histories = histories_of(data, list(range(10)))
    scores, users_items = model.score(learned, histories), _dense(data)
    y = learned["item_factors"].astype(np.float64)
    known = np.isfinite(scores[0])
    for row in range(10):
        x = _als_row(y, users_items[row], 3.0, 0.1, float(learned["settings"][0]), nu)
        assert scores[row, known] == pytest.approx((y @ x)[known], abs=1e-5)


def test_als_half_steps_are_the_papers_equations():
    data = sample_interactions()
    users_items = _dense(data)
    model = ImplicitALS(factors=4, alpha=2.0, reg=0.05, iterations=1, solver="cholesky")
    learned = model.fit(data, 9)
    known_items, known_users = (users_items > 0).any(axis=0), (users_items > 0).any(axis=1)
    y = np.random.default_rng(9).normal(0.0, 0.05, (len(data.items), 4)) * known_items[:, None]
    x = np.array([_als_row(y, row, 2.0, 0.05, known_items.sum(), 1.0) * (row > 0).any() for row in users_items])
    y = np.array([_als_row(x, column, 2.0, 0.05, known_users.sum(), 1.0) for column in users_items.T])
    assert learned["item_factors"][known_items, :4] == pytest.approx(y[known_items], abs=1e-4)


def test_conjugate_gradient_with_many_steps_is_cholesky():
    data = sample_interactions()
    exact = ImplicitALS(factors=8, iterations=3, solver="cholesky").fit(data, 1)
    steps = ImplicitALS(factors=8, iterations=3, solver="cg", cg_steps=25).fit(data, 1)
    assert steps["item_factors"] == pytest.approx(exact["item_factors"], abs=2e-4)


def test_als_lowers_its_loss():
    data = sample_interactions()
    users_items = _dense(data)

    def loss(iterations):
        model = ImplicitALS(factors=8, reg=0.01, nu=0.0, alpha=5.0, iterations=iterations)
        learned = model.fit(data, 1)
        scores = model.score(learned, histories_of(data, list(range(len(data.users)))))
        finite = np.isfinite(scores)
        return (((1 + 5.0 * users_items) * ((users_items > 0) - np.where(finite, scores, 0.0)) ** 2)[finite]).sum()

    assert loss(8) < loss(2) < loss(1)


def test_biased_mf_folds_in_by_ridge_regression():
    data = sample_interactions()
    model = BiasedMF(factors=3, epochs=5, fold_in_reg=2.0, fold_in_reg_bias=0.5)
    learned = model.fit(data, 2)
    histories = histories_of(data, list(range(12)))
    items = np.arange(12, dtype=np.int32)
    predicted = model.predict_rating(learned, histories, items)
    q = learned["item_factors"][:, 1:4].astype(np.float64)
    for row in range(12):
        at = _known(histories, row)
        given = ~np.isnan(histories.ratings[at])
        rated = histories.items[at][given]
        rest = histories.ratings[at][given] - learned["base_ratings"][rated]
        design = np.hstack([np.ones((len(rated), 1)), q[rated]])
        penalty = np.diag([0.5, 2.0, 2.0, 2.0])
        solved = np.linalg.solve(design.T @ design + penalty, design.T @ rest)
        wanted = learned["base_ratings"][items[row]] + solved[0] + q[items[row]] @ solved[1:]
        assert predicted[row] == pytest.approx(np.clip(wanted, *learned["limits"]), abs=1e-4)


def test_one_pass_of_descent_is_the_papers_update():
    data = sample_interactions(users=5, items=9, pairs=25)
    model = BiasedMF(factors=2, epochs=1, learning_rate=0.05, reg=0.1)
    learned = model.fit(data, 4)
    ordered = canonical(data)
    rng = np.random.default_rng(4)
    p, q = rng.normal(0, model.init_std, (5, 2)), rng.normal(0, model.init_std, (9, 2))
    rated = ~np.isnan(ordered.ratings)
    mean, user_bias, item_bias = ordered.ratings[rated].astype(np.float64).mean(), np.zeros(5), np.zeros(9)
    for user in np.argsort(np.random.default_rng([4, 1]).permutation(5)):
        for row in np.flatnonzero((ordered.user_index == user) & rated):
            item = ordered.item_index[row]
            error = ordered.ratings[row] - (mean + user_bias[user] + item_bias[item] + p[user] @ q[item])
            user_bias[user] += 0.05 * (error - 0.1 * user_bias[user])
            item_bias[item] += 0.05 * (error - 0.1 * item_bias[item])
            p[user], q[item] = (
                p[user] + 0.05 * (error * q[item] - 0.1 * p[user]),
                q[item] + 0.05 * (error * p[user] - 0.1 * q[item]),
            )
    seen = np.bincount(ordered.item_index[rated], minlength=9) > 0
    assert learned["item_factors"][seen, 1:3] == pytest.approx(q[seen], abs=1e-5)
    assert learned["base_ratings"][seen] == pytest.approx(mean + item_bias[seen], abs=1e-5)


def test_bias_model_finds_planted_biases():
    rng = np.random.default_rng(0)
    data = sample_interactions(users=80, items=52, pairs=3_000)
    of_users, of_items = rng.normal(0, 0.5, 80), rng.normal(0, 0.5, 52)
    planted = 3.0 + of_users[data.user_index] + of_items[data.item_index]
    data = type(data)(
        **{**{f: getattr(data, f) for f in data.__struct_fields__}, "ratings": planted.astype(np.float32)}
    )
    model = BiasModel(reg_users=0.01, reg_items=0.01, epochs=60)
    learned = model.fit(data, 0)
    histories = histories_of(data, list(range(80)))
    for item in (0, 3, 8):
        predicted = model.predict_rating(learned, histories, np.full(80, item, dtype=np.int32))
        assert predicted == pytest.approx(3.0 + of_users + of_items[item], abs=0.05)


def test_popular_counts_decays_and_smooths():
    data = sample_interactions()
    liked = positives(data)
    totals = np.bincount(liked.item_index, weights=liked.weights, minlength=len(data.items))
    learned = Popular().fit(data, 0)
    assert learned["shares"][0] == pytest.approx(totals / totals.sum(), rel=1e-6)
    age_days = (data.as_of_us - liked.at_us) / 86_400_000_000
    halved = np.bincount(liked.item_index, weights=liked.weights * 0.5 ** (age_days / 7), minlength=len(data.items))
    assert Popular(half_life="7d").fit(data, 0)["shares"][0] == pytest.approx(halved / halved.sum(), rel=1e-5)
    late = np.bincount(liked.item_index, weights=liked.weights * (age_days <= 7), minlength=len(data.items))
    assert Popular(window="7d").fit(data, 0)["shares"][0] == pytest.approx(late / late.sum(), rel=1e-5)
    grouped = Popular(by_group=True, smoothing=20.0)
    shares = grouped.fit(data, 0)["shares"]
    west = liked.user_group[liked.user_index] == 1
    counts = np.bincount(liked.item_index[west], weights=liked.weights[west], minlength=len(data.items))
    assert shares[2] == pytest.approx((counts + 20 * totals / totals.sum()) / (counts.sum() + 20), rel=1e-5)
    histories = histories_of(data, list(range(20)))
    scores = grouped.score({"shares": shares}, histories)
    for row in range(20):
        assert (scores[row] == shares[histories.group[row] + 1]).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, -2.5, 3.0, float("-inf"), float("nan")]), min_size=1, max_size=200),
    st.integers(1, 30),
    st.sets(st.integers(0, 199), max_size=40),
)
def test_top_k_is_a_sort(values, k, excluded):
    excluded = sorted(item for item in excluded if item < len(values))
    scores = np.array([values, values[::-1]], dtype=np.float32)
    left_out = np.array(excluded, dtype=np.int32)
    items, best = top_k(scores, [left_out, left_out[:0]], k)
    for row, without in enumerate([set(excluded), set()]):
        able = [j for j in range(len(values)) if j not in without and scores[row, j] > -np.inf]
        expected = sorted(able, key=lambda j: (-scores[row, j], j))[:k]
        assert items[row].tolist() == expected + [-1] * (k - len(expected))
        assert best[row, : len(expected)].tolist() == [scores[row, j] for j in expected]
        assert np.isneginf(best[row, len(expected) :]).all()


@pytest.mark.parametrize(
    ("items", "factors"), [(1, 1), (15, 7), (16, 8), (17, 9), (511, 64), (513, 64), (1030, 24), (8200, 8)]
)
def test_factor_scores_sum_in_order_of_factors_whatever_the_batch(items, factors):
    from flyball.models.kernels.factors import factor_scores

    rng = np.random.default_rng(items)
    rows = np.zeros((items, padded(factors)), dtype=np.float32)
    rows[:, :factors] = rng.normal(size=(items, factors))
    offsets = rng.normal(size=items).astype(np.float32)
    side = item_side(rows, offsets)
    queries = np.zeros((9, padded(factors)), dtype=np.float32)
    queries[:, :factors] = rng.normal(size=(9, factors))
    expected = np.tile(offsets, (9, 1))
    for factor in range(padded(factors)):  # the definition, one rounding at a time
        expected += queries[:, factor, None] * rows[None, :, factor]
    for size in (1, 3, 4, 5, 8, 9):
        scores = np.empty((size, items), dtype=np.float32)
        factor_scores(queries[:size], side["columns"], side["offsets"], scores)
        assert scores.tobytes() == expected[:size].tobytes()


def test_the_sixteen_lanes_add_in_the_stated_order():
    from numba import njit

    from flyball.models.kernels.lanes import dot

    @njit
    def call(left, right):
        return dot(left, right)

    rng = np.random.default_rng(1)
    for size in (16, 64, 112):
        left, right = rng.normal(size=(2, size)).astype(np.float32)
        lanes = np.zeros(16, dtype=np.float32)
        for start in range(0, size, 16):
            lanes = lanes + left[start : start + 16] * right[start : start + 16]
        while len(lanes) > 1:
            lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
        assert np.float32(call(left, right)) == lanes[0]
