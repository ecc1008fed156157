"""Computes features of more events than fit in memory, by ranges of keys, in parallel processes that can restart."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, cast

import msgspec
import polars as pl

from flyball.compute import Compute, Needs, open_compute, run_tasks
from flyball.core import BadInput, ReportProgress
from flyball.events import Event
from flyball.features.declaration.aggregates import Aggregate, Ratio
from flyball.features.declaration.groups import Entity, Features, Group
from flyball.features.offline.point_in_time import point_in_time
from flyball.features.offline.sorted_events import read_range, sort_calls, sort_events, within, write_frame

BYTES_PER_EVENT = 200
"""The peak memory of the engine in bytes for each event, columns and sorted copies (95 to 203 for 7 columns)."""
FEWEST_PARTS_TO_SORT = 4
"""From so many parts of a group on, its events are ordered by key first: they are read and written once more, and not
as often as there are parts."""


class KeyRange(msgspec.Struct, frozen=True):
    """The rows and events of one group whose first key, as text, is in `[low, high)`; None for no limit."""

    group: int
    low: str | None
    high: str | None
    events: int


class BackfillPlan(msgspec.Struct, frozen=True):
    """The definitions, inputs and parts of a backfill; their hash is the name of its folder."""

    name: str
    rows: int
    parts: tuple[KeyRange, ...]


def backfill(
    groups: Sequence[Entity | Features | Group],
    events: Mapping[str, Sequence[Path]],
    rows: pl.DataFrame,
    out_folder: Path,
    *,
    memory_bytes: int = 2 << 30,
    workers: int = 1,
    apply_delay_us: int = 0,
    progress: ReportProgress | None = None,
    compute: Compute | None = None,
) -> pl.DataFrame:
    """`point_in_time` over Parquet files, with at most as many events in memory as `memory_bytes` allow.

    `events`: {type: its Parquet files}, with the columns of `point_in_time`. Each group is computed by ranges of its
    first key with about `memory_bytes / workers / 200` events each (the events of one key are never divided), in
    `workers` tasks side by side; where there are several ranges, the events are first ordered by key, into files of
    `out_folder`, so that a task reads its range only. Every part is a file of `out_folder`. A backfill of the same
    definitions, events and rows continues where it was stopped; any other one starts again. `compute`: where the tasks
    run, by default processes of this machine; it reads and writes the same paths. Returns `rows` with the features;
    rows and result are in memory.
    """
    if memory_bytes < 1 << 20 or workers < 1:
        raise BadInput("memory_bytes, workers", "at least 1 MiB and 1", (memory_bytes, workers))
    bound = [group if isinstance(group, Group) else group.features for group in groups]
    files = {name: [str(path) for path in paths] for name, paths in events.items()}
    most_events = max(memory_bytes // workers // BYTES_PER_EVENT, 1)
    plan = plan_backfill(bound, files, rows, most_events, apply_delay_us)
    folder = out_folder / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    rows_path = folder / "rows.parquet"
    if not rows_path.exists():
        write_frame(rows.with_row_index("_row"), rows_path)
    paths = [folder / f"part-{number:05}.parquet" for number in range(len(plan.parts))]
    waiting = [number for number, path in enumerate(paths) if not path.exists()]
    done = len(paths) - len(waiting)
    run = _Run(compute or open_compute("processes://", workers), Needs(memory_bytes=memory_bytes // workers))
    by_key = _sorted(run, plan, bound, files, folder, most_events) if waiting else {}
    calls = [
        _Call(
            _portable(bound[part.group]), part, files, by_key.get(part.group, {}), str(rows_path), str(path), delay_us
        )
        for part, path, delay_us in ((plan.parts[n], paths[n], apply_delay_us) for n in waiting)
    ]
    for _ in run.all(_compute, calls):
        done += 1
        if progress is not None:
            progress(done, len(paths))
    return _together(plan, bound, rows, paths)


class _Run(msgspec.Struct, frozen=True):
    """Where the tasks of a backfill run, and what each needs."""

    compute: Compute
    needs: Needs

    def all(self, work: Callable[[Any], int], calls: Sequence[Any]) -> Iterator[int]:
        """The results as they come; raises the first error."""
        for _, result in run_tasks(self.compute, work, [(call,) for call in calls], self.needs):
            if isinstance(result, Exception):
                raise result
            yield result


def _sorted(
    run: _Run,
    plan: BackfillPlan,
    groups: Sequence[Group],
    files: Mapping[str, Sequence[str]],
    folder: Path,
    most_events: int,
) -> dict[int, dict[str, list[str]]]:
    """{group: {type: its files ordered by key}} of groups with several parts, of types that have the key once."""
    by_key: dict[int, dict[str, list[str]]] = {}
    calls = []
    for number, group in enumerate(groups):
        if sum(part.group == number for part in plan.parts) < FEWEST_PARTS_TO_SORT:
            continue
        for event in group.event_types:
            name, fields = event.__name__.lower(), _key_fields(group, event)
            if files.get(name) and len(fields) == 1:
                into = folder / f"group-{number}" / name
                sorting = sort_calls(list(files[name]), fields[0], into, most_events)
                by_key.setdefault(number, {})[name] = [call.out for call in sorting]
                calls += [call for call in sorting if not Path(call.out).exists()]
    for _ in run.all(sort_events, calls):
        pass
    return by_key


def _key_fields(group: Group, event: type[Event]) -> list[str]:
    """The fields of an event that hold the first key of the group."""
    fields = {
        fields[0] for definition in group.definitions for used, fields in definition.aggregates if used.event is event
    }
    return sorted(fields)


def plan_backfill(
    groups: Sequence[Group], files: Mapping[str, Sequence[str]], rows: pl.DataFrame, most_events: int, delay_us: int
) -> BackfillPlan:
    """Ranges of keys with at most `most_events` events each, or more for a range of one key."""
    parts: list[KeyRange] = []
    for number, group in enumerate(groups):
        query_rows = rows.select(key=pl.col(group.keys[0]).cast(pl.String)).drop_nulls().unique()
        parts += _ranges(number, _events_by_key(group, files, query_rows), most_events)
    numbered = rows.with_row_index("_row").select(pl.struct(pl.all()).hash(1))
    content = msgspec.json.encode(
        {
            "definitions": [[definition.name, definition.hash] for group in groups for definition in group.definitions],
            "files": {name: [_file(path) for path in files[name]] for name in sorted(files)},
            "rows": [rows.columns, rows.height, numbered.to_series().sum()],
            "events": most_events,
            "delay": delay_us,
            "parts": parts,
        }
    )
    return BackfillPlan(hashlib.sha256(content).hexdigest()[:16], rows.height, tuple(parts))


def _file(path: str) -> tuple[str, int, int]:
    status = Path(path).stat()
    return path, status.st_size, status.st_mtime_ns


def _events_by_key(group: Group, files: Mapping[str, Sequence[str]], query_rows: pl.DataFrame) -> pl.DataFrame:
    """(key, events): the number of events of each key of the query rows, ordered by the text of the key."""
    counts = [query_rows.select("key", events=pl.lit(0, pl.Int64))]
    read = {
        (part.event.__name__.lower(), fields[0])
        for definition in group.definitions
        for part, fields in definition.aggregates
    }
    for name, field in sorted(read):
        if files.get(name):
            by_key = pl.scan_parquet(list(files[name])).group_by(pl.col(field).alias("key")).agg(events=pl.len())
            named = by_key.with_columns(pl.col("key").cast(pl.String), pl.col("events").cast(pl.Int64))
            counts.append(named.join(query_rows.lazy(), on="key", how="semi").collect(engine="streaming"))
    return pl.concat(counts).group_by("key").agg(pl.col("events").sum()).sort("key")


def _ranges(group: int, counts: pl.DataFrame, most_events: int) -> list[KeyRange]:
    ranges: list[KeyRange] = []
    low, size = None, 0
    for key, events in counts.iter_rows():
        if size and size + events > most_events:
            ranges.append(KeyRange(group, low, key, size))
            low, size = key, 0
        size += events
    return [*ranges, KeyRange(group, low, None, size)]


class _NamedEvent:
    """Stands for an event type in another process, which may be unable to import it."""

    def __init__(self, event: type[Event]) -> None:
        self.__name__, self.__struct_fields__ = event.__name__, event.__struct_fields__


def _portable(group: Group) -> Group:
    """The group with its event types replaced by names and fields, which are enough to compute features."""
    named = {event: cast("type[Event]", _NamedEvent(event)) for event in group.event_types}

    def part(feature: Aggregate) -> Aggregate:
        return msgspec.structs.replace(feature, event=named[feature.event])

    definitions = []
    for definition in group.definitions:
        feature = definition.feature
        moved = Ratio(part(feature.top), part(feature.bottom)) if isinstance(feature, Ratio) else part(feature)
        definitions.append(msgspec.structs.replace(definition, feature=moved))
    return msgspec.structs.replace(group, definitions=tuple(definitions))


class _Call(msgspec.Struct, frozen=True):
    group: Group
    part: KeyRange
    files: dict[str, list[str]]
    by_key: dict[str, list[str]]
    rows: str
    out: str
    apply_delay_us: int


def _compute(call: _Call) -> int:
    """Compute one part in this process and write its file; returns its number of rows."""
    group, part = call.group, call.part
    rows = pl.scan_parquet(call.rows).filter(within(group.keys[0], part.low, part.high)).collect()
    frames = {}
    for event in group.event_types:
        name = event.__name__.lower()
        if call.by_key.get(name):
            frames[name] = read_range(call.by_key[name], part.low, part.high)
        elif call.files.get(name):
            in_range = [within(field, part.low, part.high) for field in _key_fields(group, event)]
            frames[name] = pl.scan_parquet(call.files[name]).filter(reduce(lambda a, b: a | b, in_range)).collect()
    kept = ["_row", "at", *group.keys, *(["offsets"] if "offsets" in rows.columns else [])]
    computed = point_in_time([group], frames, rows.select(kept), apply_delay_us=call.apply_delay_us)
    write_frame(computed.select("_row", *(definition.name for definition in group.definitions)), Path(call.out))
    return rows.height


def _together(plan: BackfillPlan, groups: Sequence[Group], rows: pl.DataFrame, paths: Sequence[Path]) -> pl.DataFrame:
    result = rows
    for number in range(len(groups)):
        group_parts = [
            pl.read_parquet(path) for path, part in zip(paths, plan.parts, strict=True) if part.group == number
        ]
        frame = pl.concat(group_parts, how="vertical_relaxed").sort("_row")
        result = result.hstack(frame.drop("_row").get_columns())
    return result
