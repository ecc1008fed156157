"""Independent work in parallel: one failure, or one death, is that call's alone."""

import multiprocessing
import os
import signal
import threading

import pytest

from flyball.core import BadInput, run_parallel
from flyball.core.processes import _send_result


def work(what: str) -> str:
    if what == "raise":
        raise BadInput("what", "kind", what)
    if what == "exit":
        os._exit(3)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "lambda":
        return lambda: None  # type: ignore[return-value]  # a result that cannot cross
    return what.upper()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_and_errors_come_by_index(workers: int) -> None:
    outcomes = dict(run_parallel(work, [("a",), ("raise",), ("b",)], workers))
    assert outcomes[0] == "A"
    assert outcomes[2] == "B"
    assert "what must be kind, got 'raise'" in str(outcomes[1])


def test_a_death_is_its_own_and_named() -> None:
    outcomes = dict(run_parallel(work, [("exit",), ("a",), ("kill",), ("b",), ("lambda",)], 2))
    assert (outcomes[1], outcomes[3]) == ("A", "B")
    assert "exit code 3" in str(outcomes[0])
    assert "SIGKILL" in str(outcomes[2])
    assert isinstance(outcomes[4], Exception)


def test_a_call_that_cannot_cross_is_its_own_failure() -> None:
    outcomes = dict(run_parallel(work, [(lambda: 1,), ("a",)], 2))
    assert outcomes[1] == "A"
    assert isinstance(outcomes[0], Exception)


def test_calls_none_of_which_can_cross_all_fail() -> None:
    outcomes = dict(run_parallel(work, [(lambda: 1,), (lambda: 2,)], 2))
    assert all(isinstance(outcomes[place], Exception) for place in (0, 1))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_no_longer_wanted_is_left_out(workers: int) -> None:
    unwanted = {1}
    outcomes = run_parallel(work, [("a",), ("raise",), ("b",), ("c",)], workers, is_needed=lambda n: n not in unwanted)
    first = next(outcomes)
    unwanted.add(3)
    assert dict([first, *outcomes]) == {0: "A", 2: "B"}


def test_closing_ends_what_still_runs() -> None:
    outcomes = run_parallel(die_or_wait, [("wait",), ("die",)], 2)
    index, error = next(outcomes)
    assert (index, "SIGKILL" in str(error)) == (1, True)
    outcomes.close()  # type: ignore[attr-defined]  # comes back only when the waiting process has ended


def test_a_call_that_takes_too_long_is_ended_and_the_others_go_on() -> None:
    outcomes = dict(run_parallel(wait_or_not, [("wait",), ("deaf",), ("a",), ("b",)], 2, limit_s=5.0))
    assert isinstance(outcomes[0], TimeoutError)
    assert "within 5 s" in str(outcomes[1])
    assert (outcomes[2], outcomes[3]) == ("a", "b")


def wait_or_not(what: str) -> str:
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if what in ("wait", "deaf"):
        threading.Event().wait()
    return what


def die_or_wait(what: str) -> None:
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


def test_a_result_that_nobody_takes_is_no_error() -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    receiver.close()
    _send_result(sender, len, ("result",))
    _send_result(sender, int, ("no number",))
    sender.close()
