"""The home of the tests of migrations."""

from tests.migration.conftest import app, full

__all__ = ["app", "full"]
