"""Exposure: the items shown to each user, with their positions."""

from collections.abc import Collection

import msgspec

from flyball.events import EventLog
from flyball.outcomes.prediction import records_between


class _Items(msgspec.Struct, frozen=True, array_like=True):
    """The first fields of a stored prediction; the following fields are not decoded."""

    format: int
    id: str
    items: list[str]


_decode = msgspec.msgpack.Decoder(_Items).decode


def shown_items(log: EventLog, users: Collection[str], from_us: int, until_us: int) -> dict[str, dict[str, int]]:
    """{user: {item: best position}} of the items in responses in `[from_us, until_us)`, for `users` with any response.

    Positions start at 0.
    """
    return exposure_of(log, users, from_us, until_us)[0]


def exposure_of(
    log: EventLog, users: Collection[str], from_us: int, until_us: int
) -> tuple[dict[str, dict[str, int]], dict[str, list[int]]]:
    """(`shown_items`, {user: the times of the user's responses, in microseconds})."""
    keys, positions, times = frozenset(users), dict[str, dict[str, int]](), dict[str, list[int]]()
    for record in records_between(log, from_us, until_us):
        if record.key in keys:
            times.setdefault(record.key, []).append(record.at)
            best = positions.setdefault(record.key, {})
            for position, item in enumerate(_decode(record.body).items):
                best[item] = min(position, best.get(item, position))
    return positions, times
