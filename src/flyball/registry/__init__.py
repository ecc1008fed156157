"""The model registry: versions with their lineage, metrics and gates, the release state, and an audit trail.

Promises: a version is registered atomically with its metrics, gates and hashes; ids are never reused; a decision and
its entry in the audit trail are one transaction; opening a registry migrates it to this Flyball's revision and refuses
a newer one. Reading does not import SQLAlchemy.
"""

from flyball.registry.cases import cases_of, close_case, link_run, open_case, refuse_case, start_case
from flyball.registry.incident_rows import (
    IncidentRows,
    changing_incidents,
    incident_documents,
    incident_entries,
)
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
    Case,
    CaseKind,
    CaseStatus,
    IncidentEntry,
    JsonObject,
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
    "Case",
    "CaseKind",
    "CaseStatus",
    "Database",
    "IncidentEntry",
    "IncidentRows",
    "JsonObject",
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
    "cases_of",
    "changing_incidents",
    "close_case",
    "end_run",
    "end_search",
    "incident_documents",
    "incident_entries",
    "link_run",
    "open_case",
    "refuse_case",
    "registry_exists",
    "replace_release",
    "searches_of",
    "start_case",
]
