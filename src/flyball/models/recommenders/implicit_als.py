"""Implicit alternating least squares.

Sources: Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; the regularization is
scaled by frequency as in Rendle, Krichene, Zhang, Koren, "Revisiting the Performance of iALS on Item Recommendation
Benchmarks", RecSys 2022 (arXiv 2021).
"""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Histories, Interactions, order_by, positives, row_pointers, rows_with
from flyball.models.factors import carried, catalog_scores, cosines_to, item_side, padded, side_bytes
from flyball.models.threads import in_blocks


class ImplicitALS(Recommender, frozen=True):
    """Minimize the sum over all pairs of c_ui (p_ui - x_u . y_i)^2 plus a penalty; p = 1 for positives, else 0.

    Confidence c_ui = 1 + `alpha` * w_ui (Hu et al.; Rendle's weight of an unobserved pair is 1 / alpha). The penalty of
    a user's factors is `reg` * (alpha * sum of the user's w + items) ** `nu`, an item's likewise (`nu` = 0: `reg`
    alone). Good values depend on the shape of the data. By default, with n the mean weight of a user,
    alpha = items / (20 n), at least 10, and reg = 0.17 n / (n + items / alpha), at most 0.02 (5 for another `nu`);
    these rules were chosen on validation parts of ml-100k, ml-latest-small and Amazon Beauty.
    `solver`: "cg", `cg_steps` conjugate gradient steps per half-step; "block", for many factors, a Newton step on
    `block` factors at a time (Rendle et al., "iALS++", 2021); or "cholesky", exact. For a response the user is always
    folded in exactly: W = Y'Y + Y'(C - I)Y + r I, score_i = y_i' W^-1 sum of c_j y_j over the history.
    """

    kind: ClassVar[str] = "implicit_als"
    reads_attributes: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "factors": (32, 64, 128),
        "reg": (None, 0.001, 0.003, 0.01, 0.02, 0.05),
        "alpha": (None, 3.0, 10.0, 30.0, 100.0, 300.0),
    }

    factors: int = 64
    reg: float | None = None
    alpha: float | None = None
    iterations: int = 15
    nu: float = 1.0
    solver: Literal["cg", "cholesky", "block"] = "cg"
    cg_steps: int = 3
    block: int = 32

    def __post_init__(self) -> None:
        for name in ("factors", "iterations", "cg_steps", "block"):
            if getattr(self, name) < 1:
                raise BadDeclaration(f"ImplicitALS's {name}", "at least 1", getattr(self, name))
        for name in ("reg", "alpha"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise BadDeclaration(f"ImplicitALS's {name}", "above 0", getattr(self, name))
        if self.solver not in ("cg", "cholesky", "block"):
            raise BadDeclaration("ImplicitALS's solver", "cg, cholesky or block", self.solver)

    def artifact_bytes(self, data: Interactions) -> int:
        """Two copies of the items' factors, and their gramian."""
        return side_bytes(len(data.items), self.factors) + 8 * self.factors**2

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """The arrays of `factors.item_side`; float64 `gramian` Y'Y and `settings` (known items, alpha, reg)."""
        return self._alternate(data, self._drawn(data, seed), self.iterations)

    def update(self, learned: Learned, items: list[str], data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """A fifth of the iterations, starting from the learned factors; the loss is within 1 % of that of a new fit."""
        before = np.asarray(learned["item_factors"])
        known = np.asarray(learned["offsets"])[: len(items)] > -np.inf
        fresh = self._drawn(data, seed)
        kept = [item for item, is_known in zip(items, known.tolist(), strict=True) if is_known]
        start = carried(before[known], kept, data.items, fresh)
        return self._alternate(data, start, max(1, self.iterations // 5))

    def _drawn(self, data: Interactions, seed: int) -> Floats:
        y = np.zeros((len(data.items), padded(self.factors)), dtype=np.float32)
        spread = 0.1 / np.sqrt(self.factors)
        y[:, : self.factors] = np.random.default_rng(seed).normal(0.0, spread, (len(y), self.factors))
        return y

    def _alternate(self, data: Interactions, y: Floats, iterations: int) -> dict[str, NDArray[Any]]:
        liked = positives(data)
        users, items = len(data.users), len(data.items)
        user_ptr = row_pointers(liked.user_index, users)
        by_item = order_by(liked.item_index, items)
        item_ptr = row_pointers(liked.item_index, items)
        known_items, known_users = int(np.sum(np.diff(item_ptr) > 0)), int(np.sum(np.diff(user_ptr) > 0))
        x = np.zeros((users, padded(self.factors)), dtype=np.float32)
        y[np.diff(item_ptr) == 0] = 0.0
        item_users, item_weights = liked.user_index[by_item], liked.weights[by_item]
        alpha, reg = self._scale(liked, known_users, known_items)
        by_users, by_items = (np.array([known, alpha, reg]) for known in (known_items, known_users))
        for _ in range(iterations):
            self._half_step(user_ptr, liked.item_index, liked.weights, y, x, by_users)
            self._half_step(item_ptr, item_users, item_weights, x, y, by_items)
        unknown = np.where(np.diff(item_ptr) > 0, 0.0, -np.inf).astype(np.float32)
        return {
            **item_side(y, unknown),
            "gramian": gramian_of(y),
            "settings": by_users,
        }

    def _scale(self, liked: Interactions, users: int, items: int) -> tuple[float, float]:
        """(alpha, reg), as given or from the shape of the data."""
        mean = max(1.0, float(liked.weights.sum(dtype=np.float64)) / max(1, users))
        alpha = float(self.alpha) if self.alpha is not None else max(10.0, items / (20.0 * mean))
        reg = min(0.02, 0.17 * mean / (mean + items / alpha)) if self.nu == 1.0 else 5.0
        return alpha, float(self.reg) if self.reg is not None else reg

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """x_u . y_i with the user folded in; -inf for items nobody liked, and for rows without a positive weight."""
        return catalog_scores(learned, self.folded(learned, histories), _answerable(learned, histories))

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """c_j y_i' W^-1 y_j for each liked j of the history: linear, so the contributions add up to the score."""
        y = np.asarray(learned["item_factors"], dtype=np.float64)
        weights = histories.weights.astype(np.float64)
        if not (weights > 0).any():
            return []
        near = y[histories.items]
        known, alpha, reg = learned["settings"].tolist()
        ridge = reg * (alpha * weights.sum() + known) ** self.nu
        system = learned["gramian"] + (near.T * (alpha * weights)) @ near + ridge * np.eye(y.shape[1])
        pulls = near @ np.linalg.solve(system, y[item]) * (1.0 + alpha * weights)
        return [(position, float(pulls[position])) for position in np.flatnonzero(weights > 0).tolist()]

    def similar(self, learned: Learned, item: int) -> Floats:
        """Cosine of item factors."""
        return cosines_to(learned["item_factors"], item)

    def folded(self, learned: Learned, histories: Histories) -> Floats:
        """The users' vectors x_u, float32 (rows, factors padded), solved exactly from the histories."""
        folded = np.empty((histories.rows, learned["item_factors"].shape[1]), dtype=np.float32)
        self._solve(
            histories.indptr,
            histories.items,
            histories.weights,
            learned["item_factors"],
            learned["gramian"],
            learned["settings"],
            (0, histories.rows),
            folded,
        )
        return folded

    def _half_step(
        self,
        indptr: NDArray[np.int64],
        index: NDArray[np.int32],
        weights: Floats,
        fixed: Floats,
        solved: Floats,
        settings: NDArray[np.float64],
    ) -> None:
        from flyball.models.kernels.conjugate import conjugate_rows
        from flyball.models.kernels.subspaces import subspace_rows

        base = gramian_of(fixed)
        narrow, (frequency, alpha, reg) = base.astype(np.float32), settings.tolist()

        def solve(first: int, last: int) -> None:
            if self.solver == "cholesky":
                self._solve(indptr, index, weights, fixed, base, settings, (first, last), solved)
            elif self.solver == "block":
                width = padded(self.block, 4)
                scales = (alpha, reg, frequency, float(self.nu))
                subspace_rows(indptr, index, weights, fixed, base, *scales, width, first, last, solved)
            else:
                conjugate_rows(
                    indptr,
                    index,
                    weights,
                    fixed,
                    narrow,
                    alpha,
                    reg,
                    frequency,
                    float(self.nu),
                    self.cg_steps,
                    first,
                    last,
                    solved,
                )

        in_blocks(len(solved), solve)

    def _solve(
        self,
        indptr: NDArray[np.int64],
        index: NDArray[np.int32],
        weights: Floats,
        fixed: Floats,
        base: NDArray[np.float64],
        settings: NDArray[np.float64],
        rows: tuple[int, int],
        solved: Floats,
    ) -> None:
        """Exact: (base + alpha sum w y y' + r I) x = sum (1 + alpha w) y."""
        from flyball.models.kernels.ridge import ridge_rows

        frequency, alpha, reg = settings.tolist()
        pulls = np.where(weights > 0, 1.0 + alpha * weights, 0.0).astype(np.float32)
        ridge_rows(
            indptr,
            index,
            weights,
            pulls,
            fixed,
            base,
            alpha,
            reg,
            frequency,
            float(self.nu),
            *rows,
            solved,
        )


def _answerable(learned: Learned, histories: Histories) -> NDArray[np.bool_]:
    known = np.isfinite(learned["offsets"])[histories.items]
    return rows_with(histories, (histories.weights > 0) & known)


def gramian_of(factors: Floats) -> NDArray[np.float64]:
    """Y'Y, summed in the order of the rows."""
    from flyball.models.kernels.ridge import add_outer

    upper = np.zeros((factors.shape[1], factors.shape[1]), dtype=np.float64)
    every, once = np.arange(len(factors), dtype=np.int32), np.ones(len(factors), dtype=np.float32)
    add_outer(upper, factors, every, once, 1.0)
    return np.triu(upper) + np.triu(upper, 1).T


def check_als(where: str, model: Any) -> None:
    """Raise `BadDeclaration` unless `model` is an `ImplicitALS`."""
    if not isinstance(model, ImplicitALS):
        raise BadDeclaration(where, "an ImplicitALS, such as fb.ImplicitALS(factors=32)", model)
