"""The table of models: whatever is in it passes `flyball.testing.model_checks` and may be rebuilt from an artifact."""

from flyball.models.base import Recommender
from flyball.models.blend import Blend
from flyball.models.compact import Compact
from flyball.models.components import COMPONENTS
from flyball.models.rating_blend import RatingBlend

MODELS: dict[str, type[Recommender]] = {**COMPONENTS, "compact": Compact, "blend": Blend, "rating_blend": RatingBlend}
