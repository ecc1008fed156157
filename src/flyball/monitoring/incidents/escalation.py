"""What time does to incidents: escalation along the list on call, the end of the clock, and the end of old low ones."""

from collections.abc import Sequence

import msgspec

from flyball.core import format_duration
from flyball.monitoring.incidents.alert import Alert
from flyball.monitoring.incidents.incident import UNCLAIMED, Incident, IncidentCommand
from flyball.monitoring.incidents.notification import NotificationKind, notification_of, notify
from flyball.monitoring.incidents.silence import Silence, silence_of
from flyball.monitoring.incidents.timeline import FLYBALL, IncidentActor, write_incident
from flyball.policy import AlertPlan
from flyball.registry import IncidentRows, Registry, changing_incidents, incident_documents


def escalate(registry: Registry, plan: AlertPlan, now_us: int) -> list[str]:
    """Bring every incident up to date with the time; a line for each that changed.

    Nothing is due twice: what is done is stored with it. Incidents all of whose findings are silenced wait.
    """
    waiting = incident_documents(registry, "incidents", "state <> 'closed'")
    if not any(_due(msgspec.convert(document, Incident), plan, now_us) for document in waiting):
        return []
    with changing_incidents(registry) as rows:
        incidents = [msgspec.convert(document, Incident) for document in rows.documents("incidents")]
        due = [incident for incident in incidents if incident.state != "closed" and _due(incident, plan, now_us)]
        silenced = _silenced(rows, due, now_us)
        lines = [_act(rows, incident, plan, now_us) for incident in due if incident.id not in silenced]
    return lines


def next_escalation_us(incident: Incident, plan: AlertPlan) -> int | None:
    """When an incident goes to the next on call, None for never."""
    if incident.severity != "high" or incident.state not in UNCLAIMED or incident.escalated >= len(plan.on_call):
        return None
    return incident.high_us + incident.escalated * plan.acknowledge_us


def mitigate_by_us(incident: Incident, plan: AlertPlan) -> int | None:
    """When the clock of an incident runs out, None where it has none or is mitigated."""
    if incident.severity != "high" or incident.state not in (*UNCLAIMED, "acknowledged"):
        return None
    return incident.high_us + plan.mitigate_us


def _due(incident: Incident, plan: AlertPlan, now_us: int) -> NotificationKind | None:
    """What is due for it now."""
    clock_us, next_us = mitigate_by_us(incident, plan), next_escalation_us(incident, plan)
    if clock_us is not None and now_us >= clock_us and not incident.overdue:
        return "overdue"
    if next_us is not None and now_us >= next_us:
        return "escalated"
    quiet = incident.severity == "low" and incident.state in UNCLAIMED and incident.over_us
    return "closed" if quiet and now_us >= incident.over_us + plan.close_us else None


def _silenced(rows: IncidentRows, due: Sequence[Incident], now_us: int) -> set[str]:
    """The incidents whose findings that hold are all silenced."""
    alerts = [msgspec.convert(document, Alert) for document in rows.documents("alerts")]
    silences = [msgspec.convert(document, Silence) for document in rows.documents("silences")]
    silenced = set()
    for incident in due:
        holding = [alert.last for alert in alerts if alert.incident == incident.id and alert.state == "firing"]
        if holding and all(silence_of(finding, silences, now_us) for finding in holding):
            silenced.add(incident.id)
    return silenced


def _act(rows: IncidentRows, incident: Incident, plan: AlertPlan, now_us: int) -> str:
    kind = _due(incident, plan, now_us)
    if kind == "closed":
        reason = f"its findings were over for {format_duration(plan.close_us)}, and nobody took it"
        closed = msgspec.structs.replace(incident, state="closed", closed_us=now_us)
        _write(rows, incident, closed, kind, now_us, reason)
        return f"{incident.id} closed: {reason}"
    if kind == "overdue":
        reason = f"not mitigated within {format_duration(plan.mitigate_us)}"
        late = msgspec.structs.replace(incident, overdue=True, escalated=len(plan.on_call))
        _write(rows, incident, late, kind, now_us, reason, plan.on_call)
        return f"{incident.id} overdue: {reason}"
    passed = (now_us - incident.high_us) // plan.acknowledge_us
    needed = min(len(plan.on_call), 1 + passed)
    called = plan.on_call[incident.escalated : needed]
    reason = f"nobody acknowledged it within {format_duration(plan.acknowledge_us)}: now {called[-1]}"
    owner = incident.owner if incident.assigned else called[-1]
    next_one = msgspec.structs.replace(incident, escalated=needed, owner=owner)
    _write(rows, incident, next_one, "escalated", now_us, reason, called)
    return f"{incident.id} escalated to {', '.join(called)}"


def _write(
    rows: IncidentRows,
    before: Incident,
    after: Incident,
    kind: NotificationKind,
    now_us: int,
    reason: str,
    to: Sequence[str] = (),
) -> None:
    actor = IncidentActor(FLYBALL, now_us, reason)
    command: IncidentCommand = "close" if kind == "closed" else "escalate"
    after = write_incident(rows, after, before.state, command, actor, {"to": list(to)} if to else {})
    notify(rows, notification_of(kind, after, now_us, [reason], to))
