"""A tracer that keeps the spans, and a collector on a free port that reads OTLP by the official messages."""

import gzip
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from flyball.tracing import TraceSpan


class RecordingTracer:
    """Traces everything, or nothing with `share` 0."""

    def __init__(self, share: float = 1.0) -> None:
        self.share, self.spans, self.closed = share, list[TraceSpan](), False

    def samples(self, trace: bytes) -> bool:
        return self.share > 0

    def record(self, spans: Sequence[TraceSpan]) -> None:
        self.spans += spans

    def close(self) -> None:
        self.closed = True

    def named(self, trace: bytes) -> dict[str, TraceSpan]:
        """The spans of a trace by name."""
        return {span.name: span for span in self.spans if span.trace == trace}


class Collector(ThreadingHTTPServer):
    """Keeps (path, span, resource attributes) of all that is posted, and answers with `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Posts)
        self.status, self.headers, self.spans = 200, list[dict[str, str]](), list[tuple[str, Any, dict[str, str]]]()

    @property
    def url(self) -> str:
        return f"otlp+http://127.0.0.1:{self.server_address[1]}"


class _Posts(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        message = ExportTraceServiceRequest()
        message.ParseFromString(body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.server.status == 200:
            for resource in message.resource_spans:
                named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.server.spans += [(self.path, span, named) for span in scope.spans]
        self.send_response(self.server.status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        collector.shutdown()
        collector.server_close()
        thread.join()
