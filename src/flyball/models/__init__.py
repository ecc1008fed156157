"""Estimators and the artifact format.

Promises: `fit` with the same data (rows in any order) and seed gives the same bits at any thread count; `score` is
pure and gives a row the same bits in any batch; an artifact comes back bit for bit, memory-mapped, or is refused.
Importing this room, and declaring a model, compiles nothing.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.models.artifact import Artifact, load_artifact, model_of, params_of, save_artifact
from flyball.models.artifact_files import (
    artifact_folder,
    has_artifact,
    publish_artifact,
    remove_artifact,
    unregistered_artifacts,
)
from flyball.models.base import (
    Explains,
    Learned,
    ListsSimilar,
    PlacesNew,
    PredictsRatings,
    Recommender,
    SearchSpace,
    Updates,
    explain_score,
    explains,
    kind_of,
    knows_similar,
    models_here,
    places_new,
    predict_pairs,
    predicts_ratings,
    reads_attributes,
    similar_items,
    unscored,
    updates,
)
from flyball.models.combined.blend import Blend
from flyball.models.combined.distilled import Distilled
from flyball.models.combined.hybrid import Hybrid
from flyball.models.combined.pruned import Pruned
from flyball.models.combined.quantized import Quantized
from flyball.models.combined.rating_blend import RatingBlend
from flyball.models.combined.stages import TREES, Pool, Stages, trees_of
from flyball.models.combined.trees import LambdaMART, Trees
from flyball.models.data import (
    Attributes,
    Floats,
    Histories,
    Indexes,
    Interactions,
    Timestamps,
    attributes_of,
    canonical,
    histories_of,
    positives,
    rated,
    row_pointers,
    rows_with,
    select_rows,
    share_of_users,
    take,
)
from flyball.models.own_code import (
    check_code,
    check_task_code,
    code_of,
    code_of_task,
    edits_of_learning,
    own_code,
    own_models_in,
)
from flyball.models.past import InteractionsPast, RankingPast, TrainingCut, cut_windows
from flyball.models.ranking import best_items, top_k
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
from flyball.models.tabular.table import (
    Table,
    TableColumn,
    TabularFit,
    TabularModel,
    TabularPredictor,
    TargetKind,
    TrainingTable,
    summary_of,
)
from flyball.models.threads import in_blocks

if TYPE_CHECKING:
    from flyball.models.tabular.anomalies import IsolationForest, NearestNeighborAnomaly
    from flyball.models.tabular.baselines import Constant, GroupMedian
    from flyball.models.tabular.boosted import LightGBM
    from flyball.models.tabular.calibration.adaptive import AdaptiveLevel, adaptive_level
    from flyball.models.tabular.calibration.calibrated import Calibrated, calibrated
    from flyball.models.tabular.calibration.conformalized import Conformal, conformal
    from flyball.models.tabular.calibration.downsampled import Downsampled, downsampled
    from flyball.models.tabular.estimator import Estimator
    from flyball.models.tabular.ftrl import FTRL
    from flyball.models.tabular.linear import Linear
    from flyball.models.tabular.one_vs_rest import OneVsRest
    from flyball.models.tabular.onnx.export import ONNX_TOLERANCE, onnx_of
    from flyball.models.tabular.own import TABULAR_MODELS
    from flyball.models.tabular.stacking import Stacking

__all__ = [
    "BPR",
    "EASE",
    "FTRL",
    "MODELS",
    "ONNX_TOLERANCE",
    "SLIM",
    "TABULAR_MODELS",
    "TREES",
    "AdaptiveLevel",
    "Artifact",
    "Attributes",
    "BiasModel",
    "BiasedMF",
    "Blend",
    "Calibrated",
    "Conformal",
    "Constant",
    "Distilled",
    "Downsampled",
    "Estimator",
    "Explains",
    "Floats",
    "GlobalMean",
    "GroupMedian",
    "Histories",
    "Hybrid",
    "ImplicitALS",
    "Indexes",
    "Interactions",
    "InteractionsPast",
    "IsolationForest",
    "ItemKNN",
    "LambdaMART",
    "Learned",
    "LightGBM",
    "Linear",
    "ListsSimilar",
    "NearestNeighborAnomaly",
    "NextItem",
    "OneVsRest",
    "PlacesNew",
    "Pool",
    "Popular",
    "PredictsRatings",
    "Pruned",
    "Quantized",
    "Random",
    "RankingPast",
    "RatingBlend",
    "RatingKNN",
    "Recommender",
    "SVDpp",
    "SearchSpace",
    "SparseEASE",
    "Stacking",
    "Stages",
    "Table",
    "TableColumn",
    "TabularFit",
    "TabularModel",
    "TabularPredictor",
    "TargetKind",
    "Timestamps",
    "TrainingCut",
    "TrainingTable",
    "Trees",
    "Updates",
    "UserKNN",
    "adaptive_level",
    "artifact_folder",
    "attributes_of",
    "best_items",
    "calibrated",
    "canonical",
    "check_code",
    "check_task_code",
    "code_of",
    "code_of_task",
    "conformal",
    "cut_windows",
    "downsampled",
    "edits_of_learning",
    "explain_score",
    "explains",
    "has_artifact",
    "histories_of",
    "in_blocks",
    "kind_of",
    "knows_similar",
    "load_artifact",
    "model_of",
    "onnx_of",
    "own_code",
    "own_models_in",
    "params_of",
    "places_new",
    "positives",
    "predict_pairs",
    "predicts_ratings",
    "publish_artifact",
    "rated",
    "reads_attributes",
    "remove_artifact",
    "row_pointers",
    "rows_with",
    "save_artifact",
    "select_rows",
    "share_of_users",
    "similar_items",
    "summary_of",
    "take",
    "top_k",
    "trees_of",
    "unregistered_artifacts",
    "unscored",
    "updates",
]

MODELS: dict[str, type[Recommender]] = models_here()
"""{kind: class} of Flyball's own models, those imported above. Each passes `flyball.testing.model_checks`."""

__getattr__ = lazy_door(__name__, __file__)  # models of tables are imported when one is used
