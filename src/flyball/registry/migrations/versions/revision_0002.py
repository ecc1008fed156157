"""Searches for parameters, with all their trials."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "searches",
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
    op.create_table(
        "trials",
        sa.Column("search_number", sa.Integer, sa.ForeignKey("searches.number"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("figure", sa.Double, nullable=True),
        sa.Column("failed", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
    )
