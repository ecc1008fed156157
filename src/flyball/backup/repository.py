"""A place for backups: chunks by their SHA-256, and a manifest for each backup, which is written last."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from flyball.backup.location_lock import lock_location
from flyball.backup.manifest import BackedUpFile, BackupManifest, broken, read_manifest
from flyball.core import FlyballError, NotFound, Refused, StoreUnavailable
from flyball.files import FileStore, files_in, open_files

CHUNK_BYTES = 4 << 20
"""Databases change in a few places, mostly at their end: a chunk is stored again when a byte of it has changed."""
_CHUNKS, _MANIFESTS, _DAMAGED = "chunks/", "backups/", "damaged/"
_RENEWED_AFTER = 256
"""Chunks between two renewals of the lock: a gigabyte, which takes less than a day."""

OnStep = Callable[[str], object]


class BackupRepository:
    """Backups of any number of homes in one store of files. A chunk that several of them hold is stored once."""

    def __init__(self, files: FileStore, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._files, self.chunk_bytes = files, chunk_bytes
        self.where = files.where
        self._sizes: dict[str, int] = {}
        self._trusted: set[str] = set()
        self._renew: Callable[[], None] = lambda: None

    @contextmanager
    def storing(self) -> Iterator[None]:
        """See which chunks are there, and let nobody delete any until a backup of them is committed.

        Several backups may be stored at once; raises `HomeBusy` while one is deleted.
        """
        with lock_location(self._files, "flyball backup", alone=False) as self._renew:
            self._sizes, self._trusted = self._stored_sizes(), set()
            yield

    def _stored_sizes(self) -> dict[str, int]:
        return {info.name: info.size for info in self._files.names(_CHUNKS)}

    def ids(self) -> list[str]:
        """The ids of all backups, by application and time, whether their manifests can be read or not."""
        names = [info.name for info in self._files.names(_MANIFESTS) if info.name.endswith(".json")]
        return [name.removeprefix(_MANIFESTS).removesuffix(".json") for name in names]

    def check_id(self, id: str) -> None:
        """Raise `NotFound` unless there is a backup of this id."""
        if id not in self.ids():
            raise NotFound("backup", id, self.ids())

    def backups(self) -> list[BackupManifest]:
        """All backups, the earliest first; raises `Refused` for a manifest that was changed."""
        names = [f"{_MANIFESTS}{id}.json" for id in self.ids()]
        manifests = [manifest for name in names if (manifest := self._manifest(name)) is not None]
        return sorted(manifests, key=lambda manifest: (manifest.at_us, manifest.id))

    def backup(self, id: str | None = None, app: str | None = None) -> BackupManifest:
        """The backup of this id, or the latest one (of an application); raises `NotFound`."""
        if id is not None:
            manifest = self._manifest(f"{_MANIFESTS}{id}.json")
            if manifest is None:
                raise NotFound("backup", id, self.ids())
            return manifest
        backups = [manifest for manifest in self.backups() if app in (None, manifest.app)]
        if not backups:
            raise NotFound("backup in", self.where, next_step="flyball backup APP --to makes one")
        others = sorted({manifest.app for manifest in backups})
        if len(others) > 1:
            raise Refused(
                f"the backup in {self.where} must be named, got those of {', '.join(others)}: name one by --id"
            )
        return backups[-1]

    def store(self, name: str, path: Path, on_step: OnStep) -> tuple[BackedUpFile, int]:
        """Store a file's chunks that are not there; returns the file, and how many bytes were new.

        In a folder each chunk that is there is read and written again where it is damaged. Of an object store, which
        keeps checksums itself, the size is compared, and `verify` moves away what is damaged all the same.
        """
        of_file, chunks, size, new = hashlib.sha256(), list[str](), 0, 0
        with path.open("rb") as file:
            for chunk in iter(partial(file.read, self.chunk_bytes), b""):
                of_file.update(chunk)
                digest = hashlib.sha256(chunk).hexdigest()
                if not self._has(digest, chunk):
                    self._files.write(_chunk_name(digest), chunk)
                    self._read(digest, name)
                    self._sizes[_chunk_name(digest)] = len(chunk)
                    self._trust(digest)
                    new += len(chunk)
                    on_step(f"storing {name}: {size + len(chunk):,} bytes")
                chunks.append(digest)
                size += len(chunk)
        return BackedUpFile(name, size, of_file.hexdigest(), tuple(chunks)), new

    def _has(self, digest: str, chunk: bytes) -> bool:
        if digest in self._trusted:
            return True
        if self._sizes.get(_chunk_name(digest)) != len(chunk):
            return False
        if not self._files.is_shared:
            stored = self._files.read(_chunk_name(digest))
            if stored is None or stored.content != chunk:
                return False
        self._trust(digest)
        return True

    def _trust(self, digest: str) -> None:
        self._trusted.add(digest)
        if len(self._trusted) % _RENEWED_AFTER == 0:
            self._renew()

    def commit(self, manifest: BackupManifest) -> None:
        """Write the manifest, by which the backup is there; raises `StoreUnavailable` unless all its chunks are."""
        sizes = self._stored_sizes()
        for file in manifest.files:
            for index, digest in enumerate(file.chunks):
                size = min(manifest.chunk_bytes, file.size - index * manifest.chunk_bytes)
                got = sizes.get(_chunk_name(digest))
                if got != size:
                    where = f"chunk {digest[:16]} of {file.name} in {self.where}"
                    state = "none" if got is None else f"{got:,}"
                    raise StoreUnavailable(
                        f"{where} must be there with {size:,} bytes, got {state}: it was removed while the backup was "
                        "made, which is not listed: run flyball backup again"
                    )
        self._files.write(f"{_MANIFESTS}{manifest.id}.json", msgspec.json.format(msgspec.json.encode(manifest)))

    def content(self, file: BackedUpFile) -> Iterator[bytes]:
        """The verified chunks of a file; raises `Refused` for one that is missing or has another content."""
        of_file = hashlib.sha256()
        for digest in file.chunks:
            content = self._read(digest, file.name)
            of_file.update(content)
            yield content
        if of_file.hexdigest() != file.sha256:
            raise self._other_file(file, of_file.hexdigest())

    def verify(self, manifest: BackupManifest, on_step: OnStep = lambda words: None) -> None:
        """Read all of a backup; raises `Refused` with the first file that is not as it was, and how many more are.

        A damaged chunk is moved away, so that the next backup stores it again.
        """
        faults = []
        for file in manifest.files:
            faults += self._faults(file)
            on_step(f"verified {file.name}")
        if faults:
            more = f" (and {len(faults) - 1:,} more in {manifest.id})" if len(faults) > 1 else ""
            raise Refused(f"{faults[0]}{more}")

    def _faults(self, file: BackedUpFile) -> list[str]:
        faults, of_file = [], hashlib.sha256()
        for digest in file.chunks:
            try:
                of_file.update(self._read(digest, file.name))
            except Refused as error:
                faults.append(f"{error}{self._set_aside(digest)}")
        if not faults and of_file.hexdigest() != file.sha256:
            faults.append(str(self._other_file(file, of_file.hexdigest())))
        return faults

    def _set_aside(self, digest: str) -> str:
        """Move a damaged chunk away; returns what has become of it, in words."""
        try:
            with lock_location(self._files, "flyball backup verify", alone=True):
                stored = self._files.read(_chunk_name(digest))
                if stored is None or hashlib.sha256(stored.content).hexdigest() == digest:
                    return ""
                self._files.write(f"{_DAMAGED}{digest}", stored.content)
                self._files.write(_chunk_name(digest), None)
        except (FlyballError, OSError) as error:
            return f"; the chunk could not be moved away: {error}"
        return f"; the chunk was moved to {_DAMAGED}"

    def _other_file(self, file: BackedUpFile, got: str) -> Refused:
        return broken(f"{file.name} in {self.where}", f"of SHA-256 {file.sha256[:16]}", got[:16])

    def delete(self, id: str) -> int:
        """Delete a backup, and the chunks that no other one holds; returns how many bytes these had.

        Its own manifest may be damaged. Raises `HomeBusy` while a backup is stored here, which may use any chunk.
        """
        with lock_location(self._files, f"flyball backup delete {id}", alone=True) as renew:
            self.check_id(id)
            others = [self.backup(other) for other in self.ids() if other != id]
            self._files.write(f"{_MANIFESTS}{id}.json", None)
            needed = {_chunk_name(chunk) for other in others for chunk in other.chunks}
            unused = {name: size for name, size in self._stored_sizes().items() if name not in needed}
            for index, name in enumerate(unused):
                self._files.write(name, None)
                if index % _RENEWED_AFTER == _RENEWED_AFTER - 1:
                    renew()
        return sum(unused.values())

    def _read(self, digest: str, name: str) -> bytes:
        """The verified content of a chunk of the file `name`."""
        stored = self._files.read(_chunk_name(digest))
        where = f"chunk {digest[:16]} of {name} in {self.where}"
        if stored is None:
            raise broken(where, "there", "none")
        got = hashlib.sha256(stored.content).hexdigest()
        if got != digest:
            raise broken(where, f"of SHA-256 {digest[:16]}", got[:16])
        return stored.content

    def _manifest(self, name: str) -> BackupManifest | None:
        stored = self._files.read(name)
        return None if stored is None else read_manifest(f"{name} in {self.where}", stored.content)


def _chunk_name(digest: str) -> str:
    return f"{_CHUNKS}{digest[:2]}/{digest}"


def open_repository(location: str, cache: Path) -> BackupRepository:
    """The repository in a folder, or at the URL of a place in an object store."""
    return BackupRepository(
        open_files("backup", location, cache) if "://" in location else files_in(Path(location).absolute())
    )
