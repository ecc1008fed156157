"""Limits of keys, and what machines tell one another: used buckets, and who was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for name in ("limit_answers", "limit_events"):
        op.add_column("access_keys", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.create_table(
        "shared_buckets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("full_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "erased_people",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("digest_key", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
    )
