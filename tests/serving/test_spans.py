"""The spans of an answer: when each part began and ended, what they say, and which answers are traced."""

import random

import msgspec
import pytest
from tests.tracing.recording import RecordingTracer

from flyball.core import ManualClock, ManualStopwatch, new_id
from flyball.outcomes import Prediction, id_bytes
from flyball.serving.spans import AnswerSpans
from flyball.tasks import EMPTY_LEVEL, Request
from flyball.testing import faulty
from flyball.tracing import ANSWER, Tracer, span_id

AT_US = faulty.START_US
ID = new_id(AT_US, random.Random(1))
TRACE = id_bytes(ID)
CALLER_TRACE, CALLER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def asked(traceparent: str = "") -> Request:
    event = faulty.app.task.about.request(at=AT_US, user=7, k=5)  # type: ignore[call-arg]
    return Request(ID, "7", AT_US, event, traceparent=traceparent)


def answered(**changed: object) -> Prediction:
    prediction = Prediction(
        id=ID,
        at_us=AT_US,
        key="7",
        items=["film-1"],
        version="v1",
        level="champion",
        arm="control",
        propensity=1.0,
        request_type="recommendrequest",
        request={"user": 7},
        scores=[1.0],
        sources=["model"],
        offsets=(3,),
    )
    return msgspec.structs.replace(prediction, **changed)


def spans_of(tracer: Tracer) -> tuple[AnswerSpans, ManualStopwatch]:
    stopwatch = ManualStopwatch(1_000.0)
    return AnswerSpans(tracer, "recommend", "w1", ManualClock(AT_US + 90_000), stopwatch), stopwatch


def test_each_part_has_the_time_that_it_took() -> None:
    tracer = RecordingTracer()
    spans, stopwatch = spans_of(tracer)
    began_s = stopwatch.read_s()
    stopwatch.advance_s(0.002)  # in the queue
    progress = spans.progress()
    progress.version = ""
    stopwatch.advance_s(0.003)  # the state is read
    progress.version = "v2"
    stopwatch.advance_s(0.004)
    progress.version = ""
    progress.version = "v1"
    stopwatch.advance_s(0.005)
    progress.version = ""
    stopwatch.advance_s(0.5)  # what comes after is no part of it
    spans.scored([asked()], progress)
    spans.answered(asked(), answered(assigned="v2", failed="score"), began_s, began_s + 0.016)
    spans.written([(answered(), 16_000)])
    named = tracer.named(TRACE)
    times = {name: (span.began_us - AT_US, span.ended_us - AT_US) for name, span in named.items()}
    assert times == {
        ANSWER: (0, 16_000),
        "wait": (0, 2_000),
        "read features": (2_000, 5_000),
        "score v2": (5_000, 9_000),
        "score v1": (9_000, 14_000),
        "append answer": (16_000, 90_000),
    }
    root = named.pop(ANSWER)
    assert (root.parent, root.kind, root.error) == (None, "server", "score")
    assert {span.parent for span in named.values()} == {span_id(TRACE, ANSWER)}
    assert root.attributes["flyball.prediction"] == ID
    assert root.attributes["flyball.assigned_version"] == "v2"
    assert "7" not in root.attributes.values(), "who asked is nobody's business"


def test_of_a_share_of_none_what_failed_and_what_a_fallback_answered_is_traced_all_the_same() -> None:
    tracer = RecordingTracer(share=0)
    spans, _ = spans_of(tracer)
    spans.answered(asked(), answered(), 0.0, 0.01)
    spans.written([(answered(), 10)])
    assert tracer.spans == []
    spans.answered(asked(), answered(failed="late"), 0.0, 0.01)
    spans.answered(asked(), answered(level=EMPTY_LEVEL, version=""), 0.0, 0.01)
    assert [(span.name, span.error) for span in tracer.spans] == [(ANSWER, "late"), (ANSWER, "")]
    assert "flyball.version" not in tracer.spans[1].attributes


@pytest.mark.parametrize(("flags", "count"), [("01", 2), ("00", 0)])
def test_a_caller_that_records_its_trace_gets_a_span_in_it(flags: str, count: int) -> None:
    tracer = RecordingTracer(share=0)
    spans, _ = spans_of(tracer)
    spans.answered(asked(f"00-{CALLER_TRACE}-{CALLER_SPAN}-{flags}"), answered(), 0.0, 0.01)
    assert len(tracer.spans) == count
    if count:
        own, in_callers = tracer.spans
        assert (own.trace, own.links) == (TRACE, ((bytes.fromhex(CALLER_TRACE), bytes.fromhex(CALLER_SPAN)),))
        assert (in_callers.trace.hex(), in_callers.parent) == (CALLER_TRACE, bytes.fromhex(CALLER_SPAN))
        assert in_callers.links == ((TRACE, own.span),)
        assert in_callers.span != own.span


def test_times_of_requests_that_a_timer_answered_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flyball.serving.spans._MOST_OPEN", 2)
    spans, _ = spans_of(RecordingTracer())
    for number in range(10):
        request = msgspec.structs.replace(asked(), id=new_id(AT_US, random.Random(number)))
        spans.scored([request], spans.progress())
    assert len(spans._open) <= 3
