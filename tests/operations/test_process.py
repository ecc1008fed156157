"""Child processes: their spec, their end, and what becomes of them when their parent is gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.processes import gone, until

from flyball.operations.process import python_argv, start_child, tail

CHILD = """
import os, signal, subprocess, sys, threading
from flyball.operations.process import watch_parent, read_spec
spec = read_spec().decode()
stop = threading.Event()
if spec == "handles":
    signal.signal(signal.SIGTERM, lambda *_: (print("asked", flush=True), stop.set()))
watch_parent()
idle = [sys.executable, "-c", "import threading; threading.Event().wait(900)"]
other = subprocess.Popen(idle, stdin=subprocess.DEVNULL)
print("pids", os.getpid(), other.pid, flush=True)
stop.wait(900)
if spec == "handles":
    other.kill()
    other.wait()
"""

PARENT = """
import sys, threading
from pathlib import Path
from flyball.operations.process import start_child
start_child([sys.executable, "-c", sys.argv[1]], sys.argv[2].encode(), Path(sys.argv[3]))
print("started", flush=True)
threading.Event().wait(900)
"""


def pids(log: Path) -> list[int]:
    until(lambda: tail(log).startswith("pids"))
    return [int(word) for word in tail(log).split()[1:]]


@pytest.mark.parametrize("spec", ["handles", "does not"])
def test_a_child_and_its_own_children_end_with_a_killed_parent(tmp_path: Path, spec: str) -> None:
    log = tmp_path / "child.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD, spec, str(log)], stdout=subprocess.PIPE)
    found = pids(log)
    parent.kill()
    parent.communicate()
    until(lambda: all(gone(pid) for pid in found))
    assert ("asked" in log.read_text()) == (spec == "handles")


def test_killing_a_child_ends_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    child = start_child([sys.executable, "-c", CHILD], b"does not", log)
    found = pids(log)
    assert child.poll() is None
    child.kill()
    until(lambda: all(gone(pid) for pid in found))
    assert child.poll() == -signal.SIGKILL
    child.kill()  # once more does nothing


def test_orders_for_a_child_that_dies_at_once_are_no_error(tmp_path: Path) -> None:
    child = start_child([sys.executable, "-c", "raise SystemExit('no')"], b"x" * 1_000_000, tmp_path / "child.log")
    until(lambda: child.poll() is not None)
    assert (child.poll(), tail(tmp_path / "child.log")) == (1, "no")
    child.kill()


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    log.write_bytes(b"x" * 6_000_000)
    child = start_child(python_argv("json.tool", "--help"), b"", log)
    until(lambda: child.poll() is not None)
    child.kill()
    assert log.stat().st_size < 10_000
    assert (tmp_path / "child.log.1").stat().st_size == 6_000_000
    assert os.path.exists(log)
