"""Takes back a batch: the events that were ingested under its name, and its lines in quarantine."""

from flyball.core import NotFound
from flyball.events import batch_records, batches_in
from flyball.removal.plan import RecordOffsets, RemovalPlan, plan_under_way
from flyball.runtime import Runtime

UNDO = "ingest undo"


def plan_of_batch(runtime: Runtime, name: str, by: str, reason: str = "by hand") -> RemovalPlan:
    """What is to be removed of a batch; of one whose removal was interrupted, what was to be removed then.

    Raises `NotFound` where neither the log nor the quarantine holds something of it.
    """
    present = plan_under_way(runtime.layout)
    if present is not None and (present.action, present.subject) == (UNDO, name):
        return present
    batches = {batch.name: batch for batch in batches_in(runtime.log, runtime.quarantine)}
    if name not in batches:
        raise NotFound("batch", name, sorted(batches), next_step="flyball ingest batches APP lists those there are")
    offsets: RecordOffsets = {}
    for part, offset, _ in batch_records(runtime.log, name):
        offsets.setdefault(part, []).append(offset)
    return RemovalPlan(
        UNDO, name, by, reason, runtime.clock.now_us(), events=offsets, quarantined=batches[name].quarantined
    )
