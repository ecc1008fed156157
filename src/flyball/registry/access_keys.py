"""The rows of access keys. A secret is never stored: only its salted, slow hash."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from flyball.core import NotFound, Refused
from flyball.registry.store import Registry, write_entry
from flyball.registry.types import AuditEntry

if TYPE_CHECKING:
    from sqlalchemy import Connection

CREATED, REVOKED, LIMITED = "keys create", "keys revoke", "keys limit"
_LIMITS = ("limit_answers", "limit_events")
_LISTS = ("roles", "origins", "event_types")


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key. `roles`: what it may do; `origins`: the web pages it is bound to, () for none; `salt` and `digest`: the
    hash of its secret, in hexadecimal digits. `expires_us`, `revoked_us`, `used_us`: None for never. `limit_answers`,
    `limit_events`: rates as text, "" for those of the settings. `event_types`: those it may send, () for all."""

    id: str
    name: str
    roles: tuple[str, ...]
    origins: tuple[str, ...] = ()
    salt: str
    digest: str
    created_us: int
    created_by: str
    expires_us: int | None = None
    revoked_us: int | None = None
    revoked_by: str = ""
    used_us: int | None = None
    limit_answers: str = ""
    limit_events: str = ""
    event_types: tuple[str, ...] = ()


def access_keys(registry: Registry) -> list[AccessKey]:
    """All keys that were ever made, oldest first."""
    rows = [_key(row) for row in registry.database.rows("SELECT * FROM access_keys")]
    return sorted(rows, key=lambda key: (key.created_us, key.id))


def add_access_key(registry: Registry, key: AccessKey, reason: str) -> None:
    """Store a key, with its entry in the audit trail. Raises `Refused` for a name that a key in force has."""
    from flyball.registry.tables import access_keys as table

    after = {"name": key.name, "roles": key.roles, "origins": key.origins, "expires_us": key.expires_us}
    after |= {name: getattr(key, name) for name in (*_LIMITS, "event_types") if getattr(key, name)}
    entry = AuditEntry(
        at_us=key.created_us, by=key.created_by, action=CREATED, subject=key.id, reason=reason, after=after
    )
    with registry.database.writing() as connection:
        for row in connection.execute(table.select().where(table.c.name == key.name)).mappings():
            known = _key(dict(row))
            if known.revoked_us is None and (known.expires_us is None or known.expires_us > key.created_us):
                raise Refused(
                    f"name of a key must be that of no key in force, got {key.name!r}, which {known.id} has: choose "
                    "another --name, or revoke that key first"
                )
        connection.execute(table.insert().values(**_columns(key)))
        write_entry(connection, entry)


def revoke_access_key(registry: Registry, id_or_name: str, by: str, reason: str, now_us: int) -> AccessKey:
    """Revoke the key with this id, or the one in force with this name, from now on.

    Raises `NotFound`, and `Refused` for one that is revoked already.
    """
    from flyball.registry.tables import access_keys as table

    with registry.database.writing() as connection:
        key = _unrevoked(connection, id_or_name)
        if key is None:
            raise Refused(
                f"key {id_or_name} must be in force to be revoked, got one that was revoked before: it lets nobody in"
            )
        connection.execute(table.update().where(table.c.id == key.id).values(revoked_us=now_us, revoked_by=by))
        before = {"name": key.name, "roles": key.roles}
        entry = AuditEntry(at_us=now_us, by=by, action=REVOKED, subject=key.id, reason=reason, before=before)
        write_entry(connection, entry)
    return msgspec.structs.replace(key, revoked_us=now_us, revoked_by=by)


def change_key_limits(
    registry: Registry, id_or_name: str, limits: Mapping[str, str], by: str, reason: str, now_us: int
) -> AccessKey:
    """Change `limits`, {"limit_answers" or "limit_events": rate as text}, of the key with this id or name.

    Raises `NotFound`, and `Refused` for a key that is revoked.
    """
    from flyball.registry.tables import access_keys as table

    with registry.database.writing() as connection:
        key = _unrevoked(connection, id_or_name)
        if key is None:
            raise Refused(
                f"key {id_or_name} must be in force to be limited, got one that was revoked: it lets nobody in"
            )
        connection.execute(table.update().where(table.c.id == key.id).values(**limits))
        entry = AuditEntry(
            at_us=now_us,
            by=by,
            action=LIMITED,
            subject=key.id,
            reason=reason,
            before={name: getattr(key, name) for name in limits},
            after=dict(limits),
        )
        write_entry(connection, entry)
    return msgspec.structs.replace(key, **limits)


def _unrevoked(connection: "Connection", id_or_name: str) -> AccessKey | None:
    """The key with this id, or the latest with this name, None if it is revoked; raises `NotFound`."""
    from flyball.registry.tables import access_keys as table

    rows = connection.execute(table.select().order_by(table.c.created_us)).mappings()
    known = [_key(dict(row)) for row in rows]
    chosen = [key for key in known if key.id == id_or_name] or [key for key in known if key.name == id_or_name]
    if not chosen:
        raise NotFound("key", id_or_name, [key.id for key in known], "flyball keys list shows all")
    return next((key for key in chosen if key.revoked_us is None), None)


def note_key_uses(registry: Registry, used_us: Mapping[str, int]) -> None:
    """Write the last use of keys; an earlier one than is known changes nothing."""
    import sqlalchemy as sa

    from flyball.registry.tables import access_keys as table

    with registry.database.writing() as connection:
        for key_id, at_us in sorted(used_us.items()):
            is_later = sa.or_(table.c.used_us.is_(None), table.c.used_us < at_us)
            connection.execute(table.update().where(table.c.id == key_id, is_later).values(used_us=at_us))


def _columns(key: AccessKey) -> dict[str, Any]:
    return msgspec.structs.asdict(key) | {name: ",".join(getattr(key, name)) for name in _LISTS}


def _key(row: dict[str, Any]) -> AccessKey:
    lists = {name: tuple(part for part in row[name].split(",") if part) for name in _LISTS}
    return AccessKey(**{**row, **lists})
