"""`flyball up movies --world`: users who are not there live with a service that is."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import msgspec
import pytest
from tests.processes import LONG_S, until

from flyball.app import load_app
from flyball.core import SystemClock
from flyball.runtime import Runtime, load_settings
from flyball.simulation import new_plan, seed_home

pytestmark = pytest.mark.live


def listed(port: int) -> int:
    """The number of items in an answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/recommend/7", timeout=30) as answer:
        return len(answer.read().decode().split(","))


def test_up_with_a_world_lives_and_ends_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    runtime = Runtime(load_app("movies"), load_settings(home), SystemClock())
    plan = new_plan(runtime.app, runtime.clock.now_us(), days=2, lines_per_s=200.0, users=200, items=300)
    seed_home(runtime, plan)
    past = sum(runtime.log.ends())
    command = [sys.executable, "-m", "flyball", "up", "movies", "--world", "--home", str(home), "--port", "0"]
    with open(tmp_path / "out", "wb") as out:
        up = subprocess.Popen([*command, "--workers", "1"], stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: sum(runtime.predictions.ends()) > 20)
        until(lambda: sum(runtime.log.ends()) > past + 200)
        report = msgspec.json.decode((home / "run" / "up.json").read_bytes())
        until(lambda: listed(report["port"]) == 20, passing=(OSError,))
        assert {child["name"]: child["restarts"] for child in report["children"]}["world"] == 0
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(LONG_S)
    assert code == 0, (tmp_path / "out").read_text()
    records = [each for piece in runtime.log.read((0,) * 4, 10_000_000) for each in piece.records]
    asked = sum(record.type == "asked" for record in records)
    answered = sum(runtime.predictions.ends())
    # The list asked for here left no line; what was said last is still on its way.
    assert 0 < asked <= answered
    world_log = (home / "run" / "logs" / "world.log").read_text()
    assert "Traceback" not in world_log
    assert "Warning" not in world_log
