"""Microseconds per answer: fold in, score the whole catalogue, take the top 20; single and batched, beside plain numpy.

Run: python benchmarks/scoring.py [--items 27000] [--factors 64] [--history 40]
Threads of numpy's BLAS are set to one, as the kernels use one.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy loads

import argparse
import time
from collections.abc import Callable

import numpy as np

from flyball.models import EASE, BiasedMF, Histories, ImplicitALS, Interactions, ItemKNN, histories_of, top_k

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
    answer()
    times = []
    stop = time.perf_counter() + 1.0
    while time.perf_counter() < stop or len(times) < 5:
        start = time.perf_counter()
        answer()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6 / rows


def numpy_top_k(scores: np.ndarray, excluded: list[np.ndarray]) -> list[np.ndarray]:
    """What one writes by hand: mask, argpartition, sort."""
    answers = []
    for row, items in zip(scores, excluded, strict=True):
        row[items] = -np.inf
        best = np.argpartition(-row, K)[:K]
        answers.append(best[np.argsort(-row[best])])
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=27_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--history", type=int, default=40)
    options = parser.parse_args()
    data = interactions(4_000, options.items, options.history)
    print(f"{options.items} items, {options.factors} factors, histories of {options.history}, top {K}; us per answer\n")
    print(f"{'':34}" + "".join(f"{f'batch {size}':>12}" for size in (1, 4, 16, 32)))
    models = {
        "implicit_als": ImplicitALS(options.factors, iterations=2),
        "biased_mf": BiasedMF(options.factors, epochs=2),
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
            excluded = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(size)]

            def scored(model=model, learned=learned, histories=histories) -> np.ndarray:
                return model.score(learned, histories)

            def answered(scored=scored, excluded=excluded) -> object:
                return top_k(scored(), excluded, K)

            rows["score"].append(microseconds(scored, size))
            rows["score + top-k"].append(microseconds(answered, size))
        for what, figures in rows.items():
            print(f"{name + ': ' + what:34}" + "".join(f"{figure:12.1f}" for figure in figures))
        print(f"{name + ': fit and compile':34}{spent:11.2f}s")
        if name == "implicit_als":
            _by_hand(learned["item_factors"], data)
        if name.startswith("ease"):
            _ease_by_hand(learned, data)


def _by_hand(factors: np.ndarray, data: Interactions) -> None:
    """User vectors given (no fold-in at all): one matrix product, then argpartition."""
    figures = []
    for size in (1, 4, 16, 32):
        histories: Histories = histories_of(data, list(range(size)))
        excluded = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(size)]
        users = np.random.default_rng(0).normal(size=(size, factors.shape[1])).astype(np.float32)
        figures.append(microseconds(lambda u=users, e=excluded: numpy_top_k(u @ factors.T, e), size))
    print(f"{'  numpy, vectors given':34}" + "".join(f"{figure:12.1f}" for figure in figures))


def _ease_by_hand(learned: dict[str, np.ndarray], data: Interactions) -> None:
    """Sum the history's rows with numpy, then argpartition over the kept items."""
    figures = []
    for size in (1, 4, 16, 32):
        histories = histories_of(data, list(range(size)))
        rows = [learned["place"][histories.items[histories.indptr[b] : histories.indptr[b + 1]]] for b in range(size)]
        kept = [one[one >= 0] for one in rows]
        figures.append(
            microseconds(
                lambda r=kept: numpy_top_k(np.stack([learned["weights"][one].sum(axis=0) for one in r]), r), size
            )
        )
    print(f"{'  numpy over kept items':34}" + "".join(f"{figure:12.1f}" for figure in figures))


if __name__ == "__main__":
    main()
