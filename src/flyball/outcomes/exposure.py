"""Exposure: the items shown to each user, with their positions."""

from collections.abc import Collection

import msgspec

from flyball.events import EventLog
from flyball.outcomes.prediction import records_between


class _Items(msgspec.Struct, frozen=True, array_like=True):
    """The first fields of a prediction on disk; what follows them is not decoded."""

    format: int
    id: str
    items: list[str]


_decode = msgspec.msgpack.Decoder(_Items).decode


def shown_items(log: EventLog, users: Collection[str], from_us: int, until_us: int) -> dict[str, dict[str, int]]:
    """{user: {item: best position}} of what responses in `[from_us, until_us)` held, for those of `users` who had any.

    Positions count from 0.
    """
    return exposure_of(log, users, from_us, until_us)[0]


def exposure_of(
    log: EventLog, users: Collection[str], from_us: int, until_us: int
) -> tuple[dict[str, dict[str, int]], dict[str, list[int]]]:
    """(`shown_items`, {user: when they were answered})."""
    keys, positions, times = frozenset(users), dict[str, dict[str, int]](), dict[str, list[int]]()
    for record in records_between(log, from_us, until_us):
        if record.key in keys:
            times.setdefault(record.key, []).append(record.at)
            best = positions.setdefault(record.key, {})
            for position, item in enumerate(_decode(record.body).items):
                best[item] = min(position, best.get(item, position))
    return positions, times
