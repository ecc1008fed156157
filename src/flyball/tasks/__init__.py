"""Tasks: what is to be learned, from what, and how an answer is put together.

Promises: a declaration checks itself; training data and evaluation cases hold only what was known at their instant; a
pipeline (retrieve, score, arrange) gives a row the same bits in any batch, never an item twice, never one the user has
seen, and as many items as were asked for while the catalogue has them. Importing loads neither polars nor numba.
"""

from flyball.tasks.cases import ACTIVITIES, HEAVY, Cases, activity_of, evaluation_cases
from flyball.tasks.fallback import fallback_arrays
from flyball.tasks.featurize import Asked, Columns, OfflineFeatures, OnlineFeatures, ReadFeatures, coded_column
from flyball.tasks.interactions import build_interactions
from flyball.tasks.known import Behind, FrameCatalog, Frames, catalog_at
from flyball.tasks.lists import arrange
from flyball.tasks.pipeline import Pipeline
from flyball.tasks.queries import GENERAL, GROUP, MODEL, NEWCOMER, POPULAR, BadScores, Query, Shown, check_query
from flyball.tasks.ranked import Featured, bind_features, check_features, check_hashes
from flyball.tasks.ranking_past import LogPast
from flyball.tasks.recommend import MAX_K, Recommend
from flyball.tasks.shelf import ItemCatalog, Shelf

__all__ = [
    "ACTIVITIES",
    "GENERAL",
    "GROUP",
    "HEAVY",
    "MAX_K",
    "MODEL",
    "NEWCOMER",
    "POPULAR",
    "Asked",
    "BadScores",
    "Behind",
    "Cases",
    "Columns",
    "Featured",
    "FrameCatalog",
    "Frames",
    "ItemCatalog",
    "LogPast",
    "OfflineFeatures",
    "OnlineFeatures",
    "Pipeline",
    "Query",
    "ReadFeatures",
    "Recommend",
    "Shelf",
    "Shown",
    "activity_of",
    "arrange",
    "bind_features",
    "build_interactions",
    "catalog_at",
    "check_features",
    "check_hashes",
    "check_query",
    "coded_column",
    "evaluation_cases",
    "fallback_arrays",
]
