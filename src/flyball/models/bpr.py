"""Bayesian personalised ranking.

Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit Feedback",
UAI 2009, with matrix factorisation and item biases.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender
from flyball.models.cells import cells_of, side_by_side
from flyball.models.data import Floats, Histories, Interactions, positives, row_pointers, rows_with
from flyball.models.factors import catalogue_scores, cosines_to, item_side, padded


class BPR(Recommender, frozen=True):
    """Maximise the sum of ln sigmoid(x_ui - x_uj) over positives i and drawn others j; x_ui = b_i + p_u . q_i.

    SGD with L2 `reg`; each pass visits every positive once against one item drawn uniformly (from the part of the items
    at hand, see `cells`; the parts are random). Only the item side is kept: at answer time
    p = M' (sum of w_j q_j / sqrt(sum of w_j)) over the history, M the ridge regression of the fitted p_u on the same
    sums of their own histories (`fold_in_reg`, relative to the sums' variance). Defaults: chosen on a validation part
    of ml-100k.
    """

    factors: int = 64
    epochs: int = 30
    learning_rate: float = 0.05
    reg: float = 0.01
    init_std: float = 0.04
    fold_in_reg: float = 0.01

    def __post_init__(self) -> None:
        for name in ("factors", "epochs"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"BPR's {name}", "at least 1", getattr(self, name))
        for name in ("learning_rate", "fold_in_reg"):
            if not getattr(self, name) > 0:
                raise BadDeclaration(f"BPR's {name}", "above 0", getattr(self, name))

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """The item side (`factors.item_side`, offsets b_i) and `fold_in` M float32 (factors, factors)."""
        from flyball.models.kernels.pairwise import linear_map, profiles

        liked = positives(data)
        p, q, item_bias = self._descend(liked, seed)
        known = np.bincount(liked.item_index, minlength=len(data.items)) > 0
        q[~known] = 0.0
        user_ptr = row_pointers(liked.user_index, len(data.users))
        inputs = np.empty(p.shape, dtype=np.float32)
        profiles(user_ptr, liked.item_index, liked.weights, q, inputs)
        fold_in = np.empty((p.shape[1], p.shape[1]))
        linear_map(inputs, p, float(self.fold_in_reg), fold_in)
        offsets = np.where(known, item_bias, -np.inf).astype(np.float32)
        return {**item_side(q, offsets), "fold_in": fold_in.astype(np.float32)}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """b_i + p . q_i with the user folded in; -inf for items nobody liked and for rows without a positive weight."""
        from flyball.models.kernels.pairwise import apply_map, profiles

        inputs = np.empty((histories.rows, learned["item_factors"].shape[1]), dtype=np.float32)
        profiles(histories.indptr, histories.items, histories.weights, learned["item_factors"], inputs)
        folded = np.empty(inputs.shape, dtype=np.float32)
        apply_map(inputs, learned["fold_in"], folded)
        known = np.isfinite(learned["offsets"])[histories.items]
        return catalogue_scores(learned, folded, rows_with(histories, (histories.weights > 0) & known))

    def similar(self, learned: Learned, item: int) -> Floats:
        """Cosine of item factors."""
        return cosines_to(learned["item_factors"], item)

    def _descend(self, liked: Interactions, seed: int) -> tuple[Floats, Floats, Floats]:
        from flyball.models.kernels.pairwise import rank_pairs

        users, items, side = len(liked.users), len(liked.items), padded(self.factors)
        rng = np.random.default_rng(seed)
        p, q = np.zeros((users, side), dtype=np.float32), np.zeros((items, side), dtype=np.float32)
        p[:, : self.factors] = rng.normal(0.0, self.init_std, (users, self.factors))
        q[:, : self.factors] = rng.normal(0.0, self.init_std, (items, self.factors))
        item_bias = np.zeros(items, dtype=np.float32)
        cells = cells_of(liked.user_index, liked.item_index, users, items, rng)
        at_users, at_items, weights = (
            column[cells.order] for column in (liked.user_index, liked.item_index, liked.weights)
        )
        rate, reg = float(self.learning_rate), float(self.reg)

        with side_by_side() as run:
            for _ in range(self.epochs):
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
