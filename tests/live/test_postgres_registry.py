"""The registry on a real PostgreSQL server keeps the contract, has the tables of SQLite after every migration, and says
what is wrong in time."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.live.postgres import GIVEN, HERE, MISSING, Server, execute
from tests.processes import until

from flyball.core import BadInput, BadSetting, FlyballError, Refused, StoreUnavailable
from flyball.registry import Registry, begin_run, copy_registry, registry_exists
from flyball.registry.migrate import FOLDER, HEAD, upgrade
from flyball.registry.tables import metadata
from flyball.testing.lease_contract import LEASE_CHECKS, Open
from flyball.testing.registry_contract import CHECKS, contents, fill

pytestmark = [pytest.mark.live, pytest.mark.skipif(not GIVEN and not HERE, reason=MISSING)]

ROOT = Path(__file__).parents[2]


def in_schema(url: str) -> sa.Engine:
    server, _, schema = url.partition("?schema=")
    return sa.create_engine(
        server.replace("postgresql:", "postgresql+psycopg:"),
        connect_args={"options": f"-csearch_path={schema}"},
        poolclass=sa.pool.NullPool,
    )


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: str, url: str) -> None:
    CHECKS[check](lambda: Registry(url))


@pytest.mark.parametrize("lease_check", LEASE_CHECKS, ids=lambda check: check.__name__)
def test_lease_contract(lease_check: Callable[[Open], None], url: str) -> None:
    lease_check(lambda: Registry(url))


def test_every_migration_leads_to_the_tables_of_sqlite(url: str, tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    assert revisions[-1] == HEAD
    Registry(url)  # makes the schema
    other, postgres = sa.create_engine(f"sqlite:///{tmp_path}/registry.db"), in_schema(url)
    with postgres.begin() as connection:
        for table in [*metadata.tables, "alembic_version"]:
            connection.exec_driver_sql(f"DROP TABLE {table} CASCADE")
    for revision in revisions:
        described = []
        for engine in (other, postgres):
            with engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
            described.append(description(engine))
        assert described[0] == described[1], revision
    assert len(described[0]) == len(metadata.tables) + 1
    with postgres.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    other.dispose()
    postgres.dispose()


def description(engine: sa.Engine) -> dict[str, Any]:
    """{table: its columns with their types, keys and indexes}."""
    inspector = sa.inspect(engine)
    keys, foreign_keys = inspector.get_multi_pk_constraint(), inspector.get_multi_foreign_keys()
    indexes = inspector.get_multi_indexes()
    return {
        str(table[1]): (
            {column["name"]: kind_of(column["type"], bool(column["nullable"])) for column in columns},
            keys[table]["constrained_columns"],
            sorted((key["constrained_columns"], key["referred_table"]) for key in foreign_keys[table]),
            sorted((index["name"] or "", index["column_names"]) for index in indexes[table]),
        )
        for table, columns in inspector.get_multi_columns().items()
    }


def kind_of(kind: sa.types.TypeEngine[Any], nullable: bool) -> tuple[str, bool]:
    names = {"VARCHAR(32)": "TEXT", "DOUBLE PRECISION": "DOUBLE", "DOUBLE_PRECISION": "DOUBLE"}
    name = str(kind)
    return names.get(name, name), nullable


def test_a_registry_moves_there_and_back_to_the_bit(url: str, tmp_path: Path) -> None:
    files = [f"sqlite://{tmp_path}/{name}.db" for name in ("before", "after")]
    before = Registry(files[0])
    fill(before)
    assert copy_registry(files[0], url) == copy_registry(url, files[1])
    assert contents(Registry(files[1])) == contents(before)
    assert begin_run(Registry(url), "shop", 1, 2).id == "r2", "numbers go on"


def test_a_migration_that_is_stopped_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(connection: sa.Connection) -> None:
        upgrade(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr("flyball.registry.migrate.upgrade", stopped)
    with pytest.raises(KeyboardInterrupt):
        Registry(url)
    assert not registry_exists(url)
    monkeypatch.undo()
    assert Registry(url).versions() == []
    assert registry_exists(url)


def test_processes_that_open_a_new_registry_at_once_migrate_it_once(url: str) -> None:
    code = "import sys; from flyball.registry import *; print(begin_run(Registry(sys.argv[1]), 'shop', 1, 2).id)"
    children = [
        subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert sorted(child.communicate(timeout=60)[0].strip() for child in children) == ["r1", "r2"]


def test_the_tables_of_a_newer_flyball_are_refused_and_left_alone(url: str) -> None:
    Registry(url)
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Refused, match="got 9999: it was made by a newer Flyball"):
        Registry(url)


def test_reading_goes_on_when_another_process_has_added_a_column(url: str) -> None:
    registry = Registry(url)
    for _ in range(8):  # often enough for a driver that would prepare the statement
        assert registry.runs() == []
    execute(url, "ALTER TABLE runs ADD COLUMN later TEXT")
    assert registry.database.rows("SELECT * FROM runs") == []


def test_reading_imports_neither_sqlalchemy_nor_alembic(url: str) -> None:
    begin_run(Registry(url), "shop", 1, 2)
    code = (
        "import sys; from flyball.registry import Registry; assert Registry(sys.argv[1]).runs();"
        "print([name for name in ('sqlalchemy', 'alembic', 'numpy', 'polars') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_a_server_that_is_killed_is_reported_and_the_handle_works_when_it_is_back(fragile: Server) -> None:
    registry = Registry(f"{fragile.url}?schema=killed")
    begin_run(registry, "shop", 1, 2)
    fragile.signal(signal.SIGKILL)
    for call in (
        registry.runs,
        lambda: begin_run(registry, "shop", 1, 2),
        lambda: Registry(f"{fragile.url}?schema=killed"),
    ):
        with pytest.raises(
            StoreUnavailable, match=r"registry postgresql://flyball@127.0.0.1.* must (accept connections|answer)"
        ):
            call()
    with pytest.raises(StoreUnavailable), registry.database.writing():
        pass
    fragile.start()
    assert begin_run(registry, "shop", 1, 2).id == "r2"
    assert [run.id for run in registry.runs()] == ["r1", "r2"]


def test_a_server_killed_within_a_transaction_keeps_nothing_of_it(fragile: Server) -> None:
    registry = Registry(f"{fragile.url}?schema=within")

    def interrupted() -> None:
        with registry.database.writing() as connection:
            connection.exec_driver_sql("INSERT INTO runs VALUES (1, 'shop', 1, '', 1, NULL, 'running', '{}')")
            fragile.signal(signal.SIGKILL)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreUnavailable):
        interrupted()
    fragile.start()
    assert registry.runs() == []
    assert begin_run(registry, "shop", 1, 2).id == "r1"


def test_a_server_that_is_frozen_is_given_up_in_time_and_used_again_when_it_thaws(fragile: Server) -> None:
    registry = Registry(f"{fragile.url}?schema=frozen&timeout_ms=1500")
    begin_run(registry, "shop", 1, 2)
    fragile.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="must answer within 1500 ms"):
            registry.runs()
        with pytest.raises(StoreUnavailable, match="must accept connections within 2 s"):
            begin_run(registry, "shop", 1, 2)
    finally:
        fragile.signal(signal.SIGCONT)
    assert begin_run(registry, "shop", 1, 2).id == "r2", "what was given up was not done"


def test_sessions_that_the_server_ended_are_replaced(fragile: Server) -> None:
    registry = Registry(f"{fragile.url}?schema=ended")
    begin_run(registry, "shop", 1, 2)
    execute(fragile.url, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE state = 'idle'")
    assert len(registry.runs()) == 1
    assert begin_run(registry, "shop", 1, 2).id == "r2"


def test_a_writer_that_holds_the_registry_makes_others_wait_until_their_deadline(url: str) -> None:
    registry, other = Registry(url), Registry(f"{url}&timeout_ms=1000")
    with registry.database.writing():
        with pytest.raises(StoreUnavailable, match="free and writable, got: canceling statement due to lock timeout"):
            begin_run(other, "shop", 1, 2)
        assert other.runs() == [], "reading waits for nobody"
    assert begin_run(other, "shop", 1, 2).id == "r1"


def test_a_statement_that_takes_too_long_is_ended_by_the_server(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        Registry(f"{url}&timeout_ms=1000").database.rows("SELECT pg_sleep(9)")


def test_more_threads_than_connections_wait_for_one(url: str) -> None:
    registry = Registry(f"{url}&pool=1&timeout_ms=1000")
    with registry.database.writing(), pytest.raises(StoreUnavailable, match="one of its 1 connections free"):
        registry.runs()
    assert registry.runs() == []


def test_a_standby_says_that_it_is_read_only(url: str) -> None:
    registry = Registry(url)

    def write() -> None:
        with registry.database.writing() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")  # as every transaction of a standby is
            connection.exec_driver_sql("DELETE FROM runs")

    with pytest.raises(StoreUnavailable, match="cannot execute DELETE in a read-only transaction"):
        write()


def test_tables_that_were_dropped_are_not_silently_rebuilt(url: str) -> None:
    registry = Registry(url)
    execute(url, f"DROP SCHEMA {url.partition('?schema=')[2]} CASCADE")
    for call in (registry.runs, lambda: begin_run(registry, "shop", 1, 2)):
        with pytest.raises(StoreUnavailable, match='relation "runs" does not exist; restore them, or stop and start'):
            call()


@pytest.mark.parametrize("run", [("a\0b", 1), ("shop", 2**63)])
def test_what_postgresql_cannot_hold_is_bad_input(url: str, run: tuple[str, int]) -> None:
    registry = Registry(url)
    with pytest.raises(BadInput, match="that PostgreSQL can hold"):
        begin_run(registry, *run, 2)
    assert registry.runs() == []


WRONG = {
    "nobody:s3cret@": (BadSetting, 'role "nobody" does not exist; create the user'),
    "{user}:s3cret@": (Refused, "must be a schema that .* may create and change tables in, got: permission denied"),
}


def test_who_may_not_connect_or_write_is_answered_with_what_to_do(url: str, server: str) -> None:
    user = f"ann_{url.rpartition('_')[0].rpartition('_')[2]}"
    execute(url, f"CREATE ROLE {user} LOGIN")
    try:
        for login, (kind, words) in WRONG.items():
            for of_schema in (url, f"{server}?schema={user}"):
                Registry(url)
                with pytest.raises(kind, match=words) as caught:
                    Registry(of_schema.replace("flyball@", login.format(user=user)))
                assert "s3cret" not in str(caught.value)
        with pytest.raises(BadSetting, match='database "nowhere" does not exist; create the database'):
            Registry(re.sub(r"/\w+\?", "/nowhere?", url))
        with pytest.raises(BadSetting, match="server does not support SSL"):
            Registry(f"{url}&sslmode=require")
    finally:
        execute(url, f"DROP ROLE {user}")


def test_a_password_comes_from_the_url_the_environment_or_a_file(
    fragile: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = fragile.folder / "data" / "pg_hba.conf"
    execute(fragile.url, "CREATE ROLE bob LOGIN SUPERUSER PASSWORD 'p@ss:w/rd'")
    rules.write_text("host all bob all scram-sha-256\n" + rules.read_text())
    execute(fragile.url, "SELECT pg_reload_conf()")
    url = f"{fragile.url.replace('flyball@', 'bob@')}?schema=secret"

    def refused() -> str:
        try:
            Registry(url)
        except BadSetting as error:
            return str(error)
        return ""

    missing = until(refused)  # the server reads its rules a moment later
    assert "no password supplied; give a password, in the file that PGPASSFILE or option password_file names" in missing
    with pytest.raises(BadSetting, match="password authentication failed for user .bob.; correct") as caught:
        Registry(url.replace("bob@", "bob:wr0ng@"))
    assert "wr0ng" not in str(caught.value)
    assert Registry(url.replace("bob@", "bob:p%40ss%3Aw%2Frd@")).runs() == []
    file = tmp_path / "passwords"
    file.write_text("*:*:*:bob:p@ss\\:w/rd\n")
    file.chmod(0o600)
    assert Registry(f"{url}&passfile={file}").runs() == []
    monkeypatch.setenv("PGPASSWORD", "p@ss:w/rd")
    assert Registry(url).runs() == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://db/shop", "must name the schema that this application's tables lie in"),
        ("postgresql://ann:s3cret@db/?schema=shop", "must name a server and a database, .*, got 'ann@db/'"),
        ("postgresql:///shop?schema=shop", "must name a server and a database"),
        ("postgresql://db:port/shop?schema=shop", "must name a server and a database"),
        ("postgresql://db/shop?schema=shop&shema=x", "option of postgresql:// must be one of schema, .*, got 'shema'"),
        ("postgresql://db/shop?schema=shop&timeout_ms=1", "timeout_ms of postgresql:// must be 100 or more, got 1"),
    ],
)
def test_urls_that_cannot_be_opened(url: str, words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        Registry(url)


def test_without_the_driver_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\nfrom flyball.core import MissingExtra\n"
        "from flyball.registry import Registry\nfrom flyball.events import open_known_entities, open_quarantine\n"
        "for open_store in (Registry, open_known_entities, open_quarantine):\n"
        "    try: open_store('postgresql://db/shop?schema=shop')\n    except MissingExtra as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = 'postgresql:// must be installed first: pip install "flyball[postgres]"'
    assert ended.stdout.splitlines() == [line] * 3


def test_ci_brings_a_server_of_its_own_and_ends_it(tmp_path: Path) -> None:
    message = tmp_path / "message"
    code = (
        "import os, pathlib, sys; from flyball.registry import Registry; url = os.environ['TEST_POSTGRES_URL'];"
        "Registry(url + '?schema=a').runs() == [] and pathlib.Path(sys.argv[1]).write_text(url); sys.exit(7)"
    )
    command = [str(ROOT / "scripts" / "with-postgres"), sys.executable, "-c", code, str(message)]
    assert subprocess.run(command, cwd=tmp_path, timeout=120, check=False).returncode == 7
    with pytest.raises(FlyballError, match="must accept connections"):
        Registry(f"{message.read_text()}?schema=a")
