"""What people hear of an incident, whatever the sink."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from flyball.core import counted_units, format_second
from flyball.monitoring.findings.finding import Severity
from flyball.monitoring.incidents.alert import Alert
from flyball.monitoring.incidents.incident import Incident
from flyball.registry import IncidentRows

NotificationKind = Literal[
    "opened",
    "reopened",
    "joined",
    "raised",
    "over",
    "escalated",
    "overdue",
    "acknowledged",
    "assigned",
    "mitigated",
    "closed",
    "digest",
]


_NAMED = 3
"""Groups that a title names at most."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `lines`: its text below the `title`; `to`: the people it is for, () for nobody in particular.
    `incident`: the id, "" for a digest; `since_us`, `over`: since when, and whether nothing holds any more or it is
    closed. `number`: increases from message to message, so that a receiver can tell one that comes twice."""

    kind: NotificationKind
    app: str
    at_us: int
    title: str
    lines: tuple[str, ...] = ()
    severity: Severity = "low"
    incident: str = ""
    group: str = ""
    since_us: int = 0
    over: bool = False
    to: tuple[str, ...] = ()
    number: int = 0

    @property
    def text(self) -> str:
        return "\n".join((self.title, *self.lines))


def title_of(alerts: Sequence[Alert]) -> str:
    """What is wrong, in a line: the message of one finding, or how many there are of each monitor.

    The most severe comes first.
    """
    ordered = sorted(alerts, key=lambda alert: (alert.last.severity != "high", alert.fired_us, alert.last.subject))
    if len(ordered) <= 1:
        return ordered[0].last.message if ordered else "nothing holds"
    counts: dict[str, int] = {}
    for alert in ordered:
        counts[alert.last.monitor] = counts.get(alert.last.monitor, 0) + 1
    monitors = ", ".join(f"{monitor} {count}" for monitor, count in counts.items())
    groups = list(dict.fromkeys(alert.group for alert in ordered))
    where = ", ".join(groups[:_NAMED]) + (f" and {len(groups) - _NAMED} more" if len(groups) > _NAMED else "")
    return f"{counted_units(len(ordered), 'finding')} in {where} ({monitors}), first: {ordered[0].last.message}"


def notification_of(
    kind: NotificationKind, incident: Incident, now_us: int, lines: Sequence[str] = (), to: Sequence[str] = ()
) -> Notification:
    """A message about an incident as it is now."""
    return Notification(
        kind=kind,
        app=incident.app,
        at_us=now_us,
        title=f"{incident.id} {kind}: {incident.title}",
        lines=(f"{incident.app}, severity {incident.severity}, since {format_second(incident.since_us)}", *lines),
        severity=incident.severity,
        incident=incident.id,
        group=incident.group,
        since_us=incident.since_us,
        over=incident.state == "closed" or bool(incident.over_us),
        to=tuple(to) or ((incident.owner,) if incident.owner else ()),
    )


def notify(rows: IncidentRows, notification: Notification) -> None:
    """Store a message; it is sent from there."""
    number = rows.next_number("notifications")
    rows.put(
        "notifications",
        number,
        msgspec.structs.replace(notification, number=number),
        incident_number=int(notification.incident.removeprefix("inc")) if notification.incident else None,
        at_us=notification.at_us,
    )
