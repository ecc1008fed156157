"""Incidents as text: of many findings a few are shown, and how to see all."""

from pathlib import Path

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, START, finding, home

from flyball.cli.incident_text import show_incident
from flyball.monitoring import clear, describe_incident, record_findings


def test_thirty_findings_are_shortened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runtime = home(tmp_path)
    findings = [finding(f"events.Watch.f{index:02}") for index in range(30)]
    record_findings(runtime, findings, START)
    clear(runtime, findings[0].fingerprint, START + HOUR)
    described = describe_incident(runtime.registry, "movies", runtime.app.alerts, "inc1")
    show_incident(described, "movies", START + DAY)
    out = capsys.readouterr().out
    assert "open for 1d; owner nobody\n" in out
    assert out.count("  low   missing of") == 5
    assert "  and 24 more: flyball incidents show movies inc1 --all\n" in out
    assert "over: missing of events.Watch.f00\n" in out
    show_incident(described, "movies", START + DAY, every=True)
    assert capsys.readouterr().out.count("  low   missing of") == 29
