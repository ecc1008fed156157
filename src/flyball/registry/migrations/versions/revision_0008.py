"""How each version was trained: on everything, or continued from another."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("versions", sa.Column("training", sa.Text, nullable=False, server_default="{}"))
