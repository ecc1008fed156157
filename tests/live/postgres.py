"""A real PostgreSQL server for tests, one for the whole run, and schemas on it that go when their test ends."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import glob
from itertools import count
from pathlib import Path

import psycopg
from tests.processes import gone, stands_still, until

ENGINE = Path(__file__).parents[2] / ".ci" / "engines" / "postgres"
GIVEN = os.environ.get("TEST_POSTGRES_URL", "")
HERE = shutil.which("initdb") is not None or bool(glob("/usr/lib/postgresql/*/bin/initdb"))
MISSING = "no PostgreSQL on this machine"

_names = (f"test_{os.urandom(6).hex()}_{number}" for number in count())
"""Those of other processes on the same server are others."""


class Server:
    """A server that a test may freeze, kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        """Start it, after it was killed with its data of before."""
        subprocess.run([ENGINE, "start", self.folder], check=True, stdout=subprocess.DEVNULL, timeout=120)
        self.url = (self.folder / "url").read_text().strip()
        self.pid = int((self.folder / "pid").read_text())

    def signal(self, number: int) -> None:
        """Send a signal to the server and the processes of its sessions; one that kills has ended them."""
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True)
        pids = [self.pid, *map(int, children.stdout.split())]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGKILL:
            until(lambda: all(map(gone, pids)))
        if number == signal.SIGSTOP:
            until(lambda: all(map(stands_still, pids)))

    def stop(self) -> None:
        """End it and remove its data."""
        self.signal(signal.SIGCONT)
        subprocess.run([ENGINE, "stop", self.folder], check=True, timeout=120)
        shutil.rmtree(self.folder)


@contextmanager
def own_server() -> Iterator[Server]:
    """A server of this test alone. Its folder must be one that the user `postgres` can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def shared_server() -> Iterator[str]:
    """The URL of the server that `TEST_POSTGRES_URL` names (CI sets it, see `scripts/with-postgres`), else one started
    here."""
    if GIVEN:
        yield GIVEN
        return
    with own_server() as server:
        yield server.url


def execute(url: str, statement: str) -> None:
    """Run a statement of a test's own on the server, in the schema that the URL names."""
    server, _, schema = url.partition("?schema=")
    options = f"-csearch_path={schema}" if schema else ""
    with psycopg.connect(server, autocommit=True, options=options) as connection:
        connection.execute(statement.encode())


@contextmanager
def new_schema(server: str) -> Iterator[str]:
    """The URL of a schema that is not there yet; whatever is made in it goes."""
    name = next(_names)
    yield f"{server}?schema={name}"
    execute(server, f"DROP SCHEMA IF EXISTS {name} CASCADE")
