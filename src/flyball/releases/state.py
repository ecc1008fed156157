"""What is released, and which version answers a user."""

from hashlib import blake2b

import msgspec

from flyball.registry import Registry

BUCKETS = 10_000


class Arm(msgspec.Struct, frozen=True):
    """A share of the users, in 1/10,000, who see `version`; `name` is what their answers are stamped with."""

    version: str
    name: str
    share: float


class ReleaseState(msgspec.Struct, frozen=True):
    """The router's state.

    `champion`: the version that serves, None before the first release. `previous`: the champion before it, where
    `rollback` goes; `trail` lists all earlier ones, oldest first. `arms`: further versions under release, each with
    its share of users; the champion answers the rest. `salt`: what users are hashed with; it changes with a new
    release and stays while one widens. `serial` rises by one with each change, so a poller compares one number.

    `arrangement`: the revision that responses are made by, 0 for what the application's file says;
    `arrangement_trail`: those before it, oldest first. `trail_arrangements`: beside `trail`, the revision that each
    earlier champion left with, which comes back with it.
    """

    champion: str | None = None
    previous: str | None = None
    changed_us: int = 0
    serial: int = 0
    arms: tuple[Arm, ...] = ()
    salt: str = ""
    trail: tuple[str, ...] = ()
    arrangement: int = 0
    arrangement_trail: tuple[int, ...] = ()
    trail_arrangements: tuple[int, ...] = ()


def arrangement_id(revision: int) -> str:
    """How a person names a revision.

    >>> arrangement_id(2), arrangement_id(0)
    ('a2', 'that of the file')
    """
    return f"a{revision}" if revision else "that of the file"


class Route(msgspec.Struct, frozen=True):
    """Which version answers ("" when none is released), as which arm, and with which probability that was so."""

    version: str
    arm: str
    propensity: float


NOTHING = ReleaseState()


def current(registry: Registry) -> ReleaseState:
    """The released state now; `ReleaseState()` before the first release. About 0.2 ms, imports no SQLAlchemy."""
    row = registry.released()
    if row is None:
        return NOTHING
    document = row.document | {"serial": row.serial, "changed_us": row.changed_us}
    return msgspec.convert(document, ReleaseState)


def route(state: ReleaseState, key: str) -> Route:
    """The version for requests with this key: the same one as long as the state's arms only widen.

    Arms take buckets from 0 upward in their order, so a first arm that widens keeps all of its users.

    >>> route(ReleaseState(champion="v1"), "42")
    Route(version='v1', arm='champion', propensity=1.0)
    """
    if state.champion is None:
        return Route("", "none", 1.0)
    if not state.arms:
        return Route(state.champion, "champion", 1.0)
    bucket, first = bucket_of(key, state.salt), 0
    for arm in state.arms:
        size = round(arm.share * BUCKETS)
        if first <= bucket < first + size:
            return Route(arm.version, arm.name, size / BUCKETS)
        first += size
    return Route(state.champion, "champion", (BUCKETS - first) / BUCKETS)


def level_of(state: ReleaseState, version: str) -> str:
    """The level of what `version` answers: "champion", "previous", or "chosen" for another under release."""
    if version == state.champion:
        return "champion"
    return "previous" if version == state.previous else "chosen"


def bucket_of(key: str, salt: str) -> int:
    """Which of the 10,000 buckets `key` falls into under `salt`; other salts give unrelated buckets."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest, "big") % BUCKETS
