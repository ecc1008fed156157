"""The metrics logloss, macro_, micro_ and class_logloss are log_loss and so on, as elsewhere in the field."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_STORED = {
    "versions": ("number", "metrics", "gates", "reason"),
    "runs": ("number", "report"),
    "searches": ("number", "metric", "about"),
    "cases": ("number", "cause", "evidence", "expected", "outcome"),
    "releases": ("serial", "document"),
    "release_objects": ("number", "document"),
    "release_transitions": ("number", "reason", "evidence"),
    "alerts": ("fingerprint", "document"),
    "incidents": ("number", "document"),
    "incident_entries": ("number", "evidence"),
}
"""{table: its key, and the texts with names of metrics}; the audit trail stays as it was written."""
_OLD = re.compile(r"(?<![a-zA-Z0-9])((?:macro_|micro_|class_)?)logloss(?![a-zA-Z0-9_])")


def upgrade() -> None:
    connection = op.get_bind()
    for name, columns in _STORED.items():
        table = sa.table(name, *(sa.column(column) for column in columns))
        key, *texts = table.c
        mentions = sa.or_(*(text.like("%logloss%") for text in texts))
        for row in connection.execute(sa.select(key, *texts).where(mentions)).all():
            renamed = {text.name: _OLD.sub(r"\1log_loss", row._mapping[text.name]) for text in texts}
            connection.execute(table.update().where(key == row[0]).values(**renamed))
