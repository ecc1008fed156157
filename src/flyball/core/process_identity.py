"""Which process it was, told apart from all others that ever had its number, and whether it still runs."""

import os
import socket
from functools import cache
from pathlib import Path

import msgspec


class ProcessIdentity(msgspec.Struct, frozen=True):
    """A process. `machine`: the boot of the machine and the namespace in which `pid` counts; `start`: when the process
    began, as its machine counts. Both are "" where the system does not tell."""

    host: str
    pid: int
    machine: str = ""
    start: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> ProcessIdentity:
    """The identity of this process."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), pid, _machine(), _start(pid) or "")


def is_alive(process: ProcessIdentity) -> bool | None:
    """Whether the process runs; None where this machine cannot tell, since it is not the one it runs on, or was booted
    since."""
    if (process.host, process.machine) != (socket.gethostname(), _machine()):
        return None
    if process.start:
        return _start(process.pid) == process.start
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start(pid: int) -> str | None:
    """When a process began, in ticks since the boot; None for one that ended, also where its parent has yet to know."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
