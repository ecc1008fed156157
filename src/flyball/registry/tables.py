"""The registry's tables as they are now; `migrations/` holds the way there. Portable types only: documents are text."""

import sqlalchemy as sa

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("as_of_us", sa.BigInteger, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    sa.Column("ended_us", sa.BigInteger, nullable=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("report", sa.Text, nullable=False),
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("candidate", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("as_of_us", sa.BigInteger, nullable=False),
    sa.Column("created_us", sa.BigInteger, nullable=False),
    sa.Column("run_number", sa.Integer, sa.ForeignKey("runs.number"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("code_commit", sa.Text, nullable=False),
    sa.Column("code_dirty", sa.Boolean, nullable=False),
    sa.Column("dependencies_hash", sa.Text, nullable=False),
    sa.Column("figures", sa.Text, nullable=False),
    sa.Column("gates", sa.Text, nullable=False),
    sa.Column("artifact", sa.Text, nullable=False),
    sa.Column("artifact_files", sa.Text, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("by_whom", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("before_json", sa.Text, nullable=False),
    sa.Column("after_json", sa.Text, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("serial", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("changed_us", sa.BigInteger, nullable=False),
    sa.Column("champion", sa.Text, nullable=True),
    sa.Column("previous", sa.Text, nullable=True),
    sa.Column("document", sa.Text, nullable=False),
)

searches = sa.Table(
    "searches",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("how", sa.Text, nullable=False),
    sa.Column("budget", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("as_of_us", sa.BigInteger, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    sa.Column("ended_us", sa.BigInteger, nullable=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("search_number", sa.Integer, sa.ForeignKey("searches.number"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("candidate", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("share", sa.Double, nullable=False),
    sa.Column("figure", sa.Double, nullable=True),
    sa.Column("failed", sa.Text, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
)
