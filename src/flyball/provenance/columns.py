"""Reads the events before given offsets as frames: from the history as far as it goes, then from the log."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from flyball.core import StoreCorrupt, StoreUnavailable
from flyball.events import Offsets, Record, read_until
from flyball.history import frame_of, join_frames, sides_of
from flyball.runtime import Runtime

if TYPE_CHECKING:
    import polars

_BATCH = 20_000

LoggedRow = tuple[Record, int, int]
"""A record with its partition and offset."""

Keep = Callable[[str, "polars.DataFrame"], "polars.DataFrame"]
"""A filter: (event type, frame) → the rows to keep."""


def frames_before(
    runtime: Runtime,
    until: Offsets,
    types: Iterable[str],
    keep: Keep,
    since_us: Mapping[str, int] | None = None,
    from_log: bool = False,
) -> "dict[str, polars.DataFrame]":
    """{type: the log's events before `until` that `keep` keeps}; types without any are omitted.

    `since_us`: {type: the first timestamp that is needed}; parts of the history that end before it are not read. The
    history holds the same events as the log before its own offsets and is read about twenty times as fast; what the
    worker has not written to it yet is read from the log. With `from_log`, or when the history cannot be read,
    everything is read from the log: slower, with the same result.
    """
    if from_log:
        return _frames(runtime, until, list(types), keep, since_us or {}, from_history=False)
    try:
        return _frames(runtime, until, list(types), keep, since_us or {}, from_history=True)
    except (StoreUnavailable, StoreCorrupt, OSError):
        return _frames(runtime, until, list(types), keep, since_us or {}, from_history=False)


def _frames(
    runtime: Runtime, until: Offsets, names: list[str], keep: Keep, since_us: Mapping[str, int], from_history: bool
) -> "dict[str, polars.DataFrame]":
    import polars as pl

    ends = runtime.log.ends()
    goals = tuple(min(pair) for pair in zip(until + (0,) * (len(ends) - len(until)), ends, strict=True))
    reach = runtime.history.offsets() if from_history else ()
    reach = tuple(min(pair) for pair in zip(reach + (0,) * (len(ends) - len(reach)), goals, strict=False))
    frames: dict[str, polars.DataFrame] = {}
    for name in [name for name in names if name in runtime.schema.joined]:
        names.remove(name)
        frame = _joined(runtime, until, name, keep, from_history)
        if frame.height:
            frames[name] = frame
    tail = _tail(runtime, reach, goals, set(names))
    for name in names:
        parts = [_before(runtime.history.events(name, since_us.get(name)), reach)] if any(reach) else []
        if tail[name]:
            parts.append(frame_of(runtime.schema.types[name], tail[name]))
        kept = [frame for frame in (keep(name, part) for part in parts) if frame.height]
        if kept:
            frames[name] = pl.concat(kept)
    return frames


def _joined(runtime: Runtime, until: Offsets, name: str, keep: Keep, from_history: bool) -> "polars.DataFrame":
    """The rows of a joined type, made from all rows of its sides: either side may have the key, at any earlier
    offset."""
    event = runtime.schema.joined[name].cls
    sides = sides_of(event)
    frames = _frames(runtime, until, list(sides), everything, {}, from_history)
    empty = [frame_of(runtime.schema.types[side], []) for side in sides]
    first, second = (frames.get(side, nothing) for side, nothing in zip(sides, empty, strict=True))
    return keep(name, join_frames(event, first, second))


def _before(frame: "polars.DataFrame", reach: Offsets) -> "polars.DataFrame":
    import polars as pl

    within = [(pl.col("partition") == part) & (pl.col("offset") < end) for part, end in enumerate(reach)]
    return frame.filter(pl.any_horizontal(within))


def _tail(runtime: Runtime, after: Offsets, until: Offsets, types: set[str]) -> dict[str, list[LoggedRow]]:
    rows_of: dict[str, list[LoggedRow]] = {name: [] for name in types}
    for slices in read_until(runtime.log, after, until, _BATCH):
        for piece in slices:
            for offset, record in enumerate(piece.records, piece.first):
                if record.type in types:
                    rows_of[record.type].append((record, piece.partition, offset))
    return rows_of


def everything(name: str, frame: "polars.DataFrame") -> "polars.DataFrame":
    """A filter that keeps all rows."""
    return frame


def naming(
    keys_by_type: Mapping[str, Mapping[tuple[str, ...], Iterable[tuple[str, ...]]]],
    since_us: Mapping[tuple[str, tuple[str, ...]], int] | None = None,
) -> Keep:
    """A filter for the rows whose fields hold one of the keys, `keys_by_type` being {type: {fields: keys}}; may keep
    more.

    `since_us`: {(type, fields): the first timestamp that is needed}. Only integers and texts are compared, since the
    features compare keys themselves.
    """
    import polars as pl

    def keep(name: str, frame: pl.DataFrame) -> pl.DataFrame:
        tests = []
        for fields, keys in keys_by_type[name].items():
            plain = [
                index
                for index, field in enumerate(fields)
                if frame.schema[field] == pl.String or frame.schema[field].is_integer()
            ]
            among = [
                pl.col(fields[index]).cast(pl.String).is_in(sorted({key[index] for key in keys})) for index in plain
            ]
            since = (since_us or {}).get((name, fields))
            recent = [] if since is None else [pl.col("at") >= since]
            tests.append(pl.all_horizontal([pl.lit(True), *recent, *among]))
        return frame.filter(pl.any_horizontal(tests))

    return keep
