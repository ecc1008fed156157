"""The table of models: whatever is in it passes `flyball.testing.model_checks` and may be rebuilt from an artifact."""

from flyball.models.base import Recommender
from flyball.models.combined.blend import Blend
from flyball.models.combined.distilled import Distilled
from flyball.models.combined.hybrid import Hybrid
from flyball.models.combined.pruned import Pruned
from flyball.models.combined.quantized import Quantized
from flyball.models.combined.ranker import Ranker
from flyball.models.combined.rating_blend import RatingBlend
from flyball.models.components import COMPONENTS

MODELS: dict[str, type[Recommender]] = {
    **COMPONENTS,
    "compact": Quantized,
    "pruned": Pruned,
    "blend": Blend,
    "distilled": Distilled,
    "rating_blend": RatingBlend,
}

_BLIND = {one for one in COMPONENTS.values() if one not in (Hybrid, Ranker)}


def reads_attributes(model: Recommender) -> bool:
    """Whether `fit` may look at the items' attributes; a model that is not Flyball's own always may.

    >>> reads_attributes(COMPONENTS["slim"]()), reads_attributes(Hybrid()), reads_attributes(Ranker((Hybrid(),)))
    (False, True, True)
    """
    if isinstance(model, Ranker):
        return any(map(reads_attributes, model.retrieve))
    return type(model) not in _BLIND
