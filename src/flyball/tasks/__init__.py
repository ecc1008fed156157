"""Tasks: what is to be learned, from what, and how an answer is put together.

Promises: a declaration checks itself; training data and evaluation cases hold only what was known at their instant; a
pipeline (retrieve, score, arrange) gives a row the same bits in any batch, never an item twice, never one the user has
seen, and as many items as were asked for while the catalogue has them. Importing loads neither polars nor numba.
"""

from flyball.tasks.arrange import arrange
from flyball.tasks.fallback import fallback_arrays
from flyball.tasks.pipeline import Pipeline
from flyball.tasks.queries import GROUP, MODEL, NEWCOMER, POPULAR, BadScores, Query, Shown, check_query
from flyball.tasks.recommend import MAX_K, Recommend
from flyball.tasks.shelf import Shelf

__all__ = [
    "GROUP",
    "MAX_K",
    "MODEL",
    "NEWCOMER",
    "POPULAR",
    "BadScores",
    "Pipeline",
    "Query",
    "Recommend",
    "Shelf",
    "Shown",
    "arrange",
    "check_query",
    "fallback_arrays",
]
