"""SVD++: matrix factorization that also learns from which items a user rated.

Source: Koren, "Factorization Meets the Neighborhood: a Multifaceted Collaborative Filtering Model", KDD 2008,
section 4.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Histories, Interactions, rated, row_pointers
from flyball.models.factors import (
    RatesByFactors,
    folded_rows,
    item_side,
    padded,
    rating_side,
    side_bytes,
)
from flyball.models.recommenders.baselines import mean_of


class SVDpp(RatesByFactors, Recommender, frozen=True):
    """r_ui = mean + b_u + b_i + q_i . (p_u + |N(u)|^-1/2 sum of y_j over the items j that u rated).

    Fitted by SGD, one user at a time: the sum of y is fixed while the user's ratings are visited, then every y_j is
    updated once. The paper updates y after each rating; this way an epoch takes as long as one of SVD. For a response
    the sum of y comes from the history, and (b_u, p_u) is a ridge regression as in `BiasedMF`. Lists are sorted with
    `caution`, as in `BiasedMF`. Defaults: chosen on validation parts of ml-100k and ml-latest-small.
    """

    kind: ClassVar[str] = "svdpp"
    family: ClassVar[Literal["lists", "ratings", "stages"]] = "ratings"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "factors": (16, 32, 64),
        "reg": (0.05, 0.08, 0.1),
        "epochs": (20, 40, 60),
        "fold_in_reg": (3.0, 6.0, 10.0, 20.0),
    }

    factors: int = 32
    epochs: int = 40
    learning_rate: float = 0.01
    reg: float = 0.08
    init_std: float = 0.05
    fold_in_reg: float = 10.0
    fold_in_reg_bias: float = 5.0
    caution: float = 8.0

    def __post_init__(self) -> None:
        for name in ("factors", "epochs"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"SVDpp's {name}", "at least 1", getattr(self, name))
        for name in ("learning_rate", "fold_in_reg", "fold_in_reg_bias"):
            if not getattr(self, name) > 0:
                raise BadDeclaration(f"SVDpp's {name}", "above 0", getattr(self, name))

    def artifact_bytes(self, data: Interactions) -> int:
        """Two copies of the items' factors and biases, and one of the implicit factors."""
        items = len(data.items)
        return side_bytes(items, self.factors + 1) + 4 * padded(self.factors + 1) * items + 8 * items

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """As `BiasedMF.fit`, and `implicit` float32 (items, factors): y, in the same columns as the factors."""
        ratings = rated(data)
        mean = mean_of(ratings.ratings)
        item_bias, q, y = self._descend(ratings, mean, seed)
        bias_factor = np.sqrt(self.fold_in_reg / self.fold_in_reg_bias)
        rows, offsets, kept = rating_side(ratings, mean, item_bias, q[:, : self.factors], bias_factor, self.caution)
        implicit = np.zeros(rows.shape, dtype=np.float32)
        implicit[:, 1 : self.factors + 1] = y[:, : self.factors]
        return {**item_side(rows, offsets), **kept, "implicit": implicit}

    def _descend(self, ratings: Interactions, mean: float, seed: int) -> tuple[Floats, Floats, Floats]:
        from flyball.models.kernels.descent import descend_implicit

        users, items, side = len(ratings.users), len(ratings.items), padded(self.factors)
        rng = np.random.default_rng(seed)
        p, q, y = (np.zeros((n, side), dtype=np.float32) for n in (users, items, items))
        for rows in (p, q, y):
            rows[:, : self.factors] = rng.normal(0.0, self.init_std, (len(rows), self.factors))
        user_bias, item_bias = np.zeros(users, dtype=np.float32), np.zeros(items, dtype=np.float32)
        rate, reg = float(self.learning_rate), float(self.reg)
        user_ptr = row_pointers(ratings.user_index, users)
        y[np.bincount(ratings.item_index, minlength=items) == 0] = 0.0
        for _ in range(self.epochs):
            order = rng.permutation(users).astype(np.int32)
            descend_implicit(
                user_ptr, ratings.item_index, ratings.ratings, order, mean, rate, reg, user_bias, item_bias, p, q, y
            )
        return item_bias, q, y

    def _fold_in(self, learned: Learned, histories: Histories) -> Floats:
        """(b_u, p_u + the sum of y), float32 (rows, factors)."""
        from flyball.models.kernels.descent import implicit_sums

        is_rated = (~np.isnan(histories.ratings)).astype(np.float32)
        sums = np.empty((histories.rows, learned["implicit"].shape[1]), dtype=np.float32)
        explained = np.empty(len(histories.items), dtype=np.float32)
        implicit_sums(
            histories.indptr, histories.items, is_rated, learned["implicit"], learned["item_factors"], sums, explained
        )
        residuals = histories.ratings - learned["base_ratings"][histories.items] - explained
        return folded_rows(learned["item_factors"], histories, is_rated, residuals, self.fold_in_reg) + sums
