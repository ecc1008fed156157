"""The timeline: a revision and its entry are written together or not at all."""

import pytest
from tests.monitoring.incidents.world import START, incident

from flyball.core import Refused
from flyball.monitoring.incidents.timeline import IncidentActor, entry_words, write_incident
from flyball.registry import IncidentEntry, changing_incidents, incident_documents, incident_entries
from flyball.runtime import Runtime


def test_a_change_of_a_revision_that_is_not_the_present_one_leaves_no_entry(runtime: Runtime) -> None:
    ann = IncidentActor("ann", START, "seen")
    with changing_incidents(runtime.registry) as rows:
        first = write_incident(rows, incident(revision=0), "", "open", ann, {})
    assert first.revision == 1
    with changing_incidents(runtime.registry) as rows:
        write_incident(rows, first, "open", "note", ann, {})
    with (
        pytest.raises(Refused, match="inc1 must be at revision 1, got another"),
        changing_incidents(runtime.registry) as rows,
    ):
        write_incident(rows, first, "open", "note", ann, {})
    assert [document["revision"] for document in incident_documents(runtime.registry, "incidents")] == [2]
    assert [entry.command for entry in incident_entries(runtime.registry, 1)] == ["open", "note"]


@pytest.mark.parametrize(
    ("command", "evidence", "words"),
    [
        ("assign", {"owner": "zoe"}, "assign to zoe"),
        ("mitigate", {"step": 1}, "mitigate, step 1"),
        ("note", {"cause": "a full disk", "action": "add a disk"}, "note, cause: a full disk, to do: add a disk"),
        ("note", {"done": 2}, "note, done: action item 2"),
        ("open", {}, "open"),
    ],
)
def test_an_entry_says_to_whom_which_step_and_why(command: str, evidence: dict[str, object], words: str) -> None:
    entry = IncidentEntry(incident=1, at_us=0, by="ann", command=command, before="", after="", evidence=evidence)
    assert entry_words(entry) == words
