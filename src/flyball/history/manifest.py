"""The manifest of the history: its Parquet parts and the log offsets they reach, in one file that is replaced
atomically.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from flyball.core import ArtifactCorrupt, Refused, write_atomic
from flyball.events import Offsets, WrittenType

FORMAT = 2
"""The format of the manifest. Format 1 did not store the declarations of parts."""


class Part(msgspec.Struct, frozen=True):
    """One Parquet file: its path inside the history folder, and the ranges by which a reader may skip it.

    `schema`: the fingerprint of the declaration that its columns follow; 0 for records stored as they are in the log.
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
    """`parts` hold exactly the records before `offsets`. `retired`: merged parts, kept for readers that still use them.

    `written`: the declarations that the records were written with, oldest first.
    """

    offsets: Offsets = ()
    serial: int = 0
    parts: tuple[Part, ...] = ()
    retired: tuple[str, ...] = ()
    written: tuple[WrittenType, ...] = ()
    format: int = FORMAT


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the history in `folder`, empty when there is none. Raises `Refused` for another format."""
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
    except msgspec.DecodeError:
        got = f"{len(content):,} bytes that begin with {content[:20]!r}" if content else "an empty file"
        raise ArtifactCorrupt(str(path), "a manifest in JSON that lists the files", got) from None


class _Format(msgspec.Struct):
    format: int = 1


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_atomic(folder / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=1))


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Hold the write lock of the history, waiting for it; the system releases it when the process dies."""
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
