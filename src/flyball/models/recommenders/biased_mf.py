"""Biased matrix factorization of ratings, known as SVD.

Source: Koren, Bell, Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009; trained by
stochastic gradient descent as in Funk, "Netflix Update: Try This at Home", 2006, or by alternating least squares as in
Zhou, Wilkinson, Schreiber, Pan, "Large-Scale Parallel Collaborative Filtering for the Netflix Prize", AAIM 2008.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import (
    Floats,
    Histories,
    Indexes,
    Interactions,
    order_by,
    rated,
    row_pointers,
)
from flyball.models.factors import (
    RatesByFactors,
    carried,
    folded_rows,
    item_side,
    padded,
    rating_side,
    side_bytes,
)
from flyball.models.recommenders.baselines import mean_of
from flyball.models.recommenders.block_sgd import cells_of, side_by_side
from flyball.models.threads import in_blocks


class BiasedMF(RatesByFactors, Recommender, frozen=True):
    """r_ui = mean + b_u + b_i + p_u . q_i, fitted on the ratings with L2 `reg` per rating.

    `solver`: "sgd", or "als", which has no learning rate and minimizes the same loss in fewer but slower `epochs`: each
    solves the bias and factors of every user, then of every item, exactly.
    Only the items' arrays are stored. For each response, (b_u, p_u) is the ridge regression of the history's ratings on
    the factors of its items, regularized by `fold_in_reg` (p_u) and `fold_in_reg_bias` (b_u).
    Lists are sorted by a lower confidence bound, predicted rating - `caution` * sd / sqrt(n + 1), where n is the number
    of the item's ratings and sd the standard deviation of all ratings. Otherwise items with two top ratings would come
    first. Defaults: chosen on validation parts of ml-100k and ml-latest-small.
    """

    kind: ClassVar[str] = "biased_mf"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "ratings"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "factors": (16, 32, 64, 128),
        "reg": (0.05, 0.08, 0.1, 0.12),
        "epochs": (20, 40, 60),
        "fold_in_reg": (3.0, 6.0, 10.0, 20.0),
    }

    factors: int = 64
    epochs: int = 40
    learning_rate: float = 0.01
    reg: float = 0.1
    init_std: float = 0.05
    fold_in_reg: float = 10.0
    fold_in_reg_bias: float = 5.0
    caution: float = 8.0
    solver: Literal["sgd", "als"] = "sgd"

    def __post_init__(self) -> None:
        for name in ("factors", "epochs"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"BiasedMF's {name}", "at least 1", getattr(self, name))
        for name in ("learning_rate", "fold_in_reg", "fold_in_reg_bias"):
            if not getattr(self, name) > 0:
                raise BadDeclaration(f"BiasedMF's {name}", "above 0", getattr(self, name))
        if self.solver not in ("sgd", "als"):
            raise BadDeclaration("BiasedMF's solver", "sgd or als", self.solver)

    def artifact_bytes(self, data: Interactions) -> int:
        """Two copies of the items' factors and biases."""
        return side_bytes(len(data.items), self.factors + 1) + 8 * len(data.items)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """The arrays of `factors.item_side` (factor 0 stands for b_u), `base_ratings` mean + b_i and `limits` (2,)."""
        ratings = rated(data)
        return self._kept(ratings, *self._learned(ratings, self._drawn(ratings, seed), self.epochs, seed))

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """A fifth of the epochs, starting from the learned items and the users that fit them best.

        The RMSE is within 1 % of that of a new fit. The epochs use all ratings, so nothing is forgotten.
        """
        ratings = rated(data)
        start = self._drawn(ratings, seed)
        factors = np.asarray(learned["item_factors"])[:, 1 : self.factors + 1]
        start["q"][:, : self.factors] = carried(factors, items, data.items, start["q"][:, : self.factors])
        mean = mean_of(ratings.ratings)
        base = carried(
            np.asarray(learned["base_ratings"])[:, None], items, data.items, np.full((len(data.items), 1), mean)
        )
        start["item_bias"][:] = base[:, 0] - mean
        if self.solver == "sgd":  # the other solver begins with the users anyway
            self._solve_users(ratings, start)
        return self._kept(ratings, *self._learned(ratings, start, max(1, self.epochs // 5), seed))

    def _kept(self, ratings: Interactions, item_bias: Floats, q: Floats) -> dict[str, NDArray[Any]]:
        bias_factor = np.sqrt(self.fold_in_reg / self.fold_in_reg_bias)
        mean, own = mean_of(ratings.ratings), q[:, : self.factors]
        rows, offsets, kept = rating_side(ratings, mean, item_bias, own, bias_factor, self.caution)
        return {**item_side(rows, offsets), **kept}

    def _drawn(self, ratings: Interactions, seed: int) -> dict[str, Floats]:
        users, items, side = len(ratings.users), len(ratings.items), padded(self.factors)
        rng = np.random.default_rng(seed)
        p, q = np.zeros((users, side), dtype=np.float32), np.zeros((items, side), dtype=np.float32)
        p[:, : self.factors] = rng.normal(0.0, self.init_std, (users, self.factors))
        q[:, : self.factors] = rng.normal(0.0, self.init_std, (items, self.factors))
        biases = {name: np.zeros(n, dtype=np.float32) for name, n in (("user_bias", users), ("item_bias", items))}
        return {"p": p, "q": q, **biases}

    def _learned(
        self, ratings: Interactions, start: dict[str, Floats], epochs: int, seed: int
    ) -> tuple[Floats, Floats]:
        """Item biases and factors."""
        if self.solver == "als":
            return self._alternate(ratings, start, epochs)
        return self._descend(ratings, start, epochs, seed)

    def _alternate(self, ratings: Interactions, start: dict[str, Floats], epochs: int) -> tuple[Floats, Floats]:
        users, items, mean = len(ratings.users), len(ratings.items), mean_of(ratings.ratings)
        by_item = order_by(ratings.item_index, items)
        user_ptr, item_ptr = row_pointers(ratings.user_index, users), row_pointers(ratings.item_index, items)
        residuals, user_of_rating = ratings.ratings - np.float32(mean), (ratings.user_index[by_item], by_item)
        of_users, of_items = (np.zeros((n, padded(self.factors + 1)), dtype=np.float32) for n in (users, items))
        of_items[:, 0], of_items[:, 1 : self.factors + 1] = start["item_bias"], start["q"][:, : self.factors]
        for _ in range(epochs):
            self._half_step(user_ptr, ratings.item_index, residuals, of_items, of_users)
            self._half_step(item_ptr, user_of_rating[0], residuals[user_of_rating[1]], of_users, of_items)
        q = np.zeros(start["q"].shape, dtype=np.float32)
        q[:, : self.factors] = of_items[:, 1 : self.factors + 1]
        return np.ascontiguousarray(of_items[:, 0]), q

    def _solve_users(self, ratings: Interactions, start: dict[str, Floats]) -> None:
        """Set bias and factors of every user in `start` to those that fit the items in it best, as folding in would."""
        side, users = padded(self.factors + 1), len(start["p"])
        of_users, of_items = (np.zeros((rows, side), dtype=np.float32) for rows in (users, len(start["q"])))
        of_items[:, 0], of_items[:, 1 : self.factors + 1] = start["item_bias"], start["q"][:, : self.factors]
        residuals = ratings.ratings - np.float32(mean_of(ratings.ratings))
        pointers = row_pointers(ratings.user_index, users)
        self._half_step(pointers, ratings.item_index, residuals, of_items, of_users, self.fold_in_reg, 0.0)
        start["user_bias"][:], start["p"][:, : self.factors] = of_users[:, 0], of_users[:, 1 : self.factors + 1]

    def _half_step(
        self,
        indptr: NDArray[np.int64],
        index: Indexes,
        residuals: Floats,
        fixed: Floats,
        solved: Floats,
        reg: float | None = None,
        exponent: float = 1.0,
    ) -> None:
        """(bias, factors) of each row: ridge regression of its ratings on 1 and the other side's factors.

        The penalty is `reg` for each rating; with `exponent` 0 for all ratings of a row together.
        """
        from flyball.models.kernels.ridge import ridge_rows

        near, ones = fixed.copy(), np.ones(len(index), dtype=np.float32)
        near[:, 0] = 1.0
        pulls, nothing = residuals - fixed[index, 0], np.zeros((near.shape[1], near.shape[1]))
        penalty = float(self.reg if reg is None else reg)
        in_blocks(
            len(solved),
            lambda first, last: ridge_rows(
                indptr, index, ones, pulls, near, nothing, 1.0, penalty, 0.0, exponent, first, last, solved
            ),
        )

    def _descend(
        self, ratings: Interactions, start: dict[str, Floats], epochs: int, seed: int
    ) -> tuple[Floats, Floats]:
        from flyball.models.kernels.descent import descend

        p, q, user_bias, item_bias = (start[name] for name in ("p", "q", "user_bias", "item_bias"))
        mean, rng = mean_of(ratings.ratings), np.random.default_rng([seed, 1])
        cells = cells_of(ratings.user_index, ratings.item_index, len(p), len(q), rng)
        at_users, at_items, values = (
            column[cells.order] for column in (ratings.user_index, ratings.item_index, ratings.ratings)
        )
        rate, reg = float(self.learning_rate), float(self.reg)

        def visit(cell: int, block: int, part: int) -> None:
            first, last = cells.pointers[cell], cells.pointers[cell + 1]
            descend(at_users, at_items, values, first, last, mean, rate, reg, user_bias, item_bias, p, q)

        with side_by_side() as run:
            for _ in range(epochs):
                run(visit, rng.permutation(cells.blocks).tolist())
        return item_bias, q

    def _fold_in(self, learned: Learned, histories: Histories) -> Floats:
        is_rated = (~np.isnan(histories.ratings)).astype(np.float32)
        residuals = histories.ratings - learned["base_ratings"][histories.items]
        return folded_rows(learned["item_factors"], histories, is_rated, residuals, self.fold_in_reg)
