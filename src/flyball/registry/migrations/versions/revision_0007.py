"""Cases: why learning began, and the run that it led to."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    texts = ("app", "trigger_text", "kind", "cause", "evidence", "fingerprint", "status", "refusals", "expected")
    op.create_table(
        "cases",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*texts, "outcome")),
        sa.Column("opened_us", sa.BigInteger, nullable=False),
        sa.Column("closed_us", sa.BigInteger, nullable=True),
        sa.Column("run_number", sa.Integer, sa.ForeignKey("runs.number"), nullable=True),
    )
