"""Who sends a request, as it is written into the audit trail."""

from collections.abc import Mapping

import msgspec

ANYONE = "anyone"
"""Who acts where nobody has to say who they are."""

_SAYS = ", says "


class Identity(msgspec.Struct, frozen=True):
    """Who sends a request. `name`: "key front (7k2m9x4q)", "user ann" or "anyone"; `roles`: what it may do; `origins`:
    the web pages that it is bound to; `key_id`: of the key, "" without one; `limits`: {"answers" or "events": rate as
    text} where it has limits of its own; `event_types`: those it may send, () for all."""

    name: str
    roles: frozenset[str]
    origins: tuple[str, ...] = ()
    key_id: str = ""
    limits: Mapping[str, str] = {}
    event_types: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether a key or a trusted proxy says who this is."""
        return self.name != ANYONE

    def actor(self, address: str, claimed: str = "") -> str:
        """Who does something, for histories: the identity, where from, and the name that the request claims, which
        nothing proves.

        >>> anyone(()).actor("127.0.0.1", claimed="ann")
        'anyone from 127.0.0.1, says ann'
        """
        return f"{self.name} from {address}" + (f"{_SAYS}{claimed}" if claimed.strip() else "")


def anyone(roles: tuple[str, ...]) -> Identity:
    """The identity of all who need no key."""
    return Identity(ANYONE, frozenset(roles))


def split_actor(by: str) -> tuple[str, str]:
    """(who, where from) of an entry in a history; "command line" where the entry names no address.

    >>> split_actor("key front (7k2m9x4q) from 10.0.0.7, says ann"), split_actor("ann")
    (('key front (7k2m9x4q), says ann', '10.0.0.7'), ('ann', 'command line'))
    """
    who, separator, further = by.partition(" from ")
    if not separator or not who.startswith((ANYONE, "key ", "user ")):
        return by, "command line"
    address, says, claimed = further.partition(_SAYS)
    return who + says + claimed, address
