"""The registry's present tables, which `migrations/` creates. Only portable types: documents are text."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

Kind = type[sa.types.TypeEngine[Any]]


def _number(name: str = "number") -> sa.Column[int]:
    """A primary key whose values this code assigns."""
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


def _filled(kind: Kind, *names: str) -> Iterator[sa.Column[Any]]:
    """Columns that must not be null."""
    return (sa.Column(name, kind, nullable=False) for name in names)


runs = sa.Table(
    "runs",
    metadata,
    _number(),
    *_filled(sa.Text, "app", "snapshot", "status", "report"),
    *_filled(sa.BigInteger, "as_of_us", "started_us"),
    sa.Column("ended_us", sa.BigInteger, nullable=True),
)

versions = sa.Table(
    "versions",
    metadata,
    _number(),
    sa.Column("run_number", sa.Integer, sa.ForeignKey("runs.number"), nullable=False),
    *_filled(sa.Text, "app", "candidate", "kind", "params", "snapshot", "state", "reason"),
    *_filled(sa.Text, "code_commit", "dependencies_hash", "metrics", "gates", "artifact", "artifact_files"),
    *_filled(sa.BigInteger, "seed", "as_of_us", "created_us"),
    *_filled(sa.Boolean, "code_dirty"),
    sa.Column("declaration", sa.Text, nullable=False, server_default="{}"),
    sa.Column("features", sa.Text, nullable=False, server_default="{}"),
    sa.Column("code", sa.Text, nullable=False, server_default="{}"),
    sa.Column("training", sa.Text, nullable=False, server_default="{}"),
)

arrangements = sa.Table(
    "arrangements",
    metadata,
    _number(),
    *_filled(sa.Text, "app", "value", "digest"),
    *_filled(sa.BigInteger, "created_us"),
    *_filled(sa.Text, "created_by", "reason"),
)

audit = sa.Table(
    "audit",
    metadata,
    _number(),
    *_filled(sa.BigInteger, "at_us"),
    *_filled(sa.Text, "by_whom", "action", "subject", "reason", "before_json", "after_json"),
)

releases = sa.Table(
    "releases",
    metadata,
    _number("serial"),
    *_filled(sa.BigInteger, "changed_us"),
    *_filled(sa.Text, "document"),
    sa.Column("champion", sa.Text, nullable=True),
    sa.Column("previous", sa.Text, nullable=True),
)

release_objects = sa.Table(
    "release_objects",
    metadata,
    _number(),
    *_filled(sa.Text, "kind", "state", "document"),
)

release_transitions = sa.Table(
    "release_transitions",
    metadata,
    _number(),
    sa.Column("release_number", sa.Integer, sa.ForeignKey("release_objects.number"), nullable=False, index=True),
    *_filled(sa.BigInteger, "at_us"),
    *_filled(sa.Text, "by_whom", "command", "state_before", "state_after", "reason", "evidence"),
    *_filled(sa.Integer, "step", "serial"),
)

searches = sa.Table(
    "searches",
    metadata,
    _number(),
    *_filled(sa.Text, "app", "how", "metric", "snapshot", "status", "about"),
    *_filled(sa.Double, "budget"),
    *_filled(sa.BigInteger, "seed", "as_of_us", "started_us"),
    sa.Column("ended_us", sa.BigInteger, nullable=True),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("search_number", sa.Integer, sa.ForeignKey("searches.number"), primary_key=True),
    _number(),
    *_filled(sa.Text, "candidate", "params", "failed"),
    *_filled(sa.Double, "share", "seconds"),
    sa.Column("value", sa.Double, nullable=True),
)

incidents = sa.Table(
    "incidents",
    metadata,
    _number(),
    *_filled(sa.Text, "state", "severity", "document"),
    *_filled(sa.Integer, "revision"),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("incident_number", sa.Integer, sa.ForeignKey("incidents.number"), nullable=True, index=True),
    *_filled(sa.Text, "state", "document"),
)

incident_entries = sa.Table(
    "incident_entries",
    metadata,
    _number(),
    sa.Column("incident_number", sa.Integer, sa.ForeignKey("incidents.number"), nullable=False, index=True),
    *_filled(sa.BigInteger, "at_us"),
    *_filled(sa.Text, "by_whom", "command", "state_before", "state_after", "reason", "evidence"),
)

silences = sa.Table(
    "silences",
    metadata,
    _number(),
    *_filled(sa.BigInteger, "ends_us"),
    *_filled(sa.Text, "document"),
)

notifications = sa.Table(
    "notifications",
    metadata,
    _number(),
    sa.Column("incident_number", sa.Integer, sa.ForeignKey("incidents.number"), nullable=True),
    *_filled(sa.BigInteger, "at_us"),
    *_filled(sa.Text, "document"),
)

sinks = sa.Table(
    "sinks",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    *_filled(sa.Integer, "delivered"),
    *_filled(sa.Text, "document"),
)

cases = sa.Table(
    "cases",
    metadata,
    _number(),
    *_filled(sa.Text, "app", "trigger_text", "kind", "cause", "evidence", "fingerprint", "status", "refusals"),
    *_filled(sa.Text, "expected", "outcome"),
    *_filled(sa.BigInteger, "opened_us"),
    sa.Column("closed_us", sa.BigInteger, nullable=True),
    sa.Column("run_number", sa.Integer, sa.ForeignKey("runs.number"), nullable=True),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    *_filled(sa.Text, "holder"),
    *_filled(sa.BigInteger, "token", "taken_us", "expires_us"),
)

at_work = sa.Table(
    "at_work",
    metadata,
    sa.Column("subject", sa.Text, primary_key=True),
    *_filled(sa.Text, "process"),
    *_filled(sa.BigInteger, "expires_us"),
)

access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *_filled(sa.Text, "name", "roles", "origins", "salt", "digest", "created_by", "revoked_by"),
    *_filled(sa.BigInteger, "created_us"),
    *(sa.Column(name, sa.BigInteger, nullable=True) for name in ("expires_us", "revoked_us", "used_us")),
    *_filled(sa.Text, "limit_answers", "limit_events", "event_types"),
)

shared_buckets = sa.Table(
    "shared_buckets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    *_filled(sa.BigInteger, "full_ns"),
)

erased_people = sa.Table(
    "erased_people",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    *_filled(sa.Text, "digest_key"),
    *_filled(sa.BigInteger, "at_us"),
)
