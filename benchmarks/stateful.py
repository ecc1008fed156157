"""Continuing from a checkpoint beside training on everything: quality and cost of the same model on micro-batches.

Run: python benchmarks/stateful.py [--users 20000] [--rows 400000] [--batches 5]
A micro-batch is one percent of the data. Lists: users of hidden groups like items of their group; recall of a withheld
item among the first ten. Rows: clicks by a logistic model over categories, the log loss on rows that nobody saw. CPU
seconds, the sum over the batches; "ratio" is training on everything divided by continuing.
"""

import argparse
import itertools
import time
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.models import (
    BPR,
    FTRL,
    BiasedMF,
    ImplicitALS,
    Interactions,
    ItemKNN,
    Recommender,
    TableColumn,
    TargetKind,
    TrainingTable,
    histories_of,
    select_rows,
    top_k,
    updates,
)

GROUPS, ITEMS, LIKED = 40, 4_000, 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--batches", type=int, default=5)
    options = parser.parse_args()
    print(f"{'model':<12} {'refitted s':>10} {'continued s':>12} {'ratio':>6}  quality refitted, continued")
    rng = np.random.default_rng(1)
    everything, withheld = liked(rng, options.users)
    for model in (ItemKNN(), ImplicitALS(32), BPR(32), BiasedMF(32)):
        lists(model, everything, withheld, options.batches)
    rows(options.rows, options.batches, rng)


def liked(rng: np.random.Generator, users: int) -> tuple[Interactions, NDArray[np.int32]]:
    """(what users liked, in order of time; the one item of each that was withheld)."""
    group = rng.integers(0, GROUPS, users)
    item = (group[:, None] + GROUPS * (rng.zipf(1.3, (users, LIKED + 1)) % (ITEMS // GROUPS))).astype(np.int32)
    user_index = np.repeat(np.arange(users, dtype=np.int32), LIKED)
    items = item[:, 1:].ravel()
    order = rng.permutation(len(items))
    data = Interactions(
        users=[f"u{number:06}" for number in range(users)],
        items=[f"i{number:05}" for number in range(ITEMS)],
        user_index=user_index[order],
        item_index=items[order],
        weights=np.ones(len(items), np.float32),
        ratings=(3.0 + rng.normal(0, 0.5, len(items)) + items[order] % 3 - 1).astype(np.float32),
        at_us=np.arange(len(items), dtype=np.int64),
        user_group=np.full(users, -1, np.int32),
        groups=[],
        as_of_us=len(items),
    )
    pairs = np.unique(np.stack([data.user_index, data.item_index]), axis=1, return_index=True)[1]
    return select_rows(data, np.sort(pairs)), item[:, 0]


def lists(model: Recommender, everything: Interactions, withheld: NDArray[np.int32], batches: int) -> None:
    """The line of a model of lists or of ratings."""
    assert updates(model)
    count = len(everything.at_us)
    ends = [count * (100 - batches + number) // 100 for number in range(batches + 1)]
    learned = model.fit(select_rows(everything, slice(0, ends[0])), 1)
    model.update(learned, everything.items, select_rows(everything, slice(0, ends[1])), 1)  # compiles its kernels
    refitted, seconds = learned, [0.0, 0.0]
    for end in ends[1:]:
        data = select_rows(everything, slice(0, end))
        learned, spent = timed(lambda data=data, learned=learned: model.update(learned, data.items, data, 1))
        seconds[1] += spent
        refitted, spent = timed(lambda data=data: model.fit(data, 1))
        seconds[0] += spent
    users = np.arange(0, len(everything.users), 10)
    measure = rmse if model.family == "ratings" else recall
    values = [measure(model, arrays, everything, users, withheld) for arrays in (refitted, learned)]
    name = "RMSE" if model.family == "ratings" else "recall@10"
    show(type(model).__name__, seconds, f"{name} {values[0]:.4f}, {values[1]:.4f}")


def rmse(
    model: Recommender,
    learned: dict[str, NDArray],  # type: ignore[type-arg]
    data: Interactions,
    users: NDArray[np.int64],
    withheld: NDArray[np.int32],
) -> float:
    """The error of the expected rating of the withheld item."""
    histories = histories_of(data, users)
    predicted = model.predict_pairs(learned, histories, np.arange(len(users)), withheld[users])
    return float(np.sqrt(np.mean((predicted - (2.0 + withheld[users] % 3)) ** 2)))


def recall(
    model: Recommender,
    learned: dict[str, NDArray],  # type: ignore[type-arg]
    data: Interactions,
    users: NDArray[np.int64],
    withheld: NDArray[np.int32],
) -> float:
    """How often the withheld item is among the first ten."""
    histories = histories_of(data, users)
    seen = [histories.items[histories.indptr[row] : histories.indptr[row + 1]] for row in range(histories.rows)]
    best, _ = top_k(model.score(learned, histories), seen, 10)
    fresh = np.array([wanted not in known for wanted, known in zip(withheld[users], seen, strict=True)])
    return float((best == withheld[users][:, None]).any(axis=1)[fresh].mean())


def rows(count: int, batches: int, rng: np.random.Generator) -> None:
    """The line of a model of rows."""
    columns = (TableColumn("ad", "category"), TableColumn("site", "category"))
    codes = np.stack([rng.integers(0, 2_000, count), rng.integers(0, 500, count)], axis=1).astype(np.int32)
    margins = rng.normal(0, 1, 2_000)[codes[:, 0]] + rng.normal(0, 1, 500)[codes[:, 1]] - 1.0
    target = (rng.random(count) < 1 / (1 + np.exp(-margins))).astype(np.float64)
    vocabularies = {"ad": [f"a{n}" for n in range(2_000)], "site": [f"s{n}" for n in range(500)]}
    table = TrainingTable(
        columns=columns,
        numbers=np.empty((count, 0)),
        categories=codes,
        vocabularies=vocabularies,
        target=target,
        weight=np.ones(count),
        at_us=np.arange(count, dtype=np.int64),
    )
    kind, model, test = TargetKind("binary"), FTRL(bits=16), count * 9 // 10
    ends = [test * (100 - batches + number) // 100 for number in range(batches + 1)]
    learned = model.fit(part(table, 0, ends[0]), kind, 1)  # compiles its kernels
    refitted, seconds = learned, [0.0, 0.0]
    for before, end in itertools.pairwise(ends):
        fresh, known = part(table, before, end), part(table, 0, end)
        learned, spent = timed(lambda fresh=fresh, learned=learned: model.update(learned, fresh, kind, 1))
        seconds[1] += spent
        refitted, spent = timed(lambda known=known: model.fit(known, kind, 1))
        seconds[0] += spent
    losses = []
    for fit in (refitted, learned):
        chance = model.open(fit.arrays, vocabulary_texts(vocabularies), columns, kind).predict(
            table.numbers[test:], codes[test:]
        )[:, 0]
        losses.append(float(-np.log(np.where(target[test:] == 1, chance, 1 - chance)).mean()))
    show("FTRL", seconds, f"log loss {losses[0]:.4f}, {losses[1]:.4f}")


def vocabulary_texts(vocabularies: dict[str, list[str]]) -> dict[str, list[str]]:
    """As an artifact keeps them."""
    return {f"vocabulary_{number}": texts for number, texts in enumerate(vocabularies.values())}


def part(table: TrainingTable, first: int, end: int) -> TrainingTable:
    """Some rows."""
    names = ("numbers", "categories", "target", "weight", "at_us")
    return msgspec.structs.replace(table, **{name: getattr(table, name)[first:end] for name in names})


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """(the result, CPU seconds)."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def show(name: str, seconds: list[float], quality: str) -> None:
    """A line of the table."""
    print(f"{name:<12} {seconds[0]:>10.2f} {seconds[1]:>12.2f} {seconds[0] / seconds[1]:>6.1f}  {quality}", flush=True)


if __name__ == "__main__":
    main()
