"""Processes of this machine keep the contract of compute, and a death has a name."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flyball.compute import Compute, InProcess, Needs, open_compute, run_tasks
from flyball.compute.processes import _send_result
from flyball.core import BadSetting
from flyball.testing.compute_contract import CHECKS, OpenCompute, act


def opened(retries: int) -> Compute:
    return open_compute(f"processes://?retries={retries}", 2)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[OpenCompute, Path], None], tmp_path: Path) -> None:
    check(opened, tmp_path)


def end(what: str) -> str:
    if what == "exit":
        os._exit(3)
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Event().wait()
    return what


def test_an_ending_is_named() -> None:
    outcomes = dict(run_tasks(opened(0), end, [("exit",), ("a",)]))
    assert (str(outcomes[0]), outcomes[1]) == ("process must end with a result, got exit code 3", "a")
    outcomes = dict(run_tasks(opened(0), act, [("kill",)]))
    assert str(outcomes[0]) == "process must end with a result, got killed by SIGKILL (out of memory?)"


def test_a_task_that_ignores_sigterm_is_ended_too() -> None:
    outcomes = dict(run_tasks(opened(0), end, [("deaf",), ("a",)], Needs(limit_s=2.0)))
    assert isinstance(outcomes[0], TimeoutError)
    assert outcomes[1] == "a"


def test_a_result_that_nobody_takes_is_no_error() -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    receiver.close()
    _send_result(sender, len, ("result",))
    _send_result(sender, int, ("no number",))
    sender.close()


def test_there_is_room_for_as_many_tasks_as_workers_and_needs_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4_096, "SC_PHYS_PAGES": 1 << 20}.__getitem__)  # 4 GiB
    compute = open_compute("processes://", 6)
    assert compute.slots(Needs()) == 6
    assert compute.slots(Needs(cpus=2)) == 3
    assert compute.slots(Needs(cpus=8)) == 1
    assert compute.slots(Needs(memory_bytes=1 << 30)) == 4


def test_options_of_its_url() -> None:
    assert isinstance(open_compute("processes://", 1), InProcess)
    assert open_compute("processes://?retries=3", 2).retries == 3
    with pytest.raises(BadSetting, match="option of processes:// must be one of retries, got 'cpus'"):
        open_compute("processes://?cpus=2", 2)
    with pytest.raises(BadSetting, match="compute processes:// must name nothing, got '8'"):
        open_compute("processes://8", 2)
