"""Stores of files by URL."""

from pathlib import Path

import msgspec

from flyball.core import load_backend, parse_url
from flyball.files.local import LocalFiles
from flyball.files.types import FileStore

_OBJECTS = "flyball.files.objects:ObjectFiles"

FILE_BACKENDS = {"file": "flyball.files.local:open_local", "s3": _OBJECTS, "gs": _OBJECTS, "az": _OBJECTS}


def open_files(kind: str, url: str, cache: Path, below: str = "") -> FileStore:
    """Open the store at `url`: `file:///path/history`, `s3://bucket/shop/history`, `gs://…` or `az://…`.

    `kind`: what it holds, for messages. `cache`: the folder of this machine's copies of files of an object store.
    `below`: the folder inside the store that is opened as one.
    """
    parsed = parse_url(url)
    if below:
        parsed = msgspec.structs.replace(parsed, path=f"{parsed.path.rstrip('/')}/{below}")
    files: FileStore = load_backend(kind, FILE_BACKENDS, parsed.scheme)(parsed, cache)
    return files


def files_in(location: Path | FileStore) -> FileStore:
    """A store of files as it is, or that in a folder."""
    return LocalFiles(location) if isinstance(location, Path) else location
