"""Puts a home where there is none, from a backup."""

import os
from pathlib import Path

from flyball.backup.manifest import BackupManifest
from flyball.backup.repository import BackupRepository, OnStep
from flyball.core import BadInput, Refused, work_folder


def restore_home(
    repository: BackupRepository,
    manifest: BackupManifest,
    home: Path,
    on_step: OnStep = lambda words: None,
    now_us: int = 0,
) -> None:
    """Write all files of a backup, each verified, and let them become the home as a whole, read by its owner alone.

    Raises `Refused` for a home that holds something, before anything is written, and for a backup that is not as it
    was. Until all is there, it lies in a folder beside the home, which goes with a run that fails; what a killed run
    left goes with the next one. `now_us`: the present time.
    """
    home = home.absolute()
    _check_empty(home)
    home.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(home.parent, f".{home.name}.restoring-", now_us) as work:
        folder = work / "home"
        folder.mkdir(mode=0o700)
        for file in manifest.files:
            path = folder / file.name
            if not path.resolve().is_relative_to(folder.resolve()):
                raise BadInput("name of a file in a backup", "inside the home", file.name)
            _private_folders(folder, path.parent)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
                for chunk in repository.content(file):
                    written.write(chunk)
            on_step(f"restored {file.name}")
        _check_empty(home)
        if home.exists():
            home.rmdir()
        folder.rename(home)
        on_step("restored")


def _check_empty(home: Path) -> None:
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise Refused(
            f"home {home} must be empty to be restored, got one that holds something: name another with --home"
        )


def _private_folders(folder: Path, parent: Path) -> None:
    """Make `parent` below `folder`, and all between them; the mode that `Path.mkdir` takes is not that of parents."""
    for path in reversed([parent, *parent.parents]):
        if path.is_relative_to(folder):
            path.mkdir(exist_ok=True, mode=0o700)
