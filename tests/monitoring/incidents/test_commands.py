"""What people do with an incident: each command with its texts, and two people at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, START, finding, home

from flyball.core import BadInput, NotFound, Refused
from flyball.monitoring import (
    IncidentActor,
    add_silence,
    change_incident,
    clear,
    end_silence,
    find_incident,
    list_incidents,
    record_findings,
)
from flyball.registry import incident_documents, incident_entries
from flyball.runtime import Runtime

ANN, BEN = IncidentActor("ann", START + HOUR, "why"), IncidentActor("ben", START + 2 * HOUR, "because")


@pytest.fixture
def broken(runtime: Runtime) -> Runtime:
    """An application with one open incident of high severity."""
    record_findings(runtime, [finding(severity="high")], START)
    return runtime


def test_from_open_to_closed_every_step_is_in_the_timeline(broken: Runtime) -> None:
    registry = broken.registry
    assert change_incident(registry, "inc1", "acknowledge", BEN).owner == "ben"
    change_incident(registry, "inc1", "assign", ANN, owner="eve")
    change_incident(registry, "inc1", "note", ANN, cause="a client of version 7", action="test clients", owner="ben")
    mitigated = change_incident(registry, "inc1", "mitigate", ANN, step=1)
    assert (mitigated.state, mitigated.checklist[0].done_by) == ("mitigated", "ann")
    clear(broken, finding().fingerprint, START + 3 * HOUR)
    change_incident(registry, "inc1", "note", ANN, done=1)
    closed = change_incident(registry, "inc1", "close", BEN)
    assert (closed.state, closed.owner, closed.cause) == ("closed", "eve", "a client of version 7")
    assert [(item.text, item.owner, item.done_us) for item in closed.actions] == [("test clients", "ben", ANN.now_us)]
    entries = incident_entries(registry, 1)
    assert [(entry.command, entry.by, entry.after) for entry in entries] == [
        ("open", "flyball", "open"),
        ("acknowledge", "ben", "acknowledged"),
        ("assign", "ann", "acknowledged"),
        ("note", "ann", "acknowledged"),
        ("mitigate", "ann", "mitigated"),
        ("over", "flyball", "mitigated"),
        ("note", "ann", "mitigated"),
        ("close", "ben", "closed"),
    ]
    assert closed.revision == len(entries) == find_incident(registry, "inc1").revision


def test_it_is_not_closed_while_a_finding_holds_unless_that_is_accepted(broken: Runtime) -> None:
    with pytest.raises(Refused, match="got missing of events.Watch.minute: wait until it is over, or close it with"):
        change_incident(broken.registry, "inc1", "close", ANN)
    change_incident(broken.registry, "inc1", "close", ANN, accept=True)
    again = record_findings(broken, [finding(at_us=START + DAY, severity="high")], START + DAY)
    assert (again.opened, again.reopened) == ((), ())  # accepted until it was over
    clear(broken, finding().fingerprint, START + 2 * DAY)
    assert record_findings(broken, [finding(at_us=START + 3 * DAY)], START + 3 * DAY).reopened == ("inc1",)


def test_a_finding_that_was_silenced_since_the_last_look_does_not_keep_it_open(broken: Runtime) -> None:
    registry = broken.registry
    add_silence(registry, {"monitor": finding().monitor}, ANN, START + 3 * HOUR)
    assert list_incidents(registry, BEN.now_us).incidents[0].silenced == 1
    late = IncidentActor("ben", START + 3 * HOUR, "it is known")
    with pytest.raises(Refused, match="must have no finding that still holds"):
        change_incident(registry, "inc1", "close", late)
    assert change_incident(registry, "inc1", "close", BEN).state == "closed"
    (again,) = record_findings(broken, [finding(severity="high", at_us=START + 4 * HOUR)], START + 4 * HOUR).reopened
    assert again == "inc1", "it outlasts its silence"


def test_a_silence_that_ended_since_the_last_look_no_longer_lets_it_be_closed(broken: Runtime) -> None:
    registry = broken.registry
    add_silence(registry, {"monitor": finding().monitor}, ANN, START + 3 * HOUR)
    record_findings(broken, [finding(severity="high", at_us=START + HOUR)], START + HOUR)
    end_silence(registry, "sil1", ANN)
    with pytest.raises(Refused, match="must have no finding that still holds"):
        change_incident(registry, "inc1", "close", BEN)


def test_a_person_reopens_and_the_clock_begins_again(broken: Runtime) -> None:
    change_incident(broken.registry, "inc1", "close", ANN, accept=True)
    reopened = change_incident(broken.registry, "inc1", "reopen", BEN)
    assert (reopened.state, reopened.high_us, reopened.reopened) == ("reopened", BEN.now_us, 1)


@pytest.mark.parametrize("command", ["mitigate", "close", "note"])
@pytest.mark.parametrize("printed", ["WHAT", " WHAT ", "what you did", "how it ended"])
def test_the_text_of_a_printed_step_is_no_reason(command: str, printed: str, broken: Runtime) -> None:
    with pytest.raises(BadInput, match=f"reason of {command} must be .*, in your words: .*, got '{printed}'"):
        change_incident(broken.registry, "inc1", command, IncidentActor("ann", START, printed))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="cause of close must be why it happened, in your words"):
        change_incident(broken.registry, "inc1", "close", ANN, accept=True, cause="why it happened")
    assert find_incident(broken.registry, "inc1").state == "open"


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("mitigate", {}, "reason of mitigate must be what you did against it"),
        ("close", {}, "reason of close must be how it ended"),
        ("note", {}, "reason of note must be the text of the note"),
        ("assign", {}, "owner must be the name of a person"),
        ("delete", {}, "command on an incident must be one of acknowledge, assign"),
    ],
)
def test_missing_texts_are_named(command: str, options: dict[str, str], message: str, broken: Runtime) -> None:
    with pytest.raises(BadInput, match=message):
        change_incident(broken.registry, "inc1", command, IncidentActor("ann", START), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["", " "])
def test_nobody_changes_nothing(by: str, broken: Runtime) -> None:
    nobody, registry = IncidentActor(by, START, "why"), broken.registry
    for command in ("acknowledge", "assign", "mitigate", "note", "close", "reopen"):
        with pytest.raises(BadInput, match="by must be the name of who does it"):
            change_incident(registry, "inc1", command, nobody, owner="eve")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="by must be the name"):
        add_silence(registry, {"monitor": "*"}, nobody, START + DAY)
    with pytest.raises(BadInput, match="by must be the name"):
        end_silence(registry, "sil1", nobody)
    assert find_incident(registry, "inc1").revision == 1


def test_steps_and_items_that_are_not_there_are_refused(broken: Runtime) -> None:
    with pytest.raises(BadInput, match="step of inc1 must be one of its checklist, from 1 to"):
        change_incident(broken.registry, "inc1", "mitigate", ANN, step=99)
    with pytest.raises(BadInput, match="done of inc1 must be left out: it has no action items"):
        change_incident(broken.registry, "inc1", "note", ANN, done=1)
    with pytest.raises(NotFound, match="no incident 'inc9'; known: inc1; flyball incidents list"):
        change_incident(broken.registry, "inc9", "note", ANN)
    assert find_incident(broken.registry, "inc1").revision == 1


def test_of_two_changes_of_one_revision_the_second_is_refused(broken: Runtime) -> None:
    change_incident(broken.registry, "inc1", "assign", ANN, owner="eve", revision=1)
    with pytest.raises(Refused, match="inc1 must be at revision 1, got 2: someone changed it in between"):
        change_incident(broken.registry, "inc1", "assign", BEN, owner="ben", revision=1)


def test_who_comes_late_learns_who_has_it(broken: Runtime) -> None:
    change_incident(broken.registry, "inc1", "acknowledge", ANN)
    has = r"\(ann has it since 2026-01-0\dT\d\d:\d\d:\d\dZ\)"
    with pytest.raises(Refused, match=f"inc1 is acknowledged {has}, where it can be closed or mitigated, got ack"):
        change_incident(broken.registry, "inc1", "acknowledge", BEN)
    with pytest.raises(Refused, match=f"at revision 1, got 2: someone changed it in between, it is acknowledged {has}"):
        change_incident(broken.registry, "inc1", "acknowledge", BEN, revision=1)


def test_of_many_who_acknowledge_at_once_one_does(tmp_path: Path, broken: Runtime) -> None:
    def acknowledge(number: int) -> str:
        own = home(tmp_path)
        try:
            return change_incident(own.registry, "inc1", "acknowledge", IncidentActor(f"p{number}", START)).owner
        except Refused as refused:
            return str(refused)

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(acknowledge, range(8)))
    owner = find_incident(broken.registry, "inc1").owner
    assert [result for result in results if result == owner] == [owner]
    assert sum(f"inc1 is acknowledged ({owner} has it since" in result for result in results) == 7


def test_a_silence_has_an_end_and_a_reason(runtime: Runtime) -> None:
    with pytest.raises(BadInput, match="reason of a silence must be why"):
        add_silence(runtime.registry, {"monitor": "*"}, IncidentActor("ann", START), START + HOUR)
    with pytest.raises(BadInput, match="end of a silence must be later"):
        add_silence(runtime.registry, {"monitor": "*"}, ANN, START)
    silence = add_silence(runtime.registry, {"monitor": "*"}, ANN, START + DAY)
    assert silence.id == "sil1"
    assert end_silence(runtime.registry, "sil1", BEN).ends_us == BEN.now_us
    assert incident_documents(runtime.registry, "silences", "ends_us > :now", now=BEN.now_us) == []
    with pytest.raises(Refused, match="sil1 must be in effect"):
        end_silence(runtime.registry, "sil1", BEN)
    with pytest.raises(NotFound, match="no silence 'sil2'; known: sil1"):
        end_silence(runtime.registry, "sil2", BEN)
