"""Published accuracy protocols, run on a folder of ratings, with results as tables.

Promises: the same data, seed and families give the same metrics; a protocol that a data set does not support is
reported with the reason; every run checks the popularity recommender against an independent computation.
"""

from flyball.evaluation.published.dataset import RatedSet, read_rated_set
from flyball.evaluation.published.families import LISTS, RATINGS
from flyball.evaluation.published.run import PROTOCOLS, AccuracyTable, Line, accuracy_tables

__all__ = ["LISTS", "PROTOCOLS", "RATINGS", "AccuracyTable", "Line", "RatedSet", "accuracy_tables", "read_rated_set"]
