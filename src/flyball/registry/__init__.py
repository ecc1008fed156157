"""The registry: what was learned, from what, by which code, how good it was, and what was decided about it.

Promises: a version is registered whole, with its metrics, gates and hashes, or not at all; its id is given once and
never reused; decisions leave an entry in the audit trail in the same transaction; opening a registry brings it to
this Flyball's revision and refuses a newer one. Reading imports no SQLAlchemy.
"""

from flyball.registry.store import (
    BACKENDS,
    Database,
    Registry,
    add_arrangement,
    add_entry,
    add_versions,
    begin_run,
    end_run,
    registry_exists,
    replace_release,
)
from flyball.registry.tuning import add_trial, begin_search, end_search, searches_of
from flyball.registry.types import (
    REMOVED,
    Arrangement,
    AuditEntry,
    ReleaseRow,
    ReleaseStep,
    Run,
    RunStatus,
    Search,
    SearchTrial,
    Version,
    VersionState,
)

__all__ = [
    "BACKENDS",
    "REMOVED",
    "Arrangement",
    "AuditEntry",
    "Database",
    "Registry",
    "ReleaseRow",
    "ReleaseStep",
    "Run",
    "RunStatus",
    "Search",
    "SearchTrial",
    "Version",
    "VersionState",
    "add_arrangement",
    "add_entry",
    "add_trial",
    "add_versions",
    "begin_run",
    "begin_search",
    "end_run",
    "end_search",
    "registry_exists",
    "replace_release",
    "searches_of",
]
