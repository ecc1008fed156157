"""A person is erased from a home whose stores are all on servers: no byte of the id is in any of them.

The servers are those of `scripts/with-redis`, `with-postgres`, `with-objects` and `with-kafka`; PostgreSQL and Kafka
are started once more for this test alone, since the files of their folders are searched.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from tests import kafka_broker as kafka
from tests.live.postgres import HERE, Server, own_server
from tests.live.servers import MISSING_SERVERS, OBJECTS, OUTCOMES, REDIS, SERVERS, on_servers, outcomes_of
from tests.processes import until
from tests.removal.homes import add, again, answer, cinema, copy_without, open_home, rows_of, views_of
from tests.removal.search import forms_of, holds, places_with

from flyball.core import ManualStopwatch
from flyball.files import open_files
from flyball.history import LeftOut, take_snapshot
from flyball.operations import catch_up
from flyball.registry import hold_accounts
from flyball.removal import Person, Removal, RemovalPlan
from flyball.runtime import Runtime

ANN, BOB = 7_700_000_000_000_042, 8_800_000_000_000_017

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not all(SERVERS) or not HERE, reason=MISSING_SERVERS),
]


@pytest.fixture
def postgres() -> Iterator[Server]:
    with own_server() as own:
        yield own


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[kafka.Broker]:
    own = kafka.Broker(tmp_path / "broker")
    yield own
    own.kill()


def filled(home: Runtime) -> None:
    events: list[dict[str, Any]] = [
        {"type": "viewer", "user": ANN, "name": "Ann"},
        {"type": "gift", "user": 5, "receiver": ANN, "film": "f2"},
        {"type": "party", "film": "f3", "guests": [4, ANN, 5]},
    ]
    for number in range(40):
        events.append({"type": "watch", "user": (ANN, BOB, 3, 4, 5)[number % 5], "film": f"f{number % 6}", "minute": 5})
    add(home, events[:30])
    add(home, [{"type": "watch", "user": ANN, "film": "f1", "minute": 999}, {"type": "watch", "user": 3, "minute": 1}])
    answer(home, [ANN, BOB, 3])
    catch_up(home)
    add(home, events[30:])
    answer(home, [4, ANN])
    catch_up(home)
    home.catalog.catch_up(home.log)
    take_snapshot(home.history_files, home.schema, home.clock.now_us(), left_out=LeftOut("user", {str(ANN): 0}))
    hold_accounts(home.registry, "user", {str(ANN): 0.5}, by="ann", reason=f"user {ANN} is odd", at_us=1)


def in_postgres(url: str, id: int) -> list[str]:
    """The tables of every schema of which a row holds the id."""
    found = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()  # type: ignore[call-overload]
            found += [f"{schema}.{table}" for row in rows if holds(row, id)]
    return found


def in_files(folder: Path, id: int, *left_out: str) -> list[str]:
    """The files of a server in whose bytes the id stands."""
    forms, found = forms_of(id), []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and not set(left_out) & set(inside.parts):
            content = path.read_bytes()
            found += [str(inside)] if any(form in content for form in forms) else []
    return found


def in_redis(name: str, id: int) -> list[str]:
    client, found = redis.Redis.from_url(REDIS), []
    for key in client.scan_iter(count=1_000):
        kind = client.type(key)
        values = {
            b"string": lambda key: [client.get(key)],
            b"hash": lambda key: [*client.hgetall(key).items()],
            b"zset": lambda key: client.zrange(key, 0, -1),
            b"set": lambda key: list(client.smembers(key)),
            b"list": lambda key: client.lrange(key, 0, -1),
        }[kind](key)
        if name.encode() in key and (holds(key, id) or holds(values, id)):
            found.append(f"{key!r}: {kind!r}")
    return found


def in_objects(name: str, id: int, folder: Path) -> list[str]:
    """The objects that hold the id, by a copy of all of them in files."""
    files = open_files("all", f"s3://flyball/{name}?endpoint={OBJECTS}", folder / "cache")
    for info in files.names():
        stored = files.read(info.name)
        assert stored is not None
        path = folder / "objects" / info.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored.content)
    return places_with(folder / "objects", id)


def everywhere(postgres: Server, name: str, id: int, folder: Path) -> dict[str, list[str]]:
    """Where the id is, by server."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    return {
        "postgres": in_postgres(postgres.url, id),
        "files of postgres": in_files(postgres.folder, id, "pg_wal", "log", "pg_stat_tmp"),
        "redis": in_redis(name, id),
        "objects": in_objects(name, id, folder),
    }


def test_no_server_holds_a_byte_of_an_erased_person(
    postgres: Server, broker: kafka.Broker, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    app, name = cinema(tmp_path), f"erased_{os.urandom(4).hex()}"
    home = open_home(app, tmp_path / "home", on_servers(name, tmp_path, broker.url, postgres.url))
    filled(home)
    other = open_home(app, tmp_path / "other")
    copy_without(home, other, {ANN})
    before = everywhere(postgres, name, ANN, tmp_path_factory.mktemp("before"))
    assert all(before.values()), before
    assert in_files(broker.folder / "data", ANN)
    plan = RemovalPlan("erase", "1 user", "ann", "wish", home.clock.now_us(), (Person("user", str(ANN)),))
    report = Removal(home, ManualStopwatch()).begin(plan)
    assert {name: report.removed[name] for name in ("events", "predictions", "quarantine")} == {
        "events": 11,
        "predictions": 2,
        "quarantine": 1,
    }
    home.close()
    after = everywhere(postgres, name, ANN, tmp_path_factory.mktemp("after"))
    assert not any(after.values()), after
    assert places_with(tmp_path / "home", ANN) == []
    assert in_files(tmp_path / "index", ANN) == []
    until(lambda: not in_files(broker.folder / "data", ANN), within_s=60)
    assert in_redis(name, BOB)
    kept = again(home)
    assert views_of(kept) == views_of(other)
    assert outcomes_of(postgres.url, name) == {table: len(rows) for table, rows in rows_of(other, OUTCOMES).items()}
