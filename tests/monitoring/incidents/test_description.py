"""Incidents as they are shown: the most urgent first, with what holds, what is over and what to do next."""

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, START, finding

from flyball.core import NotFound
from flyball.monitoring import IncidentActor, add_silence, change_incident, clear, record_findings
from flyball.monitoring.incidents.description import describe_incident, list_incidents
from flyball.runtime import Runtime


@pytest.fixture
def several(runtime: Runtime) -> Runtime:
    """Three incidents, the second of high severity."""
    record_findings(runtime, [finding("events.A.x"), finding("events.B.x", severity="high")], START)
    record_findings(runtime, [finding("events.C.x", START + HOUR)], START + HOUR)
    return runtime


def test_the_most_urgent_is_first_and_closed_ones_are_last(several: Runtime) -> None:
    ann = IncidentActor("ann", START + HOUR, "done")
    change_incident(several.registry, "inc1", "acknowledge", ann)

    def ids(closed: bool = False) -> list[str]:
        return [row.incident.id for row in list_incidents(several.registry, START, closed).incidents]

    assert ids() == ["inc2", "inc3", "inc1"]
    change_incident(several.registry, "inc2", "close", ann, accept=True)
    assert (ids(), ids(closed=True)) == (["inc3", "inc1"], ["inc3", "inc1", "inc2"])


def test_what_holds_and_what_is_over_is_shown_apart(several: Runtime) -> None:
    record_findings(several, [finding("events.B.y", START + HOUR)], START + HOUR, [finding("events.B.x").fingerprint])
    described = describe_incident(several.registry, "shop.py", several.app.alerts, "inc2")
    assert [alert.last.subject for alert in described.holding] == ["events.B.y"]
    assert [alert.last.subject for alert in described.over] == ["events.B.x"]
    assert (described.escalates_us, described.mitigate_by_us) == (START + HOUR, START + DAY)
    assert (described.context.champion, described.timeline[0].command) == (None, "open")


def test_the_next_command_leads_to_the_end(several: Runtime) -> None:
    def next_command() -> str:
        return describe_incident(several.registry, "shop.py", several.app.alerts, "inc1").next

    ann = IncidentActor("ann", START + HOUR, "done")
    seen = [next_command()]
    clear(several, finding("events.A.x").fingerprint, START + HOUR)
    for command in ("acknowledge", "mitigate", "close"):
        change_incident(several.registry, "inc1", command, ann)  # type: ignore[arg-type]
        seen.append(next_command())
    assert [words.split()[2] for words in seen] == ["acknowledge", "mitigate", "close", "bundle"]
    assert seen[2].endswith('--cause "why it happened"')


def test_pending_and_silenced_findings_are_listed(several: Runtime) -> None:
    ann = IncidentActor("ann", START, "a move")
    add_silence(several.registry, {"group": "events.D"}, ann, START + DAY)
    record_findings(several, [finding("events.D.x", START + HOUR)], START + HOUR)
    listed = list_incidents(several.registry, START + HOUR)
    assert [alert.last.subject for alert in listed.silenced] == ["events.D.x"]
    assert [silence.id for silence in listed.silences] == ["sil1"]
    assert list_incidents(several.registry, START + DAY).silences == ()


def test_an_incident_that_is_not_there_is_named(runtime: Runtime) -> None:
    with pytest.raises(NotFound, match="no incident 'inc1'; none was opened yet"):
        describe_incident(runtime.registry, "shop.py", runtime.app.alerts, "inc1")
