"""Fit times and accuracy beside the libraries people would otherwise take, on the same data in the same run.

Run: python benchmarks/models.py [--pairs 1000000] [--factors 64] [--iterations 15] [--repeats 3] [--only als,svd]
Wall seconds are the medians of the repeats, flyball and the peer in turns; CPU seconds, which other work on the machine
disturbs less, stand beside them. Accuracy: `flyball accuracy FOLDER`.
Peers (`implicit`, `scikit-surprise`) are skipped, and said to be, when not installed: make bench.
Real data is read from $TEST_DATA (default ../shared/data) and skipped when absent.
"""

import os

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before numpy loads; `implicit` asks for it and runs its own threads

import argparse
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flyball.models import (
    BPR,
    EASE,
    BiasedMF,
    Blend,
    Distilled,
    ImplicitALS,
    Interactions,
    Pruned,
    Quantized,
    Recommender,
    SparseEASE,
    histories_of,
    top_k,
)

DATA = Path(os.environ.get("TEST_DATA", "../shared/data"))


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


Times = tuple[float, float]


def timed(call: Any) -> tuple[Times, Any]:
    """(wall, CPU) seconds and result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


def side_by_side(calls: dict[str, Any], repeats: int) -> dict[str, tuple[Times, Any]]:
    """Medians of (wall, CPU) seconds, the calls in turns, and the last result of each."""
    spent: dict[str, list[Times]] = {name: [] for name in calls}
    results = {}
    for _ in range(repeats):
        for name, call in calls.items():
            seconds, results[name] = timed(call)
            spent[name].append(seconds)
    return {name: (tuple(np.median(spent[name], axis=0).tolist()), results[name]) for name in calls}


def print_result(what: str, took: dict[str, tuple[Times, Any]], quality: dict[str, str]) -> None:
    """A line for each, with how many times flyball's seconds the peer took."""
    ours = next(iter(took.values()))[0]
    for name, (seconds, _) in took.items():
        ratio = f"{seconds[0] / ours[0]:5.1f} x wall {seconds[1] / ours[1]:5.1f} x CPU"
        print(f"  {what:14} {name:24} {seconds[0]:8.2f} s {seconds[1]:8.2f} s CPU  {quality.get(name, ''):24} {ratio}")


def als_loss(data: Interactions, x: np.ndarray, y: np.ndarray, alpha: float, reg: float) -> float:
    """Hu, Koren, Volinsky's objective with plain regularization, exactly, over all pairs."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    fitted = np.einsum("nf,nf->n", x[data.user_index], y[data.item_index])
    everything = np.sum((x.T @ x) * (y.T @ y))
    seen = np.sum((1 + alpha) * (1 - fitted) ** 2 - fitted**2)
    return float(everything + seen + reg * ((x**2).sum() + (y**2).sum()))


def loss_of(model: ImplicitALS, learned: dict[str, np.ndarray], data: Interactions) -> float:
    """The objective with the users solved exactly."""
    return als_loss(data, *_folded(model, learned, data), model.alpha, model.reg)


def fewest(model: Recommender, name: str, good: Callable[[Recommender], bool]) -> Recommender | None:
    """The model with the fewest iterations or epochs (parameter `name`) that are good, when more are no worse."""
    low, high = 1, getattr(model, name) + 1
    while low < high:
        middle = (low + high) // 2
        if good(msgspec.structs.replace(model, **{name: middle})):
            high = middle
        else:
            low = middle + 1
    return None if low > getattr(model, name) else msgspec.structs.replace(model, **{name: low})


def bench_als(data: Interactions, factors: int, iterations: int, repeats: int) -> None:
    """Against `implicit`: same objective, same steps, same threads; the loss with users solved exactly for both."""
    alpha, reg = 10.0, 5.0
    implicit = peer("implicit.als")
    for solver in ("cg", "cholesky", "block"):
        model = ImplicitALS(factors, reg=reg, alpha=alpha, nu=0.0, iterations=iterations, solver=solver)
        model.fit(rows_of(data, np.arange(min(200, len(data.user_index)))), 0)  # compile
        calls = {"flyball": lambda model=model: model.fit(data, 0)}
        if implicit is not None and solver != "block":
            matrix = users_items(data)

            def theirs(solver=solver, matrix=matrix) -> Any:
                other = implicit.AlternatingLeastSquares(
                    factors=factors,
                    regularization=reg,
                    alpha=1.0 + alpha,
                    iterations=iterations,
                    use_cg=solver == "cg",
                    random_state=0,
                )
                other.fit(matrix, show_progress=False)
                return other

            calls["implicit"] = theirs
        took = side_by_side(calls, repeats)
        quality = {"flyball": f"loss {loss_of(model, took['flyball'][1], data):.1f}"}
        if "implicit" in took:
            learned, other = took["flyball"][1], took["implicit"][1]
            same = {**learned, "item_factors": _wide(other.item_factors, learned), "gramian": _gramian(other, learned)}
            theirs_ends_at = loss_of(model, same, data)
            quality["implicit"] = f"loss {theirs_ends_at:.1f}"
            fewer = fewest(
                model,
                "iterations",
                lambda one, most=theirs_ends_at: loss_of(one, one.fit(data, 0), data) <= most,
            )
            if fewer is not None:
                name = f"flyball, {fewer.iterations} steps"
                took |= side_by_side({name: lambda fewer=fewer: fewer.fit(data, 0)}, repeats)
                gained = took["implicit"][0][0] / took[name][0][0]
                quality[name] = f"loss {loss_of(model, took[name][1], data):.1f}, implicit / this {gained:.1f}"
        print_result(f"ALS {solver}", took, quality)


def users_items(data: Interactions) -> Any:
    """The weights as scipy's compressed rows."""
    from scipy.sparse import csr_matrix

    return csr_matrix((data.weights, (data.user_index, data.item_index)), shape=(len(data.users), len(data.items)))


def bench_bpr(data: Interactions, factors: int, iterations: int, repeats: int) -> None:
    """Against `implicit`'s: the same factors, passes, rate and regularization, all cores for both."""
    implicit = peer("implicit.bpr")
    model = BPR(factors, epochs=iterations, learning_rate=0.05, reg=0.01)
    held = stratified(data, 1) if len(data.users) <= 10_000 else np.zeros(len(data.user_index), dtype=bool)
    train, test = rows_of(data, np.flatnonzero(~held)), rows_of(data, np.flatnonzero(held))
    model.fit(rows_of(train, np.arange(min(200, len(train.user_index)))), 0)  # compile
    calls = {"flyball": lambda: model.fit(train, 0)}
    if implicit is not None:
        matrix = users_items(train)

        def theirs() -> Any:
            other = implicit.BayesianPersonalizedRanking(
                factors=factors, iterations=iterations, learning_rate=0.05, regularization=0.01, random_state=0
            )
            other.fit(matrix, show_progress=False)
            return other

        calls["implicit"] = theirs
    took = side_by_side(calls, repeats)
    quality = {}
    if held.any():
        quality["flyball"] = f"ndcg@10 {ndcg_of(lambda h: model.score(took['flyball'][1], h), train, test):.4f}"
    if held.any() and implicit is not None:
        other = took["implicit"][1]
        by_user = {
            user: other.user_factors[user] @ other.item_factors.T for user in np.unique(test.user_index).tolist()
        }
        asked = iter(sorted(by_user))

        def scores(histories: Any) -> np.ndarray:
            return np.stack([by_user[next(asked)] for _ in range(histories.rows)]).astype(np.float32)

        quality["implicit"] = f"ndcg@10 {ndcg_of(scores, train, test):.4f}"
    print_result("BPR", took, quality)


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


def bench_svd(data: Interactions, repeats: int) -> None:
    """Against Surprise's SVD with its defaults: ours; as many passes at its rates; as few as reach its RMSE."""
    held = np.random.default_rng(1).random(len(data.user_index)) < 0.2
    train, test = rows_of(data, np.flatnonzero(~held)), rows_of(data, np.flatnonzero(held))
    surprise = peer("surprise")
    if surprise is not None:
        import pandas

        frame = pandas.DataFrame({"u": train.user_index, "i": train.item_index, "r": train.ratings})
        read = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(1, 5))).build_full_trainset()
    BiasedMF().fit(rows_of(train, np.arange(min(200, len(train.user_index)))), 0)  # compile
    same = BiasedMF(100, epochs=20, learning_rate=0.005, reg=0.02, init_std=0.1, fold_in_reg=20.0)
    models = {"flyball, defaults": BiasedMF(), "flyball, as Surprise": same}
    calls = {name: lambda model=model: model.fit(train, 0) for name, model in models.items()}
    if surprise is not None:
        calls["Surprise"] = lambda: surprise.SVD(random_state=0).fit(read)
    took = side_by_side(calls, repeats)
    quality = {name: f"RMSE {rmse(model, took[name][1], train, test):.4f}" for name, model in models.items()}
    if surprise is not None:
        fitted = took["Surprise"][1]
        predicted = [fitted.predict(u, i).est for u, i in zip(test.user_index, test.item_index, strict=True)]
        theirs = float(np.sqrt(np.mean((np.array(predicted) - test.ratings) ** 2)))
        quality["Surprise"] = f"RMSE {theirs:.4f}"
        quick = BiasedMF(100, epochs=8, learning_rate=0.0125, reg=0.05, init_std=0.05)
        fewer = fewest(quick, "epochs", lambda one: rmse(one, one.fit(train, 0), train, test) <= theirs)
        if fewer is not None:
            name = f"flyball, {fewer.epochs} passes"
            took |= side_by_side({name: lambda: fewer.fit(train, 0)}, repeats)
            gained = took["Surprise"][0][0] / took[name][0][0]
            quality[name] = f"RMSE {rmse(fewer, took[name][1], train, test):.4f}, Surprise / this {gained:.1f}"
    print_result("SVD", took, quality)


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


def ndcg_of(score: Any, train: Interactions, test: Interactions, k: int = 10) -> float:
    """ndcg@k of `score(histories)` over all items not in the user's training rows, users in order, mean over them."""
    wanted: dict[int, set[int]] = {}
    for user, item in zip(test.user_index.tolist(), test.item_index.tolist(), strict=True):
        wanted.setdefault(user, set()).add(item)
    users, discounts, total = sorted(wanted), 1 / np.log2(np.arange(2, k + 2)), 0.0
    for start in range(0, len(users), 128):
        asked = users[start : start + 128]
        histories = histories_of(train, asked)
        seen = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(histories.rows)]
        items, _ = top_k(score(histories), seen, k)
        for row, user in zip(items.tolist(), asked, strict=True):
            found = np.array([item in wanted[user] for item in row])
            total += float(discounts[found].sum() / discounts[: len(wanted[user])].sum())
    return total / len(users)


def bench_fold(data: Interactions) -> None:
    """Microseconds to fold a new user of five events in, and to score the catalog for them."""
    from flyball.models import Histories

    five = Histories(
        indptr=np.array([0, 5]),
        items=np.arange(5, dtype=np.int32),
        weights=np.ones(5, dtype=np.float32),
        ratings=np.full(5, 4, dtype=np.float32),
        at_us=np.arange(5),
        group=np.array([-1], dtype=np.int32),
        now_us=np.array([10]),
    )
    for model in (ImplicitALS(), BPR(epochs=2), BiasedMF(epochs=2), EASE(items=2_000)):
        learned = model.fit(data, 0)
        model.score(learned, five)
        took = [timed(lambda model=model, learned=learned: model.score(learned, five))[0][0] for _ in range(500)]
        print(f"  five events    {type(model).__name__:24} {np.median(took) * 1e6:8.1f} us for the whole catalog")


def losses(data: Interactions) -> None:
    """What smaller forms lose: bytes and fewer directions, fewer weights, a blend in one factor model."""
    held = stratified(data, 42)
    train, test = rows_of(data, np.flatnonzero(~held)), rows_of(data, np.flatnonzero(held))
    whole = ImplicitALS()
    learned = whole.fit(train, 1)
    size = sum(array.nbytes for array in learned.values())
    print(f"  whole           {size:10,} bytes  ndcg@10 {ndcg_of(lambda h: whole.score(learned, h), train, test):.4f}")
    for rank in (0, 48, 32, 16):
        small = Quantized(rank=rank)
        arrays = small.squeezed(learned)
        size = sum(array.nbytes for array in arrays.values())
        gain = ndcg_of(lambda h, small=small, arrays=arrays: small.score(arrays, h), train, test)
        print(f"  bytes, rank {rank or 64:2}  {size:10,} bytes  ndcg@10 {gain:.4f}")
    others = {"EASE": EASE(), "sparse EASE": SparseEASE(), "blend": Blend(), "distilled": Distilled()}
    for name, model in {**others, **{f"pruned to {keep}": Pruned(keep=keep) for keep in (200, 100, 50)}}.items():
        arrays = model.fit(train, 1)
        size = sum(array.nbytes for array in arrays.values())
        gain = ndcg_of(lambda h, model=model, arrays=arrays: model.score(arrays, h), train, test)
        print(f"  {name:14}  {size:10,} bytes  ndcg@10 {gain:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="als,svd,bpr,fold,losses")
    options = parser.parse_args()
    wanted = options.only.split(",")
    sets = {"ml-100k": ml_100k(), f"power law, {options.pairs:,} pairs": power_law(options.pairs)}
    for name, data in sets.items():
        if data is None:
            continue
        print(f"{name}: {len(data.users):,} users, {len(data.items):,} items, {options.factors} factors")
        if "als" in wanted:
            bench_als(data, options.factors, options.iterations, options.repeats)
        if "svd" in wanted:
            bench_svd(data, options.repeats)
        if "bpr" in wanted:
            bench_bpr(data, options.factors, options.iterations, options.repeats)
        if "fold" in wanted:
            bench_fold(data)
        if "losses" in wanted and len(data.users) <= 10_000:
            losses(data)


if __name__ == "__main__":
    main()
