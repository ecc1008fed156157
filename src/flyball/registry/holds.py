"""Accounts that are held: someone decided that their events count less in training, or not at all.

The audit trail is the only place where this is written, so it says who was held at any time.
"""

from collections.abc import Collection, Mapping

import msgspec

from flyball.core import BadInput, NotFound
from flyball.registry.store import Registry, add_entry
from flyball.registry.types import AuditEntry

HELD, RELEASED = "suspects hold", "suspects release"
HELD_ACTIONS = (HELD, RELEASED)
"""The actions of the audit trail whose documents are {account: share}, and whose subject is the entity."""


class Hold(msgspec.Struct, frozen=True):
    """`share`: of the account's events that counts in training, 0 for none. `by`, `reason`, `at_us`: who held it."""

    account: str
    share: float
    by: str
    reason: str
    at_us: int


def holds_at(registry: Registry, entity: str, at_us: int | None = None) -> dict[str, Hold]:
    """{account: its hold} of the members of an entity that were held at `at_us` (inclusive), by default now."""
    holds: dict[str, Hold] = {}
    for entry in registry.audit():
        if (
            entry.action not in (HELD, RELEASED)
            or entry.subject != entity
            or (at_us is not None and entry.at_us > at_us)
        ):
            continue
        for account, share in entry.after.items():
            if entry.action == HELD:
                holds[account] = Hold(account, float(share), entry.by, entry.reason, entry.at_us)
            else:
                holds.pop(account, None)
    return dict(sorted(holds.items()))


def hold_accounts(
    registry: Registry, entity: str, shares: Mapping[str, float], *, by: str, reason: str, at_us: int
) -> None:
    """Hold accounts from now on; one that is held gets the new share. Raises `BadInput` for a share outside [0, 1)."""
    for account, share in shares.items():
        if not 0 <= share < 1:
            raise BadInput(f"share of account {account}", "0 or more and below 1", share)
    _note(registry, HELD, entity, {account: float(share) for account, share in shares.items()}, by, reason, at_us)


def release_accounts(
    registry: Registry, entity: str, accounts: Collection[str], *, by: str, reason: str, at_us: int
) -> None:
    """Let accounts count in full again. Raises `NotFound` for one that is not held."""
    holds = holds_at(registry, entity)
    for account in accounts:
        if account not in holds:
            raise NotFound(f"held {entity}", account, list(holds), "flyball suspects held lists them")
    _note(registry, RELEASED, entity, dict.fromkeys(accounts, 1.0), by, reason, at_us)


def _note(
    registry: Registry, action: str, entity: str, shares: Mapping[str, float], by: str, reason: str, at_us: int
) -> None:
    add_entry(
        registry,
        AuditEntry(at_us=at_us, by=by, action=action, subject=entity, reason=reason, after=dict(shares)),
    )
