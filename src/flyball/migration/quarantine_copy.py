"""Copies the lines in quarantine, with their ids and states."""

from hashlib import blake2b

import msgspec

from flyball.core import Refused
from flyball.events import Quarantine, RestorableQuarantine, open_quarantine

AT_ONCE = 5_000
_LAST_ID = (1 << 62) - 1
_encode = msgspec.msgpack.Encoder().encode


def copy_quarantine(source_url: str, target_url: str) -> tuple[int, str]:
    """Make the entries of the target those of the source, page by page; returns their number and digest."""
    source, target = open_quarantine(source_url), open_quarantine(target_url)
    if not isinstance(target, RestorableQuarantine):
        raise Refused(
            f"quarantine must be in a store that outlives a process to be copied to, got {target_url}: name another"
        )
    try:
        return _copy(source, target)
    finally:
        source.close()
        target.close()


def _copy(source: Quarantine, target: RestorableQuarantine) -> tuple[int, str]:
    after, count, digest = 0, 0, blake2b(digest_size=16)
    while True:
        entries = source.list(state=None, after=after, limit=AT_ONCE)
        until = entries[-1].id if len(entries) == AT_ONCE else _LAST_ID
        there = target.list(state=None, after=after, limit=AT_ONCE + 1)  # type: ignore[attr-defined]
        if [entry for entry in there if entry.id <= until] != entries:
            target.restore(after, until, entries)
        for entry in entries:
            digest.update(_encode(entry))
        count, after = count + len(entries), until
        if until == _LAST_ID:
            return count, digest.hexdigest()
