"""Time and incidents: who hears of one when, when the clock ends, and that nothing is done twice."""

from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, MINUTE, START, finding, home

from flyball.monitoring import IncidentActor, add_silence, change_incident, clear, find_incident, record_findings
from flyball.monitoring.incidents.escalation import escalate
from flyball.registry import incident_documents, incident_entries
from flyball.runtime import Runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return home(tmp_path, on_call=["ann", "ben", "eve"], acknowledge="1h", mitigate="24h", close="7d")


def broken(runtime: Runtime, **fields: Any) -> None:
    record_findings(runtime, [finding(severity="high", **fields)], START)


def at(runtime: Runtime, after_us: int) -> list[str]:
    return escalate(runtime.registry, runtime.app.alerts, START + after_us)


def sent(runtime: Runtime) -> list[tuple[str, list[str]]]:
    documents = incident_documents(runtime.registry, "notifications")
    return [(document["kind"], document["to"]) for document in documents]


def test_nobody_acknowledges_so_one_after_the_other_hears_of_it(runtime: Runtime) -> None:
    broken(runtime)
    assert at(runtime, HOUR - 1) == []
    assert at(runtime, HOUR) == ["inc1 escalated to ben"]
    assert at(runtime, HOUR + 1) == []
    assert at(runtime, 2 * HOUR) == ["inc1 escalated to eve"]
    assert at(runtime, 5 * HOUR) == []
    assert find_incident(runtime.registry, "inc1").owner == "eve"
    assert at(runtime, 24 * HOUR) == ["inc1 overdue: not mitigated within 1d"]
    assert at(runtime, 48 * HOUR) == []
    assert sent(runtime) == [
        ("opened", ["ann"]),
        ("escalated", ["ben"]),
        ("escalated", ["eve"]),
        ("overdue", ["ann", "ben", "eve"]),
    ]


def test_after_a_pause_all_who_should_know_hear_of_it_at_once(runtime: Runtime) -> None:
    broken(runtime)
    assert at(runtime, 9 * HOUR) == ["inc1 escalated to ben, eve"]


def test_who_acknowledges_stops_the_escalation_but_not_the_clock(runtime: Runtime) -> None:
    broken(runtime)
    change_incident(runtime.registry, "inc1", "acknowledge", IncidentActor("ann", START + MINUTE))
    assert at(runtime, 23 * HOUR) == []
    assert at(runtime, 24 * HOUR) == ["inc1 overdue: not mitigated within 1d"]


def test_who_mitigates_stops_the_clock(runtime: Runtime) -> None:
    broken(runtime)
    change_incident(runtime.registry, "inc1", "mitigate", IncidentActor("ann", START + MINUTE, "paused it"))
    assert at(runtime, 9 * DAY) == []


def test_an_owner_whom_a_person_chose_stays(runtime: Runtime) -> None:
    broken(runtime)
    change_incident(runtime.registry, "inc1", "assign", IncidentActor("ann", START), owner="zoe")
    at(runtime, HOUR)
    assert find_incident(runtime.registry, "inc1").owner == "zoe"


def test_what_is_silenced_goes_to_nobody_until_the_silence_ends(runtime: Runtime) -> None:
    broken(runtime)
    add_silence(runtime.registry, {"monitor": "missing"}, IncidentActor("ann", START, "known"), START + 2 * HOUR)
    assert at(runtime, HOUR) == []
    assert at(runtime, 2 * HOUR) == ["inc1 escalated to ben, eve"]


def test_a_low_one_waits_and_is_closed_when_it_was_over_for_long(runtime: Runtime) -> None:
    record_findings(runtime, [finding()], START)
    assert at(runtime, 30 * DAY) == []  # it still holds
    clear(runtime, finding().fingerprint, START + 30 * DAY)
    assert at(runtime, 37 * DAY - 1) == []
    assert at(runtime, 37 * DAY) == ["inc1 closed: its findings were over for 7d, and nobody took it"]
    assert [(entry.command, entry.by) for entry in incident_entries(runtime.registry, 1)][-1] == ("close", "flyball")


def test_a_low_one_that_somebody_took_is_not_closed_by_itself(runtime: Runtime) -> None:
    record_findings(runtime, [finding()], START)
    change_incident(runtime.registry, "inc1", "acknowledge", IncidentActor("ann", START))
    clear(runtime, finding().fingerprint, START + HOUR)
    assert at(runtime, 90 * DAY) == []


def test_with_nobody_on_call_the_clock_still_runs_out(tmp_path: Path) -> None:
    alone = home(tmp_path / "alone")
    broken(alone)
    assert at(alone, DAY) == ["inc1 overdue: not mitigated within 1d"]
