"""Fit times and accuracy beside the libraries people would otherwise take, on the same data in the same run.

Run: python benchmarks/models.py [--pairs 1000000] [--factors 64] [--accuracy]
Peers (`implicit`, `scikit-surprise`) are skipped, and said to be, when not installed: pip install "flyball[bench]".
Real data is read from $FLYBALL_DATA (default ../shared/data) and skipped when absent.
"""

import argparse
import importlib
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flyball.models import (
    EASE,
    BiasedMF,
    BiasModel,
    GlobalMean,
    ImplicitALS,
    Interactions,
    ItemKNN,
    Popular,
    Random,
    Recommender,
    histories_of,
    top_k,
)

DATA = Path(os.environ.get("FLYBALL_DATA", "../shared/data"))


def peer(name: str) -> Any:
    """The module, or None with a line that says so."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  {name} is not installed: skipped")
        return None


def power_law(pairs: int, seed: int = 0) -> Interactions:
    """`pairs` distinct pairs, one user for 100, popularity and activity by power laws; ratings with planted factors."""
    rng = np.random.default_rng(seed)
    users, items = max(10, pairs // 100), max(10, min(27_000, pairs // 40))
    share = 1.0 / np.arange(1, items + 1) ** 0.7
    activity = rng.pareto(2.0, users) + 0.2
    wanted = int(pairs * 1.25)
    user_index = rng.choice(users, wanted, p=activity / activity.sum())
    item_index = rng.choice(items, wanted, p=share / share.sum())
    cells = np.unique(user_index.astype(np.int64) * items + item_index)
    cells = np.sort(rng.permutation(cells)[:pairs])
    user_index, item_index = cells // items, cells % items
    tastes, traits = rng.normal(size=(users, 8)) * 0.4, rng.normal(size=(items, 8)) * 0.4
    stars = 3.5 + np.einsum("nf,nf->n", tastes[user_index], traits[item_index]) + rng.normal(size=len(cells)) * 0.8
    return interactions(user_index, item_index, np.clip(np.round(stars), 1, 5), np.zeros(len(cells)), users, items)


def interactions(users: Any, items: Any, ratings: Any, at_us: Any, n_users: int, n_items: int) -> Interactions:
    """All pairs positive, with ratings."""
    return Interactions(
        users=[str(user) for user in range(n_users)],
        items=[str(item) for item in range(n_items)],
        user_index=np.asarray(users, dtype=np.int32),
        item_index=np.asarray(items, dtype=np.int32),
        weights=np.ones(len(users), dtype=np.float32),
        ratings=np.asarray(ratings, dtype=np.float32),
        at_us=np.asarray(at_us, dtype=np.int64),
        user_group=np.full(n_users, -1, dtype=np.int32),
        groups=[],
        as_of_us=int(np.max(at_us)) + 1,
    )


def ml_100k() -> Interactions | None:
    """The 100,000 ratings, or None with a line that says they are absent."""
    path = DATA / "ml-100k" / "u.data"
    if not path.exists():
        print(f"  {path} is absent: skipped")
        return None
    rows = np.loadtxt(path, dtype=np.int64)
    return interactions(rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2], rows[:, 3] * 1_000_000, 943, 1682)


def rows_of(data: Interactions, rows: np.ndarray) -> Interactions:
    """The same users and items with some of the rows."""
    columns = ("user_index", "item_index", "weights", "ratings", "at_us")
    return msgspec.structs.replace(data, **{name: getattr(data, name)[rows] for name in columns})


def timed(call: Any) -> tuple[float, Any]:
    """Seconds and result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def als_loss(data: Interactions, x: np.ndarray, y: np.ndarray, alpha: float, reg: float) -> float:
    """Hu, Koren, Volinsky's objective with plain regularisation, exactly, over all pairs."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    fitted = np.einsum("nf,nf->n", x[data.user_index], y[data.item_index])
    everything = np.sum((x.T @ x) * (y.T @ y))
    seen = np.sum((1 + alpha) * (1 - fitted) ** 2 - fitted**2)
    return float(everything + seen + reg * ((x**2).sum() + (y**2).sum()))


def bench_als(data: Interactions, factors: int, iterations: int = 15) -> None:
    """Against `implicit`: same objective, same steps, same threads; the loss with users solved exactly for both."""
    alpha, reg = 10.0, 5.0
    implicit = peer("implicit.als")
    for solver in ("cg", "cholesky"):
        model = ImplicitALS(factors, reg=reg, alpha=alpha, nu=0.0, iterations=iterations, solver=solver)
        model.fit(rows_of(data, np.arange(200)), 0)  # compile
        seconds, learned = timed(lambda model=model: model.fit(data, 0))
        loss = als_loss(data, *_folded(model, learned, data), alpha, reg)
        print(f"  ALS {solver:9} flyball  {seconds:8.2f} s   loss {loss:14.1f}")
        if implicit is None:
            continue
        from scipy.sparse import csr_matrix

        shape = (len(data.users), len(data.items))
        matrix = csr_matrix((data.weights, (data.user_index, data.item_index)), shape=shape)
        other = implicit.AlternatingLeastSquares(
            factors=factors,
            regularization=reg,
            alpha=1.0 + alpha,
            iterations=iterations,
            use_cg=solver == "cg",
            random_state=0,
        )
        theirs, _ = timed(lambda other=other, matrix=matrix: other.fit(matrix, show_progress=False))
        same = {**learned, "item_factors": _wide(other.item_factors, learned), "gramian": _gramian(other, learned)}
        loss = als_loss(data, *_folded(model, same, data), alpha, reg)
        print(f"  ALS {solver:9} implicit {theirs:8.2f} s   loss {loss:14.1f}   {theirs / seconds:.1f} x flyball")


def _wide(factors: np.ndarray, learned: dict[str, np.ndarray]) -> np.ndarray:
    out = np.zeros_like(learned["item_factors"])
    out[:, : factors.shape[1]] = factors
    return out


def _gramian(other: Any, learned: dict[str, np.ndarray]) -> np.ndarray:
    wide = _wide(other.item_factors, learned).astype(np.float64)
    return wide.T @ wide


def _folded(model: ImplicitALS, learned: dict[str, np.ndarray], data: Interactions) -> tuple[np.ndarray, np.ndarray]:
    histories = histories_of(data, np.arange(len(data.users), dtype=np.int32))
    return model.folded(learned, histories), learned["item_factors"]


def bench_svd(data: Interactions) -> None:
    """Against Surprise's SVD: the same factors, epochs, rates and regularisation (its defaults); then our defaults."""
    held = np.random.default_rng(1).random(len(data.user_index)) < 0.2
    train, test = rows_of(data, np.flatnonzero(~held)), rows_of(data, np.flatnonzero(held))
    BiasedMF().fit(rows_of(train, np.arange(200)), 0)  # compile
    same = BiasedMF(100, epochs=20, learning_rate=0.005, reg=0.02, init_std=0.1, fold_in_reg=20.0)
    seconds, learned = timed(lambda: same.fit(train, 0))
    print(f"  SVD           flyball, as Surprise {seconds:8.2f} s   RMSE {rmse(same, learned, train, test):.4f}")
    ours = BiasedMF()
    spent, learned = timed(lambda: ours.fit(train, 0))
    print(f"  SVD           flyball, defaults    {spent:8.2f} s   RMSE {rmse(ours, learned, train, test):.4f}")
    surprise = peer("surprise")
    if surprise is None:
        return
    import pandas

    frame = pandas.DataFrame({"u": train.user_index, "i": train.item_index, "r": train.ratings})
    read = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(1, 5))).build_full_trainset()
    theirs, fitted = timed(lambda: surprise.SVD(random_state=0).fit(read))
    predicted = [fitted.predict(u, i).est for u, i in zip(test.user_index, test.item_index, strict=True)]
    error = float(np.sqrt(np.mean((np.array(predicted) - test.ratings) ** 2)))
    print(f"  SVD           Surprise             {theirs:8.2f} s   RMSE {error:.4f}   {theirs / seconds:.1f} x flyball")


def rmse(model: Recommender, learned: dict[str, np.ndarray], train: Interactions, test: Interactions) -> float:
    """Over the test rows, each user folded in from the training rows."""
    squares = 0.0
    for start in range(0, len(test.user_index), 4_096):
        users, items = test.user_index[start : start + 4_096], test.item_index[start : start + 4_096]
        predicted = model.predict_rating(learned, histories_of(train, users), items)
        squares += float(np.sum((predicted.astype(np.float64) - test.ratings[start : start + 4_096]) ** 2))
    return float(np.sqrt(squares / len(test.user_index)))


def stratified(data: Interactions, seed: int) -> np.ndarray:
    """True for the 25 % of each user's rows that are tested."""
    rng, held = np.random.default_rng(seed), np.zeros(len(data.user_index), dtype=bool)
    for user in np.unique(data.user_index):
        rows = rng.permutation(np.flatnonzero(data.user_index == user))
        held[rows[round(0.75 * len(rows)) :]] = True
    return held


def ndcg(model: Recommender, train: Interactions, test: Interactions, k: int = 10) -> float:
    """ndcg@k over all items not in the user's training rows, mean over users."""
    learned = model.fit(train, 1)
    wanted: dict[int, set[int]] = {}
    for user, item in zip(test.user_index.tolist(), test.item_index.tolist(), strict=True):
        wanted.setdefault(user, set()).add(item)
    users, discounts, total = sorted(wanted), 1 / np.log2(np.arange(2, k + 2)), 0.0
    for start in range(0, len(users), 128):
        asked = users[start : start + 128]
        histories = histories_of(train, asked)
        seen = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(histories.rows)]
        items, _ = top_k(model.score(learned, histories), seen, k)
        for row, user in zip(items.tolist(), asked, strict=True):
            found = np.array([item in wanted[user] for item in row])
            total += float(discounts[found].sum() / discounts[: len(wanted[user])].sum())
    return total / len(users)


def accuracy() -> None:
    """ml-100k: RMSE in 5-fold random cross-validation; ndcg@10 on a stratified 75/25 split, all ratings positive."""
    data = ml_100k()
    if data is None:
        return
    fold = np.random.default_rng(0).integers(0, 5, len(data.user_index))
    for name, model in {"global mean": GlobalMean(), "bias": BiasModel(), "biased MF": BiasedMF()}.items():
        errors = []
        for one in range(5):
            train, test = rows_of(data, np.flatnonzero(fold != one)), rows_of(data, np.flatnonzero(fold == one))
            errors.append(rmse(model, model.fit(train, 1), train, test))
        print(f"  RMSE    {name:14} {np.mean(errors):.4f}")
    held = stratified(data, 42)
    train, test = rows_of(data, np.flatnonzero(~held)), rows_of(data, np.flatnonzero(held))
    tops = {
        "random": Random(),
        "popular": Popular(),
        "item kNN": ItemKNN(),
        "implicit ALS": ImplicitALS(),
        "EASE": EASE(),
    }
    for name, top in tops.items():
        print(f"  ndcg@10 {name:14} {ndcg(top, train, test):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--accuracy", action="store_true", help="only the accuracy on ml-100k")
    options = parser.parse_args()
    print("accuracy, ml-100k")
    accuracy()
    if options.accuracy:
        return
    sets = {"ml-100k": ml_100k(), f"power law, {options.pairs} pairs": power_law(options.pairs)}
    for name, data in sets.items():
        if data is not None:
            print(f"{name}: {len(data.users)} users, {len(data.items)} items, {options.factors} factors")
            bench_als(data, options.factors)
            bench_svd(data)


if __name__ == "__main__":
    main()
