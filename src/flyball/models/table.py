"""The table of models: whatever is in it passes `flyball.testing.model_checks` and may be rebuilt from an artifact."""

from flyball.models.base import Recommender
from flyball.models.baselines import BiasModel, GlobalMean
from flyball.models.biased_mf import BiasedMF
from flyball.models.ease import EASE
from flyball.models.implicit_als import ImplicitALS
from flyball.models.item_knn import ItemKNN
from flyball.models.popular import Popular
from flyball.models.random import Random

MODELS: dict[str, type[Recommender]] = {
    "random": Random,
    "popular": Popular,
    "global_mean": GlobalMean,
    "bias": BiasModel,
    "item_knn": ItemKNN,
    "biased_mf": BiasedMF,
    "implicit_als": ImplicitALS,
    "ease": EASE,
}
