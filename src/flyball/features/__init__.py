"""What is known of users and items: one definition, the same values online and offline.

Promises: what the online store holds is a function of the log before its offsets, whatever the batches and however
often they were delivered, and equals what is computed offline from the same events, bit for bit; one read gives a
user's values and the offsets they belong to; one process writes, any number read.
"""

from typing import TYPE_CHECKING

from flyball.features.aggregates import FRESHNESS_US, Aggregate, Feature, Ratio
from flyball.features.apply_delays import ApplyDelays, read_apply_delays
from flyball.features.catalog import Catalog, catalog_version, load_catalog
from flyball.features.declaring import (
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
from flyball.features.derived import Derived, FeatureSet, computed, hashed
from flyball.features.entity import Entity
from flyball.features.follower import StateFollower
from flyball.features.groups import Definition, Features, Group
from flyball.features.online import FeatureFollower
from flyball.features.online_plan import feature_set_hash, groups_of
from flyball.features.online_read import FeatureReader
from flyball.features.online_store import bytes_per_key
from flyball.features.popular import Popular, read_popular
from flyball.features.rebuild import Rebuilt, rebuild
from flyball.features.replay import state_at
from flyball.features.signals import Signals
from flyball.features.store import STATE_BACKENDS, StateStore, open_state
from flyball.features.users import HISTORY_CAP, UserHistory, read_histories, weight_of
from flyball.features.vectors import Reading, Vectors, bits_of, digest_of
from flyball.features.windows import Window, exact, lifetime, tiled

if TYPE_CHECKING:
    from flyball.features.as_of import point_in_time
    from flyball.features.key_ranges import backfill
    from flyball.features.offline import interactions_frame
    from flyball.features.popular_offline import popular_of

__all__ = [
    "FRESHNESS_US",
    "HISTORY_CAP",
    "STATE_BACKENDS",
    "Aggregate",
    "ApplyDelays",
    "Catalog",
    "Definition",
    "Derived",
    "Entity",
    "Feature",
    "FeatureFollower",
    "FeatureReader",
    "FeatureSet",
    "Features",
    "Group",
    "Popular",
    "Ratio",
    "Reading",
    "Rebuilt",
    "Signals",
    "StateFollower",
    "StateStore",
    "UserHistory",
    "Vectors",
    "Window",
    "attribute",
    "backfill",
    "bits_of",
    "bytes_per_key",
    "catalog_version",
    "computed",
    "count",
    "decayed",
    "digest_of",
    "distinct",
    "exact",
    "feature_set_hash",
    "first",
    "groups_of",
    "hashed",
    "interactions_frame",
    "last",
    "last_n",
    "lifetime",
    "load_catalog",
    "max",
    "mean",
    "min",
    "open_state",
    "point_in_time",
    "popular_of",
    "ratio",
    "read_apply_delays",
    "read_histories",
    "read_popular",
    "rebuild",
    "state_at",
    "std",
    "sum",
    "target",
    "tiled",
    "weight_of",
]


def __getattr__(name: str) -> object:
    """What is computed over history needs polars, which serving should not load."""
    if name == "interactions_frame":
        from flyball.features.offline import interactions_frame

        return interactions_frame
    if name == "popular_of":
        from flyball.features.popular_offline import popular_of

        return popular_of
    if name == "point_in_time":
        from flyball.features.as_of import point_in_time

        return point_in_time
    if name == "backfill":
        from flyball.features.key_ranges import backfill

        return backfill
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
