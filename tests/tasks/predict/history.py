"""Pasts made by hand: events with the time they happened and the time they became known."""

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from flyball.events import Event, Schema, logged_types
from flyball.history import frame_of, with_joined
from flyball.learning.past import SnapshotPast
from flyball.tasks import Predict, ServingLag

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
START_US = 1_767_225_600_000_000


def past_of(
    task: Predict, events: Sequence[tuple[Event, int]], as_of_us: int, lag: ServingLag | None = None
) -> SnapshotPast:
    """What was known at `as_of_us` of `events`, each with the time it became known, in the order of the log."""
    about = task.about
    profiles = [entity.profile for entity in about.entities if entity.profile is not None]
    schema = Schema(tuple(dict.fromkeys((*logged_types(about.event_types), *about.event_types, *profiles))))
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in schema.types}
    for offset, (event, known_at) in enumerate(events):
        fields = msgspec.to_builtins(event, builtin_types=(bytes,))
        rows[type(event).__name__.lower()].append({**fields, "known_at": known_at, "partition": 0, "offset": offset})
    frames = {}
    for name, declared in schema.types.items():
        empty = frame_of(declared, [])
        frames[name] = pl.DataFrame(rows[name], schema={key: empty.schema[key] for key in _kept(empty, declared)})
    complete = with_joined(frames, [declared.cls for declared in schema.joined.values()])

    def read(name: str) -> pl.DataFrame:
        return complete[name].filter(pl.col("known_at") <= as_of_us)

    return SnapshotPast(read, as_of_us, lag or ServingLag())


def _kept(empty: pl.DataFrame, declared: Any) -> list[str]:
    own = [*declared.fields, "at", "known_at", "partition", "offset"]
    return [name for name in empty.columns if name in own]
