"""Microseconds per answer: fold in, score the whole catalog, take the top 20; single and batched, on one core.

Run: python benchmarks/scoring.py [--items 27000] [--factors 64] [--history 40] [--only peers,models]
Beside them `implicit` and plain numpy. The process keeps to one core, numpy's and OpenMP's threads are one.
Microseconds are of CPU, medians; peers get copies of the same factors and are measured in turns, after their lists were
found to be the same.
`implicit` is skipped, and said to be, when not installed: pip install "flyball[bench]".
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy loads
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from flyball.models import (
    EASE,
    BiasedMF,
    Histories,
    ImplicitALS,
    Interactions,
    ItemKNN,
    best_items,
    canonical,
    histories_of,
    top_k,
)
from flyball.models.factors import catalog_scores

K = 20


def interactions(users: int, items: int, per_user: int, seed: int = 0) -> Interactions:
    """Power-law popularity, `per_user` positives for each user, ratings for all."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(1, items + 1) ** 0.8
    user_index = np.repeat(np.arange(users, dtype=np.int32), per_user)
    item_index = rng.choice(items, size=users * per_user, p=share / share.sum()).astype(np.int32)
    n = len(user_index)
    return Interactions(
        users=[str(user) for user in range(users)],
        items=[str(item) for item in range(items)],
        user_index=user_index,
        item_index=item_index,
        weights=np.ones(n, dtype=np.float32),
        ratings=rng.integers(1, 6, n).astype(np.float32),
        at_us=rng.integers(0, 10**12, n),
        user_group=np.full(users, -1, dtype=np.int32),
        groups=[],
        as_of_us=10**12,
    )


def microseconds(answer: Callable[[], object], rows: int) -> float:
    """Median over repeats, per row."""
    return in_turns({"": answer}, rows)[""]


def in_turns(answers: dict[str, Callable[[], object]], rows: int, seconds: float = 1.0) -> dict[str, float]:
    """Microseconds of CPU for a row: medians over repeats for `seconds` each, one after the other."""
    times: dict[str, list[float]] = {name: [] for name in answers}
    for answer in answers.values():
        answer()
    stop = time.perf_counter() + seconds * len(answers)
    while time.perf_counter() < stop or min(map(len, times.values())) < 5:
        for name, answer in answers.items():
            turn = time.perf_counter() + 0.02  # each warms its own numbers up
            while time.perf_counter() < turn:
                start = time.process_time()
                answer()
                times[name].append(time.process_time() - start)
    return {name: float(np.median(spent)) * 1e6 / rows for name, spent in times.items()}


def numpy_top_k(scores: np.ndarray, excluded: list[np.ndarray]) -> list[np.ndarray]:
    """What one writes by hand: mask, argpartition, sort."""
    answers = []
    for row, items in zip(scores, excluded, strict=True):
        row[items] = -np.inf
        best = np.argpartition(-row, K)[:K]
        answers.append(best[np.argsort(-row[best])])
    return answers


def users_of(histories: Histories) -> list[np.ndarray]:
    """The items of each row."""
    return [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(histories.rows)]


def beside_peers(data: Interactions, factors: int) -> None:
    """Implicit ALS: the top 20 for one user and for 1,000, users' vectors given, and solved from their histories."""
    model = ImplicitALS(factors, reg=5.0, alpha=10.0, nu=0.0, iterations=3)  # as `implicit` has the objective
    learned = model.fit(data, 0)
    items = np.ascontiguousarray(learned["item_factors"][:, :factors])
    gramian = items.T @ items + 5.0 * np.eye(factors, dtype=np.float32)
    other = _theirs(items, model)
    for size in (1, 1_000):
        histories = histories_of(data, list(range(size)))
        seen, folded = users_of(histories), model.folded(learned, histories)
        vectors, able = np.ascontiguousarray(folded[:, :factors]), np.ones(size, dtype=bool)
        given: dict[str, Callable[[], Any]] = {
            "flyball": lambda v=folded, a=able, s=seen: _listed(v, a, s, learned),
            "numpy": lambda v=vectors, s=seen: np.array(numpy_top_k(v @ items.T, s)),
        }
        solved: dict[str, Callable[[], Any]] = {
            "flyball": lambda h=histories, s=seen: best_items(model, learned, h, s, K)[0],
            "numpy": lambda h=histories, s=seen: np.array(numpy_top_k(_solved(h, items, gramian, 10.0) @ items.T, s)),
        }
        if other is not None:
            from scipy.sparse import csr_matrix

            liked = csr_matrix((histories.weights, histories.items, histories.indptr), (size, len(items)))
            other.user_factors, asked = vectors, np.arange(size) if size > 1 else 0
            given["implicit"] = lambda u=asked, m=liked: other.recommend(u, m, N=K)[0]
            solved["implicit"] = lambda u=asked, m=liked: other.recommend(u, m, N=K, recalculate_user=True)[0]
        for what, answers in {"vectors given": given, "from the history": solved}.items():
            lists = {name: answer().reshape(size, K) for name, answer in answers.items()}
            for name in lists:
                _same(lists["flyball"], lists[name], vectors, items, name)
            took = in_turns(answers, size)
            for name, spent in took.items():
                cost = f"{spent:9.1f} us {1e6 / spent:9,.0f} answers/s per core {spent / took['flyball']:6.2f} x"
                print(f"  {f'{size:,} at once' if size > 1 else 'one user':14} {what:17} {name:9}{cost}")


def _listed(vectors: np.ndarray, able: np.ndarray, seen: list[np.ndarray], learned: dict[str, np.ndarray]) -> Any:
    """As `best_items` goes about it, 32 rows at a time."""
    parts = [slice(first, first + 32) for first in range(0, len(vectors), 32)]
    return np.concatenate([top_k(catalog_scores(learned, vectors[p], able[p]), seen[p], K)[0] for p in parts])


def _theirs(items: np.ndarray, model: ImplicitALS) -> Any:
    """`implicit`'s model with our factors, or None with a line that says it is not installed."""
    try:
        als = importlib.import_module("implicit.als")
    except ImportError:
        print("  implicit is not installed: skipped")
        return None
    other = als.AlternatingLeastSquares(
        factors=items.shape[1], regularization=model.reg, alpha=1.0 + float(model.alpha or 0), num_threads=1
    )
    other.item_factors = items.copy()
    return other


def _solved(histories: Histories, items: np.ndarray, gramian: np.ndarray, alpha: float) -> np.ndarray:
    """What one writes by hand: a system for each user."""
    rows = []
    for b in range(histories.rows):
        part = slice(histories.indptr[b], histories.indptr[b + 1])
        near, weights = items[histories.items[part]], alpha * histories.weights[part]
        rows.append(np.linalg.solve(gramian + (near.T * weights) @ near, near.T @ (1.0 + weights)))
    return np.array(rows, dtype=np.float32)


def _same(ours: np.ndarray, theirs: np.ndarray, users: np.ndarray, items: np.ndarray, name: str) -> None:
    """Stops when a list differs by more than ties: places with the same score to five digits."""
    for row in np.flatnonzero((ours != theirs).any(axis=1)):
        scores = items.astype(np.float64) @ users[row]
        if not np.allclose(scores[ours[row]], scores[theirs[row]], rtol=1e-4, atol=1e-5):
            raise SystemExit(f"flyball's list for row {row} must be that of {name}, got {ours[row]} for {theirs[row]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=27_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--history", type=int, default=40)
    parser.add_argument("--only", default="peers,models")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    data = canonical(interactions(4_000, options.items, options.history))
    print(f"{options.items} items, {options.factors} factors, histories of {options.history}, top {K}; us per answer\n")
    if "peers" in options.only.split(","):
        beside_peers(data, options.factors)
    if "models" in options.only.split(","):
        own_models(data, options.factors)


def own_models(data: Interactions, factors: int) -> None:
    """The stages of an answer for some models, in the batches that serving makes."""
    print(f"{'':34}" + "".join(f"{f'batch {size}':>12}" for size in (1, 4, 16, 32)))
    models = {
        "implicit_als": ImplicitALS(factors, iterations=2),
        "biased_mf": BiasedMF(factors, epochs=2),
        "item_knn": ItemKNN(),
        "ease, 5,000 items": EASE(items=5_000),
    }
    for name, model in models.items():
        started = time.perf_counter()
        learned = model.fit(data, 0)
        spent = time.perf_counter() - started
        rows: dict[str, list[float]] = {"score": [], "score + top-k": []}
        for size in (1, 4, 16, 32):
            histories = histories_of(data, list(range(size)))
            excluded = users_of(histories)

            def scored(model=model, learned=learned, histories=histories) -> np.ndarray:
                return model.score(learned, histories)

            def answered(scored=scored, excluded=excluded) -> object:
                return top_k(scored(), excluded, K)

            rows["score"].append(microseconds(scored, size))
            rows["score + top-k"].append(microseconds(answered, size))
        for what, columns in rows.items():
            print(f"{name + ': ' + what:34}" + "".join(f"{column:12.1f}" for column in columns))
        print(f"{name + ': fit and compile':34}{spent:11.2f}s")
        if name == "implicit_als":
            _by_hand(learned["item_factors"], data)
        if name.startswith("ease"):
            _ease_by_hand(learned, data)


def _by_hand(factors: np.ndarray, data: Interactions) -> None:
    """User vectors given (no fold-in at all): one matrix product, then argpartition."""
    columns = []
    for size in (1, 4, 16, 32):
        histories: Histories = histories_of(data, list(range(size)))
        excluded = users_of(histories)
        users = np.random.default_rng(0).normal(size=(size, factors.shape[1])).astype(np.float32)
        columns.append(microseconds(lambda u=users, e=excluded: numpy_top_k(u @ factors.T, e), size))
    print(f"{'  numpy, vectors given':34}" + "".join(f"{column:12.1f}" for column in columns))


def _ease_by_hand(learned: dict[str, np.ndarray], data: Interactions) -> None:
    """Sum the history's rows with numpy, then argpartition over the kept items."""
    columns = []
    for size in (1, 4, 16, 32):
        histories = histories_of(data, list(range(size)))
        rows = [learned["place"][histories.items[histories.indptr[b] : histories.indptr[b + 1]]] for b in range(size)]
        kept = [one[one >= 0] for one in rows]
        columns.append(
            microseconds(
                lambda r=kept: numpy_top_k(np.stack([learned["weights"][one].sum(axis=0) for one in r]), r), size
            )
        )
    print(f"{'  numpy over kept items':34}" + "".join(f"{column:12.1f}" for column in columns))


if __name__ == "__main__":
    main()
