"""Homes whose stores are all on servers: Kafka, Redis, PostgreSQL and an S3 server, which `scripts/with-*` start."""

import os
from pathlib import Path

import psycopg

VARIABLES = ("TEST_KAFKA_URL", "TEST_REDIS_URL", "TEST_POSTGRES_URL", "TEST_OBJECTS_ENDPOINT")
KAFKA, REDIS, POSTGRES, OBJECTS = SERVERS = [os.environ.get(name, "") for name in VARIABLES]
MISSING_SERVERS = "no TEST_OBJECTS_ENDPOINT and other servers"
OUTCOMES = ("requested", "attributions", "counts", "label_events")
"""The tables of outcomes that are compared."""


def on_servers(name: str, folder: Path, kafka: str = KAFKA, postgres: str = POSTGRES) -> str:
    """Settings by which every store is on a server, under this name; `folder`: of the index of this machine."""
    database, objects = f"{postgres}?schema={name}", f"s3://flyball/{name}"
    urls = {
        "events": f"{kafka}/{name}.events?partitions=4&index={folder}/index",
        "predictions": f"{kafka}/{name}.predictions?partitions=1&unique=0&index={folder}/index",
        "history": f"{objects}/history?endpoint={OBJECTS}",
        "artifacts": f"{objects}/artifacts?endpoint={OBJECTS}",
        "state": f"{REDIS}?name={name}-state",
        "features": f"{REDIS}?name={name}-features",
        **dict.fromkeys(("registry", "catalog", "quarantine", "outcomes"), database),
    }
    return "".join(f'{store} = "{url}"\n' for store, url in urls.items())


def outcomes_of(url: str, name: str) -> dict[str, int]:
    """{table of outcomes: number of rows} of the home of this name on a PostgreSQL server."""
    with psycopg.connect(url) as connection:
        schemas = connection.execute(
            "SELECT schemaname FROM pg_tables WHERE tablename = 'requested' AND schemaname LIKE %s", (f"{name}%",)
        ).fetchall()
        assert len(schemas) == 1, schemas
        return {
            table: connection.execute(f'SELECT count(*) FROM "{schemas[0][0]}".{table}').fetchall()[0][0]  # type: ignore[call-overload]
            for table in OUTCOMES
        }
