"""One application file on the embedded stores and on servers: what is learned and answered is equal bit for bit.

The servers are those that `scripts/with-kafka`, `with-redis`, `with-postgres` and `with-objects` start for CI; where
one of them is missing this test is skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

VARIABLES = ("TEST_KAFKA_URL", "TEST_REDIS_URL", "TEST_POSTGRES_URL", "TEST_OBJECTS_ENDPOINT")
SERVERS = [os.environ.get(name, "") for name in VARIABLES]
KNOWN = "2026-11-01T00:00:00Z"

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not all(SERVERS), reason="no TEST_OBJECTS_ENDPOINT and other servers"),
]


def flyball(folder: Path, arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flyball", *arguments.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def settings() -> str:
    name = f"test_{os.urandom(6).hex()}"
    kafka, redis, postgres, endpoint = SERVERS
    objects = f"s3://flyball/{name}"
    urls = {
        "events": f"{kafka}/{name}.events?partitions=4",
        "predictions": f"{kafka}/{name}.predictions?partitions=1&unique=0",
        "history": f"{objects}/history?endpoint={endpoint}",
        "artifacts": f"{objects}/artifacts?endpoint={endpoint}",
        "state": f"{redis}?name={name}-state",
        "features": f"{redis}?name={name}-features",
        **dict.fromkeys(("registry", "catalog", "quarantine"), f"{postgres}?schema={name}"),
    }
    return "".join(f'{store} = "{url}"\n' for store, url in urls.items())


def test_a_home_on_servers_learns_and_answers_as_one_on_this_machine(tmp_path: Path) -> None:
    flyball(tmp_path, "new shop")
    (tmp_path / "servers").mkdir()
    (tmp_path / "servers" / "settings.toml").write_text(settings())
    for home in ("embedded", "servers"):
        flyball(tmp_path, f"ingest shop.py shop-events.jsonl --as history --home {home}")
        flyball(tmp_path, f"learn shop.py --as-of {KNOWN} --home {home}")
    for user in (1, 7):
        flyball(tmp_path, f"recommend shop.py {user} --home embedded")
    comparison = msgspec.json.decode(flyball(tmp_path, "compare shop.py --home embedded --with servers --json"))
    assert comparison["identical"]
    compared = {part["part"]: part["compared"] for part in comparison["parts"]}
    assert compared["answers"] == 2
    assert compared["versions"] >= 2
    assert min(compared["events"], compared["state"]) > 1_000
    left = {path.name for path in (tmp_path / "servers").iterdir()}
    assert (
        not {
            "events.db",
            "predictions.db",
            "history",
            "artifacts",
            "state",
            "features",
            "registry.db",
            "catalog.db",
            "quarantine.db",
        }
        & left
    )
    shutil.rmtree(tmp_path / "servers" / "cache")  # as on another machine
    flyball(tmp_path, "recommend shop.py 7 --home servers")
