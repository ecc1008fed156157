"""The event types that a key may send."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("access_keys", sa.Column("event_types", sa.Text, nullable=False, server_default=""))
