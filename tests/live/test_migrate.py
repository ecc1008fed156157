"""A running `up` is moved to another home while it is written to: every event that was accepted is there, once."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cinema import SERVED_CINEMA
from tests.live.instance import Instance, fill, until
from tests.live.writer import Writer

from flyball.events import open_log
from flyball.runtime import load_settings

VARIABLES = ("TEST_KAFKA_URL", "TEST_REDIS_URL", "TEST_POSTGRES_URL", "TEST_OBJECTS_ENDPOINT")
SERVERS = [os.environ.get(name, "") for name in VARIABLES]

pytestmark = pytest.mark.live


def on_servers() -> str:
    name = f"test_{os.urandom(6).hex()}"
    kafka, redis, postgres, endpoint = SERVERS
    objects = f"s3://flyball/{name}"
    urls = {
        "events": f"{kafka}/{name}.events",
        "predictions": f"{kafka}/{name}.predictions?unique=0",
        "history": f"{objects}/history?endpoint={endpoint}",
        "artifacts": f"{objects}/artifacts?endpoint={endpoint}",
        "state": f"{redis}?name={name}-state",
        "features": f"{redis}?name={name}-features",
        **dict.fromkeys(("registry", "catalog", "quarantine"), f"{postgres}?schema={name}"),
    }
    return "".join(f'{store} = "{url}"\n' for store, url in urls.items())


def migrate(folder: Path, arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "flyball", "migrate", "cinema.py", *arguments.split()]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def done(process: "subprocess.Popen[str]") -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def report(output: str) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(output.splitlines()[-1])
    return decoded


def kept(home: Path) -> dict[int, int]:
    """{user: number of events} in the log of a home."""
    log = open_log(load_settings(home).events)
    counts: dict[int, int] = {}
    after = (0,) * len(log.ends())
    for piece in log.read(after, 1_000_000):
        for record in piece.records:
            counts[int(record.key)] = counts.get(int(record.key), 0) + 1
    return counts


@pytest.mark.parametrize("where", ["disk", "servers"])
def test_a_service_moves_while_it_is_written_to_and_moves_back(where: str, tmp_path: Path) -> None:
    if where == "servers" and not all(SERVERS):
        pytest.skip("no TEST_OBJECTS_ENDPOINT and other servers")
    (tmp_path / "cinema.py").write_text(SERVED_CINEMA)
    fill(tmp_path)
    (tmp_path / "second").mkdir()
    if where == "servers":
        (tmp_path / "second" / "settings.toml").write_text(on_servers())
    instance = Instance(tmp_path)
    try:
        until(lambda: len(instance.children()) == 4 and instance.get("/readyz")[0] == 200)
        before = set(instance.children().values())
        writer = Writer(instance)
        until(lambda: len(writer.accepted) > 20)
        for after_s in (1.5, 2.5):
            killed = migrate(tmp_path, "--from home --to second")
            threading.Event().wait(after_s)
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
        switched = report(done(migrate(tmp_path, "--from home --to second --switch --json")))
        assert switched["switched"]
        assert switched["pause_s"] < 15.0
        until(lambda: any("continues in" in line for line in instance.lines))
        moved = Instance.__new__(Instance)
        moved.home = tmp_path / "second"
        until(lambda: len(moved.children()) == 4 and not set(moved.children().values()) & before)
        accepted = len(writer.accepted)
        until(lambda: len(writer.accepted) > accepted + 20)
        writer.stop()
        assert set(writer.statuses["lists"]) == {200}
        assert set(writer.statuses["events"]) <= {200, 503}
        counts = kept(tmp_path / "second")
        assert {user: counts.get(user, 0) for user in writer.accepted} == dict.fromkeys(writer.accepted, 1)
        assert sum(counts.values()) == 1_200 + len(writer.accepted)
        until(lambda: answers(tmp_path / "second") == len(writer.statuses["lists"]))
        back = report(done(migrate(tmp_path, "--from second --to home --switch --json")))
        assert back["switched"]
        assert kept(tmp_path / "home") == counts
        until(lambda: any(f"continues in {tmp_path}/home" in line for line in instance.lines))
    finally:
        instance.end()


def answers(home: Path) -> int:
    return sum(open_log(load_settings(home).predictions).ends())
