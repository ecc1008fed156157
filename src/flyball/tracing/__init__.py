"""Traces: what happened to an event and to an answer, in all processes, as spans of one trace.

Promises: the trace of an event, and that of an answer, has the id of the event or answer itself (16 bytes), so every
process that handles it adds to the same trace by itself; spans recorded twice have the same ids. Recording
never waits and never raises: what cannot be exported is counted and dropped.
"""

from flyball.tracing.context import CallerContext, parse_traceparent
from flyball.tracing.span import ANSWER, APPEND, SpanKind, TraceSpan, span_id, trace_of
from flyball.tracing.tracer import SPAN_FATES, TRACE_BACKENDS, Exported, Tracer, open_tracer, sampled

__all__ = [
    "ANSWER",
    "APPEND",
    "SPAN_FATES",
    "TRACE_BACKENDS",
    "CallerContext",
    "Exported",
    "SpanKind",
    "TraceSpan",
    "Tracer",
    "open_tracer",
    "parse_traceparent",
    "sampled",
    "span_id",
    "trace_of",
]
