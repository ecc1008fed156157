"""Versions with the digests of the user's own code that they answer with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("versions", sa.Column("code", sa.Text, nullable=False, server_default="{}"))
