"""Which traces are recorded, and how a tracer is named by URL."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from flyball.core import BadSetting, ManualStopwatch, UnknownBackend, parse_url
from flyball.tracing import open_tracer, sampled
from flyball.tracing.tracer import LostSpans, share_of


@given(st.binary(min_size=16, max_size=16), st.floats(0, 1))
def test_a_share_samples_what_opentelemetry_does(trace: bytes, share: float) -> None:
    sampler = TraceIdRatioBased(share)
    decision = sampler.should_sample(None, int.from_bytes(trace, "big"), "answer").decision
    low = int.from_bytes(trace[8:], "big")
    if abs(low - share * 2.0**64) > 4_096:  # it rounds its bound to a whole number, by a float
        assert sampled(trace, share) == (decision is Decision.RECORD_AND_SAMPLE)


def test_all_none_and_a_tenth() -> None:
    rng = random.Random(3)
    traces = [rng.randbytes(16) for _ in range(20_000)]
    assert all(sampled(trace, 1.0) for trace in traces)
    assert not any(sampled(trace, 0.0) for trace in traces)
    assert sum(sampled(trace, 0.1) for trace in traces) == pytest.approx(2_000, abs=5 * 42)  # five deviations


@pytest.mark.parametrize("text", ["x", "-0.1", "1.1", "nan", ""])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    url = parse_url("otlp+http://127.0.0.1:4318")
    url.options["share"] = text
    with pytest.raises(BadSetting, match=r"option share of otlp\+http:// must be a number from 0 to 1, got"):
        share_of(url)


def test_what_is_lost_is_logged_at_most_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    stopwatch = ManualStopwatch()
    lost = LostSpans(stopwatch)
    lost("exported", 5)
    assert not caplog.records
    for _ in range(3):
        lost("failed", 2)
        stopwatch.advance_s(25.0)
    lost("dropped", 1)
    assert [record.getMessage() for record in caplog.records] == [
        "2 spans could not be exported",
        "5 spans could not be exported",
    ]


def test_what_is_wrong_with_a_url_is_named() -> None:
    with pytest.raises(UnknownBackend, match="otlp"):
        open_tracer("jaeger://127.0.0.1", "shop")
    with pytest.raises(BadSetting, match=r"option of otlp\+http:// must be one of share, got 'shares'"):
        open_tracer("otlp+http://127.0.0.1:4318?shares=1", "shop")
    with pytest.raises(BadSetting, match=r"must name a collector, such as otlp\+https://127.0.0.1:4318, got none"):
        open_tracer("otlp+https:///v1/traces", "shop")
