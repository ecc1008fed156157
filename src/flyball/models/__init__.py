"""Estimators and the artifact format.

Promises: `fit` with the same data (rows in any order) and seed gives the same bits at any thread count; `score` is
pure and gives a row the same bits in any batch; an artifact comes back bit for bit, memory-mapped, or is refused.
Importing this room, and declaring a model, compiles nothing.
"""

from flyball.models.artifact import Artifact, kind_of, load_artifact, model_of, params_of, save_artifact
from flyball.models.base import (
    Learned,
    Recommender,
    explains,
    knows_similar,
    places_new,
    predicts_ratings,
    unscored,
    updates,
)
from flyball.models.baselines import BiasModel, GlobalMean
from flyball.models.biased_mf import BiasedMF
from flyball.models.blend import Blend
from flyball.models.bpr import BPR
from flyball.models.compact import Compact
from flyball.models.data import (
    Attributes,
    Floats,
    Histories,
    Indexes,
    Instants,
    Interactions,
    attributes_of,
    canonical,
    histories_of,
    positives,
    rated,
    row_pointers,
    rows_with,
    select_rows,
    take,
)
from flyball.models.distilled import Distilled
from flyball.models.ease import EASE
from flyball.models.hybrid import Hybrid
from flyball.models.implicit_als import ImplicitALS
from flyball.models.item_knn import ItemKNN
from flyball.models.next_item import NextItem
from flyball.models.popular import Popular
from flyball.models.pruned import Pruned
from flyball.models.random import Random
from flyball.models.ranker import TREES, Fold, Past, PastOf, Pool, Ranker, fold_windows, trees_of
from flyball.models.ranking import best_items, top_k
from flyball.models.rating_blend import RatingBlend
from flyball.models.rating_knn import RatingKNN
from flyball.models.slim import SLIM
from flyball.models.sparse_ease import SparseEASE
from flyball.models.svdpp import SVDpp
from flyball.models.table import MODELS, reads_attributes
from flyball.models.threads import in_blocks
from flyball.models.trees import Trees
from flyball.models.user_knn import UserKNN

__all__ = [
    "BPR",
    "EASE",
    "MODELS",
    "SLIM",
    "TREES",
    "Artifact",
    "Attributes",
    "BiasModel",
    "BiasedMF",
    "Blend",
    "Compact",
    "Distilled",
    "Floats",
    "Fold",
    "GlobalMean",
    "Histories",
    "Hybrid",
    "ImplicitALS",
    "Indexes",
    "Instants",
    "Interactions",
    "ItemKNN",
    "Learned",
    "NextItem",
    "Past",
    "PastOf",
    "Pool",
    "Popular",
    "Pruned",
    "Random",
    "Ranker",
    "RatingBlend",
    "RatingKNN",
    "Recommender",
    "SVDpp",
    "SparseEASE",
    "Trees",
    "UserKNN",
    "attributes_of",
    "best_items",
    "canonical",
    "explains",
    "fold_windows",
    "histories_of",
    "in_blocks",
    "kind_of",
    "knows_similar",
    "load_artifact",
    "model_of",
    "params_of",
    "places_new",
    "positives",
    "predicts_ratings",
    "rated",
    "reads_attributes",
    "row_pointers",
    "rows_with",
    "save_artifact",
    "select_rows",
    "take",
    "top_k",
    "trees_of",
    "unscored",
    "updates",
]
