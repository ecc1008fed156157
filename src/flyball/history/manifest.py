"""The manifest of the history: its Parquet parts and the log offsets they reach, in one file that is replaced
atomically.
"""

from pathlib import Path

import msgspec

from flyball.core import ArtifactCorrupt, Refused
from flyball.events import Offsets, WrittenType
from flyball.files import ABSENT, FileStore, files_in

_NAME = "manifest.json"

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

    `written`: the declarations that the records were written with, oldest first. `removals`: how often rows were
    removed, a token by which a writer knows that what it read before is out of date.
    """

    offsets: Offsets = ()
    serial: int = 0
    parts: tuple[Part, ...] = ()
    retired: tuple[str, ...] = ()
    written: tuple[WrittenType, ...] = ()
    format: int = FORMAT
    removals: int = 0


def read_manifest(location: Path | FileStore) -> Manifest:
    """The manifest of the history there, empty when there is none. Raises `Refused` for another format."""
    return tagged_manifest(files_in(location))[0]


def tagged_manifest(files: FileStore) -> tuple[Manifest, str]:
    """The manifest as `read_manifest`, and the tag that replaces it."""
    stored = files.read(_NAME)
    if stored is None:
        return Manifest(), ABSENT
    where, content = f"{files.where}/{_NAME}", stored.content
    try:
        number = msgspec.json.decode(content, type=_Format).format
        if number != FORMAT:
            raise Refused(
                f"{where} must be of format {FORMAT}, got {number}: another version of flyball wrote it; delete the "
                "folder, it is rebuilt from the log"
            )
        return msgspec.json.decode(content, type=Manifest), stored.tag
    except msgspec.DecodeError:
        got = f"{len(content):,} bytes that begin with {content[:20]!r}" if content else "an empty file"
        raise ArtifactCorrupt(where, "a manifest in JSON that lists the files", got) from None


class _Format(msgspec.Struct):
    format: int = 1


def write_manifest(files: FileStore, manifest: Manifest, tag: str) -> None:
    """Replace the manifest that has `tag`; raises `StoreUnavailable` where another writer was first."""
    files.write(_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1), tag)
