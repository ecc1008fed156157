"""Incidents in the governor: a line for each change, and for an unavailable registry once."""

from pathlib import Path

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, START, finding, home

from flyball.core import StoreUnavailable
from flyball.monitoring import record_findings
from flyball.operations.incidents import IncidentControl


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
