"""The timeline of an incident: every revision of it has an entry with time, actor and reason."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.monitoring.incidents.incident import Incident, IncidentCommand
from flyball.registry import IncidentEntry, IncidentRows

FLYBALL = "flyball"
"""Who acts where no person does."""


class IncidentActor(msgspec.Struct, frozen=True):
    """Who changes an incident, when and why. `person`: who becomes its owner, "" for `by`."""

    by: str
    now_us: int
    reason: str = ""
    person: str = ""


def entry_words(entry: IncidentEntry) -> str:
    """What was done, with the details that its command had: to whom, which step, the cause, action items.

    >>> entry = IncidentEntry(incident=1, at_us=0, by="b", command="mitigate", before="", after="")
    >>> entry_words(msgspec.structs.replace(entry, evidence={"step": 2}))
    'mitigate, step 2'
    """
    known = entry.evidence
    details = [entry.command]
    if entry.command == "assign" and known.get("owner"):
        details[0] += f" to {known['owner']}"
    if known.get("step"):
        details.append(f"step {known['step']}")
    if known.get("cause"):
        details.append(f"cause: {known['cause']}")
    if known.get("action"):
        details.append(f"to do: {known['action']}")
    if known.get("done"):
        details.append(f"done: action item {known['done']}")
    return ", ".join(details)


def write_incident(
    rows: IncidentRows,
    after: Incident,
    before: str,
    command: IncidentCommand,
    actor: IncidentActor,
    evidence: Mapping[str, Any],
) -> Incident:
    """Store `after`, which has the revision that it replaces, as the next revision; returns that.

    `before`: the state before, "" for a new incident. Raises `Refused` after a change in between.
    """
    after = msgspec.structs.replace(after, revision=after.revision + 1, changed_us=actor.now_us)
    rows.put_incident(after.number, after.revision, after, after.state, after.severity)
    rows.add_entry(
        IncidentEntry(
            incident=after.number,
            at_us=actor.now_us,
            by=actor.by,
            command=command,
            before=before,
            after=after.state,
            reason=actor.reason,
            evidence=msgspec.to_builtins(dict(evidence)),
        )
    )
    return after
