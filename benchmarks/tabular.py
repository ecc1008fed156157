"""Microseconds of CPU for a prediction by boosted trees: Flyball's packed walker beside LightGBM's own, in one run.

Run: python benchmarks/tabular.py [--trees 100] [--leaves 31] [--columns 30] [--categories 4]
The same trees and rows (a tenth of the values missing), on one core, in turns; medians; of numbers alone, then with
some columns of 7 to 60 categories. The scores are compared before
anything is timed. `raw` is LightGBM's predict of raw scores with one thread.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy loads
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import time
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np

from flyball.models import Trees
from flyball.models.combined.trees import text_of_trees


def in_turns(answers: dict[str, Callable[[], object]], seconds: float = 2.0) -> dict[str, float]:
    """Microseconds of CPU of a call: medians over repeats, one after the other."""
    times: dict[str, list[float]] = {name: [] for name in answers}
    for answer in answers.values():
        answer()
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        for name, answer in answers.items():
            turn = time.perf_counter() + 0.02  # each warms its own numbers up
            while time.perf_counter() < turn:
                start = time.process_time()
                answer()
                times[name].append(time.process_time() - start)
    return {name: float(np.median(spent)) * 1e6 for name, spent in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--categories", type=int, default=4)
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{chosen.trees} trees of {chosen.leaves} leaves, {chosen.columns} columns; lightgbm {lightgbm.__version__}")
    for categories in (0, chosen.categories):
        columns, booster = grown(chosen.trees, chosen.leaves, chosen.columns, categories)
        print(f"{categories or 'no'} columns of categories")
        compare(columns, booster)


def grown(trees: int, leaves: int, width: int, categories: int) -> tuple[Any, lightgbm.Booster]:
    """Rows, the first columns of which are categories, and the trees grown from them."""
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(20_000, width))
    target = columns[:, 0] * columns[:, 1] + np.sin(3 * columns[:, 2]) + rng.normal(size=len(columns))
    for column in range(categories):
        size = (7, 24, 40, 60)[column % 4]
        columns[:, column] = np.floor(columns[:, column] * size).astype(int) % size
    columns[rng.random(columns.shape) < 0.1] = np.nan
    settings = {"objective": "regression", "num_leaves": leaves, "num_threads": 1, "verbosity": -1, "seed": 1}
    data = lightgbm.Dataset(columns, target, categorical_feature=list(range(categories)))
    return columns, lightgbm.train(settings, data, num_boost_round=trees)


def compare(columns: Any, booster: lightgbm.Booster) -> None:
    trees = Trees(text_of_trees(booster))
    print("microseconds a call     scores: ours  LightGBM  ratio     contributions: ours  LightGBM  ratio")
    for rows in (1, 8, 500):
        some = np.ascontiguousarray(columns[:rows])
        gap = np.abs(trees.scores(some) - booster.predict(some, raw_score=True, num_threads=1)).max()
        assert gap <= 1e-6, f"scores must be LightGBM's within 1e-6, got {gap}"
        found = in_turns(
            {
                "ours": lambda some=some: trees.scores(some),  # type: ignore[misc]
                "raw": lambda some=some: booster.predict(some, raw_score=True, num_threads=1),  # type: ignore[misc]
                "parts": lambda some=some: trees.contributions(some),  # type: ignore[misc]
                "their parts": lambda some=some: booster.predict(some, pred_contrib=True, num_threads=1),  # type: ignore[misc]
            }
        )
        ours, raw, parts, theirs = found.values()
        print(
            f"{rows:>14} rows {ours:>17.1f} {raw:>9.1f} {raw / ours:>6.1f} "
            f"{parts:>23.1f} {theirs:>9.1f} {theirs / parts:>6.1f}"
        )


if __name__ == "__main__":
    main()
