"""A quantized factor model in a quarter of the memory: fewer dimensions, and one byte for each number.

Sources: truncation to the leading principal directions, Eckart, Young, "The Approximation of One Matrix by Another of
Lower Rank", Psychometrika 1936; symmetric linear quantization by row, Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018.
"""

from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender
from flyball.models.data import Floats, Histories, Interactions, rows_with
from flyball.models.factors import cosines_to, padded
from flyball.models.recommenders.implicit_als import ImplicitALS, check_als, gramian_of


class Quantized(Recommender, frozen=True):
    """An `ImplicitALS` (`model`) whose item factors are stored as bytes, with one scale for each item.

    `rank`: how many leading principal directions of Y'Y are kept (0: all). Users are folded in with the dequantized
    factors, so a user's vector matches the factors that it is multiplied with. The artifact takes 2 * items * rank
    bytes instead of 8 * items * factors. The loss in ndcg depends on the data: see the report of `flyball learn`.
    """

    kind: ClassVar[str] = "quantized"

    model: ImplicitALS = ImplicitALS()
    rank: int = 0

    def __post_init__(self) -> None:
        check_als("Quantized's model", self.model)
        if not 0 <= self.rank <= self.model.factors:
            raise BadDeclaration("Quantized's rank", f"0 (all) to {self.model.factors}", self.rank)

    @property
    def parts(self) -> tuple[Recommender, ...]:
        """The model that is fitted."""
        return (self.model,)

    def artifact_bytes(self, data: Interactions) -> int:
        """Two copies of the factors at one byte a number, the offsets and scales, and the factors' gramian."""
        wide, rank = padded(len(data.items)), padded(self.rank or self.model.factors)
        return 2 * rank * wide + 8 * wide + 8 * self.model.factors**2

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`codes` int8 (items, rank), `columns` int8 (rank, items padded), `scales`, `offsets` float32 (items padded).

        `gramian` and `settings` as in `ImplicitALS`, of the dequantized factors.
        """
        return self.squeezed(self.model.fit(data, seed))

    def squeezed(self, learned: Learned) -> dict[str, NDArray[Any]]:
        """The compact form of what `ImplicitALS` learned."""
        rows = np.asarray(learned["item_factors"])
        if self.rank:
            _, directions = np.linalg.eigh(learned["gramian"])
            turned = np.einsum("if,fr->ir", rows.astype(np.float64), directions[:, ::-1][:, : self.rank])
            rows = np.zeros((len(rows), padded(self.rank)), dtype=np.float32)
            rows[:, : self.rank] = turned
        largest = np.abs(rows).max(axis=1, initial=0.0)
        scales = np.where(largest > 0, largest / 127.0, 1.0).astype(np.float32)
        codes = np.rint(rows / scales[:, None]).astype(np.int8)
        wide = len(learned["offsets"])
        columns, spread = np.zeros((rows.shape[1], wide), dtype=np.int8), np.zeros(wide, dtype=np.float32)
        columns[:, : len(rows)], spread[: len(rows)] = codes.T, scales
        return {
            "codes": codes,
            "columns": columns,
            "scales": spread,
            "offsets": np.asarray(learned["offsets"]),
            "gramian": gramian_of(codes * scales[:, None]),
            "settings": np.asarray(learned["settings"]),
        }

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """As `ImplicitALS.score`, with the dequantized factors."""
        from flyball.models.kernels.bytes import byte_scores

        items, item_positions = np.unique(histories.items, return_inverse=True)
        near = {
            "item_factors": (learned["codes"][items] * learned["scales"][items][:, None]).astype(np.float32),
            "gramian": learned["gramian"],
            "settings": learned["settings"],
        }
        own = msgspec.structs.replace(histories, items=item_positions.astype(np.int32))
        folded = self.model.folded(near, own)
        scores = np.empty((histories.rows, len(learned["codes"])), dtype=np.float32)
        byte_scores(folded, learned["columns"], learned["scales"], learned["offsets"], scores)
        known = np.isfinite(learned["offsets"])[histories.items]
        scores[~rows_with(histories, (histories.weights > 0) & known)] = -np.inf
        return scores

    def similar(self, learned: Learned, item: int) -> Floats:
        """Cosine of item factors."""
        return cosines_to(learned["codes"] * learned["scales"][: len(learned["codes"]), None], item)
