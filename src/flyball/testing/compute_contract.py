"""What every compute keeps: `CHECKS`, each run with a function that opens a new one with so many retries.

A compute has room for at least two tasks, and its workers run on this machine, where the checks kill them.
"""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from flyball.compute import Compute, Needs, run_tasks
from flyball.core import BadInput, Refused

OpenCompute = Callable[[int], Compute]
"""Open a compute with so many retries."""

_WITHIN_S = 60.0


def act(what: str, folder: str = "") -> str:
    """A task that does as it is named: "raise", "refuse", "kill", "wait", "kill once", "hold once", or returns its
    name. A line in the file of its name in `folder` for each run."""
    runs = 0
    if folder:
        with open(Path(folder) / what, "a") as file:
            file.write(f"{os.getpid()}\n")
        runs = len((Path(folder) / what).read_text().splitlines())
    if what == "raise":
        raise ValueError("no convergence")
    if what == "refuse":
        raise BadInput("rows", "at least 1", 0, "shop.csv")
    if what == "kill" or (what == "kill once" and runs == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait" or (what == "hold once" and runs == 1):
        threading.Event().wait()
    return what.upper()


def summed(seed: int, data: bytes) -> str:
    """The digest of numbers that depend on a seed, on data and on the order of additions."""
    numbers = np.random.default_rng(seed).standard_normal(10_000) + np.frombuffer(data, np.uint8)[:10_000]
    return hashlib.sha256(np.cumsum(numbers).tobytes()).hexdigest()


@contextmanager
def _opened(open_compute: OpenCompute, retries: int = 0) -> Iterator[Compute]:
    compute = open_compute(retries)
    try:
        yield compute
    finally:
        compute.close()


def _until(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + _WITHIN_S
    while not holds():
        assert time.monotonic() < ends_s, f"not within {_WITHIN_S:g} s"
        threading.Event().wait(0.02)


def _pids(folder: Path, what: str) -> list[int]:
    """The processes in which a task began to run."""
    path = folder / what
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def results_and_errors_come_by_index(open_compute: OpenCompute, folder: Path) -> None:
    with _opened(open_compute) as compute:
        outcomes = dict(run_tasks(compute, act, [("a",), ("raise",), ("b",), ("refuse",)]))
    assert (outcomes[0], outcomes[2]) == ("A", "B")
    assert isinstance(outcomes[1], ValueError)
    assert str(outcomes[1]) == "no convergence"
    error = outcomes[3]
    assert isinstance(error, BadInput)
    assert (error.what, error.must, error.got, error.where) == ("rows", "at least 1", 0, "shop.csv")
    assert str(error) == "rows at shop.csv must be at least 1, got 0"


def a_worker_that_dies_costs_its_task_only(open_compute: OpenCompute, folder: Path) -> None:
    names = ["kill", *(f"task {number}" for number in range(5))]
    with _opened(open_compute) as compute:
        outcomes = dict(run_tasks(compute, act, [(name, str(folder)) for name in names]))
    assert isinstance(outcomes[0], RuntimeError)
    assert "killed" in str(outcomes[0])
    assert [outcomes[index] for index in range(1, 6)] == [name.upper() for name in names[1:]]
    assert [len(_pids(folder, name)) for name in names] == [1] * 6


def a_task_whose_worker_is_killed_is_started_again(open_compute: OpenCompute, folder: Path) -> None:
    with _opened(open_compute, 1) as compute:
        calls = [("hold once", str(folder)), ("a", str(folder)), ("kill once", str(folder)), ("kill", str(folder))]
        killer = threading.Thread(target=_kill_first, args=(folder, "hold once"))
        killer.start()
        outcomes = dict(run_tasks(compute, act, calls))
        killer.join()
    assert [outcomes[index] for index in range(3)] == ["HOLD ONCE", "A", "KILL ONCE"]
    assert "2 times" in str(outcomes[3])
    runs = [len(_pids(folder, name)) for name in ("hold once", "a", "kill once", "kill")]
    assert runs == [2, 1, 2, 2]


def _kill_first(folder: Path, what: str) -> None:
    _until(lambda: bool(_pids(folder, what)))
    os.kill(_pids(folder, what)[0], signal.SIGKILL)


def an_interrupt_cancels_everything(open_compute: OpenCompute, folder: Path) -> None:
    with _opened(open_compute) as compute:
        outcomes = run_tasks(compute, act, [("a",), ("wait", str(folder)), ("wait", str(folder)), ("b", str(folder))])
        assert next(outcomes) == (0, "A")
        _until(lambda: bool(_pids(folder, "wait")))
        with suppress(KeyboardInterrupt):
            outcomes.throw(KeyboardInterrupt)
        _until(lambda: all(map(_has_ended, _pids(folder, "wait"))))
        assert not (folder / "b").exists()
        assert dict(run_tasks(compute, act, [("c",)])) == {0: "C"}


def a_task_that_takes_too_long_is_ended_and_the_others_go_on(open_compute: OpenCompute, folder: Path) -> None:
    with _opened(open_compute) as compute:
        outcomes = dict(run_tasks(compute, act, [("wait", str(folder)), ("a",), ("b",)], Needs(limit_s=3.0)))
    assert isinstance(outcomes[0], TimeoutError)
    assert str(outcomes[0]) == "it must end within 3 s, and was ended then"
    assert (outcomes[1], outcomes[2]) == ("A", "B")
    _until(lambda: all(map(_has_ended, _pids(folder, "wait"))))


def a_task_that_is_not_needed_any_more_is_left_out(open_compute: OpenCompute, folder: Path) -> None:
    with _opened(open_compute) as compute:
        room, unneeded = compute.slots(Needs()), set[int]()
        calls = [(f"task {number}", str(folder)) for number in range(room + 3)]
        outcomes = run_tasks(compute, act, calls, is_needed=lambda index: index not in unneeded)
        first = next(outcomes)
        unneeded |= {room + 1, room + 2}
        assert {index for index, _ in [first, *outcomes]} == set(range(room + 1))
    assert not (folder / f"task {room + 2}").exists()


def what_cannot_be_sent_is_a_failure_of_its_task(open_compute: OpenCompute, folder: Path) -> None:
    with _opened(open_compute) as compute:
        outcomes = dict(run_tasks(compute, act, [(threading.Lock(),), ("a",)]))
        results = dict(run_tasks(compute, threading.Lock, [(), ()]))
    assert isinstance(outcomes[0], Exception)
    assert outcomes[1] == "A"
    assert all(isinstance(result, Exception) for result in results.values())


def a_task_larger_than_any_machine_is_refused(open_compute: OpenCompute, folder: Path) -> None:
    with _opened(open_compute) as compute:
        for needs in (Needs(cpus=4_096), Needs(memory_bytes=1 << 50)):
            words = _refusal(lambda needs=needs: list(run_tasks(compute, act, [("a", str(folder))], needs)))  # type: ignore[misc]
            assert f"got a task that needs {needs.text()}: let it need less" in words
    assert not (folder / "a").exists()


def _refusal(work: Callable[[], object]) -> str:
    try:
        work()
    except Refused as error:
        return str(error)
    return "not refused"


def results_are_the_same_bits_as_in_this_process(open_compute: OpenCompute, folder: Path) -> None:
    data = os.urandom(200_000)  # large enough to be sent once, and read by every task
    calls = [(seed, data) for seed in range(6)]
    with _opened(open_compute) as compute:
        outcomes = dict(run_tasks(compute, summed, calls))
    assert [outcomes[index] for index in range(6)] == [summed(*call) for call in calls]


CHECKS = [
    results_and_errors_come_by_index,
    a_worker_that_dies_costs_its_task_only,
    a_task_whose_worker_is_killed_is_started_again,
    an_interrupt_cancels_everything,
    a_task_that_takes_too_long_is_ended_and_the_others_go_on,
    a_task_that_is_not_needed_any_more_is_left_out,
    what_cannot_be_sent_is_a_failure_of_its_task,
    a_task_larger_than_any_machine_is_refused,
    results_are_the_same_bits_as_in_this_process,
]
