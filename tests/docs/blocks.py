"""Reads the fenced blocks of a page and runs them as a reader would, in order, in one folder.

`python` blocks run, or are written where their first line is `# file: NAME`, or must be in the file where it is
`# from: NAME`; `toml` and `json` are parsed and, with that first line, written; a `diff` block changes the file its
first line names, wherever its old lines are; of `console` blocks each `$ ` line runs and must print what follows it,
numbers and ids aside and `...` standing for anything, and must end with exit code 0 unless the last line shown is
`# exit code N`.
"""

import configparser
import json
import linecache
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.processes import free_ports

_FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.M | re.S)
_NUMBER = re.compile(r"(?:(?<![\w\]])[-+±])?\d+(?:[.,:]\d+)*(?:e-?\d+)?")
_HEX = re.compile(r"(?<![\w.])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b|\b[0-9A-HJKMNP-TV-Z]{26}\b")
_EXIT = re.compile(r"# exit code (\d+)\s*\Z")
_NEEDS = re.compile(r"^\*\*You need:\*\* (.+)$", re.M)
SHOP = "`shop.py`, its events and what it learned, from [the first tutorial]("
POSTGRES, ITS_URL = "a PostgreSQL server", "postgresql://flyball@127.0.0.1:5432/flyball?schema=shop"
"""What pages say that they need, and its address there."""
PORTS = ("8082", "8083")
"""Of the pages; a reader has free ones in their place."""
_ASKED_TO_BE_READY = 6


def blocks_of(page: Path) -> list[tuple[str, str, int]]:
    """(language, text, line) of every fenced block."""
    text = page.read_text()
    return [(found[1], found[2], text[: found.start()].count("\n") + 1) for found in _FENCE.finditer(text)]


def needs_of(page: Path) -> str:
    """What the page says its reader needs; "" when it says nothing."""
    found = _NEEDS.search(page.read_text())
    return found[1] if found else ""


def shape(line: str) -> str:
    """A line of output with its numbers and identifiers blanked: what must be as the page says."""
    return re.sub(r"[ \t─━]+", " ", _NUMBER.sub("#", _HEX.sub("#", line))).strip()


def agree(shown: list[str], printed: list[str]) -> bool:
    """Do the printed lines have the shown shape? A shown line `...` stands for any number of lines."""
    if not shown:
        return not printed
    if shown[0].strip() == "...":
        return any(agree(shown[1:], printed[skip:]) for skip in range(len(printed) + 1))
    return bool(printed) and _line_agrees(shown[0], printed[0]) and agree(shown[1:], printed[1:])


def _line_agrees(shown: str, printed: str) -> bool:
    parts = [re.escape(part) for part in re.split(r" ?\.\.\. ?", shape(shown))]
    return re.fullmatch(".*".join(parts), shape(printed)) is not None


class Reader:
    """Someone who follows a page in `folder`; `close` ends what was started in the background.

    `instead`: {what a page writes: what this reader has in its place}, such as the address of a server.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, instead: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.instead = dict(instead or {})
        self.environment = dict(environment or {})
        self.names: dict[str, Any] = {"__name__": "__page__"}
        self.background: list[subprocess.Popen[bytes]] = []
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))

    def follow(self, language: str, text: str, where: str) -> None:
        run: dict[str, Callable[[str, str], None]] = {
            "python": self._python,
            "console": self._console,
            "toml": self._toml,
            "json": lambda text, where: void(json.loads(text)),
            "text": lambda text, where: void(self._written(text, keep_first=False)),
            "ini": lambda text, where: void(configparser.ConfigParser(strict=False).read_string(text)),
            "make": lambda text, where: None,
            "diff": self._diff,
        }
        if language not in run:
            raise AssertionError(f"{where}: a block must be python, console, diff, toml, json or text, got {language}")
        for written, real in self.instead.items():
            text = text.replace(written, real)
        run[language](text, where)

    def _written(self, text: str, keep_first: bool = True) -> bool:
        """Write the block where its first line names a file; that line is a comment but in plain text."""
        first = text.splitlines()[0] if text else ""
        if not first.startswith("# file: "):
            return False
        path = self.folder / first.removeprefix("# file: ").strip()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if keep_first else text.partition("\n")[2])
        return True

    def _quoted(self, text: str, where: str) -> bool:
        """A block whose first line names the file it is from: each part between lines `...` is in that file."""
        first, _, rest = text.partition("\n")
        if not first.startswith("# from: "):
            return False
        source = (self.folder / first.removeprefix("# from: ").strip()).read_text()
        for part in re.split(r"^ *\.\.\.\n", rest, flags=re.M):
            assert part.strip("\n") in source, f"{where}: {first} must hold these lines:\n{part}"
        return True

    def _toml(self, text: str, where: str) -> None:
        tomllib.loads(text)
        self._written(text)

    def _python(self, text: str, where: str) -> None:
        if self._written(text) or self._quoted(text, where):
            return
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            linecache.cache[where] = (len(text), None, text.splitlines(True), where)  # as a notebook does
            exec(compile(text, where, "exec"), self.names)
        finally:
            os.chdir(before)

    def _diff(self, text: str, where: str) -> None:
        """Hunks begin at lines `@@`; the lines that stay or go must occur once in the file, as they are."""
        first, _, rest = text.partition("\n")
        assert first.startswith("# file: "), f"{where}: a diff must name its file in its first line, got {first!r}"
        path = self.folder / first.removeprefix("# file: ").strip()
        changed = "\n" + path.read_text()
        for hunk in re.split(r"^@@.*\n", rest, flags=re.M):
            lines = [line if line else " " for line in hunk.splitlines()]
            old = "\n" + "".join(line[1:] + "\n" for line in lines if line[0] in " -")
            new = "\n" + "".join(line[1:] + "\n" for line in lines if line[0] in " +")
            if lines:
                assert changed.count(old) == 1, f"{where}: {path.name} must hold these lines once:\n{old}"
                changed = changed.replace(old, new)
        path.write_text(changed[1:])

    def _console(self, text: str, where: str) -> None:
        command, shown = "", []
        for line in [*text.splitlines(), "$ "]:
            if line.startswith("$ "):
                if command:
                    self._run(command, shown, where)
                command, shown = line[2:], []
            elif command.endswith("\\"):
                command = command[:-1] + line
            else:
                shown.append(line)

    def _run(self, command: str, shown: list[str], where: str) -> None:
        port = self.ports[next((port for port in PORTS if f"--port {port}" in command), PORTS[0])]
        for written, free in self.ports.items():
            command = command.replace(written, free)
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
        environment |= {"NO_COLOR": "1", "FLYBALL_PORT": self.ports[PORTS[0]], **self.environment}
        if command.endswith("&"):
            with open(self.folder / "background.log", "ab") as log:
                words = shlex.split(command.rstrip("& "))
                self.background.append(
                    subprocess.Popen(words, cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
                )
            self._wait_until_answering(where, port)
            return
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # a reader's terminal shows both
            text=True,
            timeout=300,
        )
        printed = [line for line in done.stdout.splitlines() if line.strip()]
        wanted = [line for line in shown if line.strip()]
        message = _EXIT.match(wanted[-1]) if wanted else None
        code, wanted = (int(message[1]), wanted[:-1]) if message else (0, wanted)
        happened = f"{where}: `{command}` printed (exit code {done.returncode}, expected {code})\n{done.stdout}"
        assert done.returncode == code, happened
        assert agree(wanted, printed), happened + "\nwhere the page shows\n" + "\n".join(shown)

    def _wait_until_answering(self, where: str, port: str) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.background[-1].poll() is not None:
                break
            if self._ready(port):
                return
            time.sleep(0.05)  # polling a live process with a deadline
        raise AssertionError(f"{where}: nothing answers\n{(self.folder / 'background.log').read_text()}")

    def _ready(self, port: str) -> bool:
        """A reader waits for the first list before going on; each connection may meet another worker."""
        try:
            for _ in range(_ASKED_TO_BE_READY):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                    pass
        except OSError:
            return False
        return True

    def close(self) -> None:
        for process in self.background:
            process.send_signal(signal.SIGTERM)
        for process in self.background:
            process.wait(timeout=30)


def void(value: object) -> None:
    """Parsed for its errors only."""
