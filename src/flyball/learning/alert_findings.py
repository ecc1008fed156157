"""The findings that are open now, for triggers by drift, and when the last change of the world began."""

import msgspec

from flyball.monitoring import Alert, Finding
from flyball.registry import Registry, incident_documents


def open_findings(registry: Registry) -> tuple[Finding, ...]:
    """The latest finding of every alert that fires and that no silence covers."""
    documents = incident_documents(registry, "alerts", "state = 'firing'")
    alerts = [msgspec.convert(document, Alert) for document in documents]
    return tuple(alert.last for alert in alerts if not alert.silence)


def last_drift_us(registry: Registry) -> int:
    """When the last change of the world began that a monitor found, 0 without one."""
    alerts = [msgspec.convert(document, Alert) for document in incident_documents(registry, "alerts")]
    return max((alert.last.since_us for alert in alerts if alert.last.origin != "own"), default=0)
