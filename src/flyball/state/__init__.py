"""The views of the log that serving reads: profiles and catalogs, users' histories, what is popular.

Promises: the state is a function of the log before its offsets, whatever the batches and however often they were
delivered; one read is one consistent view with its offsets; one process writes, any number read.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from flyball.state.catalog import Catalog, catalog_version, load_catalog
from flyball.state.consumer import StateConsumer
from flyball.state.popularity import Popular, read_popular
from flyball.state.replay import state_at
from flyball.state.signals import Signals
from flyball.state.user_history import HISTORY_CAP, UserHistory, read_histories, weight_of

if TYPE_CHECKING:
    from flyball.state.interactions import interactions_frame
    from flyball.state.popularity_offline import popular_of

__all__ = [
    "HISTORY_CAP",
    "Catalog",
    "Popular",
    "Signals",
    "StateConsumer",
    "UserHistory",
    "catalog_version",
    "interactions_frame",
    "load_catalog",
    "popular_of",
    "read_histories",
    "read_popular",
    "state_at",
    "weight_of",
]

_LAZY = {
    "interactions_frame": "flyball.state.interactions",
    "popular_of": "flyball.state.popularity_offline",
}


def __getattr__(name: str) -> object:
    """What is computed over history needs polars, which serving should not load."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
