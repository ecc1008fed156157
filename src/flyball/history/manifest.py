"""Which Parquet parts make up the history, and the log offsets they reach: one file, replaced as a whole."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from flyball.core import ArtifactCorrupt, write_atomic
from flyball.events import Offsets


class Part(msgspec.Struct, frozen=True):
    """One Parquet file, by its path inside the history folder, with the ranges that let a reader pass it by."""

    type: str
    path: str
    rows: int
    first_at_us: int
    last_at_us: int
    first_known_us: int
    last_known_us: int


class Manifest(msgspec.Struct, frozen=True):
    """`parts` hold exactly the records before `offsets`. `retired`: parts merged into others, kept for slow readers."""

    offsets: Offsets = ()
    serial: int = 0
    parts: tuple[Part, ...] = ()
    retired: tuple[str, ...] = ()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the history in `folder`; the empty one while there is none."""
    path = folder / "manifest.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except msgspec.DecodeError as error:
        raise ArtifactCorrupt(str(path), "the JSON of a manifest", str(error)) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_atomic(folder / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=1))


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Waits until no other process or thread changes the history; freed by the system when its holder dies."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
