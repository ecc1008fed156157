"""Declared features computed again from the log, for the keys asked about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from flyball.core import Refused
from flyball.events import Offsets, Record, after_slices
from flyball.features import Group, Reading
from flyball.history import frame_of
from flyball.provenance.columns import frames_before, naming
from flyball.runtime import Runtime
from flyball.tasks import Asked, OfflineFeatures

if TYPE_CHECKING:
    import polars

_BATCH = 20_000

Keys = Mapping[str, Iterable[tuple[str, ...]]]
"""{group: keys}."""


class LogFeatures:
    """Reads features as an answer did that was made from the events before `offsets`."""

    def __init__(self, runtime: Runtime, offsets: Offsets) -> None:
        self._runtime, self._offsets = runtime, offsets

    def read(self, asked: Sequence[Asked], at_us: Sequence[int]) -> list[Reading]:
        """Raises `Refused` for an answer that is stamped with no offsets of features."""
        if not self._offsets:
            raise Refused("the answer must be stamped with the offsets of its features, got none")
        groups = self._runtime.app.task.feature_groups
        keys: dict[str, set[tuple[str, ...]]] = {}
        for one in asked:
            for name, wanted in one.items():
                keys.setdefault(name, set()).update(wanted)
        named = _wanted(groups, keys)
        frames = frames_before(self._runtime, self._offsets, named, naming(named))
        return OfflineFeatures(groups, frames, self._offsets).read(asked, at_us)


def events_about(runtime: Runtime, groups: Sequence[Group], keys: Keys) -> "dict[str, polars.DataFrame]":
    """{event type: the records of the log that features of these keys can read}, from the whole log."""
    wanted = _wanted(groups, keys)
    kept: dict[str, list[tuple[Record, int, int]]] = {name: [] for name in wanted}
    offsets: Offsets = (0,) * len(runtime.log.ends())
    while slices := runtime.log.read(offsets, _BATCH):
        for piece in slices:
            _keep(runtime, [(record, piece.partition, at) for at, record in enumerate(piece.records, piece.first)],
                  wanted, kept)  # fmt: skip
        offsets = after_slices(offsets, slices)
    return {name: frame_of(runtime.schema.types[name], rows) for name, rows in kept.items() if rows}


def _wanted(groups: Sequence[Group], keys: Keys) -> dict[str, dict[tuple[str, ...], set[tuple[str, ...]]]]:
    """{event type: {its fields that name a key: keys}}."""
    wanted: dict[str, dict[tuple[str, ...], set[tuple[str, ...]]]] = {}
    for group in groups:
        mine = {tuple(key) for key in keys.get(group.name, ())}
        for part, fields in (each for one in group.definitions for each in one.aggregates) if mine else ():
            wanted.setdefault(part.event.__name__.lower(), {}).setdefault(fields, set()).update(mine)
    return wanted


def _keep(
    runtime: Runtime,
    rows: Sequence[tuple[Record, int, int]],
    wanted: Mapping[str, Mapping[tuple[str, ...], set[tuple[str, ...]]]],
    kept: dict[str, list[tuple[Record, int, int]]],
) -> None:
    for name, by_fields in wanted.items():
        mine = [row for row in rows if row[0].type == name]
        if not mine:
            continue
        for row, event in zip(mine, runtime.schema.decode_many([record for record, _, _ in mine]), strict=True):
            if any(tuple(str(getattr(event, field)) for field in fields) in keys for fields, keys in by_fields.items()):
                kept[name].append(row)
