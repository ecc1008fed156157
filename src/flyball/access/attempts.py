"""Bounds how many keys are verified slowly: by the id that a key names and by the address that sends it.

After some failures an id or an address is over its limit, whether a key with this id exists or not. Ids are public
where pages hold keys, so an id over its limit still has turns, of two kinds: for addresses that did not fail lately,
and for a text that comes back as late as it was asked to, which a guess that is new each time never does.
"""

from collections.abc import Hashable
from typing import TypeVar

from flyball.core import TooManyAttempts
from flyball.limits import network_of

FAILURES, FAILURES_US = 5, 10_000_000
"""So many failed attempts of one address, or on one id, within so long."""
TURN_US = 500_000
"""An id over its limit has a turn of each kind so often."""
RETRY_US = 1_000_000
"""How long a text that was not computed must wait; when it comes back so late or later, it has turns of its own."""

_MAX_COUNTED, _WAITING = 4_096, 8_192
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Attempts:
    """Counts failures. An `address` of "" is unknown, and has no limit of its own."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str | bytes], tuple[int, int]] = {}
        self._turns: dict[tuple[str, str], int] = {}
        self._waiting: dict[int, tuple[bytes, int]] = {}

    def check(self, key_id: str, address: str, digest: bytes, now_us: int) -> None:
        """Raise `TooManyAttempts` for a text, of this `digest`, that is not computed now."""
        is_clean = not (address and self._is_over("address", network_of(address), now_us))
        if is_clean and not self._is_over("id", key_id, now_us):
            return
        if is_clean and self._takes_turn(key_id, "clean", now_us):
            return
        if self._came_back(digest, now_us) and self._takes_turn(key_id, "came back", now_us):
            return
        raise TooManyAttempts(RETRY_US // 1_000_000)

    def failed(self, key_id: str, address: str, now_us: int) -> None:
        """A text with this id was wrong."""
        counted: list[tuple[str, str | bytes]] = [("id", key_id)]
        if address:
            counted.append(("address", network_of(address)))
        for about in counted:
            count, since_us = self._failures.get(about, (0, now_us))
            is_old = now_us - since_us >= FAILURES_US
            keep_bounded(self._failures, about, (1, now_us) if is_old else (count + 1, since_us), _MAX_COUNTED)

    def _is_over(self, kind: str, name: str | bytes, now_us: int) -> bool:
        count, since_us = self._failures.get((kind, name), (0, 0))
        return count >= FAILURES and now_us < since_us + FAILURES_US

    def _takes_turn(self, key_id: str, kind: str, now_us: int) -> bool:
        if now_us < self._turns.get((key_id, kind), now_us):
            return False
        keep_bounded(self._turns, (key_id, kind), now_us + TURN_US, _MAX_COUNTED)
        return True

    def _came_back(self, digest: bytes, now_us: int) -> bool:
        """Whether the text was here before and waited since; notes it. A flood of texts forgets few at a time: each
        replaces that of its slot."""
        slot = int.from_bytes(digest[:4]) % _WAITING
        known, since_us = self._waiting.get(slot, (b"", now_us))
        if known != digest:
            self._waiting[slot] = (digest, now_us)
            return False
        return now_us - since_us >= RETRY_US


def keep_bounded(kept: dict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    """Keep the value, and of other keys the `most` - 1 that were added last; two threads may do so."""
    if key not in kept and len(kept) >= most:
        kept.pop(list(kept)[0], None)  # noqa: RUF015 - an iterator fails where the other thread adds a key
    kept[key] = value
