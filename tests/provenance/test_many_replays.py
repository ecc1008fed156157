"""Many answers are replayed in tasks: the same report wherever they run, and a task that is lost costs its answers."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import pytest
from tests.provenance.conftest import Cinema

from flyball.compute import Compute, ComputeTask, InProcess, Lost, Needs, Started, open_compute
from flyball.core import Refused
from flyball.outcomes import prediction_of, prediction_record
from flyball.provenance import Replay, many_replays, replay_many


@contextmanager
def processes(retries: int = 0) -> Iterator[Compute]:
    with closing(open_compute(f"processes://?retries={retries}", 2)) as compute:
        yield compute


@pytest.fixture
def answered(learned: Cinema) -> Cinema:
    for user in range(1, 13):
        learned.answer(user)
    return learned


def falsify(cinema: Cinema) -> str:
    """Append an answer that no version gives; returns its id."""
    log = cinema.runtime.predictions
    (piece,) = log.read((0,), 1)
    made = prediction_of(piece.records[0])
    other = msgspec.structs.replace(
        made, id=made.id[:-1] + ("0" if made.id[-1] != "0" else "1"), items=made.items[::-1]
    )
    log.append([prediction_record(other)])
    return other.id


def test_processes_give_the_report_of_one_process(answered: Cinema) -> None:
    changed, lines = falsify(answered), list[str]()
    here = replay_many(answered.runtime, 100)
    with processes() as compute:
        elsewhere = replay_many(answered.runtime, 100, compute, lines.append, at_once=5)
    assert here == elsewhere
    assert (here.answers, here.replayed, here.identical, here.all_identical) == (13, 13, 12, False)
    assert [replayed.id for replayed in here.different] == [changed]
    assert here.text().startswith("12 of 13 identical, bit for bit (of 13 in the log)\n")
    assert f"{changed}: " in here.text()
    assert lines[-1] == "13 of 13 answers replayed"
    assert len(lines) == 3


def test_some_are_chosen_evenly_from_the_whole_log(answered: Cinema) -> None:
    made, chosen = many_replays.evenly_chosen(answered.runtime, 4)
    assert (made, [answer.key for answer in chosen]) == (12, ["1", "4", "7", "10"])
    assert replay_many(answered.runtime, 4).replayed == 4
    assert replay_many(answered.runtime, 50).all_identical


class Losing:
    """A compute whose first tasks are lost, as by a worker that is killed."""

    def __init__(self, tasks: int, retries: int) -> None:
        self._left, self.retries, self._inner = tasks, retries, InProcess()

    def slots(self, needs: Needs) -> int:
        return self._inner.slots(needs)

    def start(self, task: ComputeTask) -> Started:
        return self._inner.start(task)

    def wait(self, started: Sequence[Started], timeout_s: float | None) -> list[tuple[Started, Any]]:
        ended = self._inner.wait(started, timeout_s)
        if self._left and ended:
            self._left -= 1
            return [(ended[0][0], Lost("a process that was killed"))]
        return ended

    def cancel(self, started: Started) -> None:
        self._inner.cancel(started)

    def close(self) -> None:
        self._inner.close()


def test_a_task_that_is_lost_is_tried_again(answered: Cinema) -> None:
    assert replay_many(answered.runtime, 100, Losing(1, retries=1), at_once=6).all_identical


def test_a_task_that_is_lost_for_good_costs_its_answers_alone(answered: Cinema) -> None:
    report = replay_many(answered.runtime, 100, Losing(2, retries=1), at_once=4)
    reason = "process must end with a result, got a process that was killed, 2 times"
    assert (report.replayed, report.identical, report.failures) == (12, 8, {reason: 4})
    assert f"4 cannot be replayed: {reason}" in report.text()


def test_what_no_task_can_do_is_raised(answered: Cinema, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> list[Replay]:
        raise Refused("the stores must be reachable from here, got none")

    monkeypatch.setattr(many_replays, "replay_elsewhere", refuse)
    with pytest.raises(Refused, match="must be reachable from here"):
        replay_many(answered.runtime, 100, Losing(0, retries=0))
