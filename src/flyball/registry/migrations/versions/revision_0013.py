"""Which process is at work on a run, a case or a search."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "at_work",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("expires_us", sa.BigInteger, nullable=False),
    )
