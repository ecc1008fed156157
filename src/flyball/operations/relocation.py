"""Moves a running instance to the home that its home was moved to (`flyball migrate --switch`)."""

from collections import deque
from pathlib import Path
from typing import Protocol

from flyball.core import FileLock, Refused
from flyball.cutover import Moved
from flyball.operations.process_specs import run_folder
from flyball.operations.reach import runtime_in
from flyball.operations.supervisor import Supervisor
from flyball.runtime import Runtime


def check_in_use(runtime: Runtime) -> None:
    """Raise `Refused` for a home that was moved, or that is a copy which is not complete."""
    moved, copying = runtime.gate.moved(), runtime.gate.copying()
    if moved is not None:
        raise Refused(
            f"home {runtime.home} must be in use to run on it, got one that was moved: use --home {moved.home}"
        )
    if copying is not None:
        raise Refused(
            f"home {runtime.home} must be complete to run on it, got a copy of {copying.home} that flyball migrate has "
            "not switched to: run it with --switch"
        )


class Readiness(Protocol):
    """Knows which serving processes can answer."""

    def is_ready(self, name: str) -> bool: ...


class _Rolling:
    """Replaces serving processes one by one, each when the one before can answer."""

    def __init__(self) -> None:
        self._left: deque[str] = deque()
        self._last = ""
        self._replaced: int | None = None

    def _roll(self, supervisor: Supervisor) -> list[str]:
        """Begin; returns the names of all programs that run."""
        names = [child.name for child in supervisor.children() if child.state != "done"]
        self._left = deque(name for name in names if name.startswith("serve-"))
        return names

    def step(self, supervisor: Supervisor, readiness: Readiness) -> None:
        """Replace the next serving process once the last one has ended and its successor can answer."""
        if not self._left or (self._last and not self._has_successor(supervisor, readiness)):
            return
        self._last = self._left.popleft()
        self._replaced = _pid_of(self._last, supervisor)
        supervisor.replace(self._last)

    def _has_successor(self, supervisor: Supervisor, readiness: Readiness) -> bool:
        """Whether the last one was started again, and its new process can answer: the old one may be ready for some
        time after it was asked to end."""
        return _pid_of(self._last, supervisor) not in (None, self._replaced) and readiness.is_ready(self._last)


class Relocation(_Rolling):
    """The move of one instance. Serving processes are replaced one by one, each when the one before can answer."""

    def __init__(self, moved: Moved, runtime: Runtime) -> None:
        super().__init__()
        self.moved = moved
        self.runtime = runtime_in(Path(moved.home), runtime)
        self.lock = FileLock(run_folder(self.runtime.home) / "lock", f"flyball up {runtime.app.name}")

    def begin(self, supervisor: Supervisor) -> None:
        """Take the new home and begin to replace the processes; raises `HomeBusy` where another instance has it."""
        self.lock.__enter__()
        for name in self._roll(supervisor):
            if name in ("worker", "governor"):
                supervisor.replace(name)


class Renewal(_Rolling):
    """Replaces the serving processes one after another, each when the one before can answer, after a removal: they may
    have in memory what is not in the stores any more. `marker`: the file whose time says when that was."""

    def __init__(self, marker: Path) -> None:
        super().__init__()
        self._marker = marker
        self._seen_ns = self._written_ns()

    def look(self, supervisor: Supervisor) -> bool:
        """Begin where a removal has ended since the last look; returns whether one has."""
        written_ns = self._written_ns()
        if written_ns == self._seen_ns:
            return False
        self._seen_ns = written_ns
        self._roll(supervisor)
        return True

    def _written_ns(self) -> int:
        return self._marker.stat().st_mtime_ns if self._marker.exists() else 0


def _pid_of(name: str, supervisor: Supervisor) -> int | None:
    return next((child.pid for child in supervisor.children() if child.name == name), None)
