"""What the tests on a real PostgreSQL server share; a module with a server of another kind has its own `server`."""

from collections.abc import Iterator

import pytest
from tests.live.postgres import Server, new_schema, own_server, shared_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of the PostgreSQL server of the whole run."""
    with shared_server() as url:
        yield url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    """The URL of a schema of this test alone."""
    with new_schema(server) as schema:
        yield schema


@pytest.fixture(scope="module")
def fragile() -> Iterator[Server]:
    """A server of this module alone, which its tests may freeze and kill."""
    with own_server() as own:
        yield own
