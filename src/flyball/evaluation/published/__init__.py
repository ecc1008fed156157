"""The published accuracy protocols over a folder of ratings, as tables.

Promises: the same data, seed and families give the same metrics; a protocol that a data set cannot support is named
with the reason; the popularity recommender is checked against an independent computation in every run.
"""

from flyball.evaluation.published.dataset import RatedSet, read_rated_set
from flyball.evaluation.published.families import LISTS, RATINGS
from flyball.evaluation.published.run import PROTOCOLS, AccuracyTable, Line, accuracy_tables

__all__ = ["LISTS", "PROTOCOLS", "RATINGS", "AccuracyTable", "Line", "RatedSet", "accuracy_tables", "read_rated_set"]
