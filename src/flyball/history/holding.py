"""Holds the present history of some types in a folder, unaffected by later writes and merges."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flyball.core import NotFound, StoreUnavailable, write_atomic
from flyball.events import Schema
from flyball.files import FileStore
from flyball.history.manifest import Part, read_manifest
from flyball.history.parts import declared_by, parts_of, read_part
from flyball.history.reader import History

_TRIES = 5


def hold_events(history: History, names: Sequence[str], folder: Path) -> dict[str, list[Path]]:
    """Fill `folder` once; returns {type: its Parquet files there}, all with the type's present columns.

    Parts are hard links where the file system has these, else copies; parts written with an earlier declaration are
    rewritten. One part is in memory at a time, of a joined type all rows. Raises `NotFound` for a type that is not
    declared.
    """
    for name in names:
        if name not in history.schema.types and name not in history.schema.joined:
            raise NotFound("event type", name, (*history.schema.types, *history.schema.joined))
    listed = folder / "events.json"
    for _ in range(_TRIES):
        if listed.exists():
            files_of = msgspec.json.decode(listed.read_bytes(), type=dict[str, list[str]])
            return {name: [folder / path for path in paths] for name, paths in files_of.items()}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            files_of = {name: _hold_type(history, name, folder) for name in names}
        except FileNotFoundError:  # the part was merged into another one meanwhile
            continue
        write_atomic(listed, msgspec.json.encode(files_of))
    raise StoreUnavailable(
        f"history in {history.files.where} must be readable between two merges, got {_TRIES} in a row: "
        "run the command again"
    )


def _hold_type(history: History, name: str, folder: Path) -> list[str]:
    if name in history.schema.joined:
        path = f"{name}.parquet"
        history.events(name).write_parquet(folder / path)
        return [path]
    manifest = read_manifest(history.files)
    schema = declared_by(manifest, history.schema)
    paths = []
    for number, part in enumerate(parts_of(manifest, schema, name)):
        path = f"{name}-{number:05}.parquet"
        _hold(history.files, schema, name, part, folder / path)
        paths.append(path)
    return paths


def _hold(files: FileStore, schema: Schema, name: str, part: Part, target: Path) -> None:
    source = files.local(part.path)
    if part.schema != schema.types[name].fingerprint:
        read_part(files, part, schema, name).write_parquet(target)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
