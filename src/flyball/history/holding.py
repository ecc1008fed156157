"""The history of some types as it is now, held in a folder while the history itself goes on and is merged."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flyball.core import NotFound, StoreUnavailable, write_atomic
from flyball.events import EventType
from flyball.history.columns import column_types, fitted
from flyball.history.manifest import Part, read_manifest
from flyball.history.reader import History

_TRIES = 5


def hold_events(history: History, names: Sequence[str], folder: Path) -> dict[str, list[Path]]:
    """{type: its Parquet files in `folder`}, all with the columns the type has now; once filled, it stays as it is.

    Nothing is copied where the file system knows links, but parts from before a field was added. One part is held in
    memory at a time, but the whole of a joined type. Raises `NotFound` for a type that is not declared.
    """
    for name in names:
        if name not in history.schema.types and name not in history.schema.joined:
            raise NotFound("event type", name, (*history.schema.types, *history.schema.joined))
    listed = folder / "events.json"
    for _ in range(_TRIES):
        if listed.exists():
            held = msgspec.json.decode(listed.read_bytes(), type=dict[str, list[str]])
            return {name: [folder / path for path in paths] for name, paths in held.items()}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            held = {name: _held(history, name, folder) for name in names}
        except FileNotFoundError:  # merged into another part meanwhile
            continue
        write_atomic(listed, msgspec.json.encode(held))
    raise StoreUnavailable(f"history in {history.folder} must be readable between two merges, got {_TRIES} in a row")


def _held(history: History, name: str, folder: Path) -> list[str]:
    if name in history.schema.joined:
        path = f"{name}.parquet"
        history.events(name).write_parquet(folder / path)
        return [path]
    parts = [part for part in read_manifest(history.folder).parts if part.type == name]
    found = []
    for number, part in enumerate(parts):
        path = f"{name}-{number:05}.parquet"
        _hold(history, history.schema.types[name], part, folder / path)
        found.append(path)
    return found


def _hold(history: History, declared: EventType, part: Part, target: Path) -> None:
    import polars as pl

    source, wanted = history.folder / part.path, column_types(declared)
    if list(pl.read_parquet_schema(source).items()) != list(pl.Schema(wanted).items()):
        fitted(pl.read_parquet(source, memory_map=False), declared).select(list(wanted)).write_parquet(target)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
