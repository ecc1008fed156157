"""Two-stage ranking: retrievers return a few hundred items, boosted trees rank them.

The columns that the trees read for a pair: each retriever's score and rank, the length of the history, the popularity
of the item, and the declared features of the user, the item and the pair at the time of the request. The trees learn
from lists that retrievers fitted on earlier data would have shown, so no column contains the label.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, Doubles, Refused
from flyball.models.base import Learned, Recommender, SearchSpace, named_parts, part_of, unscored
from flyball.models.combined.trees import LambdaMART, Trees, grow
from flyball.models.data import (
    Floats,
    Histories,
    Indexes,
    Interactions,
    canonical,
    take,
)
from flyball.models.past import InteractionsPast, RankingPast, TrainingCut
from flyball.models.ranking import top_k
from flyball.models.recommenders.implicit_als import ImplicitALS

if TYPE_CHECKING:
    from flyball.features import FeatureSet

    Features = tuple[str, ...] | FeatureSet
else:
    Features = tuple[str, ...]  # the type that is stored; an application replaces a set by its names

TREES = "trees_txt"
"""Name of the trees' text among the learned arrays; the artifact keeps it as `trees.txt`."""

_COLUMNS = ("history.items", "history.liked", "item.likes")
_BATCH = 256

Excluded = Sequence[Indexes]


class Pool(msgspec.Struct, frozen=True):
    """What was retrieved. `items`: int32 (rows, width), -1 after a row's last item.

    `columns`: float64 (rows, width, columns of the stages themselves).
    """

    items: Indexes
    columns: Doubles


class Stages(Recommender, frozen=True):
    """Retrieves items with some models and ranks them with boosted trees.

    `retrieve`: models whose best items are ranked; they contribute items in turns, up to `most` items. `rank`: the
    trees. `features`: the declared features that the trees read, by name ("film.views", "hour") or group ("film"), or
    an `fb.FeatureSet`, which stands for all its features except lists. Without features the trees read the columns of
    the stages alone. `cuts`: how many past times to learn from, with up to `users` lists each.

    `hashes`: {feature: hash of its definition}, filled in by the application and stored with every version.
    """

    kind: ClassVar[str] = "stages"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "stages"
    needs_past: ClassVar[bool] = True

    search_space: ClassVar[SearchSpace] = {
        "rank": tuple(
            LambdaMART(trees, leaves, rate, rows)
            for trees in (50, 100, 200)
            for leaves in (4, 7, 15)
            for rate in (0.03, 0.05, 0.1)
            for rows in (20, 100, 300)
        )
    }

    retrieve: tuple[Recommender, ...] = (ImplicitALS(),)
    rank: LambdaMART = LambdaMART()
    features: Features = ()
    most: int = 200
    cuts: int = 3
    users: int = 1_000
    hashes: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("most", "cuts", "users"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"Stages' {name}", "at least 1", getattr(self, name))
        retrieve: Any = self.retrieve
        if (
            not isinstance(retrieve, tuple)
            or not retrieve
            or any(not isinstance(model, Recommender) for model in retrieve)
        ):
            raise BadDeclaration("Stages' retrieve", "a tuple of models, such as (fb.ImplicitALS(),)", retrieve)
        if not isinstance(self.rank, LambdaMART):
            raise BadDeclaration("Stages' rank", "an fb.LambdaMART, such as fb.LambdaMART(num_leaves=15)", self.rank)
        _check_features(self.features)
        if any(model.needs_past for model in self.retrieve):
            raise BadDeclaration("Stages' retrieve", "models that score the whole catalog", "Stages")

    @property
    def parts(self) -> tuple[Recommender, ...]:
        """The retrievers."""
        return self.retrieve

    @property
    def feature_hashes(self) -> dict[str, str]:
        """`hashes`, as the application filled them in."""
        return self.hashes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features that the trees read, in the order of their columns."""
        return tuple(sorted(self.hashes))

    @property
    def column_names(self) -> tuple[str, ...]:
        """Every column that the trees read: score ("ItemKNN.score") and rank by each retriever, lengths, features."""
        kinds = [type(model).__name__ for model in self.retrieve]
        suffixes = [
            str(kinds[: index + 1].count(kind)) if kinds.count(kind) > 1 else "" for index, kind in enumerate(kinds)
        ]
        own = [
            f"{kind}{number}.{name}"
            for kind, number in zip(kinds, suffixes, strict=True)
            for name in ("score", "place")
        ]
        return (*own, *_COLUMNS, *self.feature_names)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`fit_past` on interactions alone: each counts as known since its `at_us`. Not for features."""
        self._refuse_without_features()
        return self.fit_past(InteractionsPast(data), seed)

    def fit_past(self, past: RankingPast, seed: int) -> dict[str, NDArray[Any]]:
        """The retrievers' arrays, fitted on all data and named "r0_..."; the trees; `support` (items,): popularity."""
        columns, labels, lengths = [], [], []
        for cut in past.cuts(self.cuts, self.users, seed):
            learned = self._fit_retrievers(cut.data, seed)
            for rows, pool in self._pools_of(cut, learned):
                examples = self._examples(cut, rows, pool, past)
                columns += [cut_examples[0] for cut_examples in examples]
                labels += [cut_examples[1] for cut_examples in examples]
                lengths += [len(cut_examples[1]) for cut_examples in examples]
        learned = self._fit_retrievers(past.now, seed)
        if not lengths:
            return {**learned, TREES: np.empty(0, np.uint8)}
        text = grow(
            np.concatenate(columns),
            np.concatenate(labels),
            np.array(lengths, np.int64),
            self.column_names,
            self.rank,
            min(self.most, 30),
            seed,
        )
        return {**learned, TREES: text}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Scores of the retrieved items, -inf for others. Raises `Refused` for stages with features: use `ranked`."""
        self._refuse_without_features()
        scores = unscored(histories.rows, len(learned["support"]))
        pool = self.retrieved(learned, histories, [np.empty(0, np.int32)] * histories.rows, self.most)
        return self.spread(self.ranked(trees_of(learned), pool, None), pool, scores)

    def retrieved(self, learned: Learned, histories: Histories, excluded: Excluded, most: int) -> Pool:
        """Up to `most` items for each row, without those `excluded`: the retrievers contribute their best in turns.

        A row without the evidence that the retrievers need gets no items.
        """
        rows, count = histories.rows, len(self.retrieve)
        width = min(most, len(learned["support"]))
        scores = [model.score(part_of("r", index, learned), histories) for index, model in enumerate(self.retrieve)]
        best = [top_k(score, excluded, width)[0] for score in scores]
        items = np.full((rows, width), -1, np.int32)
        columns = np.full((rows, width, 2 * count + len(_COLUMNS)), np.nan)
        lengths = np.diff(histories.indptr)
        liked = _liked(histories)
        for row in range(rows):
            chosen = _in_turns([best_items[row] for best_items in best], width)
            pool_size = len(chosen)
            items[row, :pool_size] = chosen
            for index in range(count):
                values = scores[index][row, chosen].astype(np.float64)
                columns[row, :pool_size, 2 * index] = np.where(np.isfinite(values), values, np.nan)
                columns[row, :pool_size, 2 * index + 1] = _ranks(best[index][row], chosen)
            columns[row, :pool_size, 2 * count] = lengths[row]
            columns[row, :pool_size, 2 * count + 1] = liked[row]
            columns[row, :pool_size, 2 * count + 2] = learned["support"][chosen]
        return Pool(items, columns)

    def ranked(self, trees: Trees | None, pool: Pool, features: Doubles | None) -> Floats:
        """Scores of the pool's items, float32 (rows, width), -inf after a row's last item.

        `features`: float64 (rows, width, features) in the order of `feature_names`. Without trees, which need enough
        training data, the scores keep the order of retrieval.
        """
        filled = pool.items >= 0
        scores = np.full(pool.items.shape, -np.inf, np.float32)
        if trees is None:
            scores[filled] = -np.nonzero(filled)[1].astype(np.float32)
            return scores
        columns = pool.columns if features is None else np.concatenate([pool.columns, features], axis=2)
        if filled.any():
            scores[filled] = trees.scores(columns[filled]).astype(np.float32)
        return scores

    def spread(self, ranked: Floats, pool: Pool, scores: Floats) -> Floats:
        """`scores`, float32 (rows, items), with the pool's scores written to the columns of its items."""
        rows, positions = np.nonzero(pool.items >= 0)
        scores[rows, pool.items[rows, positions]] = ranked[rows, positions]
        return scores

    def _fit_retrievers(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        ordered = canonical(data)
        support = np.bincount(ordered.item_index[ordered.weights > 0], minlength=len(data.items)).astype(np.float64)
        return {"support": support, **named_parts("r", [model.fit(data, seed) for model in self.retrieve])}

    def _pools_of(self, cut: TrainingCut, learned: Learned) -> Iterator[tuple[range, Pool]]:
        for first in range(0, len(cut.users), _BATCH):
            rows = range(first, min(first + _BATCH, len(cut.users)))
            part = take(cut.histories, rows)
            yield rows, self.retrieved(learned, part, [cut.seen[row] for row in rows], self.most)

    def _examples(
        self, cut: TrainingCut, rows: range, pool: Pool, past: RankingPast
    ) -> list[tuple[Doubles, NDArray[np.int32]]]:
        """(columns, labels) of the lists that contain both an item liked later and one that was not."""
        is_positive = [
            np.isin(pool.items[index], cut.truth[row]) & (pool.items[index] >= 0) for index, row in enumerate(rows)
        ]
        filled = pool.items >= 0
        kept = [
            index
            for index in range(len(rows))
            if is_positive[index].any() and not is_positive[index][filled[index]].all()
        ]
        if not kept:
            return []
        features = None
        if self.hashes:
            lengths = [int(filled[pool_row].sum()) for pool_row in kept]
            users = [cut.users[rows[pool_row]] for pool_row, n in zip(kept, lengths, strict=True) for _ in range(n)]
            items = [
                cut.data.items[item] for pool_row in kept for item in pool.items[pool_row][filled[pool_row]].tolist()
            ]
            features = np.split(past.features(users, items, cut.at_us), np.cumsum(lengths)[:-1])
        examples = []
        for index, pool_row in enumerate(kept):
            own = pool.columns[pool_row][filled[pool_row]]
            columns = own if features is None else np.concatenate([own, features[index]], axis=1)
            examples.append((columns, is_positive[pool_row][filled[pool_row]].astype(np.int32)))
        return examples

    def _refuse_without_features(self) -> None:
        if self.features or self.hashes:
            raise Refused("Stages with features must be given the features at the time of each request, got none")


def _check_features(features: Any) -> None:
    from flyball.features import FeatureSet

    if isinstance(features, FeatureSet):
        return
    if not isinstance(features, tuple) or not all(isinstance(name, str) for name in features):
        raise BadDeclaration(
            "Stages' features", 'an fb.FeatureSet, or a tuple of names, such as ("film.views", "user")', features
        )


def trees_of(learned: Learned) -> Trees | None:
    """The trees; None if there was too little data to grow any."""
    text = learned[TREES]
    return Trees(text) if len(text) else None


def _liked(histories: Histories) -> NDArray[np.float64]:
    counts = np.zeros(len(histories.weights) + 1)
    np.cumsum(histories.weights > 0, out=counts[1:])
    return counts[histories.indptr[1:]] - counts[histories.indptr[:-1]]


def _in_turns(lists: Sequence[Indexes], most: int) -> Indexes:
    """The first item of each list, then the second of each, and so on: each item once, up to `most`; -1 ends a list."""
    flat = lists[0] if len(lists) == 1 else np.stack(lists, axis=1).reshape(-1)
    flat = flat[flat >= 0]
    if len(lists) > 1:
        flat = flat[np.sort(np.unique(flat, return_index=True)[1])]
    return flat[:most]


def _ranks(best: Indexes, chosen: Indexes) -> NDArray[np.float64]:
    """The rank of each chosen item in the list `best`, from 1; nan if it is not in the list."""
    ranked = best[best >= 0]
    ranks = np.full(len(chosen), np.nan)
    if len(ranked):
        order = np.argsort(ranked)
        at = np.minimum(np.searchsorted(ranked[order], chosen), len(ranked) - 1)
        hit = ranked[order][at] == chosen
        ranks[hit] = order[at[hit]] + 1.0
    return ranks
