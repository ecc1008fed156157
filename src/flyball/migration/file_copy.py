"""Copies the files of a store: first those that are never replaced, then the manifests that name them."""

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

from flyball.core import Refused, sha256_file
from flyball.files import FileStore

MANIFESTS = ("manifest.json", "predictions/manifest.json")
"""The files of a history that are replaced when it grows."""

_TRIES = 20


class FileCopy:
    """The copy of `source` into `target`. `replaced`: the names of files that are replaced; all others never are."""

    def __init__(self, name: str, source: FileStore, target: FileStore, replaced: Collection[str] = ()) -> None:
        self.name, self._source, self._target, self._replaced = name, source, target, replaced
        self._verified: dict[str, str] = {}
        self.copied = 0

    def copy(self, on_step: Callable[[], object], prefix: str = "") -> None:
        """Copy and verify what the target lacks below `prefix`. A manifest that is there already is left, with its
        parts: what writes the target continues from it."""
        own = [name for name in self._replaced if self._target.read(name) is not None]
        left_out = tuple(name.replace("manifest.json", "parts/") for name in own)
        for _ in range(_TRIES):
            manifests = {name: self._source.read(name) for name in self._replaced if name.startswith(prefix)}
            self._copy_others(on_step, prefix, left_out)
            if {name: self._source.read(name) for name in manifests} == manifests:
                break
        else:
            raise Refused(
                f"{self.name} at {self._source.where} must be still for a moment to be copied, got changes all the "
                "time: run the command again"
            )
        for name, stored in manifests.items():
            if stored is not None and name not in own:
                self._target.write(name, stored.content)
                on_step()

    def result(self) -> tuple[int, str]:
        """The number of files that were compared, and a digest of their names and contents."""
        lines = "".join(f"{name} {digest}\\n" for name, digest in sorted(self._verified.items()))
        return len(self._verified), hashlib.sha256(lines.encode()).hexdigest()

    def _copy_others(self, on_step: Callable[[], object], prefix: str, left_out: tuple[str, ...]) -> None:
        there = {info.name: info.size for info in self._target.names(prefix)}
        for info in self._source.names(prefix):
            if info.name in self._replaced or info.name in self._verified or info.name.startswith(left_out):
                continue
            try:
                path = self._source.local(info.name)
                digest = sha256_file(path)
            except FileNotFoundError:  # merged and removed meanwhile
                continue
            if there.get(info.name) != info.size:
                self._write(info.name, path)
                on_step()
            self._verify(info.name, digest)

    def _write(self, name: str, path: Path) -> None:
        self._target.write(name, path)
        self.copied += 1

    def _verify(self, name: str, digest: str) -> None:
        stored = self._target.read(name)
        if stored is None or hashlib.sha256(stored.content).hexdigest() != digest:
            raise Refused(
                f"{self.name} {name} in {self._target.where} must have the SHA-256 {digest[:16]}... of the file "
                "that was copied, got another content: something else wrote it; remove it, or name another store"
            )
        self._verified[name] = digest
