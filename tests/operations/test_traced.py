"""One trace from a request to its outcome, and one from an event to what was derived of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.exposure.shop import DAY_US, hours, shop
from tests.tracing.recording import RecordingTracer

from flyball.core import ManualClock
from flyball.events import Record, Slice
from flyball.operations import catch_up
from flyball.operations.traced import traced
from flyball.operations.worker import Consumer
from flyball.outcomes import prediction_of
from flyball.runtime import Runtime
from flyball.tracing import ANSWER, APPEND, span_id


def consumer(apply: Callable[[Any], object], log: Any) -> Consumer:
    return Consumer("state", log, lambda: (0,), apply, 10)


def record(number: int) -> Record:
    return Record("watch", "7", number, number, number.to_bytes(16, "big"), b"\x90")


def test_a_span_for_each_record_once_it_is_applied() -> None:
    clock, tracer = ManualClock(10), RecordingTracer()

    def apply(slices: Any) -> None:
        clock.advance_us(5)

    traced(consumer(apply, None), tracer, clock, APPEND).apply([Slice(2, 7, [record(1), record(2)])])
    assert [(span.trace[-1], span.name, span.began_us, span.ended_us) for span in tracer.spans] == [
        (1, "apply to state", 10, 15),
        (2, "apply to state", 10, 15),
    ]
    assert tracer.spans[1].attributes == {"flyball.partition": 2, "flyball.offset": 8}
    assert tracer.spans[1].parent == span_id(record(2).id, APPEND)


def test_what_could_not_be_applied_has_no_span() -> None:
    tracer = RecordingTracer()

    def apply(slices: Any) -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        traced(consumer(apply, None), tracer, ManualClock(10), APPEND).apply([Slice(0, 0, [record(1)])])
    assert tracer.spans == []


def bought_from_a_list(folder: Path, tracer: RecordingTracer) -> Runtime:
    """User 1 is shown a, b and c, and buys b two hours later."""
    runtime = shop(folder, [(1.0, 1, "abc", "v1")], [], "abc")
    runtime.tracer = tracer
    event = runtime.schema.check("purchase", {"user": 1, "product": "b"}, hours(3), hours(3))
    runtime.inlet.appends.append([event])
    catch_up(runtime)
    return runtime


def test_an_answer_and_an_event_have_their_ids_in_all_processes_and_are_linked_by_the_outcome(tmp_path: Path) -> None:
    tracer = RecordingTracer()
    runtime = bought_from_a_list(tmp_path, tracer)
    (answer,) = (record for piece in runtime.predictions.read((0,), 10) for record in piece.records)
    events = [record for piece in runtime.log.read((0,) * len(runtime.log.ends()), 100) for record in piece.records]
    event = next(record for record in events if record.type == "purchase")
    of_event, of_answer = tracer.named(event.id), tracer.named(answer.id)
    assert {APPEND, "apply to state", "apply to history", "apply to outcomes"} <= of_event.keys()
    assert {span.parent for name, span in of_event.items() if name != APPEND} == {span_id(event.id, APPEND)}
    (outcome,) = (span for name, span in of_answer.items() if name.startswith("outcome"))
    assert outcome.attributes == {"flyball.label.adopted": 1.0, "flyball.label.positive": 1.0}
    assert outcome.began_us == hours(3)
    assert outcome.links == ((event.id, span_id(event.id, APPEND)),)
    assert outcome.parent == span_id(answer.id, ANSWER)
    assert prediction_of(answer).at_us == hours(1)


def test_an_event_that_changes_no_outcome_is_in_no_answer(tmp_path: Path) -> None:
    tracer = RecordingTracer()
    runtime = shop(tmp_path, [(1.0, 1, "abc", "v1")], [], "abcd")
    runtime.tracer = tracer
    late = hours(1) + DAY_US + 1
    for user, product, at_us in ((1, "d", hours(3)), (2, "a", hours(3)), (1, "a", late)):
        event = runtime.schema.check("purchase", {"user": user, "product": product}, at_us, at_us)
        runtime.inlet.appends.append([event])
    catch_up(runtime)
    assert not [span for span in tracer.spans if span.name.startswith("outcome")]
