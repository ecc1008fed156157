"""What is counted of incidents: zeros too, so that a metric does not vanish when all is well."""

from tests.monitoring.incidents.world import START, finding

from flyball.monitoring import IncidentActor, change_incident, open_sinks, record_findings
from flyball.monitoring.sinks.counts import STATES, count_incidents
from flyball.monitoring.sinks.delivery import deliver
from flyball.runtime import Runtime


def test_nothing_is_counted_as_zeros(runtime: Runtime) -> None:
    counts = count_incidents(runtime.registry)
    assert set(counts.incidents.values()) == {0}
    assert counts.incidents.keys() == {(severity, state) for severity in ("high", "low") for state in STATES}
    assert counts.alerts == {"pending": 0, "firing": 0}


def test_incidents_are_counted_by_severity_and_state(runtime: Runtime) -> None:
    seen = [finding("events.A.x", severity="high"), finding("events.B.x"), finding("events.C.x"), finding("events.C.y")]
    record_findings(runtime, seen, START)
    change_incident(runtime.registry, "inc2", "close", IncidentActor("ann", START, "known"), accept=True)
    deliver(runtime.registry, open_sinks(()), START)
    counts = count_incidents(runtime.registry)
    assert {key: number for key, number in counts.incidents.items() if number} == {
        ("high", "open"): 1,
        ("low", "open"): 1,
    }
    assert (counts.alerts["firing"], [(sink.name, sink.waiting) for sink in counts.sinks]) == (4, [("log", 0)])
