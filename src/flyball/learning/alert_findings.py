"""The findings that are open now, for triggers by drift, and when the last change of the world began."""

import msgspec

from flyball.monitoring import Alert, Finding
from flyball.registry import Registry, incident_documents


def open_findings(registry: Registry) -> tuple[Finding, ...]:
    """The latest finding of every alert that fires and that no silence covers, with the times of its first one.

    So a shift that monitors see for weeks, until their reference holds it too, leads to one run of learning and not to
    a run after every cooldown: a champion that was learned after it was first seen has seen it.
    """
    documents = incident_documents(registry, "alerts", "state = 'firing'")
    alerts = [msgspec.convert(document, Alert) for document in documents]
    return tuple(
        msgspec.structs.replace(alert.last, at_us=alert.first.at_us, since_us=alert.first.since_us)
        for alert in alerts
        if not alert.silence
    )


def last_drift_us(registry: Registry, known_us: int | None = None) -> int:
    """When the last change of the world began that a monitor found, 0 without one. `known_us`: by what was found until
    then."""
    alerts = [msgspec.convert(document, Alert) for document in incident_documents(registry, "alerts")]
    findings = [alert.last if known_us is None else alert.first for alert in alerts if alert.last.origin != "own"]
    return max((finding.since_us for finding in findings if known_us is None or finding.at_us <= known_us), default=0)
