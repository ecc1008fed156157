"""Releases: who sees which version, and how that changes.

Promises: every request has a route that names version, arm and propensity; a user stays with an arm while it widens;
a version that failed a gate, or whose files are not as registered, never becomes champion; of two changes at the
same time one wins and the other is refused; every change is in the audit trail.
"""

from flyball.releases.arrangements import (
    arrangement_to_serve,
    arrangement_value,
    declare_arrangement,
    declared_arrangement,
    release_arrangement,
    rollback_arrangement,
)
from flyball.releases.change import Change, check_servable, promote, rollback
from flyball.releases.state import (
    BUCKETS,
    Arm,
    ReleaseState,
    Route,
    arrangement_id,
    bucket_of,
    current,
    level_of,
    route,
)

__all__ = [
    "BUCKETS",
    "Arm",
    "Change",
    "ReleaseState",
    "Route",
    "arrangement_id",
    "arrangement_to_serve",
    "arrangement_value",
    "bucket_of",
    "check_servable",
    "current",
    "declare_arrangement",
    "declared_arrangement",
    "level_of",
    "promote",
    "release_arrangement",
    "rollback",
    "rollback_arrangement",
    "route",
]
