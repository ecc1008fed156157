"""Neighbors, SVD++, BPR, SLIM, next item and blends against naive numpy written from the papers' formulas."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.models import (
    BPR,
    EASE,
    SLIM,
    BiasedMF,
    BiasModel,
    Blend,
    GlobalMean,
    ImplicitALS,
    NextItem,
    Random,
    RatingBlend,
    RatingKNN,
    SVDpp,
    UserKNN,
    canonical,
    histories_of,
    positives,
    rated,
    select_rows,
)
from flyball.models.data import order_by
from flyball.models.recommenders.block_sgd import cells_of, side_by_side
from flyball.testing.model_checks import sample_interactions


def _dense(data):
    liked = positives(data)
    users_items = np.zeros((len(data.users), len(data.items)))
    users_items[liked.user_index, liked.item_index] = liked.weights
    return users_items


def test_user_knn_sums_the_rows_of_the_nearest_users():
    data = sample_interactions()
    users_items, model = _dense(data), UserKNN(k=5, shrink=2.0)
    norms = np.sqrt((users_items**2).sum(axis=1))
    scores = model.score(model.fit(data, 0), histories_of(data, list(range(10))))
    for user in range(10):
        dots = users_items @ users_items[user]
        cosines = np.where(dots > 0, dots / (norms * norms[user] + 2.0), 0.0).astype(np.float32)
        best = sorted(np.flatnonzero(cosines > 0), key=lambda v: (-cosines[v], v))[:5]
        expected = (cosines[best, None] * users_items[best]).sum(axis=0)
        finite = np.isfinite(scores[user])
        assert (finite == (expected > 0)).all()
        assert scores[user, finite] == pytest.approx(expected[finite], rel=1e-5)


def _rest(data, adjusted, reg_users=15.0, item_bias=None, mean=None):
    """Dense ratings less the baseline, nan where none."""
    given = rated(data)
    ratings = np.full((len(data.users), len(data.items)), np.nan)
    ratings[given.user_index, given.item_index] = given.ratings
    if adjusted:
        counts = np.maximum((~np.isnan(ratings)).sum(axis=1), 1)
        return ratings - (np.nansum(ratings, axis=1) / counts)[:, None]
    rest = ratings - mean - item_bias
    user_bias = np.nansum(rest, axis=1) / ((~np.isnan(rest)).sum(axis=1) + reg_users)
    return rest - user_bias[:, None]


@pytest.mark.parametrize("similarity", ["pearson_baseline", "adjusted_cosine"])
def test_rating_knn_is_the_shrunk_correlation_and_the_weighted_mean(similarity):
    data = sample_interactions()
    model = RatingKNN(k=4, shrink=3.0, similarity=similarity)
    learned = model.fit(data, 0)
    mean, item_bias = float(learned["mean"][0]), learned["item_bias"]
    rest = _rest(data, similarity == "adjusted_cosine", item_bias=item_bias, mean=mean)
    size = len(data.items)
    expected = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            both = ~np.isnan(rest[:, i]) & ~np.isnan(rest[:, j])
            n = both.sum()
            if i != j and n > 1:
                dot = (rest[both, i] * rest[both, j]).sum()
                scale = np.sqrt((rest[both, i] ** 2).sum() * (rest[both, j] ** 2).sum())
                expected[i, j] = max(0.0, dot / scale * (n - 1) / (n - 1 + 3.0)) if dot > 0 else 0.0
    for i in range(size):
        part = slice(learned["near_ptr"][i], learned["near_ptr"][i + 1])
        found = np.zeros(size)
        found[learned["near"][part]] = learned["similarities"][part]
        assert found == pytest.approx(expected[i], abs=1e-5)
        assert (np.diff(learned["similarities"][part]) <= 0).all()
    around = _rest(data, False, item_bias=item_bias, mean=mean)
    users = np.arange(12)
    items = (users * 3 + 1).astype(np.int32)
    predicted = model.predict_rating(learned, histories_of(data, users), items)
    for user, item, got in zip(users, items, predicted, strict=True):
        near = [j for j in np.argsort(-expected[item], kind="stable") if expected[item, j] > 0]
        near = [j for j in near if not np.isnan(around[user, j])][:4]
        given = rated(data)
        mine = given.user_index == user
        plain = given.ratings[mine] - mean - item_bias[given.item_index[mine]]
        user_bias = plain.sum() / (mine.sum() + 15.0)
        weight = sum(expected[item, j] for j in near)
        pull = sum(expected[item, j] * around[user, j] for j in near) / weight if near else 0.0
        wanted = np.clip(mean + user_bias + item_bias[item] + pull, *learned["limits"])
        assert got == pytest.approx(wanted, abs=1e-4)


def test_one_pass_of_svdpp_is_the_papers_update_with_the_sum_fixed_for_a_user():
    data = sample_interactions(users=5, items=9, pairs=25)
    model = SVDpp(factors=2, epochs=1, learning_rate=0.05, reg=0.1)
    learned = model.fit(data, 4)
    given = rated(data)
    rng = np.random.default_rng(4)
    p, q, y = (rng.normal(0, model.init_std, (n, 2)) for n in (5, 9, 9))
    seen = np.bincount(given.item_index, minlength=9) > 0
    y[~seen] = 0.0
    mean, user_bias, item_bias = given.ratings.astype(np.float64).mean(), np.zeros(5), np.zeros(9)
    for user in rng.permutation(5):
        rows = np.flatnonzero(given.user_index == user)
        if not len(rows):
            continue
        norm = len(rows) ** -0.5
        total, wanted = norm * y[given.item_index[rows]].sum(axis=0), np.zeros(2)
        for row in rows:
            item = given.item_index[row]
            fit = mean + user_bias[user] + item_bias[item] + q[item] @ (p[user] + total)
            step = 0.05 * (given.ratings[row] - fit)
            user_bias[user] += step - 0.005 * user_bias[user]
            item_bias[item] += step - 0.005 * item_bias[item]
            wanted += step * q[item]
            p[user], q[item] = (
                p[user] + step * q[item] - 0.005 * p[user],
                q[item] + step * (p[user] + total) - 0.005 * q[item],
            )
        y[given.item_index[rows]] = 0.995 ** len(rows) * y[given.item_index[rows]] + norm * wanted
    assert learned["item_factors"][seen, 1:3] == pytest.approx(q[seen], abs=1e-5)
    assert learned["implicit"][seen, 1:3] == pytest.approx(y[seen], abs=1e-5)


def test_slim_meets_the_conditions_of_its_optimum():
    data = sample_interactions(users=120, items=30, pairs=1_200)
    l1, l2 = 0.3, 2.0
    learned = SLIM(l1=l1, l2=l2, sweeps=500).fit(data, 0)
    users_items, size = _dense(data), len(data.items)
    weights = np.zeros((size, size))
    for j in range(size):
        part = slice(learned["near_ptr"][j], learned["near_ptr"][j + 1])
        weights[j, learned["near"][part]] = learned["similarities"][part]
    gradient = users_items.T @ (users_items @ weights - users_items) + l2 * weights + l1
    np.fill_diagonal(gradient, 0.0)
    assert (weights >= 0).all()
    assert (np.diag(weights) == 0).all()
    assert (weights > 0).sum() > size, "most items have neighbors"
    assert np.abs(gradient[weights > 0]).max() < 0.02
    assert gradient[weights == 0].min() > -0.02


def test_next_item_counts_what_follows_what():
    data = sample_interactions()
    model = NextItem(k=100, window=3, back=0.4, norm=0.5, shrink=1.0, decay=0.5)
    learned, liked, size = model.fit(data, 0), positives(data), len(data.items)
    strength = np.zeros((size, size))
    for user in range(len(data.users)):
        rows = np.flatnonzero(liked.user_index == user)
        rows = rows[np.lexsort((liked.item_index[rows], liked.at_us[rows]))]
        for t, a in enumerate(rows):
            for s, b in enumerate(rows):
                if 0 < abs(s - t) <= 3:
                    share = (1.0 if s > t else 0.4) / abs(s - t)
                    strength[liked.item_index[a], liked.item_index[b]] += share * liked.weights[a] * liked.weights[b]
    counts = np.bincount(liked.item_index, minlength=size)
    strength /= np.sqrt(np.outer(counts, counts)) + 1.0
    histories = histories_of(data, list(range(8)))
    scores = model.score(learned, histories)
    for row in range(8):
        part = slice(histories.indptr[row], histories.indptr[row + 1])
        expected, share = np.zeros(size), 1.0
        for item, weight in zip(histories.items[part][::-1], histories.weights[part][::-1], strict=True):
            expected += weight * share * strength[item]
            share *= 0.5 if weight > 0 else 1.0
        finite = np.isfinite(scores[row])
        assert (finite == (expected > 0)).all()
        assert scores[row, finite] == pytest.approx(expected[finite], rel=1e-4)


def test_next_item_finds_a_planted_successor():
    rng = np.random.default_rng(0)
    successor = rng.permutation(40)
    users, items = [], []
    for user in range(200):
        item = int(rng.integers(40))
        for _ in range(6):
            users.append(user)
            items.append(item)
            item = int(successor[item])
    data = sample_interactions(users=200, items=42, pairs=len(users))
    rows = {"user_index": np.array(users, np.int32), "item_index": np.array(items, np.int32)}
    more = {"weights": np.ones(len(users), np.float32), "ratings": np.full(len(users), np.nan, np.float32)}
    data = msgspec.structs.replace(data, **rows, **more, at_us=np.arange(len(users), dtype=np.int64))
    model = NextItem(decay=0.3, back=0.1)
    learned = model.fit(data, 0)
    for item in range(0, 40, 7):
        assert int(np.argmax(model.similar(learned, item))) == successor[item] or successor[item] == item


def test_one_pass_of_bpr_is_the_papers_update():
    from flyball.models.kernels.pairwise import rank_pairs

    users, items = np.array([0, 0, 1], np.int32), np.array([1, 3, 2], np.int32)
    rng = np.random.default_rng(1)
    p, q = np.zeros((2, 16), np.float32), np.zeros((6, 16), np.float32)
    p[:, :3], q[:, :3] = rng.normal(size=(2, 3)), rng.normal(size=(6, 3))
    bias = rng.normal(size=6).astype(np.float32)
    wanted_p, wanted_q, wanted_bias = p.astype(np.float64), q.astype(np.float64), bias.astype(np.float64)
    weights, part = np.array([1.0, 0.25, 1.0], np.float32), np.array([0, 1, 2, 3, 4, 5], np.int32)
    state, visited = 12345, 0
    for user, liked, weight in zip(users, items, weights, strict=True):
        state ^= state << 13 & (2**64 - 1)
        state ^= state >> 7
        state ^= state << 17 & (2**64 - 1)
        other = ((state >> 32) * 6) >> 32
        if other in items[users == user]:
            continue
        visited += 1
        x, y, z = wanted_p[user].copy(), wanted_q[liked].copy(), wanted_q[other].copy()
        step = 0.1 * weight / (1 + np.exp(wanted_bias[liked] - wanted_bias[other] + x @ (y - z)))
        wanted_bias[liked] += step - 0.002 * wanted_bias[liked]
        wanted_bias[other] += -step - 0.002 * wanted_bias[other]
        wanted_p[user] += step * (y - z) - 0.002 * x
        wanted_q[liked] += step * x - 0.002 * y
        wanted_q[other] += -step * x - 0.002 * z
    rank_pairs(users, items, weights, 0, 3, part, 0, 6, 12345, 0.1, 0.02, bias, p, q)
    assert visited >= 1
    assert p == pytest.approx(wanted_p, abs=1e-5)
    assert q == pytest.approx(wanted_q, abs=1e-5)
    assert bias == pytest.approx(wanted_bias, abs=1e-5)


def test_bpr_folds_in_by_ridge_regression_on_the_profiles():
    from flyball.models.kernels.pairwise import linear_map, profiles

    data = sample_interactions()
    learned = BPR(factors=5, epochs=3).fit(data, 0)
    users_items, q = _dense(data), learned["item_factors"].astype(np.float64)
    histories = histories_of(data, list(range(20)))
    inputs = np.empty((20, q.shape[1]), np.float32)
    profiles(histories.indptr, histories.items, histories.weights, learned["item_factors"], inputs)
    totals = users_items.sum(axis=1)[:20, None]
    assert inputs == pytest.approx(users_items[:20] @ q / np.sqrt(np.maximum(totals, 1e-9)), abs=1e-5)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 50, 16)).astype(np.float32)
    mapped = np.empty((16, 16))
    linear_map(left, right, 0.1, mapped)
    wide = left.astype(np.float64)
    ridge = 0.1 * np.trace(wide.T @ wide) / 16 * np.eye(16)
    assert mapped == pytest.approx(np.linalg.solve(wide.T @ wide + ridge, wide.T @ right), abs=1e-8)


def test_a_blend_leans_on_the_component_that_is_right():
    rng = np.random.default_rng(3)
    taste, trait = rng.integers(0, 4, 300), rng.integers(0, 4, 60)
    likes = (taste[:, None] == trait[None, :]) & (rng.random((300, 60)) < 0.7)
    users, items = np.nonzero(likes)
    data = sample_interactions(users=300, items=62, pairs=len(users))
    rows = {"user_index": users.astype(np.int32), "item_index": items.astype(np.int32)}
    more = {"weights": np.ones(len(users), np.float32), "ratings": np.full(len(users), np.nan, np.float32)}
    data = msgspec.structs.replace(data, **rows, **more, at_us=np.arange(len(users), dtype=np.int64))
    weights = Blend((Random(), EASE(l2=20.0))).fit(data, 0)["weights"]
    assert weights.sum() == pytest.approx(1.0)
    assert weights[1] > 0.7


def test_a_rating_blend_finds_planted_weights():
    data = sample_interactions(users=200, items=40, pairs=4_000)
    blend = RatingBlend((BiasModel(), GlobalMean()), reg=1e-6)
    weights = blend.fit(data, 0)["weights"]
    assert weights.sum() == pytest.approx(1.0, abs=0.1), "both predict the mean of all, so the weights add up to one"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=60))
def test_counting_order_is_a_stable_sort(keys):
    keys = np.array(keys, dtype=np.int32)
    assert order_by(keys, 10).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("rows", [0, 1, 50, 40_000])
def test_cells_hold_every_row_once_and_a_rounds_cells_share_nothing(rows):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 300, rows).astype(np.int32), rng.integers(0, 200, rows).astype(np.int32)
    cells = cells_of(users, items, 300, 200, np.random.default_rng(1))
    assert sorted(cells.order.tolist()) == list(range(rows))
    assert cells.blocks == (3 if rows == 40_000 else 1)
    visited = []
    with side_by_side() as run:
        run(lambda cell, block, part: visited.append((cell, block, part)), list(range(cells.blocks)))
    assert sorted(cell for cell, _, _ in visited) == list(range(cells.blocks**2))
    for cell, block, part in visited:
        own = cells.order[cells.pointers[cell] : cells.pointers[cell + 1]]
        inside = cells.part_items[cells.part_ptr[part] : cells.part_ptr[part + 1]]
        assert np.isin(items[own], inside).all()
        others = np.concatenate(
            [
                cells.order[cells.pointers[b * cells.blocks + c] : cells.pointers[b * cells.blocks + c + 1]]
                for b in range(cells.blocks)
                for c in range(cells.blocks)
                if b != block
            ]
            or [np.empty(0, np.int64)]
        )
        assert not np.intersect1d(users[own], users[others]).size


def test_canonical_order_whatever_the_order_given():
    data = sample_interactions()
    order = np.random.default_rng(2).permutation(len(data.user_index))
    columns = ("user_index", "item_index", "weights", "ratings", "at_us")
    mixed = msgspec.structs.replace(data, **{name: getattr(data, name)[order] for name in columns})
    for name in columns:
        assert getattr(canonical(mixed), name).tobytes() == getattr(canonical(data), name).tobytes()


def _planted(seed=0):
    """400 users, 120 items, three tastes; ratings follow them, the time is random."""
    rng = np.random.default_rng(seed)
    data = sample_interactions(users=400, items=122, pairs=12_000, seed=seed)
    tastes, traits = rng.normal(size=(400, 3)), rng.normal(size=(122, 3))
    stars = 3 + (tastes[data.user_index] * traits[data.item_index]).sum(axis=1) * 0.6
    weights = (stars > 3).astype(np.float32)
    ratings = np.clip(np.round(stars), 1, 5).astype(np.float32)
    return msgspec.structs.replace(data, weights=weights, ratings=ratings)


def test_an_update_of_als_ends_at_the_loss_of_a_fit():
    data, model = _planted(), ImplicitALS(factors=8, reg=2.0, nu=0.0, alpha=5.0, iterations=15)
    users_items = _dense(data)

    def loss(learned):
        scores = model.score(learned, histories_of(data, list(range(400))))
        x = model.folded(learned, histories_of(data, list(range(400))))
        scores = np.where(np.isfinite(scores), scores, 0.0)
        errors = ((1 + 5.0 * users_items) * ((users_items > 0) - scores) ** 2).sum()
        return errors + 2.0 * ((x**2).sum() + (learned["item_factors"] ** 2).sum())

    before = model.fit(select_rows(data, data.at_us < np.quantile(data.at_us, 0.8)), 0)
    assert loss(model.update(before, data.items, data, 0)) < 1.01 * loss(model.fit(data, 0))


def test_an_update_of_svd_ends_at_the_error_of_a_fit():
    data, model = _planted(), BiasedMF(factors=8, fold_in_reg=3.0)
    held = np.random.default_rng(5).random(len(data.user_index)) < 0.1
    train, test = select_rows(data, ~held), select_rows(data, held)

    def rmse(learned):
        predicted = model.predict_rating(learned, histories_of(train, test.user_index), test.item_index)
        return np.sqrt(np.mean((predicted - test.ratings) ** 2))

    before = model.fit(select_rows(train, train.at_us < np.quantile(train.at_us, 0.8)), 0)
    assert rmse(model.update(before, train.items, train, 0)) < 1.01 * rmse(model.fit(train, 0))
