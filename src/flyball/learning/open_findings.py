"""The findings that are open now, for triggers by drift."""

import msgspec

from flyball.monitoring import Alert, Finding
from flyball.registry import Registry, incident_documents


def open_findings(registry: Registry) -> tuple[Finding, ...]:
    """The latest finding of every alert that fires and that no silence covers."""
    documents = incident_documents(registry, "alerts", "state = 'firing'")
    alerts = [msgspec.convert(document, Alert) for document in documents]
    return tuple(alert.last for alert in alerts if not alert.silence)
