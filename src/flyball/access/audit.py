"""The audit trail: everything that a person or a key did, from all the histories that there are."""

import msgspec

from flyball.access.identity import split_actor
from flyball.registry import JsonObject, Registry, incident_entries

_FLYBALL = "flyball"
"""Who acts on incidents where no person does: that is no action of a person."""


class AuditedAction(msgspec.Struct, frozen=True):
    """Who did what to what, when, from where and why; `after`: what is known of the change."""

    at_us: int
    by: str
    source: str
    action: str
    subject: str
    reason: str
    after: JsonObject = {}


def audit_trail(registry: Registry, since_us: int = 0) -> list[AuditedAction]:
    """All actions at or after `since_us`, oldest first."""
    actions = [
        _action(entry.at_us, entry.by, entry.action, entry.subject, entry.reason, entry.after)
        for entry in registry.audit()
    ]
    actions += [
        _action(entry.at_us, entry.by, f"incident {entry.command}", f"inc{entry.incident}", entry.reason)
        for entry in incident_entries(registry)
        if entry.by != _FLYBALL
    ]
    return sorted((action for action in actions if action.at_us >= since_us), key=lambda action: action.at_us)


def _action(
    at_us: int, by: str, action: str, subject: str, reason: str, after: JsonObject | None = None
) -> AuditedAction:
    who, source = split_actor(by)
    return AuditedAction(at_us, who, source, action, subject, reason, after or {})
