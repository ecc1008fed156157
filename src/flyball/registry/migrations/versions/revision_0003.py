"""Versions keep their whole declaration; arrangements change without training."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("versions", sa.Column("declaration", sa.Text, nullable=False, server_default="{}"))
    op.add_column("versions", sa.Column("features", sa.Text, nullable=False, server_default="{}"))
    op.execute("ALTER TABLE versions RENAME COLUMN figures TO metrics")
    op.execute("ALTER TABLE trials RENAME COLUMN figure TO value")
    op.create_table(
        "arrangements",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
