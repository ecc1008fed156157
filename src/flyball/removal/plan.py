"""The plan of a removal: written before anything is removed, deleted when nothing is left to do.

It may name persons, so it can be read by its owner alone, and it is gone when the removal has ended.
"""

import os
import shutil

import msgspec

from flyball.core import Refused
from flyball.home import HomeLayout
from flyball.removal.people import Person

RecordOffsets = dict[int, list[int]]
"""{partition: offsets} of records."""


class RemovalPlan(msgspec.Struct, frozen=True):
    """What is to be removed. `action`: what the audit trail calls it, such as "erase"; `subject`: what it is about
    there, which must name nobody; `by`, `reason`: who wanted it, and why.

    `people`: whose records are removed, wherever they are by the time of the removal. `events`, `predictions`: records
    at these offsets of the two logs. `quarantined`: the ids of lines in quarantine. `begun`: something may have been
    removed already.
    """

    action: str
    subject: str
    by: str
    reason: str
    at_us: int
    people: tuple[Person, ...] = ()
    events: RecordOffsets = {}
    predictions: RecordOffsets = {}
    quarantined: tuple[int, ...] = ()
    begun: bool = False
    snapshots: tuple[str, ...] = ()
    cleaned: dict[str, int] = {}
    unread: tuple[str, ...] = ()
    rows: dict[str, int] = {}

    @property
    def request(self) -> tuple[str, str, tuple[Person, ...]]:
        """What distinguishes it from other removals."""
        return self.action, self.subject, self.people

    @property
    def counts(self) -> dict[str, int]:
        """{store: how many records or lines of it are to be removed}."""
        return {
            "events": sum(map(len, self.events.values())),
            "predictions": sum(map(len, self.predictions.values())),
            "quarantine": len(self.quarantined),
            **self.cleaned,
        }

    def with_cleaned(self, **counts: int) -> "RemovalPlan":
        """The plan with so many more changed texts and files by place."""
        cleaned = {name: self.cleaned.get(name, 0) + count for name, count in counts.items()}
        return msgspec.structs.replace(self, cleaned={**self.cleaned, **cleaned})

    def with_found(self, other: "RemovalPlan") -> "RemovalPlan":
        """The plan with the records and lines of the other one, too."""
        return msgspec.structs.replace(
            self,
            events=_merged(self.events, other.events),
            predictions=_merged(self.predictions, other.predictions),
            quarantined=tuple(sorted({*self.quarantined, *other.quarantined})),
        )


def begin_removal(layout: HomeLayout, plan: RemovalPlan) -> None:
    """Note what is to be removed; one that was begun for the same is left as it is. Raises `Refused` while another
    removal is not complete."""
    present = plan_under_way(layout)
    if present is not None and present.request == plan.request:
        return
    if present is not None:
        raise Refused(
            f"a removal must be complete before the next, got one that was interrupted ({present.action} "
            f"{present.subject}): flyball erase APP --continue completes it"
        )
    write_plan(layout, plan)


def write_plan(layout: HomeLayout, plan: RemovalPlan) -> None:
    """Note the plan, as a whole, for its owner's eyes only."""
    layout.removal.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = layout.removal_plan.with_name(".plan.json.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(plan))
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, layout.removal_plan)


def plan_under_way(layout: HomeLayout) -> RemovalPlan | None:
    """The plan of the removal that is not complete; None without one."""
    try:
        return msgspec.json.decode(layout.removal_plan.read_bytes(), type=RemovalPlan)
    except FileNotFoundError:
        return None


def discard_plan(layout: HomeLayout) -> None:
    """Delete the plan: the removal is complete, or nothing of it was begun."""
    layout.removal_plan.unlink(missing_ok=True)
    shutil.rmtree(layout.removal, ignore_errors=True)


def _merged(positions: RecordOffsets, others: RecordOffsets) -> RecordOffsets:
    return {
        partition: sorted({*positions.get(partition, ()), *others.get(partition, ())})
        for partition in sorted({*positions, *others})
    }
