"""What was erased of a snapshot is counted from the audit trail, which names nobody."""

from pathlib import Path

from flyball.learning import ErasedSince, erased_since
from flyball.registry import AuditEntry, Registry, add_entry


def entry(action: str, people: int, snapshots: list[str], at_us: int) -> AuditEntry:
    after = {"removed": {"events": 3}, "people": people, "snapshots": snapshots}
    return AuditEntry(at_us=at_us, by="ann", action=action, subject="users", reason="", before={}, after=after)


def test_erasures_are_added_up_by_snapshot_and_other_removals_are_not(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    assert erased_since(registry) == {}
    for added in (
        entry("erase", 1, ["s1"], 10),
        entry("erase", 3, ["s1", "s2"], 20),
        entry("erase", 2, [], 30),
        entry("retention", 0, ["s3"], 40),
    ):
        add_entry(registry, added)
    assert erased_since(registry) == {"s1": ErasedSince(2, 4, 20), "s2": ErasedSince(1, 3, 20)}
    assert erased_since(registry)["s1"].words == "2 erasures of 4 persons at most"
