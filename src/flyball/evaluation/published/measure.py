"""Measures a fitted model on a protocol's cases, batch by batch."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flyball.evaluation.published.cases import ListCases, RatingCases, sampled
from flyball.models import (
    Floats,
    Histories,
    Indexes,
    Learned,
    Recommender,
    best_items,
    in_blocks,
    predict_pairs,
    take,
    top_k,
)
from flyball.tasks import ndcg, precision, recall

_BATCH = 256
NEGATIVES = 100

MetricValues = dict[str, NDArray[np.float64]]


def best_lists(
    model: Recommender, learned: Learned, cases: ListCases, k: int, filled: bool = False
) -> NDArray[np.int32]:
    """The k best items outside each user's history, -1 for none. `filled`: fill short lists with popular items."""
    listed = np.full((cases.histories.rows, k), -1, dtype=np.int32)
    spare = _popular(cases) if filled else None

    def answer(first: int, last: int) -> None:
        for start, part in _batches(cases.histories, first, last):
            seen = _seen(part)
            best, _ = best_items(model, learned, part, seen, k)
            if spare is not None:
                fallback, _ = top_k(np.broadcast_to(spare, (part.rows, len(spare))), seen, k)
                best = _fill(best, fallback)
            listed[start : start + part.rows] = best

    in_blocks(len(listed), answer)
    return listed


def hits_of(listed: NDArray[np.int32], truth: Sequence[Indexes]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(whether each listed item was withheld, the number of withheld items of each user)."""
    hits = np.array([np.isin(row, withheld) for row, withheld in zip(listed, truth, strict=True)])
    return hits.reshape(listed.shape) & (listed >= 0), np.array([len(withheld) for withheld in truth])


def top_n_metrics(listed: NDArray[np.int32], truth: Sequence[Indexes], k: int = 10) -> MetricValues:
    """Metrics of the public recommenders comparison: average precision is divided by the number of relevant items."""
    hits, relevant = hits_of(listed, truth)
    so_far = np.cumsum(hits[:, :k], axis=1) / np.arange(1, k + 1)
    return {
        f"ndcg@{k}": ndcg(hits, relevant, k),
        f"map@{k}": (so_far * hits[:, :k]).sum(axis=1) / relevant,
        f"precision@{k}": precision(hits, relevant, k),
        f"recall@{k}": recall(hits, relevant, k),
    }


def strong_metrics(listed: NDArray[np.int32], truth: Sequence[Indexes]) -> MetricValues:
    """Metrics of Liang et al.: recall@k is divided by min(k, number of relevant items)."""
    hits, relevant = hits_of(listed, truth)
    metrics: MetricValues = {f"recall@{k}": hits[:, :k].sum(axis=1) / np.minimum(k, relevant) for k in (20, 50)}
    return {**metrics, "ndcg@100": ndcg(hits, relevant, 100)}


def temporal_metrics(listed: NDArray[np.int32], truth: Sequence[Indexes]) -> MetricValues:
    """ndcg, recall and hit rate at 20."""
    hits, relevant = hits_of(listed, truth)
    return {"ndcg@20": ndcg(hits, relevant, 20), "recall@20": recall(hits, relevant, 20), "hit@20": _any(hits, 20)}


def negatives(cases: ListCases, seed: int) -> dict[str, NDArray[np.int32]]:
    """{name: sampled items among which each withheld item is ranked}, drawn once for all models."""
    return {name: sampled(cases, NEGATIVES, name == "popular", seed) for name in ("uniform", "popular")}


def last_item_metrics(
    model: Recommender, learned: Learned, cases: ListCases, drawn: Mapping[str, NDArray[np.int32]]
) -> MetricValues:
    """hit and ndcg at 10, against all unseen items and against those `drawn`, by name.

    Items without a score come after all others, by popularity, as in serving. A withheld item with the same score as
    others is ranked after them.
    """
    rows, popular = cases.histories.rows, _popular(cases)
    popular /= popular.max(initial=0.0) + 1.0
    ranks = {name: np.zeros(rows, dtype=np.int64) for name in ("", *drawn)}

    def answer(first: int, last: int) -> None:
        for start, part in _batches(cases.histories, first, last):
            scores = _filled(model.score(learned, part), popular)
            withheld = np.array([cases.truth[row][0] for row in range(start, start + part.rows)])
            own = scores[np.arange(part.rows), withheld][:, None]
            owner = np.repeat(np.arange(part.rows), np.diff(part.indptr))
            scores[owner, part.items] = -np.inf
            batch_rows = slice(start, start + part.rows)
            ranks[""][batch_rows] = (scores >= own).sum(axis=1) - 1
            for name, items in drawn.items():
                others = np.take_along_axis(scores, np.maximum(items[batch_rows], 0), axis=1)
                above = (others >= own) & (items[batch_rows] >= 0)
                ranks[name][batch_rows] = above.sum(axis=1)

    in_blocks(rows, answer)
    metrics: MetricValues = {}
    for name, rank in ranks.items():
        metrics[f"{name} hit@10".lstrip()] = (rank < 10).astype(np.float64)
        metrics[f"{name} ndcg@10".lstrip()] = np.where(rank < 10, 1 / np.log2(rank + 2.0), 0.0)
    return metrics


def rating_errors(model: Recommender, learned: Learned, cases: RatingCases) -> NDArray[np.float64]:
    """Predicted minus actual rating, float64 (n,)."""
    predicted = np.empty(len(cases.rows), dtype=np.float32)

    def answer(first: int, last: int) -> None:
        for start in range(first, last, 4_096):
            part = slice(start, min(start + 4_096, last))
            user_rows, rows = np.unique(cases.rows[part], return_inverse=True)
            histories = take(cases.histories, user_rows)
            predicted[part] = predict_pairs(model, learned, histories, rows.astype(np.int64), cases.items[part])

    in_blocks(len(predicted), answer)
    return predicted.astype(np.float64) - cases.ratings


def naive_popularity(cases: ListCases) -> MetricValues:
    """`strong_metrics` of the most popular items, in plain Python: a check of the protocol."""
    counts = [0] * len(cases.train.items)
    for item in cases.train.item_index.tolist():
        counts[item] += 1
    order = sorted(range(len(counts)), key=lambda item: (-counts[item], item))
    gained_by: dict[str, list[float]] = {"recall@20": [], "recall@50": [], "ndcg@100": []}
    for row, truth in enumerate(cases.truth):
        seen = set(cases.histories.items[cases.histories.indptr[row] : cases.histories.indptr[row + 1]].tolist())
        withheld, listed = set(truth.tolist()), []
        for item in order:
            if item not in seen:
                listed.append(item)
            if len(listed) == 100:
                break
        for k in (20, 50):
            gained_by[f"recall@{k}"].append(len(withheld & set(listed[:k])) / min(k, len(withheld)))
        gained = sum(1 / np.log2(rank + 2) for rank, item in enumerate(listed) if item in withheld)
        ideal = sum(1 / np.log2(rank + 2) for rank in range(min(100, len(withheld))))
        gained_by["ndcg@100"].append(gained / ideal)
    return {name: np.array(values) for name, values in gained_by.items()}


def _batches(histories: Histories, first: int, last: int) -> Iterator[tuple[int, Histories]]:
    for start in range(first, last, _BATCH):
        yield start, take(histories, range(start, min(start + _BATCH, last)))


def _seen(part: Histories) -> list[Indexes]:
    return [part.items[part.indptr[row] : part.indptr[row + 1]] for row in range(part.rows)]


def _popular(cases: ListCases) -> Floats:
    counts = np.bincount(cases.train.item_index, weights=cases.train.weights, minlength=len(cases.train.items))
    return counts.astype(np.float32)


def _filled(scores: Floats, popular: Floats) -> Floats:
    """Replace -inf by values below every score of the row, in the order of `popular`, which is in [0, 1)."""
    unknown = np.isneginf(scores)
    lowest = np.where(unknown, np.inf, scores).min(axis=1, initial=np.inf, keepdims=True)
    reach = np.where(unknown, 0.0, np.abs(scores)).max(axis=1, initial=1.0, keepdims=True)
    floor = np.where(np.isfinite(lowest), lowest - 2.0 * reach, 0.0)
    return np.where(unknown, floor + popular * reach, scores).astype(np.float32)


def _fill(best: Indexes, fallback: Indexes) -> Indexes:
    for row in np.flatnonzero((best < 0).any(axis=1)):
        own = best[row][best[row] >= 0]
        unused = fallback[row][~np.isin(fallback[row], own)]
        best[row] = np.concatenate([own, unused])[: best.shape[1]]
    return best


def _any(hits: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)
