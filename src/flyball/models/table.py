"""The table of models: whatever is in it passes `flyball.testing.model_checks` and may be rebuilt from an artifact."""

from flyball.models.base import Recommender
from flyball.models.blend import Blend
from flyball.models.compact import Compact
from flyball.models.components import COMPONENTS
from flyball.models.distilled import Distilled
from flyball.models.pruned import Pruned
from flyball.models.rating_blend import RatingBlend

MODELS: dict[str, type[Recommender]] = {
    **COMPONENTS,
    "compact": Compact,
    "pruned": Pruned,
    "blend": Blend,
    "distilled": Distilled,
    "rating_blend": RatingBlend,
}
