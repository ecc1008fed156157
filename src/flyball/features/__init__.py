"""Features: one definition, the same values online and offline.

Promises: the values in the online store are a function of the log before its offsets, whatever the batches and however
often they were delivered, and equal the values computed offline from the same events, bit for bit; a read returns the
values of its keys with the offsets they belong to; one process writes, any number read.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.features.code import content_of, source_of
from flyball.features.declaration.aggregates import FRESHNESS_US, Aggregate, Feature, Ratio
from flyball.features.declaration.derived import Derived, FeatureSet, computed, hashed
from flyball.features.declaration.functions import (
    attribute,
    count,
    decayed,
    distinct,
    first,
    last,
    last_n,
    max,
    mean,
    min,
    ratio,
    std,
    sum,
    target,
)
from flyball.features.declaration.groups import Definition, Entity, Features, Group
from flyball.features.declaration.values import number_of
from flyball.features.declaration.windows import Window, exact, lifetime, tiled
from flyball.features.vectors import Reading, Vectors, bits_of, digest_of

if TYPE_CHECKING:
    from flyball.features.code import content_of_class, is_own_code
    from flyball.features.declaration.columns import holds_column, number_column
    from flyball.features.offline.backfill import backfill
    from flyball.features.offline.encode import texts_of
    from flyball.features.offline.point_in_time import point_in_time
    from flyball.features.online.codec import bytes_per_key
    from flyball.features.online.consumer import FeatureConsumer
    from flyball.features.online.freshness import ApplyDelays, read_apply_delays
    from flyball.features.online.layout import groups_of
    from flyball.features.online.reader import FeatureReader
    from flyball.features.online.rebuild import RebuildReport, rebuild

__all__ = [
    "FRESHNESS_US",
    "Aggregate",
    "ApplyDelays",
    "Definition",
    "Derived",
    "Entity",
    "Feature",
    "FeatureConsumer",
    "FeatureReader",
    "FeatureSet",
    "Features",
    "Group",
    "Ratio",
    "Reading",
    "RebuildReport",
    "Vectors",
    "Window",
    "attribute",
    "backfill",
    "bits_of",
    "bytes_per_key",
    "computed",
    "content_of",
    "content_of_class",
    "count",
    "decayed",
    "digest_of",
    "distinct",
    "exact",
    "first",
    "groups_of",
    "hashed",
    "holds_column",
    "is_own_code",
    "last",
    "last_n",
    "lifetime",
    "max",
    "mean",
    "min",
    "number_column",
    "number_of",
    "point_in_time",
    "ratio",
    "read_apply_delays",
    "rebuild",
    "source_of",
    "std",
    "sum",
    "target",
    "texts_of",
    "tiled",
]

__getattr__ = lazy_door(__name__, __file__)  # the offline engine needs polars, which serving should not load
