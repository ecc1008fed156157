"""Waiting for other processes and threads in tests: for what is to hold, never for a time."""

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


def gone(pid: int) -> bool:
    """Whether a process has ended (one that its parent has not read yet counts as ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
