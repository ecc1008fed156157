"""Incidents as they are shown: with their findings, timeline, what holds now and what is due next."""

import msgspec

from flyball.home import with_home
from flyball.monitoring.incidents.alert import Alert
from flyball.monitoring.incidents.checklist import ReleaseContext, named_command
from flyball.monitoring.incidents.commands import find_incident
from flyball.monitoring.incidents.escalation import mitigate_by_us, next_escalation_us
from flyball.monitoring.incidents.incident import UNCLAIMED, Incident
from flyball.monitoring.incidents.silence import Silence, silence_of
from flyball.policy import AlertPlan
from flyball.registry import IncidentEntry, Registry, incident_documents, incident_entries


class IncidentDescription(msgspec.Struct, frozen=True, kw_only=True):
    """One incident with all that is known of it.

    `holding`, `over`: its alerts whose finding holds, and those whose finding is over; `context`: what served when it
    was opened. `escalates_us`, `mitigate_by_us`: when it goes to the next on call, and when its clock runs out; None
    for never. `next`: the command to give next.
    """

    incident: Incident
    holding: tuple[Alert, ...]
    over: tuple[Alert, ...]
    timeline: tuple[IncidentEntry, ...]
    context: ReleaseContext
    escalates_us: int | None
    mitigate_by_us: int | None
    next: str


class IncidentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One incident in a list. `holding`: how many of its findings hold, of them `silenced`."""

    incident: Incident
    holding: int
    silenced: int


class IncidentList(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents, the most urgent first, with the alerts that may become one, and the silences in effect."""

    incidents: tuple[IncidentSummary, ...]
    pending: tuple[Alert, ...]
    silenced: tuple[Alert, ...]
    silences: tuple[Silence, ...]


def describe_incident(
    registry: Registry, spec: str, plan: AlertPlan, incident_id: str, home: str = "", now_us: int | None = None
) -> IncidentDescription:
    """One incident; raises `NotFound`. `spec`: the application as commands name it; `home`: the one that they name, ""
    for the default. `now_us`: by which silences count, default: as of the last look of each finding."""
    incident = find_incident(registry, incident_id)
    incident = msgspec.structs.replace(
        incident,
        checklist=tuple(
            msgspec.structs.replace(step, command=step.command and named_command(step.command, spec, home))
            for step in incident.checklist
        ),
    )
    alerts = _alerts(registry, "incident_number = :number", number=incident.number)
    if now_us is not None:
        alerts = _silenced_now(registry, alerts, now_us)
    entries = tuple(incident_entries(registry, incident.number))
    contexts = [entry.evidence["context"] for entry in entries if "context" in entry.evidence]
    return IncidentDescription(
        incident=incident,
        holding=tuple(sorted((alert for alert in alerts if alert.state == "firing"), key=_urgency)),
        over=tuple(alert for alert in alerts if alert.state != "firing"),
        timeline=entries,
        context=msgspec.convert(contexts[-1], ReleaseContext) if contexts else ReleaseContext(),
        escalates_us=next_escalation_us(incident, plan),
        mitigate_by_us=mitigate_by_us(incident, plan),
        next=with_home(_next(incident, spec), home),
    )


def list_incidents(registry: Registry, now_us: int, closed: bool = False) -> IncidentList:
    """The incidents that are not closed; with `closed`, all."""
    where = "" if closed else "state <> 'closed'"
    incidents = [msgspec.convert(document, Incident) for document in incident_documents(registry, "incidents", where)]
    alerts = _silenced_now(registry, _alerts(registry, "state <> 'over'"), now_us)
    rows = []
    for incident in sorted(incidents, key=_rank):
        firing = [alert for alert in alerts if alert.incident == incident.id and alert.state == "firing"]
        silenced = sum(bool(alert.silence) for alert in firing)
        rows.append(IncidentSummary(incident=incident, holding=len(firing), silenced=silenced))
    return IncidentList(
        incidents=tuple(rows),
        pending=tuple(alert for alert in alerts if alert.state == "pending"),
        silenced=tuple(alert for alert in alerts if alert.silence and not alert.incident),
        silences=tuple(silence for silence in all_silences(registry) if silence.starts_us <= now_us < silence.ends_us),
    )


def all_silences(registry: Registry) -> list[Silence]:
    """All silences, those that are over too, oldest first."""
    return [msgspec.convert(document, Silence) for document in incident_documents(registry, "silences")]


def _alerts(registry: Registry, where: str, **values: object) -> list[Alert]:
    return [msgspec.convert(document, Alert) for document in incident_documents(registry, "alerts", where, **values)]


def _silenced_now(registry: Registry, alerts: list[Alert], now_us: int) -> list[Alert]:
    """The alerts with the silences that cover them now, whatever covered them when their monitor looked last."""
    silences = all_silences(registry)
    return [
        msgspec.structs.replace(alert, silence=silence_of(alert.last, silences, now_us))
        if alert.state == "firing"
        else alert
        for alert in alerts
    ]


def _urgency(alert: Alert) -> tuple[bool, int, str]:
    return (alert.last.severity != "high", alert.fired_us, alert.last.subject)


_ORDER = ("open", "reopened", "acknowledged", "mitigated", "closed")


def _rank(incident: Incident) -> tuple[bool, bool, int, int]:
    """Open before closed, high before low, then by state, the newest first."""
    return (
        incident.state == "closed",
        incident.severity != "high",
        _ORDER.index(incident.state),
        -incident.opened_us,
    )


def _next(incident: Incident, spec: str) -> str:
    """The command to give next."""
    about = f"{spec} {incident.id}"
    if incident.state in UNCLAIMED:
        return f"flyball incidents acknowledge {about}"
    if incident.state == "acknowledged":
        return f'flyball incidents mitigate {about} --step N --reason "what you did"'
    if incident.state == "mitigated":
        cause = "" if incident.cause else ' --cause "why it happened"'
        return f'flyball incidents close {about} --reason "how it ended"{cause}'
    return f"flyball incidents bundle {about}"
