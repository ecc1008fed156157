"""One schema of a PostgreSQL database, shared by processes and machines: pooled connections, calls that end in time,
and errors of Flyball's tree.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from flyball.core.errors import (
    BadInput,
    BadSetting,
    FlyballError,
    MissingExtra,
    Refused,
    StoreCorrupt,
    StoreUnavailable,
)
from flyball.core.urls import Url
from flyball.core.waiting import is_readable

try:
    import psycopg
    from psycopg.pq import TransactionStatus
except ImportError:
    raise MissingExtra("postgresql://", "postgres") from None

_TIMEOUT_MS, _POOL = 5_000, 4
_SHORTEST_MS = 100
_LIBRARY_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "passfile")
_OPTIONS = ("schema", "timeout_ms", "pool", "password_file", *_LIBRARY_OPTIONS)
_EXAMPLE = "postgresql://flyball@db.example.org:5432/flyball?schema=shop"

_PAUSED_WRITER_MS = 60_000
"""How long a writer that was paused in a transaction may keep others waiting, before the server ends its session."""

# What the server says in English when a connection must not be made; any other reason may pass by itself.
_PASSWORD = (
    "in the file that PGPASSFILE or option password_file names, in PGPASSWORD, or in the URL"  # where it is to be # noqa: S105 # nosec B105
)
_WRONG_SETTINGS = {
    "password authentication failed": f"correct the password, {_PASSWORD}",
    "no password supplied": f"give a password, {_PASSWORD}",
    "role ": "create the user (CREATE ROLE ... LOGIN) or name another",
    "database ": "create the database (CREATE DATABASE ...) or name another",
    "no pg_hba.conf entry": "let this user in from this machine (pg_hba.conf), or set option sslmode",
    "permission denied": "let this user connect (GRANT CONNECT ON DATABASE ...)",
    "does not support SSL": "set option sslmode to what the server offers",
    "certificate verify failed": "name the certificate of its authority by option sslrootcert",
    "root certificate file": "name a file that is there by option sslrootcert",
    "invalid sslmode": "set option sslmode to disable, require or verify-full",
}
_NEEDS_QUOTES_BEHIND = ("role ", "database ")

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE = ("25006", "25P03", "40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "57P05")
_UNAVAILABLE_CLASSES = ("08", "53", "58")
_CORRUPT = ("XX001", "XX002")
_GONE = ("3F000", "42P01")


class _Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer in time: what it would say later belongs to nobody.

    The server ends long statements itself, but a server that is frozen, or a network that is cut, ends nothing.
    """

    answer_s = _TIMEOUT_MS / 1_000

    def __init__(self, pgconn: Any) -> None:
        super().__init__(pgconn)
        self._process = os.getpid()

    def __del__(self, *_: Any) -> None:
        if not self.closed and self._process == os.getpid():  # a child must not end what its parent says
            self.close()

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.answer_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


class PostgresServer:
    """Connections to one schema, made when first used and again after a fork or a failure.

    `content`: what is stored there, for messages. `timeout_ms` of the URL bounds each answer of the server, waiting for
    another writer included. Raises `BadSetting` (no such user, password, database), `Refused` (rights are missing),
    `StoreUnavailable` (unreachable, frozen, restarted, full, locked, read-only, tables dropped) and `StoreCorrupt`.
    Messages name no password.
    """

    def __init__(self, url: Url, content: str) -> None:
        _check_options(url)
        self.schema, self._user = url.options["schema"], url.user
        self.name = f"{content} {url.scheme}://{_shown(url)}?schema={self.schema}"
        self._timeout_ms = url.integer("timeout_ms", _TIMEOUT_MS)
        if self._timeout_ms < _SHORTEST_MS:
            raise BadSetting(
                f"option timeout_ms of {url.scheme}:// must be {_SHORTEST_MS} or more, got {self._timeout_ms}"
            )
        self._most = max(1, url.integer("pool", _POOL))
        self._parameters = _parameters(url, self._timeout_ms)
        self._lock, self._creation_lock = (_number_of(f"{what} {self.schema}") for what in (content, "tables"))
        self._pid = 0
        self._idle: list[psycopg.Connection[Any]] = []
        self._reset()

    @contextmanager
    def reading(self) -> Iterator["psycopg.Connection[Any]"]:
        """A connection on which each statement sees what was committed before it."""
        with self.own_errors(), self._pooled() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator["psycopg.Connection[Any]"]:
        """A connection inside a transaction, for which other writers of the same content wait: committed at the end of
        the block, rolled back when it raises."""
        with self._locked(self._lock) as connection:
            yield connection

    @contextmanager
    def creating(self) -> Iterator["psycopg.Connection[Any]"]:
        """A connection inside a transaction, for which all others wait that create tables in the schema, which is
        created where it is missing. Raises `Refused` where this user must not."""
        find = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"
        with self._locked(self._creation_lock) as connection:
            if connection.execute(find, (self.schema,)).fetchone() is None:
                connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(psycopg.sql.Identifier(self.schema)))
            yield connection

    def rewrite(self, *tables: str) -> None:
        """Write tables of the schema again, so that no byte of deleted or replaced rows is left in their files.

        Who reads or writes them waits meanwhile. What the server's log of changes and its backups hold is out of reach.
        """
        with self.reading() as connection:
            connection.execute("SET statement_timeout = 0")
            try:
                for table in tables:
                    connection.execute(psycopg.sql.SQL("VACUUM FULL {}").format(psycopg.sql.Identifier(table)))
            finally:
                self._set_up(connection)

    def has_table(self, name: str) -> bool:
        """Whether the schema has a table; raises `Refused` where this user must not use it."""
        find = (
            "SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c"
            " ON c.relnamespace = n.oid WHERE n.nspname = %s AND c.relname = %s"
        )
        with self.reading() as connection:
            row = connection.execute(find, (self.schema, name)).fetchone()
        if row == (False,):
            raise self._no_rights(f"permission denied for schema {self.schema}")
        return row is not None

    def close(self) -> None:
        """Close the connections that are not in use; the next use opens new ones."""
        with self._guard:
            idle, self._idle = self._idle, []
        if self._pid == os.getpid():
            for connection in idle:
                connection.close()

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """Raises an error of Flyball's tree for one of the driver."""
        try:
            yield
        except psycopg.Error as error:
            failure = self.failure(error)
            if failure is None:
                raise
            raise failure from error

    def failure(self, error: BaseException | None) -> FlyballError | None:
        """The error of Flyball's tree for one of the driver; None for a mistake in the code."""
        if not isinstance(error, psycopg.Error):
            return None
        state, reason = error.sqlstate or "", _first_line(str(error))
        if state in _CORRUPT:
            return StoreCorrupt(self.name, "as PostgreSQL wrote it", reason)
        if state in _GONE:
            return StoreUnavailable(
                f"{self.name} must have the tables that were there when it was opened, got: {reason}; restore "
                "them, or stop and start again"
            )
        if state == "42501":
            return self._no_rights(reason)
        if state in _UNAVAILABLE or state[:2] in _UNAVAILABLE_CLASSES:
            return StoreUnavailable(f"{self.name} must be free and writable, got: {reason}")
        if isinstance(error, psycopg.OperationalError) and not state:
            return StoreUnavailable(f"{self.name} must answer within {self._timeout_ms} ms, got: {reason}")
        if isinstance(error, psycopg.DataError):
            return BadInput(f"what is stored in {self.name}", "text and numbers that PostgreSQL can hold", reason)
        return None

    def _no_rights(self, reason: str) -> Refused:
        user = self._user or "the user"
        return Refused(
            f"{self.name} must be a schema that {user} may create and change tables in, got: {reason}; let the owner "
            f"of the database run CREATE SCHEMA {self.schema} AUTHORIZATION {user}"
        )

    def _no_connection(self, message: str) -> FlyballError:
        reason = _first_line(message.rpartition(" failed: ")[2])
        for words, remedy in _WRONG_SETTINGS.items():
            quoted = words not in _NEEDS_QUOTES_BEHIND or f'{words}"' in reason
            if words in reason and quoted:
                return BadSetting(f"{self.name} must let this application in, got: {reason}; {remedy}")
        return StoreUnavailable(
            f"{self.name} must accept connections within {self._parameters['connect_timeout']} s, got: {reason}"
        )

    def _connect(self) -> "psycopg.Connection[Any]":
        try:
            connection = _Connection.connect(autocommit=True, prepare_threshold=None, **self._parameters)
        except psycopg.OperationalError as error:
            raise self._no_connection(str(error)) from None
        connection.answer_s = self._timeout_ms / 1_000
        self._set_up(connection)
        return connection

    def _set_up(self, connection: "psycopg.Connection[Any]") -> None:
        settings = {
            "search_path": '"' + self.schema.replace('"', '""') + '"',
            "statement_timeout": f"{self._timeout_ms * 8 // 10}",  # so that the server's own words arrive in time
            "lock_timeout": f"{self._timeout_ms * 7 // 10}",
            "idle_in_transaction_session_timeout": f"{_PAUSED_WRITER_MS}",
        }
        calls = ", ".join("set_config(%s, %s, false)" for _ in settings)
        connection.execute(f"SELECT {calls}", [text for pair in settings.items() for text in pair])

    @contextmanager
    def _locked(self, lock: int) -> Iterator["psycopg.Connection[Any]"]:
        begin = (
            f"BEGIN; SELECT pg_advisory_xact_lock({lock})"  # held from the start, as SQLite's BEGIN IMMEDIATE has it
        )
        with self.own_errors(), self._pooled() as connection:
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _pooled(self) -> Iterator["psycopg.Connection[Any]"]:
        if self._pid != os.getpid():
            self._after_fork()
        free = self._free
        if not free.acquire(timeout=self._timeout_ms / 1_000):
            raise StoreUnavailable(
                f"{self.name} must have one of its {self._most} connections free, got none within {self._timeout_ms} "
                "ms: raise option pool"
            )
        try:
            connection = self._idle_connection() or self._connect()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            free.release()

    def _idle_connection(self) -> "psycopg.Connection[Any] | None":
        while True:
            with self._guard:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if _is_open(connection):
                return connection
            connection.close()

    def _give_back(self, connection: "psycopg.Connection[Any]") -> None:
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            connection.close()
            return
        with self._guard:
            self._idle.append(connection)

    def _reset(self) -> None:
        self._guard = threading.Lock()
        self._idle = []
        self._free = threading.BoundedSemaphore(self._most)
        self._pid = os.getpid()

    def _after_fork(self) -> None:
        """Set aside the parent's connections: to use or to close them here would garble what the parent says."""
        _PARENTS.extend(self._idle)
        self._reset()


def _is_open(connection: "psycopg.Connection[Any]") -> bool:
    """Whether an idle connection is still open: nothing is to be read from it, such as the end of its session."""
    return not connection.closed and not is_readable(connection.fileno())


def _check_options(url: Url) -> None:
    url.check_options(_OPTIONS)
    if not url.options.get("schema"):
        raise BadSetting(
            f"{url.scheme}:// must name the schema that this application's tables lie in, such as {_EXAMPLE}, got none"
        )


def _shown(url: Url) -> str:
    return f"{url.user}@{url.address}" if url.user else url.address


def _parameters(url: Url, timeout_ms: int) -> dict[str, Any]:
    """What the driver connects with. Of what the URL leaves out the driver reads the environment: PGUSER, PGPASSWORD,
    PGPASSFILE, PGSSLMODE."""
    host, _, database = url.address.partition("/")
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name, port = None, None
    if not name or not database or "/" in database:
        raise BadSetting(f"{url.scheme}:// must name a server and a database, such as {_EXAMPLE}, got {_shown(url)!r}")
    optional = {"user": url.user, "password": url.read_password(), "port": port}
    optional |= {option: url.options.get(option) for option in _LIBRARY_OPTIONS}
    return {
        "host": name,
        "dbname": database,
        "connect_timeout": max(2, -(-timeout_ms // 1_000)),  # in seconds; libpq takes 1 for 2
        "application_name": "flyball",
        "client_encoding": "UTF8",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": timeout_ms,
        **{key: value for key, value in optional.items() if value},
    }


def _number_of(lock: str) -> int:
    """The number of an advisory lock, which is one of 64 bits in the database."""
    return int.from_bytes(blake2b(lock.encode(), digest_size=8).digest(), signed=True)


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0].removeprefix("FATAL:").strip()


_PARENTS: "list[psycopg.Connection[Any]]" = []
"""Connections inherited through a fork, referenced here so that the garbage collector does not close them."""
