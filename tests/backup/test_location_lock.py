"""A backup that is deleted, and those that are stored at the same location."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from flyball.backup.location_lock import lock_location
from flyball.core import HomeBusy
from flyball.files import FileStore, LocalFiles


class SharedFiles(LocalFiles):
    """A folder in the part of an object store."""

    is_shared = True


@pytest.fixture(params=[LocalFiles, SharedFiles])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    store: FileStore = request.param(tmp_path / "backups")
    return store


def test_backups_share_a_location_and_a_deletion_has_it_alone(files: FileStore) -> None:
    with ExitStack() as stack:
        stack.enter_context(lock_location(files, "flyball backup", alone=False))()
        stack.enter_context(lock_location(files, "flyball backup", alone=False))
        with (
            pytest.raises(HomeBusy, match=rf"got a lock held by flyball backup, process {os.getpid()} on"),
            lock_location(files, "flyball backup delete", alone=True),
        ):
            pass
    with lock_location(files, "flyball backup delete", alone=True):
        for alone in (False, True):
            with (
                pytest.raises(HomeBusy, match="held by flyball backup delete, process"),
                lock_location(files, "flyball backup", alone),
            ):
                pass
    with lock_location(files, "flyball backup", alone=True):
        pass
    assert files.names("locks/") == []


def test_a_process_that_died_excludes_others_for_a_day_in_an_object_store(tmp_path: Path) -> None:
    files = SharedFiles(tmp_path)
    files.write("locks/shared-dead", b"flyball backup, process 1 on gone\n")
    written_s = (tmp_path / "locks/shared-dead").stat().st_mtime
    for age_s, free in ((86_000, False), (86_500, True)):
        os.utime(tmp_path / "locks/shared-dead", (written_s - age_s, written_s - age_s))
        with ExitStack() as stack:
            if not free:
                stack.enter_context(pytest.raises(HomeBusy, match="may be deleted earlier"))
            stack.enter_context(lock_location(files, "flyball backup delete", alone=True))
