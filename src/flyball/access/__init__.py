"""Who may do what over HTTP: keys and their roles, identities, and the audit trail of what people and keys did.

Promises: the text of a key is shown once and stored as a slow, salted hash; a key that is revoked or expired is refused
by every process that has seen the registry since; a request that presents a key which was verified before costs a few
microseconds; guessing never waits in front of answers. Nothing here knows HTTP.
"""

from flyball.access.audit import AuditedAction, audit_trail
from flyball.access.authenticator import Authenticator, Pass
from flyball.access.identity import ANYONE, Identity, anyone
from flyball.access.key_text import KEY_PREFIX, KeyText, parse_key
from flyball.access.keys import DEFAULT_LIMIT, create_key, is_in_force, key_state, limit_key, unbounded_page
from flyball.access.roles import BROWSER_ROLES, ROLES, WRITE_EVENTS, check_roles, holds_role
from flyball.access.slow_hash import slow_hash

__all__ = [
    "ANYONE",
    "BROWSER_ROLES",
    "DEFAULT_LIMIT",
    "KEY_PREFIX",
    "ROLES",
    "WRITE_EVENTS",
    "AuditedAction",
    "Authenticator",
    "Identity",
    "KeyText",
    "Pass",
    "anyone",
    "audit_trail",
    "check_roles",
    "create_key",
    "holds_role",
    "is_in_force",
    "key_state",
    "limit_key",
    "parse_key",
    "slow_hash",
    "unbounded_page",
]
