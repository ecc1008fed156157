"""The roles that keys have. Each allows what it says and nothing else, except `admin`, which allows everything."""

from collections.abc import Collection

from flyball.core import BadInput

WRITE_EVENTS = "write-events"

ROLES = {
    "read": "recorded answers, releases, incidents, quarantine, the audit trail, metrics and documentation",
    "serve": "answers and lookups",
    WRITE_EVENTS: "sends events",
    "operate": "changes releases, incidents, silences and quarantine",
    "admin": "everything",
}
"""{role: what it allows}."""

BROWSER_ROLES = ("serve", WRITE_EVENTS)
"""The roles of a key that is bound to web pages, where everybody can read it."""


def holds_role(roles: Collection[str], needed: str) -> bool:
    """Whether one of `roles` allows what needs `needed`.

    >>> holds_role({"serve"}, "serve"), holds_role({"serve"}, "read"), holds_role({"admin"}, "read")
    (True, False, True)
    """
    return needed in roles or "admin" in roles


def check_roles(roles: Collection[str], what: str = "roles of a key") -> tuple[str, ...]:
    """The roles in the order of `ROLES`; raises `BadInput` for an unknown one, or none."""
    for role in roles:
        if role not in ROLES:
            raise BadInput(what, f"of {', '.join(ROLES)}", role)
    if not roles:
        raise BadInput(what, f"one or more of {', '.join(ROLES)}", "none")
    return tuple(role for role in ROLES if role in roles)
