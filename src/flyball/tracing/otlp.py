"""Spans to an OpenTelemetry collector, by OTLP over HTTP.

The library's own exporter sends them; it also reads OTEL_EXPORTER_OTLP_HEADERS (for keys), OTEL_EXPORTER_OTLP_TIMEOUT,
OTEL_EXPORTER_OTLP_CERTIFICATE and OTEL_RESOURCE_ATTRIBUTES from the environment.
"""

import atexit
import logging
import threading
from collections import deque
from collections.abc import Sequence

from flyball.core import BadSetting, MissingExtra, Url
from flyball.tracing.span import TraceSpan
from flyball.tracing.tracer import Exported, sampled, share_of

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ModuleNotFoundError:
    raise MissingExtra("otlp+http://", "traces") from None

MOST_WAITING = 20_000
"""Spans that wait for the collector; further ones are dropped. Some 30 MB."""
BATCH = 512
EVERY_S = 1.0
TIMEOUT_S = 5
CLOSE_S = 5.0

_PATH = "/v1/traces"
_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class OtlpTracer:
    """Exports in the background, a second after the first span of a batch at the latest.

    Spans that the collector does not take are dropped and counted: to wait for it would hold memory without bound. The
    thread starts at the first span, so a tracer may be opened before a fork.
    """

    def __init__(self, url: Url, service: str, exported: Exported) -> None:
        url.check_options(("share",))
        host, slash, path = url.path.partition("/")
        if not host:
            raise BadSetting(f"{url.scheme}:// must name a collector, such as {url.scheme}://127.0.0.1:4318, got none")
        endpoint = f"{url.scheme.removeprefix('otlp+')}://{host}{slash + path if path else _PATH}"
        self._share, self._count = share_of(url), exported
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_S)
        self._resource = Resource.create({"service.name": service, "service.namespace": "flyball"})
        self._waiting: deque[TraceSpan] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # each failure is counted by `exported`

    def samples(self, trace: bytes) -> bool:
        return sampled(trace, self._share)

    def record(self, spans: Sequence[TraceSpan]) -> None:
        if not spans:
            return
        with self._changed:
            room = 0 if self._closing else MOST_WAITING - len(self._waiting)
            self._waiting.extend(spans[: max(0, room)])
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
                self._thread.start()
                atexit.register(self.close)  # for commands, which end when they are done
            if len(self._waiting) >= BATCH:
                self._changed.notify()
            if room < len(spans):
                self._count("dropped", len(spans) - max(0, room))

    def close(self) -> None:
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(CLOSE_S)
            atexit.unregister(self.close)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._closing:
                    self._changed.wait_for(lambda: self._closing or len(self._waiting) >= BATCH, EVERY_S)
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                if not batch and self._closing:
                    return
            if batch:
                self._export(batch)

    def _export(self, batch: Sequence[TraceSpan]) -> None:
        try:
            done = self._exporter.export([self._readable(span) for span in batch]) is SpanExportResult.SUCCESS
        except Exception:  # whatever a network does: traces must not stop what they watch
            done = False
        with self._changed:
            self._count("exported" if done else "failed", len(batch))

    def _readable(self, span: TraceSpan) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace, span.span),
            parent=None if span.parent is None else _context(span.trace, span.parent),
            resource=self._resource,
            attributes=span.attributes,
            links=[Link(_context(*link)) for link in span.links],
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.began_us * 1_000,
            end_time=span.ended_us * 1_000,
            instrumentation_scope=InstrumentationScope("flyball"),
        )


def _context(trace: bytes, span: bytes) -> SpanContext:
    sampled_flag = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int.from_bytes(trace, "big"), int.from_bytes(span, "big"), False, sampled_flag)
