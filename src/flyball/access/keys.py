"""Makes keys and tells whether they are in force."""

import re
from collections.abc import Collection, Sequence
from random import Random

from flyball.access.key_text import KeyText, new_key_text
from flyball.access.roles import BROWSER_ROLES, WRITE_EVENTS, check_roles
from flyball.access.slow_hash import slow_hash
from flyball.core import BadInput, InWords, check_origin
from flyball.limits import parse_rate
from flyball.registry import AccessKey, Registry, add_access_key, change_key_limits

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SALT = 128
DEFAULT_LIMIT = "default"
"""Instead of a rate: that of the settings."""


def create_key(
    registry: Registry,
    roles: Collection[str],
    rng: Random,
    *,
    name: str,
    by: str,
    now_us: int,
    origins: Sequence[str] = (),
    for_us: int | None = None,
    reason: str = "",
    limit_answers: str = "",
    limit_events: str = "",
    event_types: Collection[str] = (),
    declared: Collection[str] = (),
) -> tuple[AccessKey, KeyText]:
    """A new key with its text, which nothing can show again. `name`: "" for its id.
    `for_us`: how long it is in force, None for ever. `limit_answers`, `limit_events`: its own rates, "" for those of
    the settings. `event_types`: those it may send, of the `declared` ones; () for all.

    Raises `BadInput` for roles, a name, origins, limits or event types that a key cannot have, `Refused` for a name
    that is in use.
    """
    text = new_key_text(rng)
    salt = rng.getrandbits(_SALT).to_bytes(_SALT // 8)
    checked, pages = check_roles(roles), tuple(check_origin(origin) for origin in dict.fromkeys(origins))
    if pages and (set(checked) - set(BROWSER_ROLES)):
        must = f"of {' and '.join(BROWSER_ROLES)} alone, as everybody who opens a page can read its key"
        raise BadInput("roles of a key with an origin", must, ", ".join(checked))
    name = name or text.id
    if not _NAME.fullmatch(name):
        raise BadInput("name of a key", "1 to 64 letters, digits, . _ - that begin with a letter or digit", name)
    key = AccessKey(
        id=text.id,
        name=name,
        roles=checked,
        origins=pages,
        salt=salt.hex(),
        digest=slow_hash(text.secret, salt).hex(),
        created_us=now_us,
        created_by=by,
        expires_us=None if for_us is None else now_us + for_us,
        limit_answers=_checked_rate(limit_answers),
        limit_events=_checked_rate(limit_events),
        event_types=_checked_types(event_types, checked, declared),
    )
    add_access_key(registry, key, reason)
    return key, text


def limit_key(
    registry: Registry,
    id_or_name: str,
    *,
    answers: str | None = None,
    events: str | None = None,
    by: str,
    reason: str,
    now_us: int,
) -> AccessKey:
    """Change the limits of a key in force; None leaves one, `DEFAULT_LIMIT` has it follow the settings again.

    Raises `BadInput` for a text that is no rate, and as `change_key_limits`.
    """
    limits = {"limit_answers": answers, "limit_events": events}
    changed = {
        name: "" if text == DEFAULT_LIMIT else _checked_rate(text) for name, text in limits.items() if text is not None
    }
    if not changed:
        raise BadInput(
            "limits of a key", f"changed by a rate, none or {DEFAULT_LIMIT}, of answers or events", "neither"
        )
    return change_key_limits(registry, id_or_name, changed, by, reason, now_us)


def own_limits(key: AccessKey) -> dict[str, str]:
    """{what is limited: rate as text}, of what is not as the settings say."""
    limits = {"answers": key.limit_answers, "events": key.limit_events}
    return {kind: text for kind, text in limits.items() if text}


def unbounded_page(key: AccessKey, declared: Collection[str]) -> str:
    """What to know of a key that everybody who opens a page can read, and that may send events of all types; "" for
    any other."""
    if not key.origins or WRITE_EVENTS not in key.roles or key.event_types:
        return ""
    return (
        f"everybody who opens a page of {', '.join(key.origins)} can read key {key.name} and send events of all types "
        f"with it ({', '.join(declared)}): name those that the page sends, as --type {next(iter(declared), 'TYPE')}"
    )


def _checked_types(types: Collection[str], roles: Collection[str], declared: Collection[str]) -> tuple[str, ...]:
    """The types in the order of the declaration."""
    for name in types:
        if name not in declared:
            raise BadInput("event types of a key", f"of {', '.join(declared)}", name)
    if types and (WRITE_EVENTS not in roles or "admin" in roles):
        must = f"those of a key with {WRITE_EVENTS} and without admin, which may send all"
        raise BadInput("event types", must, InWords(", ".join(roles)))
    return tuple(name for name in declared if name in types)


def _checked_rate(text: str) -> str:
    if text:
        parse_rate(text)
    return text


def is_in_force(key: AccessKey, now_us: int) -> bool:
    """Whether the key is accepted at `now_us`: its end is exclusive."""
    return key.revoked_us is None and (key.expires_us is None or now_us < key.expires_us)


def key_state(key: AccessKey, now_us: int) -> str:
    """How it is shown: in force, revoked or expired."""
    if key.revoked_us is not None:
        return "revoked"
    return "in force" if is_in_force(key, now_us) else "expired"
