"""The loop over a compute: retries, limits and order, on one that follows a script."""

from collections.abc import Sequence
from typing import Any

import pytest

from flyball.compute import ComputeTask, Lost, Needs, Started, TaskLost, run_tasks
from flyball.core import ManualStopwatch, Refused


class Scripted:
    """Each call of `wait` ends the oldest task, with the next outcome of the script; "later": time passes instead."""

    def __init__(self, script: Sequence[Any], retries: int = 0, room: int = 2) -> None:
        self.stopwatch, self.retries, self.room = ManualStopwatch(), retries, room
        self.script, self.log = list(script), list[str]()

    def slots(self, needs: Needs) -> int:
        return self.room

    def start(self, task: ComputeTask) -> Started:
        if task.arguments == ("unsendable",):
            raise TypeError("cannot be sent")
        self.log.append(f"start {task.arguments[0]}")
        return Started(task.arguments[0], self.stopwatch.read_s())

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
        outcome = self.script.pop(0)
        if outcome == "later":
            self.log.append(f"wait {timeout_s}")
            self.stopwatch.advance_s(timeout_s or 0.0)
            return []
        return [(started[0], outcome)]

    def cancel(self, started: Started) -> None:
        self.log.append(f"cancel {started.handle}")

    def close(self) -> None:
        """Nothing is left."""


def test_a_lost_task_is_first_to_start_again_and_its_losses_are_counted() -> None:
    compute = Scripted([Lost("gone"), "B", Lost("gone"), "C", Lost("gone")], retries=2)
    outcomes = list(run_tasks(compute, len, [("a",), ("b",), ("c",)]))
    assert [outcomes[0], outcomes[1]] == [(1, "B"), (2, "C")]
    assert (outcomes[2][0], str(outcomes[2][1])) == (0, "process must end with a result, got gone, 3 times")
    assert compute.log == ["start a", "start b", "start a", "start c", "start a"]


def test_only_so_many_run_side_by_side() -> None:
    compute = Scripted(["A", "B", "C"], room=1)
    assert list(run_tasks(compute, len, [("a",), ("b",), ("c",)])) == [(0, "A"), (1, "B"), (2, "C")]


def test_a_limit_counts_from_the_start_and_ends_the_task() -> None:
    compute = Scripted(["later", "B"], room=1)
    outcomes = list(run_tasks(compute, len, [("a",), ("b",)], Needs(limit_s=7.0), stopwatch=compute.stopwatch))
    assert (outcomes[0][0], str(outcomes[0][1])) == (0, "it must end within 7 s, and was ended then")
    assert outcomes[1] == (1, "B")
    assert compute.log == ["start a", "wait 7.0", "cancel a", "start b"]


def test_calls_that_are_added_meanwhile_are_run_too() -> None:
    compute, calls, outcomes = Scripted(["A", "B", Lost("gone")]), [("a",)], list[Any]()
    for index, outcome in run_tasks(compute, len, calls):
        outcomes.append((index, outcome))
        if len(calls) < 3:
            calls.append((f"{len(calls)}",))
    assert outcomes[:2] == [(0, "A"), (1, "B")]
    assert isinstance(outcomes[2][1], TaskLost)
    assert compute.log == ["start a", "start 1", "start 2"]


def test_what_cannot_be_sent_fails_alone_and_closing_cancels_the_others() -> None:
    compute = Scripted(["A"])
    outcomes = run_tasks(compute, len, [("unsendable",), ("a",), ("b",)])
    assert isinstance(next(outcomes)[1], TypeError)
    assert next(outcomes) == (1, "A")
    outcomes.close()
    assert compute.log == ["start a", "start b", "cancel b"]


CALLS = [("a",), ("b",)]


class Vanishing(Scripted):
    """Its only machine dies with the first task, and another one comes after some looks; None: never."""

    def __init__(self, script: Sequence[Any], looks: int | None) -> None:
        super().__init__(script, retries=1)
        self.looks, self.dead = looks, False

    def slots(self, needs: Needs) -> int:
        if not self.dead or self.looks == 0:
            return self.room
        if self.looks is not None:
            self.looks -= 1
        raise Refused("a task must fit on a node of ray://c:1, which has no nodes, got a task that needs 1 CPU")

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
        self.dead = True
        return super().wait(started, timeout_s)


def test_when_the_only_machine_dies_tasks_wait_for_another_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    compute = Vanishing([Lost("gone"), "B", "A"], looks=3)
    paused: list[float] = []
    outcomes = list(run_tasks(compute, len, CALLS, stopwatch=compute.stopwatch, pause=paused.append))
    assert outcomes == [(1, "B"), (0, "A")]
    assert paused == [2.0, 2.0], "while another task ran, its end was waited for"
    (line,) = caplog.messages
    assert line.startswith("no machine has room for 1 task; waiting 300 s for one: a task must fit on a node of ray://")


def test_a_machine_that_does_not_come_back_is_waited_for_at_most_five_minutes() -> None:
    compute = Vanishing([Lost("gone"), Lost("gone")], looks=None)
    began_s = compute.stopwatch.read_s()
    with pytest.raises(Refused, match="which has no nodes"):
        list(run_tasks(compute, len, CALLS, stopwatch=compute.stopwatch, pause=compute.stopwatch.advance_s))
    assert compute.stopwatch.read_s() == began_s + 300.0


def test_needs_that_no_machine_ever_met_are_refused_at_once() -> None:
    compute = Vanishing([], looks=None)
    began_s = compute.stopwatch.read_s()
    compute.dead = True
    with pytest.raises(Refused, match="which has no nodes"):
        list(run_tasks(compute, len, CALLS, stopwatch=compute.stopwatch))
    assert compute.stopwatch.read_s() == began_s
