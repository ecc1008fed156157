"""The header `traceparent` is read as the W3C recommendation says, and by OpenTelemetry's own reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flyball.tracing import parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
def test_a_well_formed_header(flags: str, sampled: bool) -> None:
    caller = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}")
    assert caller is not None
    assert (caller.trace.hex(), caller.span.hex(), caller.sampled) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n00",
        "٠٠-" + TRACE + "-" + SPAN + "-01",
    ],
)
def test_a_malformed_header_is_ignored(text: str) -> None:
    assert parse_traceparent(text) is None


def test_a_later_version_may_have_further_parts() -> None:
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like") is not None


@given(
    st.sampled_from(["00", "01", "cc", "ff", "0"]),
    st.sampled_from([TRACE, "0" * 32, TRACE.upper(), "1" * 32]),
    st.sampled_from([SPAN, "0" * 16, "f" * 16]),
    st.sampled_from(["00", "01", "03"]),
    st.sampled_from(["", "-x"]),
)
def test_is_read_as_by_opentelemetry(version: str, trace: str, span: str, flags: str, end: str) -> None:
    text = f"{version}-{trace}-{span}-{flags}{end}"
    if trace != trace.lower():
        return  # which the standard forbids, and OpenTelemetry for Python accepts
    context = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": text})).get_span_context()
    caller = parse_traceparent(text)
    assert (caller is not None) == context.is_valid
    if caller is not None:
        assert int.from_bytes(caller.trace, "big") == context.trace_id
        assert int.from_bytes(caller.span, "big") == context.span_id
        assert caller.sampled == context.trace_flags.sampled
