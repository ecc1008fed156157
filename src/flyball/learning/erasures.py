"""Which snapshots had rows of people who were erased since: counts alone, from the audit trail."""

import msgspec

from flyball.core import counted_units
from flyball.registry import Registry


class ErasedSince(msgspec.Struct, frozen=True):
    """What was erased of the rows of a snapshot after it was taken: in how many erasures, and of how many people at
    most, since an erasure of several may have had rows of some alone."""

    erasures: int
    people: int
    last_us: int

    @property
    def words(self) -> str:
        """It in words."""
        people = f" of {counted_units(self.people, 'person')} at most" if self.people else ""
        return f"{counted_units(self.erasures, 'erasure')}{people}"


def erased_since(registry: Registry) -> dict[str, ErasedSince]:
    """{snapshot: what was erased of it}, of those of which something was."""
    erased: dict[str, ErasedSince] = {}
    for entry in registry.audit():
        if entry.action != "erase":
            continue
        for snapshot in entry.after.get("snapshots", ()):
            before = erased.get(snapshot, ErasedSince(0, 0, 0))
            people = before.people + int(entry.after.get("people", 0))
            erased[snapshot] = ErasedSince(before.erasures + 1, people, max(before.last_us, entry.at_us))
    return erased
