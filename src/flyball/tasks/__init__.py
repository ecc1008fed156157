"""Tasks: what is learned from which events, and how responses are made.

Promises: constructing a declaration checks it; training data and evaluation cases are point-in-time; a pipeline
(retrieve, score, re-rank) gives a row the same bits in any batch, never an item twice, never one that the user has
seen, and as many items as were requested while the catalog has them. Importing loads neither polars nor numba.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.tasks.about import PATH_RENDERINGS, About, AdaptedInterval, DailyLimit, Label, Reviews
from flyball.tasks.answers import Answers, answers_of
from flyball.tasks.defaults import (
    FixedFallback,
    PipelineDefaults,
    RequestMean,
    StatelessOnline,
    TaskDefaults,
    evaluation_of,
    family_of,
)
from flyball.tasks.evaluation import MISSING_GROUP, EvaluationPlan, EvaluationSet, Metric, MetricFamily, ReportTable
from flyball.tasks.feature_hashes import check_hashes
from flyball.tasks.featurize import (
    Columns,
    GroupKeys,
    OfflineFeatures,
    OnlineFeatures,
    ReadFeatures,
    ReadsByEvent,
    coded_column,
    feature_columns,
    sampled,
)
from flyball.tasks.labels import (
    CompiledPlan,
    LabelPlan,
    compile_plan,
    field_named,
    joining_names,
    label_plans,
    references,
)
from flyball.tasks.past import DECISIONS, Frames, Past, ServingLag
from flyball.tasks.plan_check import check_plan, interleaved_plan
from flyball.tasks.recommend.declaration import MAX_K, Recommend
from flyball.tasks.recommend.item_index import ItemCatalog, ItemIndex
from flyball.tasks.recommend.labels import recommend_labels
from flyball.tasks.recommend.pipeline import RecommendPipeline, empty_history
from flyball.tasks.recommend.ranked import bind_features, check_features
from flyball.tasks.recommend.request import (
    CATALOG,
    COLD_START,
    GENERAL,
    GROUP,
    MODEL,
    POPULAR,
    BadScores,
    RecommendRequest,
    fields_of,
    request_type,
)
from flyball.tasks.recommend.state import views_of
from flyball.tasks.recommend.state.popularity import PopularList, read_popular
from flyball.tasks.recommend.state.signals import Signals
from flyball.tasks.recommend.state.user_history import HISTORY_CAP, UserHistory, read_histories, weight_of
from flyball.tasks.recommend.state.view import UserItemsView
from flyball.tasks.request import Request, bad_request, fields_of_event, key_field, request_of, seed_of
from flyball.tasks.response import RANDOMIZED, FeatureRead, IntervalShift, RankedItem, Response
from flyball.tasks.task import (
    DEFAULT_LEVEL,
    EMPTY_LEVEL,
    FALLBACK_LEVELS,
    POPULAR_LEVEL,
    PRECOMPUTED_LEVEL,
    AnswersAtOnce,
    Candidate,
    ContinuesCandidates,
    CountsLabels,
    DescribesContexts,
    DescribesDecisions,
    Examples,
    Fallback,
    GroupsRequests,
    Holdout,
    LimitsLists,
    ListLimit,
    Lookup,
    OffersLookups,
    Offline,
    Online,
    Pipeline,
    Stores,
    TakeReview,
    TakesPeriods,
    TakesShares,
    Task,
    Trained,
    TrainingData,
    TrainsCandidates,
    WritesOnnx,
)
from flyball.tasks.views import Described, KeepsViews, task_views

if TYPE_CHECKING:
    from flyball.tasks.label_frames import label_requests
    from flyball.tasks.metrics import (
        DefinedRatio,
        RatioOfSums,
        Resampled,
        Undefined,
        auc,
        brier,
        log_loss,
        request_mean,
    )
    from flyball.tasks.predict.declaration import Predict
    from flyball.tasks.predict.targets import Target, elapsed, occurs, target_value
    from flyball.tasks.recommend.cases import Cases, evaluation_cases
    from flyball.tasks.recommend.evaluation_set import ItemExposure, evaluation_set, history_length
    from flyball.tasks.recommend.fallback import fallback_arrays
    from flyball.tasks.recommend.fallback_lists import FallbackLists
    from flyball.tasks.recommend.interactions import build_interactions, pairs_at
    from flyball.tasks.recommend.known import FrameCatalog, catalog_at, known_keys, latest_profiles
    from flyball.tasks.recommend.metrics.beyond_accuracy import (
        coverage,
        mean_popularity,
        novelty,
        popularity_share,
        self_information,
        short_head,
    )
    from flyball.tasks.recommend.metrics.predicted_ratings import with_references
    from flyball.tasks.recommend.metrics.propensity import IpsWeights, propensity_weights
    from flyball.tasks.recommend.metrics.ranking import ACCURACY, average_precision, hit_rate, ndcg, precision, recall
    from flyball.tasks.recommend.metrics.ratings import bias_predictions, global_mean
    from flyball.tasks.recommend.plan import evaluation_plan
    from flyball.tasks.recommend.ranking_dataset import RankingDataset
    from flyball.tasks.recommend.state.interactions import interactions_frame
    from flyball.tasks.recommend.state.popularity_offline import popular_of
    from flyball.tasks.recommend.truth import RatedItems, RecommendTruth

__all__ = [
    "ACCURACY",
    "CATALOG",
    "COLD_START",
    "DECISIONS",
    "DEFAULT_LEVEL",
    "EMPTY_LEVEL",
    "FALLBACK_LEVELS",
    "GENERAL",
    "GROUP",
    "HISTORY_CAP",
    "MAX_K",
    "MISSING_GROUP",
    "MODEL",
    "PATH_RENDERINGS",
    "POPULAR",
    "POPULAR_LEVEL",
    "PRECOMPUTED_LEVEL",
    "RANDOMIZED",
    "About",
    "AdaptedInterval",
    "Answers",
    "AnswersAtOnce",
    "BadScores",
    "Candidate",
    "Cases",
    "Columns",
    "CompiledPlan",
    "ContinuesCandidates",
    "CountsLabels",
    "DailyLimit",
    "DefinedRatio",
    "Described",
    "DescribesContexts",
    "DescribesDecisions",
    "EvaluationPlan",
    "EvaluationSet",
    "Examples",
    "Fallback",
    "FallbackLists",
    "FeatureRead",
    "FixedFallback",
    "FrameCatalog",
    "Frames",
    "GroupKeys",
    "GroupsRequests",
    "Holdout",
    "IntervalShift",
    "IpsWeights",
    "ItemCatalog",
    "ItemExposure",
    "ItemIndex",
    "KeepsViews",
    "Label",
    "LabelPlan",
    "LimitsLists",
    "ListLimit",
    "Lookup",
    "Metric",
    "MetricFamily",
    "OffersLookups",
    "Offline",
    "OfflineFeatures",
    "Online",
    "OnlineFeatures",
    "Past",
    "Pipeline",
    "PipelineDefaults",
    "PopularList",
    "Predict",
    "RankedItem",
    "RankingDataset",
    "RatedItems",
    "RatioOfSums",
    "ReadFeatures",
    "ReadsByEvent",
    "Recommend",
    "RecommendPipeline",
    "RecommendRequest",
    "RecommendTruth",
    "ReportTable",
    "Request",
    "RequestMean",
    "Resampled",
    "Response",
    "Reviews",
    "ServingLag",
    "Signals",
    "StatelessOnline",
    "Stores",
    "TakeReview",
    "TakesPeriods",
    "TakesShares",
    "Target",
    "Task",
    "TaskDefaults",
    "Trained",
    "TrainingData",
    "TrainsCandidates",
    "Undefined",
    "UserHistory",
    "UserItemsView",
    "WritesOnnx",
    "answers_of",
    "auc",
    "average_precision",
    "bad_request",
    "bias_predictions",
    "bind_features",
    "brier",
    "build_interactions",
    "catalog_at",
    "check_features",
    "check_hashes",
    "check_plan",
    "coded_column",
    "compile_plan",
    "coverage",
    "elapsed",
    "empty_history",
    "evaluation_cases",
    "evaluation_of",
    "evaluation_plan",
    "evaluation_set",
    "fallback_arrays",
    "family_of",
    "feature_columns",
    "field_named",
    "fields_of",
    "fields_of_event",
    "global_mean",
    "history_length",
    "hit_rate",
    "interactions_frame",
    "interleaved_plan",
    "joining_names",
    "key_field",
    "known_keys",
    "label_plans",
    "label_requests",
    "latest_profiles",
    "log_loss",
    "mean_popularity",
    "ndcg",
    "novelty",
    "occurs",
    "pairs_at",
    "popular_of",
    "popularity_share",
    "precision",
    "propensity_weights",
    "read_histories",
    "read_popular",
    "recall",
    "recommend_labels",
    "references",
    "request_mean",
    "request_of",
    "request_type",
    "sampled",
    "seed_of",
    "self_information",
    "short_head",
    "target_value",
    "task_views",
    "views_of",
    "weight_of",
    "with_references",
]

__getattr__ = lazy_door(__name__, __file__)  # what is computed over history needs polars, which serving should not load
