"""Events that were new and are traced get the first span of their trace."""

from pathlib import Path

from tests.tracing.recording import RecordingTracer

from flyball.core import ManualClock
from flyball.events import Record, TracedAppends, open_log
from flyball.tracing import APPEND


def record(number: int) -> Record:
    return Record("watch", "7", number, number, number.to_bytes(16, "big"), b"\x90")


def test_a_span_for_each_event_that_is_new(tmp_path: Path) -> None:
    log, tracer = open_log(f"sqlite://{tmp_path}/log.db?partitions=1"), RecordingTracer()
    appends = TracedAppends(log, tracer, ManualClock(50))
    assert appends.append([record(1), record(2)]).written == 2
    assert appends.append([record(2), record(3)]).duplicates == [0]
    assert [(span.trace[-1], span.name, span.kind) for span in tracer.spans] == [
        (number, APPEND, "producer") for number in (1, 2, 3)
    ]
    assert (tracer.spans[0].began_us, tracer.spans[0].attributes) == (50, {"flyball.event.type": "watch"})
    assert tracer.spans[0].parent is None


def test_nothing_is_recorded_of_what_is_not_traced(tmp_path: Path) -> None:
    log, tracer = open_log(f"sqlite://{tmp_path}/log.db?partitions=1"), RecordingTracer(share=0)
    TracedAppends(log, tracer, ManualClock(50)).append([record(1)])
    assert tracer.spans == []
    assert log.ends() == (1,)
