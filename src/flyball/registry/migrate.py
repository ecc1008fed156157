"""Migrates a database to this Flyball's revision, in one transaction."""

from pathlib import Path
from typing import TYPE_CHECKING

from flyball.core import Refused

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0014"
"""The revision of this code; a test holds it equal to the newest file of `migrations/versions`."""

FOLDER = Path(__file__).parent / "migrations"


def check_revision(revision: str | None) -> bool:
    """Whether `revision` is this code's revision; raises `Refused` for an unknown one."""
    if revision is None:
        return False
    known = {path.stem.removeprefix("revision_") for path in (FOLDER / "versions").glob("revision_*.py")}
    if revision not in known:
        raise Refused(f"registry must be at revision {HEAD} or before, got {revision}: it was made by a newer Flyball")
    return revision == HEAD


def upgrade(connection: "Connection") -> None:
    """Migrate to `HEAD` inside the connection's open transaction; raises `Refused` for a newer database."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

    if check_revision(MigrationContext.configure(connection).get_current_revision()):
        return
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
