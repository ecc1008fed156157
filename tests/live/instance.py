"""A running `up` for tests, and a past for it to learn from."""

import http.client
import random
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import msgspec
from tests import processes

from flyball.app import load_app
from flyball.core import SystemClock, parse_duration
from flyball.runtime import Runtime, load_settings

REFUSED = (OSError, http.client.HTTPException)
"""What a client gets while no process answers, or when one ends in the middle of an answer."""

until = partial(processes.until, passing=REFUSED)

RUN = """
import sys
from pathlib import Path
from flyball.app import load_app
from flyball.core import FlyballError, SystemClock
from flyball.operations import Lines, up
from flyball.runtime import Runtime, load_settings
settings = load_settings(Path(sys.argv[2]), options={"port": int(sys.argv[3]), "workers": 2})
try:
    up(Runtime(load_app(sys.argv[1]), settings, SystemClock()), Lines(sys.stdout))
except FlyballError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


class Instance:
    """A running `up` and its output."""

    def __init__(self, folder: Path, home: str = "home", port: int = 0) -> None:
        self.folder, self.home = folder, folder / home
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(folder / "cinema.py"), str(self.home), str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def port(self) -> int:
        until(lambda: bool(self.lines))
        found = re.search(r"127\.0\.0\.1:(\d+)", self.lines[0])
        assert found is not None, self.lines[0]
        return int(found[1])

    def children(self) -> dict[str, tuple[int, int]]:
        """{name: (pid, restarts)} of the running ones."""
        path = self.home / "run" / "up.json"
        if not path.exists():
            return {}
        report = msgspec.json.decode(path.read_bytes())
        return {
            each["name"]: (each["pid"], each["restarts"]) for each in report["children"] if each["state"] == "running"
        }

    def get(self, path: str) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def runtime(self) -> Runtime:
        return Runtime(load_app(str(self.folder / "cinema.py")), load_settings(self.home), SystemClock())

    def level(self) -> str:
        return self.get("/recommend/1")[2]["x-flyball-level"]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()


def fill(folder: Path) -> None:
    """Two weeks in which users watch films of their half, four of five of the first."""
    runtime = Runtime(load_app(str(folder / "cinema.py")), load_settings(folder / "home"), SystemClock())
    rng, day_us = random.Random(1), parse_duration("1d")
    start_us, records = runtime.clock.now_us() - 14 * day_us, []
    for user in range(1, 101):
        mine = [film for film in range(40) if film % 2 == (user % 5 == 0)]
        for day, film in enumerate(rng.sample(mine, 12)):
            at = start_us + day * day_us + user * 1_000_000
            records.append(runtime.schema.check("watch", {"user": user, "film": f"f{film}", "minute": 1}, at, at))
    runtime.log.append(records)
