"""What people do with incidents and silences. Each command is one transaction with its entry in the timeline."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from flyball.core import BadInput, NotFound, Refused, format_second
from flyball.monitoring.incidents.alert import Alert
from flyball.monitoring.incidents.incident import ActionItem, Incident, held_by, state_after
from flyball.monitoring.incidents.notification import NotificationKind, notification_of, notify
from flyball.monitoring.incidents.silence import Silence, check_matches, silence_of
from flyball.monitoring.incidents.timeline import IncidentActor, write_incident
from flyball.registry import AuditEntry, IncidentRows, Registry, changing_incidents, incident_documents

ByHand = Literal["acknowledge", "assign", "mitigate", "note", "close", "reopen"]
INCIDENT_COMMANDS: tuple[ByHand, ...] = ("acknowledge", "assign", "mitigate", "note", "close", "reopen")
"""The commands that people give."""

_NEEDS_REASON = {
    "mitigate": "what you did against it",
    "note": "the text of the note",
    "close": "how it ended",
    "reopen": "why it is not over",
}
_PLACEHOLDERS = frozenset({"WHAT", "what you did", "how it ended", "why it happened"})
"""What commands are printed with where a person has to say something."""

_KINDS: dict[ByHand, NotificationKind] = {
    "acknowledge": "acknowledged",
    "assign": "assigned",
    "mitigate": "mitigated",
    "close": "closed",
    "reopen": "reopened",
}
_LIST = "flyball incidents list shows all"


def find_incident(registry: Registry, incident_id: str) -> Incident:
    """The incident with this id; raises `NotFound`, which lists the newest."""
    return _find(incident_documents(registry, "incidents"), incident_id)


def _find(documents: Sequence[Mapping[str, Any]], incident_id: str) -> Incident:
    for document in documents:
        if document["id"] == incident_id:
            return msgspec.convert(document, Incident)
    known = [document["id"] for document in documents[-12:]]
    raise NotFound("incident", incident_id, known, _LIST if known else "none was opened yet")


def change_incident(
    registry: Registry,
    incident_id: str,
    command: ByHand,
    actor: IncidentActor,
    *,
    revision: int | None = None,
    owner: str = "",
    step: int = 0,
    cause: str = "",
    action: str = "",
    done: int = 0,
    accept: bool = False,
) -> Incident:
    """Apply a command of `INCIDENT_COMMANDS`; the incident after it.

    `revision`: the one on which it was decided (default: the present one). `owner`: of `assign`, or of `action`.
    `step`: the step of the checklist that was done to mitigate, from 1; `cause`, `action`: why it happened, and what is
    to be done about it; `done`: the action item that is done, from 1. `accept`: close it although findings still hold.
    Raises `NotFound`, `BadInput` where a text is missing, and `Refused` for what the state does not allow or after a
    change in between.
    """
    check_actor(actor)
    _check_texts(command, actor, owner)
    if cause.strip() in _PLACEHOLDERS:
        raise BadInput(f"cause of {command}", "why it happened, in your words", cause)
    with changing_incidents(registry) as rows:
        before = _find(rows.documents("incidents"), incident_id)
        if revision is not None and revision != before.revision:
            raise Refused(
                f"{before.id} must be at revision {revision}, got {before.revision}: someone changed it in between, "
                f"it is {before.state}{held_by(before)}; look at it again (flyball incidents show)"
            )
        after = _changed(before, command, actor, owner)
        if command == "mitigate" and step:
            after = _step_done(after, step, actor)
        if command == "close" and not accept:
            _check_over(rows, before, actor.now_us)
        after = _explained(after, actor, cause, action, owner if command != "assign" else "", done)
        evidence = {"owner": owner, "step": step, "cause": cause, "action": action, "done": done, "accept": accept}
        after = write_incident(
            rows, after, before.state, command, actor, {name: value for name, value in evidence.items() if value}
        )
        if command in _KINDS:
            lines = [f"by {actor.by}" + (f": {actor.reason}" if actor.reason else "")]
            notify(rows, notification_of(_KINDS[command], after, actor.now_us, lines))
    return after


def check_actor(actor: IncidentActor) -> None:
    """Raise `BadInput` for a change by nobody."""
    if not actor.by.strip():
        raise BadInput("by", "the name of who does it", actor.by)


def _check_texts(command: ByHand, actor: IncidentActor, owner: str) -> None:
    if command not in INCIDENT_COMMANDS:
        raise BadInput("command on an incident", f"one of {', '.join(INCIDENT_COMMANDS)}", command)
    if command in _NEEDS_REASON and not actor.reason.strip():
        raise BadInput(f"reason of {command}", _NEEDS_REASON[command], actor.reason)
    if actor.reason.strip() in _PLACEHOLDERS:
        must = (
            f"{_NEEDS_REASON.get(command, 'why it was done')}, in your words: the text of a printed step stands for it"
        )
        raise BadInput(f"reason of {command}", must, actor.reason)
    if command == "assign" and not owner.strip():
        raise BadInput("owner", "the name of a person", owner)


def _changed(before: Incident, command: ByHand, actor: IncidentActor, owner: str) -> Incident:
    """The incident after the command, but for its checklist, cause and action items."""
    replace, now_us = msgspec.structs.replace, actor.now_us
    if command in ("note", "assign"):
        return replace(before, owner=owner, assigned=True) if command == "assign" else before
    after = replace(before, state=state_after(before, command))
    if command == "acknowledge":
        return replace(after, owner=actor.person or actor.by, assigned=True, acknowledged_us=now_us)
    if command == "mitigate":
        return replace(after, mitigated_us=now_us, acknowledged_us=before.acknowledged_us or now_us)
    if command == "close":
        return replace(after, closed_us=now_us)
    return replace(
        after,
        reopened=before.reopened + 1,
        acknowledged_us=0,
        mitigated_us=0,
        closed_us=0,
        high_us=now_us if before.severity == "high" else 0,
        escalated=min(before.escalated, 1),
        overdue=False,
    )


def _step_done(incident: Incident, step: int, actor: IncidentActor) -> Incident:
    if not 1 <= step <= len(incident.checklist):
        raise BadInput(f"step of {incident.id}", f"one of its checklist, from 1 to {len(incident.checklist)}", step)
    steps = list(incident.checklist)
    steps[step - 1] = msgspec.structs.replace(steps[step - 1], done_by=actor.by, done_us=actor.now_us)
    return msgspec.structs.replace(incident, checklist=tuple(steps))


def _explained(incident: Incident, actor: IncidentActor, cause: str, action: str, owner: str, done: int) -> Incident:
    actions = list(incident.actions)
    if done:
        if not 1 <= done <= len(actions):
            must = f"an action item, from 1 to {len(actions)}" if actions else "left out: it has no action items"
            raise BadInput(f"done of {incident.id}", must, done)
        actions[done - 1] = msgspec.structs.replace(actions[done - 1], done_us=actor.now_us)
    if action:
        actions.append(ActionItem(action, owner or actor.person or actor.by))
    return msgspec.structs.replace(incident, cause=cause or incident.cause, actions=tuple(actions))


def _check_over(rows: IncidentRows, incident: Incident, now_us: int) -> None:
    """Raise `Refused` while a finding of the incident holds that no silence covers now.

    A silence that began after the last look is noted with its alert, so that a finding which outlasts it opens the
    incident again.
    """
    alerts = [msgspec.convert(document, Alert) for document in rows.documents("alerts")]
    silences = [msgspec.convert(document, Silence) for document in rows.documents("silences")]
    firing = [alert for alert in alerts if alert.incident == incident.id and alert.state == "firing"]
    covered = {alert.fingerprint: silence_of(alert.last, silences, now_us) for alert in firing}
    holding = [f"{alert.last.monitor} of {alert.last.subject}" for alert in firing if not covered[alert.fingerprint]]
    for alert in firing:
        if not holding and alert.silence != covered[alert.fingerprint]:
            noted = msgspec.structs.replace(alert, silence=covered[alert.fingerprint])
            rows.put("alerts", alert.fingerprint, noted, state=alert.state, incident_number=incident.number)
    if holding:
        shown = ", ".join(holding[:3]) + (f" and {len(holding) - 3} more" if len(holding) > 3 else "")
        raise Refused(
            f"{incident.id} must have no finding that still holds to be closed, got {shown}: wait until it is over, "
            "or close it with --accept, and it opens again only when that was over and came back"
        )


def add_silence(
    registry: Registry, matches: Mapping[str, str], actor: IncidentActor, ends_us: int, starts_us: int | None = None
) -> Silence:
    """Silence findings until `ends_us`. Raises `BadInput` for no matcher, no reason, or an end that is past."""
    check_actor(actor)
    checked = check_matches(matches)
    starts_us = actor.now_us if starts_us is None else starts_us
    if ends_us <= max(starts_us, actor.now_us):
        raise BadInput("end of a silence", "later than its start and than now", format_second(ends_us))
    if not actor.reason.strip():
        raise BadInput("reason of a silence", "why nobody need hear of it", actor.reason)
    with changing_incidents(registry) as rows:
        number = rows.next_number("silences")
        silence = Silence(
            id=f"sil{number}", matches=checked, starts_us=starts_us, ends_us=ends_us, by=actor.by, reason=actor.reason
        )
        rows.put("silences", number, silence, ends_us=ends_us)
        _note_silence(rows, "silence", silence, actor)
    return silence


def _note_silence(rows: IncidentRows, action: str, silence: Silence, actor: IncidentActor) -> None:
    after = {"matches": dict(silence.matches), "ends_us": silence.ends_us}
    entry = AuditEntry(
        at_us=actor.now_us, by=actor.by, action=action, subject=silence.id, reason=actor.reason, after=after
    )
    rows.note(entry)


def end_silence(registry: Registry, silence_id: str, actor: IncidentActor) -> Silence:
    """End a silence now; raises `NotFound`, and `Refused` for one that is over."""
    check_actor(actor)
    with changing_incidents(registry) as rows:
        silences = [msgspec.convert(document, Silence) for document in rows.documents("silences")]
        silence = next((known for known in silences if known.id == silence_id), None)
        if silence is None:
            known = [other.id for other in silences[-12:]]
            raise NotFound("silence", silence_id, known, "flyball incidents silences shows all")
        if silence.ends_us <= actor.now_us:
            raise Refused(
                f"{silence_id} must be in effect to be ended, got one that is over: "
                "flyball incidents silences lists those in effect"
            )
        _note_silence(rows, "silence end", silence, actor)
        silence = msgspec.structs.replace(silence, ends_us=max(actor.now_us, silence.starts_us))
        rows.put("silences", int(silence_id.removeprefix("sil")), silence, ends_us=silence.ends_us)
    return silence
