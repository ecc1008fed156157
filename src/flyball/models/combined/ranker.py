"""Two stages in one model: retrievers name a few hundred items, boosted trees put them in order.

What trees see of a pair: each retriever's score and place, how long the history and how popular the item is, and the
declared features of the user, the item and both, as they were at the instant of the question. They learn from lists
that retrievers fitted on the past alone would have shown, so nothing of the label is in any column.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Doubles, Refused
from flyball.models.base import Learned, Recommender, SearchSpace, named_parts, part_of, unscored
from flyball.models.combined.trees import TreePlan, Trees, grow
from flyball.models.data import (
    Floats,
    Histories,
    Indexes,
    Interactions,
    canonical,
    histories_of,
    select_rows,
    take,
)
from flyball.models.ranking import top_k
from flyball.models.recommenders.implicit_als import ImplicitALS

if TYPE_CHECKING:
    from flyball.features import FeatureSet

    Chosen = tuple[str, ...] | FeatureSet
else:
    Chosen = tuple[str, ...]  # what is kept; an application turns a set into names

TREES = "trees_txt"
"""Name of the trees' text among the learned arrays; the artifact keeps it as `trees.txt`."""

_COLUMNS = ("history.items", "history.liked", "item.likes")
_TESTED_SHARE = 0.4
_BATCH = 256

Excluded = Sequence[Indexes]


class Fold(msgspec.Struct, frozen=True):
    """An instant of the past to learn ranking from.

    `data`: what was known before `at_us`. `users` were asked about at `at_us`: `histories` and `seen` (items to leave
    out) as known just before, `truth` the items each came to like later. All items are indexes into `data.items`.
    """

    at_us: int
    data: Interactions
    users: list[str]
    histories: Histories
    seen: list[Indexes]
    truth: list[Indexes]


class Past(Protocol):
    """What a ranker learns from. `features`: see `Ranker.columns`; one row for each (user, item) at one instant."""

    @property
    def now(self) -> Interactions: ...

    def folds(self, wanted: int, users: int, seed: int) -> Iterator[Fold]: ...

    def features(self, users: Sequence[str], items: Sequence[str], at_us: int) -> Doubles: ...


class Pool(msgspec.Struct, frozen=True):
    """What was retrieved. `items`: int32 (rows, width), -1 beyond a row's end; `columns`: float64, the same and own."""

    items: Indexes
    columns: Doubles


class Ranker(Recommender, frozen=True):
    """`retrieve`: whose best items are ranked, in turns. `pool`: how many. `features`: which declared features the
    trees see, by name ("film.views", "hour") or group ("film"), or an `fb.FeatureSet`: all of it but its lists; none of
    them: the retrievers' scores alone. `trees`, `leaves`,
    `rate`, `least`: see `TreePlan`. `folds`: instants of the past to learn from, with up to `users` lists each.

    `hashes` {feature: hash of its definition} is filled in by the application and kept with every version.
    """

    kind: ClassVar[str] = "ranker"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "stages"

    search_space: ClassVar[SearchSpace] = {
        "trees": (50, 100, 200),
        "leaves": (4, 7, 15),
        "rate": (0.03, 0.05, 0.1),
        "least": (20, 100, 300),
    }

    retrieve: tuple[Recommender, ...] = (ImplicitALS(),)
    features: Chosen = ()
    pool: int = 200
    trees: int = 50
    leaves: int = 7
    rate: float = 0.1
    least: int = 100
    folds: int = 3
    users: int = 1_000
    hashes: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("pool", "trees", "least", "folds", "users"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"Ranker's {name}", "at least 1", getattr(self, name))
        if self.leaves < 2:
            raise BadDeclaration("Ranker's leaves", "at least 2", self.leaves)
        if not 0 < self.rate <= 1:
            raise BadDeclaration("Ranker's rate", "above 0 and at most 1", self.rate)
        retrieve: Any = self.retrieve
        if not isinstance(retrieve, tuple) or not retrieve or any(not isinstance(one, Recommender) for one in retrieve):
            raise BadDeclaration("Ranker's retrieve", "a tuple of models, such as (fb.ImplicitALS(),)", retrieve)
        _check_features(self.features)
        if any(isinstance(one, Ranker) for one in self.retrieve):
            raise BadDeclaration("Ranker's retrieve", "models that score the whole catalogue", "a Ranker")

    @property
    def parts(self) -> tuple[Recommender, ...]:
        """The retrievers."""
        return self.retrieve

    @property
    def feature_hashes(self) -> dict[str, str]:
        """As the application filled them in."""
        return self.hashes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features the trees see, in the order of their columns."""
        return tuple(sorted(self.hashes))

    @property
    def column_names(self) -> tuple[str, ...]:
        """Every column the trees see: score and place by each retriever ("ItemKNN.score"), lengths, the features."""
        kinds = [type(one).__name__ for one in self.retrieve]
        nth = [str(kinds[: place + 1].count(kind)) if kinds.count(kind) > 1 else "" for place, kind in enumerate(kinds)]
        own = [f"{kind}{number}.{name}" for kind, number in zip(kinds, nth, strict=True) for name in ("score", "place")]
        return (*own, *_COLUMNS, *self.feature_names)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """Learn from interactions alone, taking each to have been known since its `at_us`; without features only."""
        self._refuse_without_features()
        return self.fit_past(PastOf(data), seed)

    def fit_past(self, past: Past, seed: int) -> dict[str, NDArray[Any]]:
        """The retrievers' arrays, named "r0_...", fitted on everything; the trees; `support` (items,)."""
        columns, labels, lengths = [], [], []
        for fold in past.folds(self.folds, self.users, seed):
            learned = self._fit_retrievers(fold.data, seed)
            for rows, pool in self._pools_of(fold, learned):
                made = self._examples(fold, rows, pool, past)
                columns += [each[0] for each in made]
                labels += [each[1] for each in made]
                lengths += [len(each[1]) for each in made]
        learned = self._fit_retrievers(past.now, seed)
        if not lengths:
            return {**learned, TREES: np.empty(0, np.uint8)}
        plan = TreePlan(self.trees, self.leaves, self.rate, self.least, min(self.pool, 30))
        text = grow(
            np.concatenate(columns), np.concatenate(labels), np.array(lengths, np.int64), self.column_names, plan, seed,
        )  # fmt: skip
        return {**learned, TREES: text}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Scores of the pool, -inf elsewhere; refused for a ranker with features, which only `rank` can give."""
        self._refuse_without_features()
        scores = unscored(histories.rows, len(learned["support"]))
        pool = self.retrieved(learned, histories, [np.empty(0, np.int32)] * histories.rows, self.pool)
        return self.spread(self.rank(trees_of(learned), pool, None), pool, scores)

    def retrieved(self, learned: Learned, histories: Histories, excluded: Excluded, most: int) -> Pool:
        """Up to `most` items a row, best first by the retrievers in turns; `excluded` items are left out.

        A row without the evidence that the retrievers need has none.
        """
        rows, count = histories.rows, len(self.retrieve)
        width = min(most, len(learned["support"]))
        scores = [model.score(part_of("r", nth, learned), histories) for nth, model in enumerate(self.retrieve)]
        best = [top_k(each, excluded, width)[0] for each in scores]
        items = np.full((rows, width), -1, np.int32)
        columns = np.full((rows, width, 2 * count + len(_COLUMNS)), np.nan)
        lengths = np.diff(histories.indptr)
        liked = _liked(histories)
        for row in range(rows):
            chosen = _in_turns([each[row] for each in best], width)
            found = len(chosen)
            items[row, :found] = chosen
            for place in range(count):
                values = scores[place][row, chosen].astype(np.float64)
                columns[row, :found, 2 * place] = np.where(np.isfinite(values), values, np.nan)
                columns[row, :found, 2 * place + 1] = _places(best[place][row], chosen)
            columns[row, :found, 2 * count] = lengths[row]
            columns[row, :found, 2 * count + 1] = liked[row]
            columns[row, :found, 2 * count + 2] = learned["support"][chosen]
        return Pool(items, columns)

    def rank(self, trees: Trees | None, pool: Pool, features: Doubles | None) -> Floats:
        """Scores of the pool's items, float32 (rows, width), -inf beyond a row's end.

        `features`: float64 (rows, width, features) in the order of `feature_names`. Without trees (too little was known
        to grow any) the order of retrieval stays.
        """
        filled = pool.items >= 0
        found = np.full(pool.items.shape, -np.inf, np.float32)
        if trees is None:
            found[filled] = -np.nonzero(filled)[1].astype(np.float32)
            return found
        columns = pool.columns if features is None else np.concatenate([pool.columns, features], axis=2)
        if filled.any():
            found[filled] = trees.scores(columns[filled]).astype(np.float32)
        return found

    def spread(self, ranked: Floats, pool: Pool, scores: Floats) -> Floats:
        """The pool's scores at their items' places in `scores` (rows, items)."""
        rows, places = np.nonzero(pool.items >= 0)
        scores[rows, pool.items[rows, places]] = ranked[rows, places]
        return scores

    def _fit_retrievers(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        ordered = canonical(data)
        support = np.bincount(ordered.item_index[ordered.weights > 0], minlength=len(data.items)).astype(np.float64)
        return {"support": support, **named_parts("r", [model.fit(data, seed) for model in self.retrieve])}

    def _pools_of(self, fold: Fold, learned: Learned) -> Iterator[tuple[range, Pool]]:
        for first in range(0, len(fold.users), _BATCH):
            rows = range(first, min(first + _BATCH, len(fold.users)))
            part = take(fold.histories, rows)
            yield rows, self.retrieved(learned, part, [fold.seen[row] for row in rows], self.pool)

    def _examples(self, fold: Fold, rows: range, pool: Pool, past: Past) -> list[tuple[Doubles, NDArray[np.int32]]]:
        """(columns, labels) of the lists in which something was liked later, and something was not."""
        wanted = [np.isin(pool.items[place], fold.truth[row]) & (pool.items[place] >= 0)
                  for place, row in enumerate(rows)]  # fmt: skip
        filled = pool.items >= 0
        kept = [place for place in range(len(rows)) if wanted[place].any() and not wanted[place][filled[place]].all()]
        if not kept:
            return []
        features = None
        if self.hashes:
            lengths = [int(filled[place].sum()) for place in kept]
            users = [fold.users[rows[place]] for place, n in zip(kept, lengths, strict=True) for _ in range(n)]
            items = [fold.data.items[item] for place in kept for item in pool.items[place][filled[place]].tolist()]
            features = np.split(past.features(users, items, fold.at_us), np.cumsum(lengths)[:-1])
        made = []
        for nth, place in enumerate(kept):
            own = pool.columns[place][filled[place]]
            columns = own if features is None else np.concatenate([own, features[nth]], axis=1)
            made.append((columns, wanted[place][filled[place]].astype(np.int32)))
        return made

    def _refuse_without_features(self) -> None:
        if self.features or self.hashes:
            raise Refused("a Ranker with features must be given them at the instant of each question, got none")


def _check_features(features: Any) -> None:
    from flyball.features import FeatureSet

    if isinstance(features, FeatureSet):
        return
    if not isinstance(features, tuple) or not all(isinstance(name, str) for name in features):
        raise BadDeclaration(
            "Ranker's features", 'an fb.FeatureSet, or a tuple of names, such as ("film.views", "user")', features
        )


class PastOf:
    """The past of interactions without any log: each is taken to have been known since its `at_us`."""

    def __init__(self, data: Interactions) -> None:
        self._data = canonical(data)

    @property
    def now(self) -> Interactions:
        return self._data

    def folds(self, wanted: int, users: int, seed: int) -> Iterator[Fold]:
        """The latest positives in `wanted` windows of equal numbers, each seen from its own beginning."""
        data = self._data
        for start_us, end_us in fold_windows(data, wanted):
            before = select_rows(data, data.at_us < start_us)
            after = select_rows(data, (data.at_us >= start_us) & (data.at_us < end_us) & (data.weights >= 1))
            asked = np.intersect1d(after.user_index, before.user_index)
            if len(asked) > users:
                asked = np.sort(np.random.default_rng([seed, start_us % 2**32]).choice(asked, users, replace=False))
            yield Fold(
                at_us=start_us,
                data=msgspec.structs.replace(before, as_of_us=start_us - 1),
                users=[data.users[user] for user in asked.tolist()],
                histories=histories_of(before, asked, start_us),
                seen=[before.item_index[before.user_index == user] for user in asked.tolist()],
                truth=[after.item_index[after.user_index == user] for user in asked.tolist()],
            )

    def features(self, users: Sequence[str], items: Sequence[str], at_us: int) -> Doubles:
        raise Refused("features must come from a log, got interactions alone")


def fold_windows(data: Interactions, wanted: int) -> list[tuple[int, int]]:
    """`wanted` windows `[start, end)` that share the latest 40 % of the positives; fewer where instants coincide.

    >>> fold_windows(_at([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 2)
    [(7, 9), (9, 11)]
    """
    at_us = np.sort(data.at_us[data.weights >= 1])
    if not len(at_us):
        return []
    first = int(len(at_us) * (1 - _TESTED_SHARE))
    cuts = np.linspace(first, len(at_us), wanted + 1).astype(np.int64)[:-1]
    starts = [start for start in dict.fromkeys(at_us[cuts].tolist()) if start > at_us[0]]
    return list(zip(starts, [*starts[1:], int(at_us[-1]) + 1], strict=True)) if starts else []


def _at(instants: list[int]) -> Interactions:
    n, none = len(instants), np.zeros(len(instants), np.int32)
    return Interactions(
        ["u"], ["i"], none, none, np.ones(n, np.float32), np.full(n, np.nan, np.float32), np.array(instants, np.int64),
        np.zeros(1, np.int32), [], max(instants),
    )  # fmt: skip


def trees_of(learned: Learned) -> Trees | None:
    """The trees, None where too little was known to grow any."""
    text = learned[TREES]
    return Trees(text) if len(text) else None


def _liked(histories: Histories) -> NDArray[np.float64]:
    counts = np.zeros(len(histories.weights) + 1)
    np.cumsum(histories.weights > 0, out=counts[1:])
    return counts[histories.indptr[1:]] - counts[histories.indptr[:-1]]


def _in_turns(lists: Sequence[Indexes], most: int) -> Indexes:
    """The best of each list, then the second of each, each item once, up to `most`; -1 ends a list."""
    flat = lists[0] if len(lists) == 1 else np.stack(lists, axis=1).reshape(-1)
    flat = flat[flat >= 0]
    if len(lists) > 1:
        flat = flat[np.sort(np.unique(flat, return_index=True)[1])]
    return flat[:most]


def _places(best: Indexes, chosen: Indexes) -> NDArray[np.float64]:
    """The place of each chosen item in a list, from 1; nan where it is not in it."""
    ranked = best[best >= 0]
    found = np.full(len(chosen), np.nan)
    if len(ranked):
        order = np.argsort(ranked)
        at = np.minimum(np.searchsorted(ranked[order], chosen), len(ranked) - 1)
        hit = ranked[order][at] == chosen
        found[hit] = order[at[hit]] + 1.0
    return found
