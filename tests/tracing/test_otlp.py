"""Spans reach a collector as they are; one that does not answer is counted, and holds nothing up."""

import socket

import pytest
from tests.tracing.recording import collecting

from flyball.tracing import TraceSpan, open_tracer, otlp

TRACE, OTHER = bytes(range(16)), bytes(range(1, 17))
ROOT = TraceSpan(
    trace=TRACE,
    name="answer",
    began_us=1_000_000,
    ended_us=1_002_500,
    kind="server",
    attributes={"flyball.level": "fallback", "n": 3, "x": 0.5, "good": True},
    links=((OTHER, b"87654321"),),
    error="late",
)
PART = TraceSpan(trace=TRACE, name="wait", began_us=1_000_000, ended_us=1_000_100, parent=ROOT.span)


def test_what_is_recorded_arrives_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")
    counted: list[tuple[str, int]] = []
    with collecting() as collector:
        tracer = open_tracer(collector.url, "shop", lambda result, count: counted.append((result, count)))
        tracer.record([ROOT, PART])
        tracer.close()
    (path, root, resource), (_, part, _) = collector.spans
    assert path == "/v1/traces"
    assert resource["service.name"] == "shop"
    assert collector.headers[0]["authorization"] == "Bearer secret"
    assert (root.trace_id, root.span_id, root.parent_span_id) == (TRACE, ROOT.span, b"")
    assert (root.name, root.kind, root.status.code, root.status.message) == ("answer", 2, 2, "late")
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (1_000_000_000, 1_002_500_000)
    values = {pair.key: pair.value for pair in root.attributes}
    assert values["flyball.level"].string_value == "fallback"
    assert (values["n"].int_value, values["x"].double_value, values["good"].bool_value) == (3, 0.5, True)
    assert [(link.trace_id, link.span_id) for link in root.links] == [(OTHER, b"87654321")]
    assert (part.trace_id, part.parent_span_id, part.status.code) == (TRACE, ROOT.span, 0)
    assert counted == [("exported", 2)]


def test_a_path_of_the_url_is_kept() -> None:
    with collecting() as collector:
        tracer = open_tracer(f"{collector.url}/tenant/v1/traces", "shop")
        tracer.record([PART])
        tracer.close()
    assert [path for path, _, _ in collector.spans] == ["/tenant/v1/traces"]


def test_a_collector_that_refuses_is_counted() -> None:
    counted: list[tuple[str, int]] = []
    with collecting() as collector:
        collector.status = 400
        tracer = open_tracer(collector.url, "shop", lambda result, count: counted.append((result, count)))
        tracer.record([ROOT, PART])
        tracer.close()
    assert counted == [("failed", 2)]


def test_more_than_may_wait_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MOST_WAITING", 3)
    monkeypatch.setattr(otlp, "EVERY_S", 60.0)
    counted: list[tuple[str, int]] = []
    with collecting() as collector:
        tracer = open_tracer(collector.url, "shop", lambda result, count: counted.append((result, count)))
        tracer.record([PART] * 2)
        tracer.record([PART] * 2)
        tracer.record([])
        tracer.close()
        tracer.record([PART])  # after the end
    assert counted == [("dropped", 1), ("exported", 3), ("dropped", 1)]
    assert len(collector.spans) == 3


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    counted: list[tuple[str, int]] = []
    tracer = open_tracer(f"otlp+http://127.0.0.1:{port}", "shop", lambda result, count: counted.append((result, count)))
    tracer.record([PART])
    tracer.close()
    assert counted in ([], [("failed", 1)]), "it may still be trying: closing waits some seconds at most"
