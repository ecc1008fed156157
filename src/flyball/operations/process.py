"""Child processes in their own process groups that end when their parent ends.

A pipe is the child's standard input: the parent writes one line, the specification, and keeps the pipe open. However
the parent dies, the pipe is then closed, and the child stops itself.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

GRACE_S = 8.0
_LOG_BYTES = 5_000_000


class ChildProcess:
    """A running subprocess, the leader of its own process group."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    def poll(self) -> int | None:
        return self._popen.poll()

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        _kill_group(self._popen.pid)
        self._popen.wait()
        if self._popen.stdin is not None:
            self._popen.stdin.close()


def start_child(argv: Sequence[str], spec: bytes, log: Path, pass_fds: Sequence[int] = ()) -> ChildProcess:
    """Start `argv` in a new session, with its output appended to `log` and `spec` on its standard input."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        os.replace(log, log.with_name(f"{log.name}.1"))
    with open(log, "ab") as output:
        popen = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    assert popen.stdin is not None
    with suppress(BrokenPipeError):  # it died at once: the next poll reports it, and its log says why
        popen.stdin.write(spec + b"\n")
        popen.stdin.flush()
    return ChildProcess(popen)


def read_spec() -> bytes:
    """In the child: the line that the parent wrote. Reads no further, so the pipe can still be watched."""
    line = bytearray()
    while (letter := os.read(0, 1)) and letter != b"\n":
        line += letter
    return bytes(line)


def watch_parent() -> None:
    """In the child: end this process and its group when standard input is closed.

    A process that handles SIGTERM gets that first, and is killed after eight seconds.
    """
    threading.Thread(target=_watch, args=(lambda: os.read(0, 1), os.getpid()), name="parent pipe", daemon=True).start()


def _watch(read: Callable[[], bytes], pid: int) -> None:
    while read():
        continue
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # the default action would end this process alone
        os.kill(pid, signal.SIGTERM)
        threading.Event().wait(GRACE_S)
    _kill_group(os.getpgid(0))


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def python_argv(module: str, *args: str) -> tuple[str, ...]:
    """The command that runs a module with this interpreter; -P: files of the working folder do not shadow packages."""
    return (sys.executable, "-P", "-m", module, *args)


def tail(log: Path, lines: int = 1) -> str:
    """The last nonempty lines of a child's output."""
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 4_000))
        filled_lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return "\n".join(filled_lines[-lines:])
