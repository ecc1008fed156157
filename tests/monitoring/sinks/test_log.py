"""The log sink: what is severe is a warning."""

import logging

import pytest
from tests.monitoring.incidents.world import START, incident

from flyball.monitoring.incidents.notification import notification_of
from flyball.monitoring.sinks.sink import open_sinks


def test_severity_is_the_level(caplog: pytest.LogCaptureFixture) -> None:
    (sink,) = open_sinks(["log://"])
    with caplog.at_level(logging.INFO, "flyball.incidents"):
        sink.sink.send(notification_of("opened", incident(severity="high"), START, ["more"]))
        sink.sink.send(notification_of("over", incident(), START))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0] == "inc1 opened: t; shop, severity high, since 2026-01-05T00:00:00Z; more"
