"""Lines leave in order of time, once; outcomes with the batch that follows them."""

import json

import pytest

from flyball.simulation.outbox import Outbox
from flyball.simulation.world import Timeline, TrueOutcome


def sent(box: Outbox, until_us: int, timeline: Timeline = Timeline()) -> list[tuple[int, str]]:
    return [
        (line["at"], line["type"])
        for _, lines in box.batch(until_us, timeline).lines
        for line in map(json.loads, lines)
    ]


def test_lines_leave_by_time_then_by_request_then_by_step_each_once_before_the_end() -> None:
    box = Outbox()
    for at_us, number, step, type in ((30, 1, 0, "c"), (20, 2, 0, "b"), (20, 1, 1, "a"), (20, 1, 0, "first")):
        box.add(at_us, number, step, type, {})
    assert sent(box, 30) == [(20, "first"), (20, "a"), (20, "b")]
    assert sent(box, 30) == []
    assert sent(box, 31) == [(30, "c")]


def test_times_are_those_of_the_timeline_and_fields_are_as_they_were_given() -> None:
    box = Outbox()
    box.add(1_200, 1, 0, "order", {"km": 2.5})
    batch = box.batch(2_000, Timeline(world_us=1_000, written_us=50, speed=10.0))
    ((format, (line,)),) = batch.lines
    assert (format, json.loads(line)) == ("jsonl", {"type": "order", "at": 70, "km": 2.5})
    assert (dict(batch.planted), batch.pending) == ({"order": 1}, False)


@pytest.mark.parametrize("lines", [0, 1])
def test_outcomes_leave_with_the_next_batch_whether_lines_do_or_not(lines: int) -> None:
    box, outcome = Outbox(), TrueOutcome(3, "late", 1.0)
    for _ in range(lines):
        box.add(90, 3, 0, "order", {})
    box.note(outcome)
    batch = box.batch(50, Timeline())
    assert (batch.outcomes, batch.pending, batch.lines) == ([outcome], bool(lines), [])
    assert box.batch(50, Timeline()).outcomes == []
