"""The specifications of child processes, and the files in which processes report their status."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from flyball.app import AppSource
from flyball.home import HomeLayout
from flyball.operations.supervisor import Child
from flyball.registry import Lease
from flyball.runtime import Runtime
from flyball.settings import Settings

T = TypeVar("T")


class ProcessSpec(msgspec.Struct, frozen=True):
    """What the supervisor writes to a child's standard input. `channel`: the descriptor over which connections
    arrive. `cases`: the ids of the cases that a run of learning is for. `lease`: with whose token it writes to the
    registry."""

    source: AppSource
    settings: Settings
    name: str
    channel: int = -1
    cases: tuple[str, ...] = ()
    lease: Lease | None = None


class GovernorReport(msgspec.Struct, frozen=True):
    """The status of the governor. `serial` increases with each new `message`."""

    at_us: int
    doing: str
    next_us: int | None
    serial: int
    message: str


class ReachQuestion(msgspec.Struct, frozen=True):
    """Asks a running instance whether it reaches the stores of the home `home`."""

    home: str
    id: str


class StoreReach(msgspec.Struct, frozen=True):
    """The answer to the question `id`. `stores`: {store: its URL as the instance reads it, without secrets};
    `troubles`: {store: why the instance cannot use it}."""

    id: str
    stores: dict[str, str] = {}
    troubles: dict[str, str] = {}


class UpReport(msgspec.Struct, frozen=True):
    """The status of the supervisor and its children. `stores`: {store: its URL without secrets}; `reach`: the answer to
    the last question."""

    at_us: int
    pid: int
    port: int
    started_us: int
    children: list[Child]
    stores: dict[str, str] = {}
    reach: StoreReach | None = None


def run_folder(home: Path) -> Path:
    return HomeLayout(home).run


def report_path(home: Path, name: str) -> Path:
    return run_folder(home) / f"{name}.json"


CATCHING_UP = "catching up"
"""What a command that brings the views up to the log says of itself in the lock of the log worker."""
LEARN, SHADOW, EVIDENCE, WATCH = "learn", "shadow", "evidence", "watch"
"""The names of the processes that learn, that answer for shadows, that measure what triggers decide by, and that look
at the data."""


def log_path(home: Path, name: str) -> Path:
    return HomeLayout(home).logs / f"{name}.log"


def write_report(home: Path, name: str, report: msgspec.Struct) -> None:
    """Replace the report `name`. It is not synced: after a crash of the machine it is obsolete anyway."""
    path = report_path(home, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(msgspec.json.encode(report))
    os.replace(temporary, path)


def forget_report(home: Path, name: str) -> None:
    """Remove the report `name` if there is one."""
    report_path(home, name).unlink(missing_ok=True)


def read_report(home: Path, name: str, kind: type[T]) -> T | None:
    """The report `name`; None when there is none or another version of Flyball wrote it."""
    path = report_path(home, name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def alive(pid: int) -> bool:
    """Whether a process with this id runs; 0 stands for none."""
    if pid == 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def running(runtime: Runtime) -> UpReport | None:
    """The report of the supervisor that runs on this home now; None when there is none."""
    report = read_report(runtime.home, "up", UpReport)
    return report if report is not None and alive(report.pid) else None
