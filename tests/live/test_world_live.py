"""`flyball up movies --world`: users who are not there live with a service that is."""

import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.app import load_app
from flyball.core import SystemClock
from flyball.runtime import Runtime, load_settings
from flyball.simulation import new_plan, seed_home

pytestmark = pytest.mark.live


def until(holds: Callable[[], Any], within_s: float) -> Any:
    ends_s, pause = time.monotonic() + within_s, threading.Event()
    while not (found := holds()):
        assert time.monotonic() < ends_s, "not in time"
        pause.wait(0.1)
    return found


def test_up_with_a_world_lives_and_ends_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    runtime = Runtime(load_app("movies"), load_settings(home), SystemClock())
    plan = new_plan(runtime.clock.now_us(), users=200, films=300, days=2, lines_per_s=200.0)
    seed_home(runtime, plan)
    past = sum(runtime.log.ends())
    command = [sys.executable, "-m", "flyball", "up", "movies", "--world", "--home", str(home), "--port", "0"]
    with open(tmp_path / "out", "wb") as out:
        up = subprocess.Popen([*command, "--workers", "1"], stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: sum(runtime.predictions.ends()) > 20, 60)
        until(lambda: sum(runtime.log.ends()) > past + 200, 60)
        report = msgspec.json.decode((home / "run" / "up.json").read_bytes())
        with urllib.request.urlopen(f"http://127.0.0.1:{report['port']}/recommend/7", timeout=5) as answer:
            assert len(answer.read().decode().split(",")) == 20
        assert {child["name"]: child["restarts"] for child in report["children"]}["world"] == 0
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(30)
    assert code == 0, (tmp_path / "out").read_text()
    records = [each for piece in runtime.log.read((0,) * 4, 10_000_000) for each in piece.records]
    asked = sum(record.type == "asked" for record in records)
    answered = sum(runtime.predictions.ends())
    # The list asked for here left no line; what was said last is still on its way.
    assert 0 < asked <= answered
    world_log = (home / "run" / "logs" / "world.log").read_text()
    assert "Traceback" not in world_log
    assert "Warning" not in world_log
