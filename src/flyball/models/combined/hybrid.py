"""ALS that computes factors from attributes for items without likes, including items added after the fit.

Source: Gantner, Drumond, Freudenthaler, Rendle, Schmidt-Thieme, "Learning Attribute-to-Feature Mappings for Cold-Start
Recommendations", ICDM 2010, with ridge regression as the mapping.
"""

from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Attributes, Floats, Histories, Interactions, positives
from flyball.models.factors import item_side, padded
from flyball.models.recommenders.implicit_als import ImplicitALS, check_als


class Hybrid(Recommender, frozen=True):
    """An `ImplicitALS` (`model`) in which an item i that nobody likes has the factors y_i = a_i M.

    a_i: the item's attribute values, each weighted 1 / sqrt(number of items that have it), scaled to length 1. Only
    the `values` most frequent values are used. M: the ridge regression (`reg`) of the fitted factors on a; an item with
    n likes has weight n / (n + `trust`). The factors of an item with likes are shrunk toward a_i M, which counts as
    much as `shrink` likes. Users are folded in as in ALS, including their likes of new items. Without attributes it
    equals ALS. Defaults: chosen on validation parts of ml-100k and ml-latest-small.
    """

    kind: ClassVar[str] = "hybrid"

    search_space: ClassVar[SearchSpace] = {
        "reg": (0.1, 0.3, 1.0, 3.0, 10.0),
        "shrink": (0.0, 2.0, 5.0, 10.0, 20.0),
    }

    model: ImplicitALS = ImplicitALS()
    reg: float = 1.0
    trust: float = 30.0
    shrink: float = 5.0
    values: int = 1_000

    def __post_init__(self) -> None:
        for name in ("reg", "trust"):
            if not getattr(self, name) > 0:
                raise BadDeclaration(f"Hybrid's {name}", "above 0", getattr(self, name))
        if not self.shrink >= 0:
            raise BadDeclaration("Hybrid's shrink", "at least 0", self.shrink)
        if self.values < 1:
            raise BadDeclaration("Hybrid's values", "at least 1", self.values)
        check_als("Hybrid's model", self.model)

    def artifact_bytes(self, data: Interactions) -> int:
        """The bytes of the ALS and of the attributes' values."""
        return self.model.artifact_bytes(data) + (
            0
            if data.attributes is None
            else sum(8 * (self.model.factors + 1) + len(name.encode()) + 3 for name in data.attributes.names)
        )

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """As `ImplicitALS.fit`, with factors for every item that has likes or attributes.

        Also returns what `place_new` needs: `values_txt`, the names of the values as JSON; `rarity`, float64 (values,),
        1 / number of items that have the value; `mapping`, M, float64 (values, factors).
        """
        from flyball.models.kernels.ridge import factorize, substitute

        learned, known = self.model.fit(data, seed), data.attributes
        if known is None or not len(known.index):
            return learned
        names, rarity = self._common(known)
        attributes = _matrix(known, names, rarity)
        described = np.asarray(np.diff(attributes.indptr) > 0)
        liked = positives(data)
        likes = np.bincount(liked.item_index, weights=liked.weights.astype(np.float64), minlength=len(data.items))
        y = np.asarray(learned["item_factors"], dtype=np.float64)
        trusted = attributes.multiply((likes / (likes + self.trust))[:, None]).tocsr().T.tocsr()
        size = attributes.shape[1]
        wide = np.eye(padded(size, 4)) * self.reg
        wide[:size, :size] += (trusted @ attributes).toarray()
        right = np.zeros((y.shape[1], len(wide)))
        right[:, :size] = (trusted @ y).T
        factorize(wide)
        for column in right:
            substitute(wide, column)
        mapping = np.ascontiguousarray(right[:, :size].T)
        guess = attributes @ mapping
        own = np.where(likes > 0, likes / np.maximum(likes + self.shrink, 1e-300), 0.0)
        mixed = np.where(described[:, None], own[:, None] * y + (1.0 - own)[:, None] * guess, y)
        offsets = np.where((likes > 0) | described, 0.0, -np.inf).astype(np.float32)
        kept = {name: learned[name] for name in ("gramian", "settings")}
        values = np.frombuffer(msgspec.json.encode(names), np.uint8)
        side = item_side(mixed.astype(np.float32), offsets)
        return {**side, **kept, "values_txt": values, "rarity": rarity, "mapping": mapping}

    def place_new(self, learned: Learned, new: Attributes) -> dict[str, NDArray[Any]]:
        """y = a M for the new items, with the values known when M was fitted; an item with none of them gets -inf."""
        before, size = np.asarray(learned["item_factors"]), len(new.indptr) - 1
        rows, known = np.zeros((size, before.shape[1]), dtype=np.float32), np.zeros(size, dtype=bool)
        if "mapping" in learned:
            names = msgspec.json.decode(learned["values_txt"].tobytes(), type=list[str])
            values = _matrix(new, names, learned["rarity"])
            rows, known = (values @ learned["mapping"]).astype(np.float32), np.asarray(np.diff(values.indptr) > 0)
        offsets = np.where(known, 0.0, -np.inf).astype(np.float32)
        both = np.concatenate([before, rows]), np.concatenate([learned["offsets"][: len(before)], offsets])
        return {**learned, **item_side(*both)}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """As `ImplicitALS.score`; -inf for items with neither likes nor attributes."""
        return self.model.score(learned, histories)

    def explain(self, learned: Learned, histories: Histories, item: int) -> list[tuple[int, float]]:
        """As `ImplicitALS.explain`."""
        return self.model.explain(learned, histories, item)

    def similar(self, learned: Learned, item: int) -> Floats:
        """Cosine of item factors."""
        return self.model.similar(learned, item)

    def _common(self, known: Attributes) -> tuple[list[str], NDArray[np.float64]]:
        """The most frequent values, in the order of `known`, and for each 1 / number of items that have it."""
        counts = np.bincount(known.index, minlength=len(known.names))
        common = np.sort(np.argsort(-counts, kind="stable")[: self.values])
        return [known.names[name_index] for name_index in common.tolist()], 1.0 / counts[common]


def _matrix(known: Attributes, names: list[str], rarity: NDArray[np.float64]) -> Any:
    """The items' values among `names`, sparse float64 (items, names); each row has Euclidean length 1, or 0."""
    from scipy.sparse import csr_matrix

    column_of, items = {name: at for at, name in enumerate(names)}, len(known.indptr) - 1
    column_of_name = np.array([column_of.get(name, -1) for name in known.names], dtype=np.int64)
    item, column = np.repeat(np.arange(items), np.diff(known.indptr)), column_of_name[known.index]
    item, column = item[column >= 0], column[column >= 0]
    lengths = np.sqrt(np.bincount(item, weights=rarity[column], minlength=items))
    return csr_matrix((np.sqrt(rarity[column]) / lengths[item], (item, column)), shape=(items, len(names)))
