"""Access keys: who may do what over HTTP."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    texts = ("name", "roles", "origins", "salt", "digest", "created_by", "revoked_by")
    op.create_table(
        "access_keys",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in texts),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=True) for name in ("expires_us", "revoked_us", "used_us")),
    )
