"""Tracers, opened by URL: one table names them."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from flyball.core import BadSetting, Stopwatch, SystemStopwatch, Url, load_backend, parse_url
from flyball.tracing.span import TraceSpan

TRACE_BACKENDS = {
    "otlp+http": "flyball.tracing.otlp:OtlpTracer",
    "otlp+https": "flyball.tracing.otlp:OtlpTracer",
}

SHARE = 0.1
"""The share of traces that are recorded, unless the URL says another."""

SPAN_FATES = ("exported", "failed", "dropped")
"""What becomes of spans: the collector took them, it did not, or too many waited."""

Exported = Callable[[str, int], object]
"""Called with what became of so many spans, one of `SPAN_FATES`; by one thread at a time."""

_QUIET_S = 60.0


class LostSpans:
    """Logs that spans were lost, at most once a minute: for processes that do not count them."""

    def __init__(self, stopwatch: Stopwatch | None = None) -> None:
        self._stopwatch = stopwatch or SystemStopwatch()
        self._lost, self._logged_s = 0, float("-inf")

    def __call__(self, fate: str, count: int) -> None:
        now_s = self._stopwatch.read_s()
        self._lost += count if fate != "exported" else 0
        if self._lost and now_s - self._logged_s >= _QUIET_S:
            logging.getLogger("flyball.traces").warning("%d spans could not be exported", self._lost)
            self._lost, self._logged_s = 0, now_s


class Tracer(Protocol):
    """Where spans go.

    `samples(trace)`: whether the spans of a trace are to be recorded: the same for every process with the same share.
    `record` never waits and never raises. `close`: export what is left, for a few seconds at most.
    """

    def samples(self, trace: bytes) -> bool: ...

    def record(self, spans: Sequence[TraceSpan]) -> None: ...

    def close(self) -> None: ...


def open_tracer(url: str, service: str, exported: Exported | None = None) -> Tracer:
    """The tracer at `url`, such as `otlp+http://collector:4318?share=0.1`. `service`: the name of the application;
    `exported`: by default what is lost is logged.

    Raises `UnknownBackend`, `BadSetting` or `MissingExtra`.
    """
    parsed = parse_url(url)
    tracer: Tracer = load_backend("traces", TRACE_BACKENDS, parsed.scheme)(parsed, service, exported or LostSpans())
    return tracer


def share_of(url: Url) -> float:
    """The option `share` of a URL of traces, from 0 to 1; raises `BadSetting`."""
    text = url.options.get("share", str(SHARE))
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise BadSetting(f"option share of {url.scheme}:// must be a number from 0 to 1, got {text!r}")
    return share


def sampled(trace: bytes, share: float) -> bool:
    """Whether a trace is among the `share` that are recorded, by the last 8 bytes of its id.

    Source: TraceIdRatioBased in the OpenTelemetry specification, so that other services with this share agree.
    """
    return int.from_bytes(trace[8:], "big") < share * 2.0**64
