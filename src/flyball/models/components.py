"""The models that stand alone: those a blend may be made of."""

from flyball.models.base import Recommender
from flyball.models.combined.hybrid import Hybrid
from flyball.models.combined.ranker import Ranker
from flyball.models.recommenders.baselines import BiasModel, GlobalMean
from flyball.models.recommenders.biased_mf import BiasedMF
from flyball.models.recommenders.bpr import BPR
from flyball.models.recommenders.ease import EASE
from flyball.models.recommenders.implicit_als import ImplicitALS
from flyball.models.recommenders.item_knn import ItemKNN
from flyball.models.recommenders.next_item import NextItem
from flyball.models.recommenders.popular import Popular
from flyball.models.recommenders.random import Random
from flyball.models.recommenders.rating_knn import RatingKNN
from flyball.models.recommenders.slim import SLIM
from flyball.models.recommenders.sparse_ease import SparseEASE
from flyball.models.recommenders.svdpp import SVDpp
from flyball.models.recommenders.user_knn import UserKNN

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
