"""`flyball up delivery.py --world`: another kind of task, served over HTTP while its world lives."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.processes import LONG_S, until

from flyball.app import load_app
from flyball.core import SystemClock
from flyball.runtime import Runtime, load_settings

pytestmark = pytest.mark.live

APPLICATION = Path(__file__).parents[1] / "toy" / "delivery.py"


def minutes(port: int) -> dict[str, Any]:
    """The answer to an order of 5 km."""
    body = msgspec.json.encode({"order": 900_000, "kitchen": "a", "km": 5.0})
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/minutes", body, {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        document: dict[str, Any] = msgspec.json.decode(reply.read())
    return document


def test_it_learns_and_serves_while_its_world_lives(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "flyball", "up", str(APPLICATION), "--world", "--home", str(home), "--port", "0"]
    runtime = Runtime(load_app(str(APPLICATION)), load_settings(home), SystemClock())
    with open(tmp_path / "out", "wb") as out:
        up = subprocess.Popen([*command, "--workers", "1"], stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: msgspec.json.decode((home / "run" / "up.json").read_bytes())["port"] > 0, passing=(OSError,))
        port = msgspec.json.decode((home / "run" / "up.json").read_bytes())["port"]
        until(lambda: minutes(port)["level"] == "champion", passing=(OSError,))
        answer = minutes(port)
        past = sum(runtime.log.ends())
        until(lambda: sum(runtime.log.ends()) > past + 20)
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(LONG_S)
    assert code == 0, (tmp_path / "out").read_text()
    assert answer["values"]["minutes"] == pytest.approx(10 + 4 * 5.0, abs=2.0)
    assert "items" not in answer
    assert "Traceback" not in (home / "run" / "logs" / "world.log").read_text()
