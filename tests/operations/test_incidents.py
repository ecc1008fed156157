"""Incidents in the governor: a line for each change, for an unavailable registry once, and messages that are sent."""

import logging
from pathlib import Path

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, START, finding, home
from tests.monitoring.sinks.servers import Posts, running
from tests.processes import until

from flyball.core import StoreUnavailable
from flyball.monitoring import record_findings, sink_statuses
from flyball.operations.incidents import Delivery, IncidentControl
from flyball.runtime import Runtime, load_settings


def test_it_escalates_and_sums_up_the_week(tmp_path: Path) -> None:
    runtime = home(tmp_path, on_call=["ann", "ben"])
    control = IncidentControl(runtime)
    assert control.step(START) == []
    record_findings(runtime, [finding(severity="high")], START)
    assert control.step(START + HOUR) == ["inc1 escalated to ben"]
    lines = control.step(START + 7 * DAY)
    assert lines[0].startswith("inc1 overdue")
    assert lines[1].startswith("incidents of movies in 7d: 1 opened")


def test_an_unavailable_registry_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = home(tmp_path)
    control = IncidentControl(runtime)

    def locked(*_: object) -> list[str]:
        raise StoreUnavailable("registry must be readable, got: locked")

    with monkeypatch.context() as patch:
        patch.setattr("flyball.operations.incidents.escalate", locked)
        assert control.step(START) == ["incidents could not be looked at: registry must be readable, got: locked"]
        assert control.step(START) == []
    assert control.step(START) == []


def test_notifications_are_sent_beside_the_governor(tmp_path: Path) -> None:
    server = Posts()
    with running(server):
        runtime = home(tmp_path, on_call=["ann"])
        settings = load_settings(tmp_path, options={"sinks": [f"slack+http://127.0.0.1:{server.port}/x"]})
        runtime = Runtime(runtime.app, settings, runtime.clock)
        record_findings(runtime, [finding(severity="high")], START)
        delivery = Delivery(runtime)
        delivery.start()
        until(lambda: bool(server.posts))
        delivery.stop()
    assert server.posts[0][1]["text"].startswith("inc1 opened: 14.3 %")
    assert delivery.news() == []
    assert sink_statuses(runtime.registry)[0].delivered == 1


def test_a_sink_that_cannot_be_opened_is_said_and_the_log_gets_the_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = home(tmp_path)
    settings = load_settings(tmp_path, options={"sinks": ["pager://x/s3cret"]})
    runtime = Runtime(runtime.app, settings, runtime.clock)
    record_findings(runtime, [finding(severity="high")], START)
    delivery = Delivery(runtime)
    with caplog.at_level(logging.WARNING, "flyball.incidents"):
        delivery.start()
        until(lambda: bool(caplog.records))
        delivery.stop()
    (line,) = delivery.news()
    assert line.startswith("notifications go to the log alone: sink URL must start with one of")
    assert "s3cret" not in line
