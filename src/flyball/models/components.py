"""The models that stand alone: those a blend may be made of."""

from flyball.models.base import Recommender
from flyball.models.baselines import BiasModel, GlobalMean
from flyball.models.biased_mf import BiasedMF
from flyball.models.bpr import BPR
from flyball.models.ease import EASE
from flyball.models.hybrid import Hybrid
from flyball.models.implicit_als import ImplicitALS
from flyball.models.item_knn import ItemKNN
from flyball.models.next_item import NextItem
from flyball.models.popular import Popular
from flyball.models.random import Random
from flyball.models.ranker import Ranker
from flyball.models.rating_knn import RatingKNN
from flyball.models.slim import SLIM
from flyball.models.sparse_ease import SparseEASE
from flyball.models.svdpp import SVDpp
from flyball.models.user_knn import UserKNN

COMPONENTS: dict[str, type[Recommender]] = {
    "random": Random,
    "popular": Popular,
    "global_mean": GlobalMean,
    "bias": BiasModel,
    "rating_knn": RatingKNN,
    "svdpp": SVDpp,
    "item_knn": ItemKNN,
    "user_knn": UserKNN,
    "next_item": NextItem,
    "slim": SLIM,
    "biased_mf": BiasedMF,
    "bpr": BPR,
    "implicit_als": ImplicitALS,
    "hybrid": Hybrid,
    "ease": EASE,
    "sparse_ease": SparseEASE,
    "ranker": Ranker,
}
