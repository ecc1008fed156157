"""The ids of spans follow from their trace and name."""

from flyball.tracing import TraceSpan, span_id, trace_of

TRACE = bytes(range(16))


def test_the_id_of_a_span_is_the_same_in_every_process_and_differs_by_name_and_trace() -> None:
    span = TraceSpan(trace=TRACE, name="answer", began_us=1, ended_us=2)
    assert span.span == span_id(TRACE, "answer") == span_id(bytes(range(16)), "answer")
    assert len({span_id(TRACE, "answer"), span_id(TRACE, "score v1"), span_id(TRACE[::-1], "answer")}) == 3
    assert len(span.span) == 8


def test_a_span_may_be_given_an_id() -> None:
    assert TraceSpan(trace=TRACE, name="answer", began_us=1, ended_us=2, id=b"12345678").span == b"12345678"


def test_the_trace_of_a_record_is_its_id_and_never_of_zeros_alone() -> None:
    assert trace_of(TRACE) == TRACE
    assert any(trace_of(bytes(16)))
