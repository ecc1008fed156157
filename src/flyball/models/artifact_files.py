"""Artifacts in a folder or in a store of files: found, published and removed by name."""

import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from flyball.files import FileStore, files_in, unfinished

_MANIFEST = "manifest.json"


def artifact_folder(location: Path | FileStore, name: str, files: Iterable[str]) -> Path:
    """The folder with an artifact's `files` on this machine, fetched where they are in an object store.

    A file that is nowhere is missing in the folder: `load_artifact` says so. Raises `StoreUnavailable`.
    """
    store = files_in(location)
    for file in files:
        with suppress(FileNotFoundError):
            store.local(f"{name}/{file}")
    return store.folder / name


def publish_artifact(location: Path | FileStore, name: str) -> None:
    """Copy an artifact that was written into the store's folder on this machine to the store, its manifest last."""
    store = files_in(location)
    if not store.is_shared:
        return
    paths = [path for path in sorted((store.folder / name).rglob("*")) if path.is_file()]
    for path in sorted(paths, key=lambda path: path == store.folder / name / _MANIFEST):
        store.write(path.relative_to(store.folder).as_posix(), path)


def has_artifact(location: Path | FileStore, name: str) -> bool:
    """Whether there is a complete artifact of that name."""
    store = files_in(location)
    return bool(store.names(f"{name}/{_MANIFEST}")) if store.is_shared else (store.folder / name).is_dir()


def remove_artifact(location: Path | FileStore, name: str) -> None:
    """Remove an artifact, here and in the store: its manifest first, so that what is left is no artifact."""
    store = files_in(location)
    if store.is_shared:
        for info in sorted(store.names(f"{name}/"), key=lambda info: info.name != f"{name}/{_MANIFEST}"):
            store.write(info.name, None)
    shutil.rmtree(store.folder / name, ignore_errors=store.is_shared)


def unregistered_artifacts(location: Path | FileStore, registered: Collection[str]) -> list[str]:
    """The names of artifacts, complete or not, that are not `registered`.

    Of a store that other machines write to, only those that were not written within its last day, see `unfinished`.
    """
    store = files_in(location)
    if not store.is_shared:
        names = [path.name for path in store.folder.iterdir()] if store.folder.is_dir() else []
        return sorted(name for name in names if name not in registered)
    infos = store.names()
    kept = [info.name for info in infos if _top(info.name) in registered]
    settled = {*unfinished(store, infos, kept)}
    in_use = {_top(info.name) for info in infos if info.name not in settled}
    return sorted({_top(name) for name in settled} - in_use)


def _top(name: str) -> str:
    return name.partition("/")[0]
