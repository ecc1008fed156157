"""Waiting for other processes and threads in tests: for what is to hold, never for a time."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

LONG_S = 90.0
"""What takes a second on an idle machine takes tens of them on a loaded one."""


def until(holds: Callable[[], Found], within_s: float = LONG_S, passing: tuple[type[Exception], ...] = ()) -> Found:
    """What `holds()` returns once it is true; it may raise `passing` meanwhile. Fails when it never is."""
    ends_s, pause, got = time.monotonic() + within_s, threading.Event(), ""
    while True:
        try:
            if found := holds():
                return found
        except passing as error:
            got = f", last got {error!r}"
        assert time.monotonic() < ends_s, f"not within {within_s:g} s{got}"
        pause.wait(0.02)


def succeeds(call: Callable[[], object], *passing: type[Exception]) -> None:
    """`call` succeeds soon; it may raise `passing` meanwhile. Fails when it never does."""

    def done() -> bool:
        call()
        return True

    until(done, passing=passing)


def free_ports(count: int) -> list[int]:
    """So many different ports of 127.0.0.1 on which nothing listens."""
    with contextlib.ExitStack() as sockets:
        listening = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(server.getsockname()[1]) for server in listening]


def free_port() -> int:
    (port,) = free_ports(1)
    return port


def freeze(pid: int) -> None:
    """Stop a process; returns when all its threads stand still, which a busy machine may take a while for."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: stands_still(pid))


def stands_still(pid: int) -> bool:
    """Whether all threads of a process are stopped."""
    states = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            states.append(path.read_text().rsplit(")", 1)[1].split()[0])
    return all(state in "TZX" for state in states)


def gone(pid: int) -> bool:
    """Whether a process has ended (one that its parent has not read yet counts as ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
