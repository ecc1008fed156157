"""Bayesian personalized ranking.

Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit Feedback",
UAI 2009, with matrix factorization and item biases.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Histories, Interactions, histories_of, positives, row_pointers, rows_with
from flyball.models.factors import carried, catalog_scores, cosines_to, item_side, padded, side_bytes
from flyball.models.recommenders.block_sgd import cells_of, side_by_side


class BPR(Recommender, frozen=True):
    """Maximize the sum of ln sigmoid(x_ui - x_uj) over positives i and sampled negatives j; x_ui = b_i + p_u . q_i.

    SGD with L2 `reg`. Each epoch compares every positive with one item, drawn uniformly from the positive's random part
    of the items (see `cells_of`). Only the items' arrays are stored. For each response
    p = M' (sum of w_j q_j / sqrt(sum of w_j)) over the history; M is the ridge regression of the fitted p_u on the same
    sums over the training histories (`fold_in_reg`, relative to the variance of the sums). Defaults: chosen on
    validation parts of ml-100k and ml-latest-small.
    """

    kind: ClassVar[str] = "bpr"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "factors": (32, 64, 128, 256),
        "epochs": (10, 20, 30, 60, 100),
        "learning_rate": (0.02, 0.05, 0.1),
        "reg": (0.001, 0.003, 0.01, 0.03),
        "fold_in_reg": (0.05, 0.2, 0.5),
    }

    factors: int = 128
    epochs: int = 60
    learning_rate: float = 0.05
    reg: float = 0.01
    init_std: float = 0.04
    fold_in_reg: float = 0.2

    def __post_init__(self) -> None:
        for name in ("factors", "epochs"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"BPR's {name}", "at least 1", getattr(self, name))
        for name in ("learning_rate", "fold_in_reg"):
            if not getattr(self, name) > 0:
                raise BadDeclaration(f"BPR's {name}", "above 0", getattr(self, name))

    def artifact_bytes(self, data: Interactions) -> int:
        """Two copies of the items' factors, and their gramian."""
        return side_bytes(len(data.items), self.factors) + 4 * self.factors**2

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """The arrays of `factors.item_side` (offsets b_i) and `fold_in`, M, float32 (factors, factors)."""
        liked = positives(data)
        return self._kept(liked, *self._descend(liked, self._drawn(liked, seed), self.epochs, seed))

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """A fifth of the epochs, starting from the learned items and folded-in users."""
        liked = positives(data)
        start = self._drawn(liked, seed)
        known = np.isfinite(np.asarray(learned["offsets"])[: len(items)])
        kept = [item for item, is_known in zip(items, known.tolist(), strict=True) if is_known]
        start["q"] = carried(np.asarray(learned["item_factors"])[known], kept, data.items, start["q"])
        offsets = np.asarray(learned["offsets"])[: len(items)][known]
        start["item_bias"] = carried(offsets[:, None], kept, data.items, start["item_bias"][:, None])[:, 0]
        histories = histories_of(liked, np.arange(len(data.users)))
        start["p"] = self._folded({"item_factors": start["q"], "fold_in": learned["fold_in"]}, histories)
        return self._kept(liked, *self._descend(liked, start, max(1, self.epochs // 5), seed))

    def _kept(self, liked: Interactions, p: Floats, q: Floats, item_bias: Floats) -> dict[str, NDArray[Any]]:
        from flyball.models.kernels.pairwise import linear_map, profiles

        known = np.bincount(liked.item_index, minlength=len(q)) > 0
        q[~known] = 0.0
        inputs = np.empty(p.shape, dtype=np.float32)
        profiles(row_pointers(liked.user_index, len(p)), liked.item_index, liked.weights, q, inputs)
        fold_in = np.empty((p.shape[1], p.shape[1]))
        linear_map(inputs, p, float(self.fold_in_reg), fold_in)
        offsets = np.where(known, item_bias, -np.inf).astype(np.float32)
        return {**item_side(q, offsets), "fold_in": fold_in.astype(np.float32)}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """b_i + p . q_i with the user folded in; -inf for items nobody liked and for rows without a positive weight."""
        known = np.isfinite(learned["offsets"])[histories.items]
        return catalog_scores(
            learned, self._folded(learned, histories), rows_with(histories, (histories.weights > 0) & known)
        )

    def similar(self, learned: Learned, item: int) -> Floats:
        """Cosine of item factors."""
        return cosines_to(learned["item_factors"], item)

    def _folded(self, learned: Learned, histories: Histories) -> Floats:
        from flyball.models.kernels.pairwise import apply_map, profiles

        inputs = np.empty((histories.rows, learned["item_factors"].shape[1]), dtype=np.float32)
        profiles(histories.indptr, histories.items, histories.weights, learned["item_factors"], inputs)
        folded = np.empty(inputs.shape, dtype=np.float32)
        apply_map(inputs, learned["fold_in"], folded)
        return folded

    def _drawn(self, liked: Interactions, seed: int) -> dict[str, Floats]:
        users, items, side = len(liked.users), len(liked.items), padded(self.factors)
        rng = np.random.default_rng(seed)
        p, q = np.zeros((users, side), dtype=np.float32), np.zeros((items, side), dtype=np.float32)
        p[:, : self.factors] = rng.normal(0.0, self.init_std, (users, self.factors))
        q[:, : self.factors] = rng.normal(0.0, self.init_std, (items, self.factors))
        return {"p": p, "q": q, "item_bias": np.zeros(items, dtype=np.float32)}

    def _descend(
        self, liked: Interactions, start: dict[str, Floats], epochs: int, seed: int
    ) -> tuple[Floats, Floats, Floats]:
        from flyball.models.kernels.pairwise import rank_pairs

        p, q, item_bias = start["p"], start["q"], start["item_bias"]
        rng = np.random.default_rng([seed, 1])
        cells = cells_of(liked.user_index, liked.item_index, len(p), len(q), rng)
        at_users, at_items, weights = (
            column[cells.order] for column in (liked.user_index, liked.item_index, liked.weights)
        )
        rate, reg = float(self.learning_rate), float(self.reg)

        with side_by_side() as run:
            for _ in range(epochs):
                seeds = rng.integers(1, 2**62, cells.blocks**2)

                def visit(cell: int, block: int, part: int, seeds: NDArray[np.int64] = seeds) -> None:
                    first, last = cells.pointers[cell], cells.pointers[cell + 1]
                    start, stop, draw = cells.part_ptr[part], cells.part_ptr[part + 1], int(seeds[cell])
                    rank_pairs(
                        at_users,
                        at_items,
                        weights,
                        first,
                        last,
                        cells.part_items,
                        start,
                        stop,
                        draw,
                        rate,
                        reg,
                        item_bias,
                        p,
                        q,
                    )

                run(visit, rng.permutation(cells.blocks).tolist())
        return p, q, item_bias
