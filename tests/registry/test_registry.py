"""The registry: versions whole or not at all, ids once, migrations, and what happens when its file is not well."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql

from flyball.core import BadSetting, NotFound, Refused, StoreCorrupt, StoreUnavailable, UnknownBackend
from flyball.registry import BACKENDS, Registry, access_keys, add_versions, begin_run, end_run
from flyball.registry.migrate import FOLDER, HEAD, upgrade
from flyball.registry.tables import metadata
from flyball.testing.registry_contract import CHECKS, version_of

ELSEWHERE = {"postgresql": "tests/live/test_postgres_registry.py"}
"""Backends whose contract another file holds, since they need a server."""


def url(folder: Path, options: str = "") -> str:
    return f"sqlite://{folder}/registry.db{options}"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(url(tmp_path))


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: str, tmp_path: Path) -> None:
    CHECKS[check](lambda: Registry(url(tmp_path)))


def test_every_backend_keeps_the_contract() -> None:
    assert BACKENDS.keys() - {"sqlite"} == ELSEWHERE.keys()
    assert all("CHECKS" in Path(file).read_text() for file in ELSEWHERE.values())


@pytest.mark.parametrize("name", ["v3", "v", "", "v01", "1", "v-1", "v²", "v1 OR 1=1", "v99999999999999999999", "r1"])
def test_no_such_version(registry: Registry, name: str) -> None:
    run = begin_run(registry, "movies", 5, 6)
    add_versions(registry, [version_of(run)])
    with pytest.raises(NotFound, match="known: v1"):
        registry.version(name)


def test_migrations_lead_to_the_tables_of_the_code(tmp_path: Path, registry: Registry) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    engine = sa.create_engine(f"sqlite:///{tmp_path}/registry.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def tables_of(path: Path) -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def test_a_new_registry_is_what_all_migrations_make_of_an_empty_file(tmp_path: Path, registry: Registry) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    assert tables_of(tmp_path / "registry.db") == tables_of(tmp_path / "migrated.db") != set()
    with (
        closing(sqlite3.connect(tmp_path / "registry.db")) as one,
        closing(sqlite3.connect(tmp_path / "migrated.db")) as other,
    ):
        assert list(one.iterdump()) == list(other.iterdump())


def test_a_migration_that_is_stopped_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(connection: sa.Connection) -> None:
        upgrade(connection)
        raise KeyboardInterrupt

    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    before = tables_of(path)
    monkeypatch.setattr("flyball.registry.migrate.upgrade", stopped)
    with pytest.raises(KeyboardInterrupt):
        Registry(url(tmp_path))
    assert tables_of(path) == before
    monkeypatch.undo()
    assert Registry(url(tmp_path)).versions() == []


def test_a_new_registry_that_is_stopped_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> Iterator[str]:
        yield "CREATE TABLE runs (run INTEGER)"
        raise KeyboardInterrupt

    monkeypatch.setattr("flyball.registry.sqlite._statements_of_new", stopped)
    with pytest.raises(KeyboardInterrupt):
        Registry(url(tmp_path))
    assert tables_of(tmp_path / "registry.db") == set()
    monkeypatch.undo()
    assert Registry(url(tmp_path)).versions() == []


def test_a_home_from_before_has_the_present_name_of_a_metric(tmp_path: Path) -> None:
    registry = Registry(url(tmp_path))
    run = begin_run(registry, "shop", 5, 6)
    old = {"logloss": {"value": 0.5}, "late:logloss/city=x": {"value": 0.25}, "macro_logloss": {"value": 1.0}}
    gates = [{"name": "max:logloss", "passed": True, "reason": "logloss is 0.5; my_logloss2 is another"}]
    add_versions(registry, [version_of(run, metrics=old, gates=gates)])
    end_run(registry, run, "done", 9, report={"metric": "logloss", "evaluation": {"better": {"logloss": "low"}}})
    with closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0013'")
        connection.commit()
    again = Registry(url(tmp_path))
    (version,) = again.versions()
    assert version.metrics == {
        "log_loss": {"value": 0.5},
        "late:log_loss/city=x": {"value": 0.25},
        "macro_log_loss": {"value": 1.0},
    }
    assert version.gates[0]["name"] == "max:log_loss"
    assert version.gates[0]["reason"] == "log_loss is 0.5; my_logloss2 is another"
    assert again.runs()[0].report == {"metric": "log_loss", "evaluation": {"better": {"log_loss": "low"}}}


def test_the_tables_are_portable() -> None:
    for table in metadata.sorted_tables:
        assert str(sa.schema.CreateTable(table).compile(dialect=postgresql.dialect()))


def test_the_database_of_a_newer_flyball_is_refused_and_left_alone(tmp_path: Path, registry: Registry) -> None:
    with closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(Refused, match="got 9999: it was made by a newer Flyball"):
        Registry(url(tmp_path))


def test_a_locked_registry_can_be_read_and_says_so_when_written(tmp_path: Path, registry: Registry) -> None:
    quick = Registry(url(tmp_path, "?busy_ms=10"))
    with closing(sqlite3.connect(tmp_path / "registry.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            begin_run(quick, "movies", 5, 6)
        assert quick.versions() == []
        other.execute("ROLLBACK")
    assert begin_run(quick, "movies", 5, 6).id == "r1"


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, registry: Registry) -> None:
    run = begin_run(registry, "movies", 5, 6)
    database = registry.database

    def limited() -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            connection.exec_driver_sql("INSERT INTO runs SELECT 99, printf('%.900000c', 'x'), 1, '', 1, 1, '', '{}'")

    with pytest.raises(StoreUnavailable, match="full"):
        limited()
    assert [each.id for each in registry.runs()] == [run.id]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"this is no database, however long one looks at it" * 100)
    with pytest.raises(StoreCorrupt, match="not a database"):
        Registry(url(tmp_path))


def test_a_file_that_went_away_is_unavailable_and_not_recreated(tmp_path: Path, registry: Registry) -> None:
    for path in tmp_path.glob("registry.db*"):
        path.unlink()
    with pytest.raises(StoreUnavailable, match="unable to open"):
        registry.versions()
    assert not (tmp_path / "registry.db").exists()


def test_a_path_with_odd_letters(tmp_path: Path) -> None:
    folder = tmp_path / "a #b%20c"
    folder.mkdir()
    registry = Registry(f"sqlite://{folder}/registry.db".replace("%", "%25").replace("#", "%23"))
    assert begin_run(registry, "movies", 5, 6).id == "r1"
    assert registry.runs()[0].app == "movies"


def test_urls_that_cannot_be_opened() -> None:
    with pytest.raises(UnknownBackend, match="sqlite://"):
        Registry("oracle://here")
    with pytest.raises(BadSetting, match="must name a file"):
        Registry("sqlite://")


def test_reading_imports_nothing_heavy(tmp_path: Path, registry: Registry) -> None:
    program = (
        "import sys\nfrom flyball.registry import Registry\n"
        f"assert Registry({url(tmp_path)!r}).versions() == []\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'numpy', 'numba', 'polars') if name in sys.modules])"
    )
    message = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert message.stdout.strip() == "[]"


def test_a_key_from_before_event_types_may_send_all(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/registry.db")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0011")
        texts = ("id", "name", "roles", "origins", "salt", "digest", "created_by", "revoked_by")
        values = ", ".join(f"'{name}'" for name in texts)
        connection.execute(sa.text(f"INSERT INTO access_keys ({', '.join(texts)}, created_us) VALUES ({values}, 5)"))
    engine.dispose()
    (key,) = access_keys(Registry(f"sqlite://{tmp_path}/registry.db"))
    assert (key.id, key.roles, key.event_types) == ("id", ("roles",), ())
