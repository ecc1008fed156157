"""Incidents as alerts of an Alertmanager, by its API v2."""

from typing import Any

from flyball.core import format_timestamp
from flyball.monitoring.incidents.notification import Notification
from flyball.monitoring.sinks.posting import post_json
from flyball.monitoring.sinks.sink import SinkAddress, check_options

_FIRES_US = 30 * 86_400_000_000
"""How long an alert counts as firing without news of it: an Alertmanager resolves what has no end after minutes."""

ALERT_NAME = "FlyballIncident"


class AlertmanagerSink:
    """`alertmanager+http://HOST:9093`, with a path where it is not at the root."""

    def __init__(self, address: SinkAddress) -> None:
        check_options(address, ())
        self._address = address

    def send(self, notification: Notification) -> None:
        alerts = alertmanager_alerts(notification)
        if alerts:
            post_json(self._address, f"{self._address.path.rstrip('/')}/api/v2/alerts", alerts, {})


def alertmanager_alerts(notification: Notification) -> list[dict[str, Any]]:
    """The alert of an incident, resolved once it is over; [] for a digest.

    Its labels identify it there, so one whose severity rises ends, and another begins.
    """
    if not notification.incident:
        return []
    alerts = [_alert(notification, notification.severity, notification.over)]
    if notification.kind == "raised":
        alerts.append(_alert(notification, "low", over=True))
    return alerts


def _alert(notification: Notification, severity: str, over: bool) -> dict[str, Any]:
    ends_us = notification.at_us + (0 if over else _FIRES_US)
    return {
        "labels": {
            "alertname": ALERT_NAME,
            "application": notification.app,
            "incident": notification.incident,
            "severity": severity,
            "source": notification.group,
        },
        "annotations": {"summary": notification.title, "description": "\n".join(notification.lines)},
        "startsAt": format_timestamp(min(notification.since_us, notification.at_us)),
        "endsAt": format_timestamp(ends_us),
    }
