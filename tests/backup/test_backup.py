"""A backup holds all that its home held at one time, whenever it was killed, and a restored home goes on from there."""

import hashlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.migration.conftest import NOW_US, add_events, open_home
from tests.migration.homes import Killed, contents, killed_at

from flyball.backup import Backup, BackupManifest, BackupReport, BackupRepository, open_repository, restore_home
from flyball.core import HomeBusy, ManualStopwatch, NotFound, Refused, StoreUnavailable
from flyball.files import LocalFiles, files_in
from flyball.runtime import Runtime


def place(tmp_path: Path) -> BackupRepository:
    return BackupRepository(files_in(tmp_path / "backups"), chunk_bytes=16_384)


def backed_up(
    home: Runtime, repository: BackupRepository, on_step: Callable[[str], object] = lambda words: None
) -> BackupReport:
    return Backup(home, repository, ManualStopwatch(), on_step).run("ann")


def restored(home: Runtime, repository: BackupRepository, folder: Path, id: str | None = None) -> Runtime:
    restore_home(repository, repository.backup(id), folder)
    return open_home(home.app, folder)


def test_a_restored_home_has_all_that_was_backed_up(full: Runtime, tmp_path: Path) -> None:
    full.quarantine.mark([2], "dropped")
    repository = place(tmp_path)
    before = contents(full)
    report = backed_up(full, repository)
    assert (report.app, report.records, report.behind) == ("cinema", {"events": 180, "predictions": 2}, 0)
    add_events(full, 200, 50)
    home = restored(full, repository, tmp_path / "other" / "home")
    assert contents(home) == before
    assert home.gate.copying() is None
    assert (home.home.stat().st_mode & 0o777, (home.home / "events.db").stat().st_mode & 0o777) == (0o700, 0o600)
    add_events(home, 300, 10)  # it goes on
    assert sum(home.log.ends()) == 189


def test_the_state_is_there_before_anything_is_read_from_the_log(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    backed_up(full, repository)
    home = restored(full, repository, tmp_path / "home")
    assert home.state.offsets() == home.log.ends() == full.log.ends()
    assert dict(home.state.scan(b"")) == dict(full.state.scan(b""))


def test_what_did_not_change_is_stored_once(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    full.artifact_files.write("v3/weights.bin", random.Random(1).randbytes(2_000_000))
    first = backed_up(full, repository)
    assert first.stored > 2_000_000
    full.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
    add_events(full, 200, 20)
    expected = contents(full)
    second = backed_up(full, place(tmp_path))
    assert 0 < second.stored < first.stored / 4
    manifests = repository.backups()
    assert [manifest.id for manifest in manifests] == [first.id, second.id]
    before = contents(restored(full, repository, tmp_path / "a", first.id))
    assert len(before["quarantine"]) == 20  # type: ignore[arg-type]
    assert contents(restored(full, repository, tmp_path / "b")) == expected
    assert repository.delete(first.id) > 0
    repository.verify(repository.backup())
    assert [manifest.id for manifest in repository.backups()] == [second.id]


@pytest.mark.parametrize("step", [1, 3, 8, 14, 20, 26, 33, 45])
def test_a_backup_that_was_killed_is_not_there_and_the_next_one_is_whole(
    full: Runtime, tmp_path: Path, step: int
) -> None:
    repository = place(tmp_path)
    with pytest.raises(Killed):
        backed_up(full, repository, killed_at(step))
    for manifest in repository.backups():
        repository.verify(manifest)  # killed after the last step
    add_events(full, 200, 7)
    expected = contents(full)
    backed_up(full, repository)
    assert contents(restored(full, repository, tmp_path / "home")) == expected


def test_records_that_were_removed_are_in_no_later_backup(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    backed_up(full, repository)
    full.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
    full.artifact_files.write("v1/weights.bin", None)
    full.artifact_files.write("v2/weights.bin", b"new")
    shutil.rmtree(full.home / "history")  # built again: the copy's is another
    full.close()
    home = open_home(full.app, full.home)
    home.log._log._log.remove({0: [1, 2]})  # type: ignore[attr-defined]
    steps: list[str] = []
    report = backed_up(home, repository, steps.append)
    assert any(step.startswith("the copy is begun again: ") for step in steps)
    copy = restored(home, repository, tmp_path / "home", report.id)
    assert [info.name for info in copy.artifact_files.names()] == ["v2/weights.bin"]
    assert sum(len(piece.records) for piece in copy.log.read((0,) * 4, 1_000)) == 178


def test_a_home_that_holds_something_is_not_restored_over(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    backed_up(full, repository)
    with pytest.raises(Refused, match="must be empty to be restored, got one that holds something"):
        restore_home(repository, repository.backup(), full.home)
    (tmp_path / "empty").mkdir()
    restored(full, repository, tmp_path / "empty")


def test_a_restore_that_was_killed_is_begun_again(full: Runtime, tmp_path: Path) -> None:
    repository, expected = place(tmp_path), contents(full)
    backed_up(full, repository)
    with pytest.raises(Killed):
        restore_home(repository, repository.backup(), tmp_path / "home", killed_at(3))
    assert not (tmp_path / "home").exists()
    assert contents(restored(full, repository, tmp_path / "home")) == expected


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("what", ["chunk", "missing", "manifest"])
def test_a_byte_that_changed_is_found(full: Runtime, tmp_path: Path, what: str) -> None:
    repository = place(tmp_path)
    backed_up(full, repository)
    manifest: BackupManifest = repository.backup()
    repository.verify(manifest)
    chunk = manifest.files[0].chunks[0]
    path = tmp_path / "backups" / "chunks" / chunk[:2] / chunk
    if what == "manifest":
        path = tmp_path / "backups" / "backups" / f"{manifest.id}.json"
        path.write_text(path.read_text().replace('"size": 7', '"size": 8'))
        with pytest.raises(Refused, match="must be of digest"):
            repository.backups()
        return
    if what == "chunk":
        damaged(path)
    else:
        path.unlink()
    with pytest.raises(Refused, match="this backup cannot be used"):
        repository.verify(manifest)
    with pytest.raises(Refused, match="this backup cannot be used"):
        restore_home(repository, manifest, tmp_path / "home")
    assert not (tmp_path / "home").exists()


def chunk_files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "backups" / "chunks").rglob("*") if path.is_file())


def test_a_backup_is_not_deleted_while_another_is_stored(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    first = backed_up(full, repository)
    refusals = []

    def delete_first(step: str) -> None:
        if step.startswith("storing"):
            with pytest.raises(HomeBusy, match="got a lock held by flyball backup, process") as caught:
                place(tmp_path).delete(first.id)
            refusals.append(caught.value)

    add_events(full, 200, 20)
    full.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
    second = backed_up(full, repository, delete_first)
    assert refusals
    place(tmp_path).delete(first.id)
    repository.verify(repository.backup(second.id))


def test_a_backup_whose_chunks_were_removed_meanwhile_is_not_listed(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    backed_up(full, repository)
    for path in (tmp_path / "backups" / "backups").iterdir():
        path.unlink()
    full.artifact_files.write("v3/weights.bin", b"new")

    def remove_chunk(step: str) -> None:
        if step.startswith("storing artifacts/v3"):
            chunk = hashlib.sha256(b"new").hexdigest()
            (tmp_path / "backups" / "chunks" / chunk[:2] / chunk).unlink()

    with pytest.raises(
        StoreUnavailable, match=r"must be there with [\d,]+ bytes, got none: .* run flyball backup again"
    ):
        backed_up(full, repository, remove_chunk)
    assert repository.backups() == []


@pytest.mark.parametrize("shared", [False, True])
def test_another_backup_is_whole_after_a_chunk_was_damaged(
    full: Runtime, tmp_path: Path, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalFiles, "is_shared", shared)
    repository = place(tmp_path)
    first = backed_up(full, repository)
    chunks = chunk_files(tmp_path)
    for path in chunks[:2]:
        damaged(path)
    if shared:
        with pytest.raises(Refused, match=r"\(and 1 more in .*\)"):
            repository.verify(repository.backup(first.id))
        assert {info.name for info in files_in(tmp_path / "backups").names("damaged/")} == {
            f"damaged/{path.name}" for path in chunks[:2]
        }
    full.clock.advance_us(1_000_000)  # type: ignore[attr-defined]
    second = backed_up(full, repository)
    assert first.stored > second.stored > 0
    for manifest in repository.backups():
        repository.verify(manifest)


def test_a_damaged_backup_can_be_deleted(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    first = backed_up(full, repository)
    (tmp_path / "backups" / "backups" / f"{first.id}.json").write_text("{")
    assert repository.delete(first.id) == first.stored
    assert (repository.ids(), chunk_files(tmp_path)) == ([], [])


def test_a_restore_that_failed_leaves_nothing_and_a_restored_home_is_private(full: Runtime, tmp_path: Path) -> None:
    repository = place(tmp_path)
    backed_up(full, repository)
    parent = tmp_path / "other"
    before = os.umask(0o022)
    try:
        with pytest.raises(Killed):
            restore_home(repository, repository.backup(), parent / "home", killed_at(3))
        assert list(parent.iterdir()) == []
        restore_home(repository, repository.backup(), parent / "home")
    finally:
        os.umask(before)
    assert [path.name for path in parent.iterdir()] == ["home"]
    modes = {path: path.stat().st_mode & 0o777 for path in [parent / "home", *(parent / "home").rglob("*")]}
    assert len(modes) > 10
    assert {path: mode for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}


def test_a_place_without_backups_says_so(tmp_path: Path) -> None:
    repository = open_repository(str(tmp_path / "none"), tmp_path)
    assert repository.backups() == []
    with pytest.raises(NotFound, match="flyball backup APP --to makes one"):
        repository.backup()


def test_settings_that_are_no_stores_come_along(full: Runtime, tmp_path: Path) -> None:
    full.layout.settings.write_text('keep_runs = 7\nregistry = "sqlite:///elsewhere/registry.db"\n')
    repository = place(tmp_path)
    backed_up(full, repository)
    home = restored(full, repository, tmp_path / "home")
    assert home.layout.settings.read_text() == "keep_runs = 7\n"
    assert home.settings.keep_runs == 7


def test_who_made_it_is_in_the_audit_trail(full: Runtime, tmp_path: Path) -> None:
    report = backed_up(full, place(tmp_path))
    (entry,) = [entry for entry in full.registry.audit() if entry.action == "backup"]
    assert (entry.by, entry.subject, entry.at_us) == ("ann", report.id, full.clock.now_us())
    assert report.id.startswith("cinema-20231114T")
    assert entry.at_us > NOW_US
