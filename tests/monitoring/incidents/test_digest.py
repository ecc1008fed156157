"""The summary of a week: what it counts, and that it is sent once a week."""

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, START, finding

from flyball.monitoring import IncidentActor, change_incident, clear, record_findings
from flyball.monitoring.incidents.digest import digest, send_digest
from flyball.registry import incident_documents
from flyball.runtime import Runtime


@pytest.fixture
def week(runtime: Runtime) -> Runtime:
    """Of three incidents the first is closed with a cause, the second without, the third is open."""
    findings = [finding("events.A.x"), finding("events.A.y"), finding("events.B.x"), finding("events.C.x")]
    record_findings(runtime, findings, START)
    registry = runtime.registry
    change_incident(registry, "inc1", "acknowledge", IncidentActor("ann", START + HOUR))
    change_incident(registry, "inc1", "mitigate", IncidentActor("ann", START + 2 * HOUR, "paused"))
    for seen in findings[:3]:
        clear(runtime, seen.fingerprint, START + 3 * HOUR)
    ann = IncidentActor("ann", START + 4 * HOUR, "over")
    change_incident(registry, "inc1", "close", ann, cause="a client", action="test it")
    change_incident(registry, "inc2", "close", IncidentActor("ann", START + 6 * HOUR, "over"))
    return runtime


def test_it_counts_what_happened(week: Runtime) -> None:
    summary = digest(week.registry, START, START + 7 * DAY)
    assert (summary.opened, summary.closed, summary.open) == (("inc1", "inc2", "inc3"), ("inc1", "inc2"), ("inc3",))
    assert (summary.acknowledge_us, summary.mitigate_us, summary.close_us) == (HOUR, 2 * HOUR, 5 * HOUR)
    assert (summary.without_cause, summary.actions) == (("inc2",), (("inc1", "ann", "test it"),))
    assert summary.sentences == (
        "3 opened, 0 reopened, 2 closed, 1 not closed",
        "opened by source: events.A 1, events.B 1, events.C 1",
        "median of those opened: acknowledged after 1h, mitigated after 2h, closed after 5h",
        "inc3 low, open for 7d, nobody: 14.3 % of events.C.x is missing, usually 0.0 %",
        "closed without a cause: inc2",
        "to do, ann: test it (inc1)",
        "from 2026-01-05T00:00:00Z to 2026-01-12T00:00:00Z",
    )


def test_another_week_has_none_of_it(week: Runtime) -> None:
    summary = digest(week.registry, START + DAY, START + 8 * DAY)
    assert (summary.opened, summary.closed, summary.open) == ((), (), ("inc3",))
    assert summary.close_us is None


def test_it_is_sent_once_a_week(week: Runtime) -> None:
    def send(at_us: int) -> str:
        return send_digest(week.registry, "movies", 7 * DAY, at_us)

    assert send(START + 7 * DAY - 1) == ""
    assert send(START + 7 * DAY).startswith("incidents of movies in 7d: 3 opened, 0 reopened, 2 closed, 1 not closed")
    assert send(START + 8 * DAY) == ""
    assert send(START + 14 * DAY).startswith("incidents of movies in 7d: 0 opened")
    kinds = [document["kind"] for document in incident_documents(week.registry, "notifications")]
    assert kinds[-2:] == ["digest", "digest"]


def test_without_an_incident_nothing_is_sent(runtime: Runtime) -> None:
    assert send_digest(runtime.registry, "movies", 7 * DAY, START + 100 * DAY) == ""
    assert digest(runtime.registry, START, START + DAY).sentences[0] == "0 opened, 0 reopened, 0 closed, 0 not closed"
