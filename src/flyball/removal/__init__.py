"""Removes events from a home and from everything that was derived from them.

Promises: after a removal all that is derived from the log is as if the events had never been in it, and no store of the
home holds a byte of them; answers go on meanwhile; a removal that was killed at any step is completed by the next run
of the same command; the record of it that stays names nobody.
"""

from flyball.removal.batches import plan_of_batch
from flyball.removal.people import Person, equal_ids, records_about
from flyball.removal.plan import RemovalPlan, begin_removal, plan_under_way
from flyball.removal.removal import Removal, RemovalReport
from flyball.removal.retention import OUTDATED
from flyball.removal.scheduled import apply_retention, due_removal, remove_artifacts_by_age
from flyball.removal.versions import SeenBy
from flyball.removal.words import id_pattern

__all__ = [
    "OUTDATED",
    "Person",
    "Removal",
    "RemovalPlan",
    "RemovalReport",
    "SeenBy",
    "apply_retention",
    "begin_removal",
    "due_removal",
    "equal_ids",
    "id_pattern",
    "plan_of_batch",
    "plan_under_way",
    "records_about",
    "remove_artifacts_by_age",
]
