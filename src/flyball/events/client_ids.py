"""The ids by which senders name their events, so that one sent again after a lost reply is in the log once.

A client id is 16 bytes: a hash of what the sender said, and one of the event's content. The log keeps it in the index
of its identities. So the same id with the same content is a duplicate, and with other content a conflict, which the
first half alone tells. Nothing else is stored. Of ids that differ, one pair in 10^17 has the same 59 bits there; the
later event of such a pair goes to quarantine, so it is not lost.
"""

from collections.abc import Container, Hashable, Sequence
from hashlib import blake2b

from flyball.core import BadInput

HALF = 8
"""The bytes of a client id that come from what the sender said."""
MAX_CLIENT_ID = 200

CONFLICT = "the id that came with it must name one event, got other content than the event in the log has"
"""The detail of an event in quarantine for the reason `conflict`."""


def check_client_id(value: object, what: str = "id") -> str:
    """The id of an event as text; raises `BadInput`. "": there is none.

    >>> check_client_id(7), check_client_id("order-7"), check_client_id(None)
    ('7', 'order-7', '')
    """
    if value is None:
        return ""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_CLIENT_ID or not value.isprintable():
        raise BadInput(what, f"text of 1 to {MAX_CLIENT_ID} printable characters, or a whole number", value)
    return value


def own_name(text: str) -> bytes:
    """What the field `id` of an event says."""
    return b"\0".join((b"id", text.encode()))


def is_own_name(name: bytes) -> bool:
    """Whether it is what a field of the event says."""
    return name.startswith(b"id\0")


def name_in_request(key: str, position: int) -> bytes:
    """What the header `Idempotency-Key` says of the event at `position` in a request."""
    return b"\0".join((b"key", b"%d" % position, key.encode()))


def name_of_request(key: str, position: int) -> bytes:
    """What the header `Idempotency-Key` says of a request that becomes an event, the one at `position` in its body."""
    return b"\0".join((b"request", b"%d" % position, key.encode()))


def is_name_of_request(name: bytes) -> bool:
    """Whether the event is a request, whose time is that of its arrival."""
    return name.startswith(b"request\0")


def client_id(name: bytes, content: bytes) -> bytes:
    """The client id of an event. `content`: 8 bytes, the same for the same content.

    It begins with five set bits: no identity that begins with its time does, before the year 2101.
    """
    first = blake2b(name, digest_size=HALF).digest()
    return bytes((first[0] | 0xF8,)) + first[1:] + content


def repeats_among(
    identities: Sequence[tuple[Hashable, bytes]], known: Container[Hashable], halves: Container[bytes]
) -> tuple[list[int], list[int]]:
    """The indices of duplicates, and of conflicts, among events that are appended in this order.

    `identities`: (id, client id or b"") of each. `known`: the ids and client ids in the log; `halves`: the first halves
    of its client ids.
    """
    duplicates, conflicts = [], []
    new, new_halves = set[Hashable](), set[bytes]()
    for index, (identity, client) in enumerate(identities):
        names = (identity, client) if client else (identity,)
        if any(name in known or name in new for name in names):
            duplicates.append(index)
        elif client and (client[:HALF] in halves or client[:HALF] in new_halves):
            conflicts.append(index)
        else:
            new.update(names)
            if client:
                new_halves.add(client[:HALF])
    return duplicates, conflicts
