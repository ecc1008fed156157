"""What a backup holds: every file of the home by its name, with the SHA-256 of the whole and of each of its chunks."""

import hashlib

import msgspec

from flyball.core import Refused

FORMAT = 1


class BackedUpFile(msgspec.Struct, frozen=True):
    """A file of the home. `chunks`: the SHA-256 of each, in order; the contents are stored under these names."""

    name: str
    size: int
    sha256: str
    chunks: tuple[str, ...]


class BackupManifest(msgspec.Struct, frozen=True):
    """One backup. `id`: its time and the beginning of the digest of all else, so that a changed manifest is seen.

    `home`: which it is of. `parts`: {part: digest of what was copied, compared with the home's}; `records`: {log: how
    many}. `chunk_bytes`: the size of all chunks of a file but the last.
    """

    id: str
    app: str
    home: str
    at_us: int
    records: dict[str, int]
    parts: dict[str, str]
    files: tuple[BackedUpFile, ...]
    chunk_bytes: int
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)

    @property
    def chunks(self) -> set[str]:
        """The SHA-256 of every chunk."""
        return {chunk for file in self.files for chunk in file.chunks}


def with_id(manifest: BackupManifest, prefix: str) -> BackupManifest:
    """The manifest with its id: `prefix` and the digest of what it says."""
    return msgspec.structs.replace(manifest, id=f"{prefix}-{_digest(manifest)}")


def read_manifest(where: str, content: bytes) -> BackupManifest:
    """The manifest in a file; raises `Refused` for one that was changed."""
    try:
        manifest = msgspec.json.decode(content, type=BackupManifest)
    except msgspec.DecodeError as error:
        raise broken(where, "the manifest of a backup", str(error)) from None
    if manifest.format != FORMAT:
        raise broken(where, f"of format {FORMAT}", manifest.format)
    expected = manifest.id.rpartition("-")[2]
    if _digest(manifest) != expected:
        raise broken(where, f"of digest {expected}", _digest(manifest))
    return manifest


def broken(where: str, must: str, got: object) -> Refused:
    """The error of a backup that is not as it was."""
    return Refused(
        f"{where} must be {must}, got {got}: this backup cannot be used; run flyball backup verify, which lists those "
        "that can and moves damaged chunks away, and name one of them, or make another"
    )


def _digest(manifest: BackupManifest) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(manifest, id=""))
    return hashlib.sha256(content).hexdigest()[:12]
