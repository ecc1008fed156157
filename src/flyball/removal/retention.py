"""Finds what is older than it is kept: events by their type, answers, and lines in quarantine."""

from collections.abc import Mapping

from flyball.events import EventLog, Quarantine, read_where
from flyball.removal.plan import RecordOffsets, RemovalPlan
from flyball.runtime import Runtime

PREDICTIONS = "predictions"
OUTDATED = "everything that is older than declared"
"""The subject of a removal by retention."""
_FIRST_US = -(1 << 62)
_PAGE = 5_000


def outdated(runtime: Runtime, by: str, now_us: int) -> RemovalPlan:
    """The plan of a removal of everything that is older than its retention at `now_us`; it may be of nothing."""
    kept = {name: now_us - length_us for name, length_us in runtime.app.retention.items()}
    answers = kept.pop(PREDICTIONS, None)
    # a line in quarantine is of any type: it goes when an event of any type would
    oldest = min(kept.values()) if kept.keys() >= set(runtime.app.schema.types) - _profiles(runtime) and kept else None
    return RemovalPlan(
        "retention",
        OUTDATED,
        by,
        "declared in the application",
        now_us,
        events=_older(runtime.log, kept) if kept else {},
        predictions={} if answers is None else _older(runtime.predictions, {"prediction": answers}),
        quarantined=() if oldest is None else _older_lines(runtime.quarantine, oldest),
    )


def _profiles(runtime: Runtime) -> set[str]:
    return {name for name, declared in runtime.app.schema.types.items() if declared.is_profile}


def _older(log: EventLog, before_us: Mapping[str, int]) -> RecordOffsets:
    """{partition: offsets} of the records of these types that happened before the time of their type."""
    positions: RecordOffsets = {}
    window = _FIRST_US, max(before_us.values())
    for partition, end in enumerate(log.ends()):
        for piece in read_where(log, partition, 0, end, dict.fromkeys(before_us, _FIRST_US), window):
            for offset, record in enumerate(piece.records, piece.first):
                if record.at < before_us.get(record.type, _FIRST_US):
                    positions.setdefault(partition, []).append(offset)
    return positions


def _older_lines(quarantine: Quarantine, before_us: int) -> tuple[int, ...]:
    ids, after = list[int](), 0
    while page := quarantine.list(state=None, after=after, limit=_PAGE):
        ids += [entry.id for entry in page if entry.at_us < before_us]
        after = page[-1].id
    return tuple(ids)
