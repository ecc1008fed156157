"""The table of models: whatever is in it passes `flyball.testing.model_checks` and may be rebuilt from an artifact."""

from flyball.models.base import Recommender
from flyball.models.item_knn import ItemKNN
from flyball.models.popular import Popular
from flyball.models.random import Random

MODELS: dict[str, type[Recommender]] = {
    "random": Random,
    "popular": Popular,
    "item_knn": ItemKNN,
}
