"""Which Parquet parts make up the history, and the log offsets they reach: one file, replaced as a whole."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from flyball.core import ArtifactCorrupt, Refused, write_atomic
from flyball.events import Offsets, WrittenType

FORMAT = 2
"""Of the manifest: 1 did not say what parts were written with."""


class Part(msgspec.Struct, frozen=True):
    """One Parquet file, by its path inside the history folder, with the ranges that let a reader pass it by.

    `schema`: the fingerprint of the declaration its columns follow; 0 for records kept as they lie in the log.
    """

    type: str
    path: str
    rows: int
    first_at_us: int
    last_at_us: int
    first_known_us: int
    last_known_us: int
    schema: int = 0


class Manifest(msgspec.Struct, frozen=True):
    """`parts` hold exactly the records before `offsets`. `retired`: parts merged into others, kept for slow readers.

    `written`: the declarations in use in the log by then, oldest first.
    """

    offsets: Offsets = ()
    serial: int = 0
    parts: tuple[Part, ...] = ()
    retired: tuple[str, ...] = ()
    written: tuple[WrittenType, ...] = ()
    format: int = FORMAT


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the history in `folder`; the empty one while there is none. Another format is `Refused`."""
    path = folder / "manifest.json"
    try:
        content = path.read_bytes()
        number = msgspec.json.decode(content, type=_Format).format
        if number != FORMAT:
            raise Refused(
                f"{path} must be of format {FORMAT}, got {number}: another version of flyball wrote it; delete the "
                "folder, it is rebuilt from the log"
            )
        return msgspec.json.decode(content, type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except msgspec.DecodeError as error:
        raise ArtifactCorrupt(str(path), "the JSON of a manifest", str(error)) from None


class _Format(msgspec.Struct):
    format: int = 1


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
