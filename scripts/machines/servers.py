"""Real servers, started by `.ci/engines`."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from machines.basics import free_port

ENGINES = Path(__file__).parents[2] / ".ci" / "engines"


class Engine:
    """A server that `.ci/engines` starts in a folder, and may start again there with its data."""

    def __init__(self, name: str, folder: Path, *arguments: str) -> None:
        self.command, self.folder, self.arguments = ENGINES / name, folder, arguments
        self.start()

    def start(self) -> None:
        subprocess.run(
            [self.command, "start", self.folder, *self.arguments], check=True, stdout=subprocess.DEVNULL, timeout=180
        )

    def kill(self) -> None:
        """End it and what it started, as a power failure does."""
        pid = int((self.folder / "pid").read_text())
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
        for each in (pid, *map(int, found.stdout.split())):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def stop(self) -> None:
        self.kill()


class Redis:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
