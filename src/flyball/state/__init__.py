"""The views of the log that serving reads: written by one consumer, read by any process.

Promises: a view is a function of its definition and of the log before its offsets, whatever the batches and however
often they were delivered; a read sees one consistent state with its offsets; a changed definition is a new view, built
beside the one that serves and then swapped; one process writes, any number read.
"""

from flyball.state.catalog import Catalog, catalog_version, load_catalog, profile_spec
from flyball.state.consumer import StateConsumer
from flyball.state.profiles import ProfileView, type_name
from flyball.state.replay import state_at
from flyball.state.view import View, ViewSpec, ViewStore

__all__ = [
    "Catalog",
    "ProfileView",
    "StateConsumer",
    "View",
    "ViewSpec",
    "ViewStore",
    "catalog_version",
    "load_catalog",
    "profile_spec",
    "state_at",
    "type_name",
]
