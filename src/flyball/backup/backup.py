"""Makes a backup: brings a copy of the home up to date, which `flyball.migration` compares, and stores its files."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from flyball.backup.manifest import BackupManifest, with_id
from flyball.backup.repository import BackupRepository
from flyball.core import FileLock, Refused, Stopwatch, StoreUnavailable, fold_wal, format_second, sha256_file
from flyball.migration import Migration, PartCopy, write_own_settings
from flyball.registry import AuditEntry, add_entry
from flyball.runtime import Runtime
from flyball.settings import STORES

_LEFT_OUT = ("run/", "cache/", "copying.json", "moved.json")
_LEFT_OUT_ENDS = (".lock", "/lock.mdb", "-wal", "-shm", ".tmp")


class BackupReport(msgspec.Struct, frozen=True):
    """A backup that was made. `stored`: bytes that were not in its place before; `behind`: records that came
    meanwhile."""

    id: str
    where: str
    app: str
    records: dict[str, int]
    files: int
    bytes: int
    stored: int
    behind: int


class Backup:
    """A backup of `source` into a repository. `on_step` is called with words after each step that may be the last.

    The copy stays in the home, so that the next backup copies only what is new; it is as large as the home.
    """

    def __init__(
        self,
        source: Runtime,
        repository: BackupRepository,
        stopwatch: Stopwatch,
        on_step: Callable[[str], object] = lambda words: None,
    ) -> None:
        self._source, self._repository, self._stopwatch, self._on_step = source, repository, stopwatch, on_step
        self._folder = source.layout.backup

    def run(self, by: str) -> BackupReport:
        """Make one; `by`: who asked for it, for the audit trail.

        Raises `Refused` where the copy is not equal to the home, also after it was begun again.
        """
        with FileLock(self._source.layout.run / "backup.lock", "flyball backup"):
            parts, behind = self._copied()
            with self._repository.storing():
                manifest, stored = self._stored(parts)
                self._repository.commit(manifest)
            self._on_step("the backup is there")
            report = BackupReport(
                manifest.id,
                self._repository.where,
                manifest.app,
                manifest.records,
                len(manifest.files),
                manifest.bytes,
                stored,
                behind,
            )
            self._note(report, by)
        return report

    def _copied(self) -> tuple[list[PartCopy], int]:
        """The copy, brought up to the home: begun again where the home lacks what was copied before."""
        continued = self._folder.exists()
        try:
            return self._copy()
        except Refused as error:
            if not continued or self._source.gate.moved() is not None or self._source.gate.copying() is not None:
                raise
            self._on_step(f"the copy is begun again: {error}")
            shutil.rmtree(self._folder)
            return self._copy()

    def _copy(self) -> tuple[list[PartCopy], int]:
        own = dict.fromkeys(STORES, "")
        settings = msgspec.structs.replace(self._source.settings, home=str(self._folder), traces="", **own)
        target = Runtime(self._source.app, settings, self._source.clock)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_own_settings(self._source.layout.settings, target.layout.settings)
        report = Migration(self._source, target, self._stopwatch, self._on_step).copy_at_once()
        kept = {info.name for info in self._source.artifact_files.names()}
        for info in target.artifact_files.names():
            if info.name not in kept:
                target.artifact_files.write(info.name, None)
        target.close()
        return report.parts, report.behind

    def _stored(self, parts: list[PartCopy]) -> tuple[BackupManifest, int]:
        for path in self._folder.rglob("*.db"):
            fold_wal(path)
        files, stored = [], 0
        for name, path in self._files():
            file, new = self._repository.store(name, path, self._on_step)
            if sha256_file(path) != file.sha256:
                raise StoreUnavailable(f"{path} must stay as it is while it is stored, got changes: run it again")
            files.append(file)
            stored += new
        at_us = self._source.clock.now_us()
        manifest = BackupManifest(
            "",
            self._source.app.name,
            str(self._source.home.absolute()),
            at_us,
            {part.part: part.count for part in parts if part.part in ("events", "predictions")},
            {part.part: part.digest for part in parts},
            tuple(files),
            self._repository.chunk_bytes,
        )
        prefix = format_second(at_us).replace("-", "").replace(":", "")
        return with_id(manifest, f"{manifest.app}-{prefix}"), stored

    def _files(self) -> Iterator[tuple[str, Path]]:
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if path.is_file() and not name.startswith(_LEFT_OUT) and not name.endswith(_LEFT_OUT_ENDS):
                yield name, path

    def _note(self, report: BackupReport, by: str) -> None:
        entry = AuditEntry(
            at_us=self._source.clock.now_us(),
            by=by,
            action="backup",
            subject=report.id,
            reason="by hand",
            after={"where": report.where, "records": report.records},
        )
        add_entry(self._source.registry, entry)
