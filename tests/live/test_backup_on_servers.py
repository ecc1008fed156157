"""A home on servers is backed up to an object store, restored into files, and moved to servers again.

A backup of a running `up`, while events come in, holds each that was accepted before it began, once.
"""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.cinema import SERVED_CINEMA
from tests.live.instance import Instance, fill, until
from tests.live.servers import MISSING_SERVERS, OBJECTS, OUTCOMES, POSTGRES, SERVERS, on_servers, outcomes_of
from tests.live.writer import Writer
from tests.removal.homes import add, again, answer, cinema, open_home, rows_of, views_of

from flyball.backup import Backup, open_repository, restore_home
from flyball.core import ManualStopwatch
from flyball.events import open_log
from flyball.migration import Migration
from flyball.operations import catch_up
from flyball.runtime import Runtime, load_settings

pytestmark = [pytest.mark.live, pytest.mark.skipif(not all(SERVERS), reason=MISSING_SERVERS)]


def filled(home: Runtime) -> None:
    events = [{"type": "watch", "user": number % 7, "film": f"f{number % 6}", "minute": 5} for number in range(60)]
    add(home, [*events[:40], {"type": "watch", "user": 3, "minute": 1}])
    answer(home, [1, 2, 3])
    catch_up(home)
    add(home, events[40:])
    home.artifact_files.write("r1-own/weights.bin", os.urandom(100_000))
    catch_up(home)


def rest(home: Runtime) -> dict[str, object]:
    """What is not derived from the logs."""
    files = home.artifact_files
    return {
        "artifacts": {info.name: stored.content for info in files.names() if (stored := files.read(info.name))},
        "quarantine": [(line.raw, line.reason, line.state) for line in home.quarantine.list(state=None)],
        "audit": [(entry.action, entry.subject) for entry in home.registry.audit() if entry.action != "backup"],
    }


def test_a_home_on_servers_is_backed_up_to_objects_and_restored(tmp_path: Path) -> None:
    app, name = cinema(tmp_path), f"backed_{os.urandom(4).hex()}"
    home = open_home(app, tmp_path / "home", on_servers(name, tmp_path / "a"))
    filled(home)
    repository = open_repository(f"s3://flyball/{name}-backups?endpoint={OBJECTS}", tmp_path / "cache")
    report = Backup(home, repository, ManualStopwatch()).run("ann")
    assert report.records == {"events": 60, "predictions": 3}
    repository.verify(repository.backup())
    before, others = views_of(again(home)), rest(home)
    restore_home(repository, repository.backup(), tmp_path / "restored")
    restored = open_home(app, tmp_path / "restored")
    views = views_of(restored)
    # how features are stored depends on how many events were applied at once, what they say does not
    assert {**views, "features": before["features"]} == before
    assert views["features"].keys() == before["features"].keys()
    assert rest(restored) == others
    counted = {table: len(rows) for table, rows in rows_of(restored, OUTCOMES).items()}
    assert outcomes_of(POSTGRES, name) == counted
    moved = open_home(app, tmp_path / "moved", on_servers(f"{name}_2", tmp_path / "b"))
    restored.close()
    Migration(open_home(app, tmp_path / "restored"), moved, ManualStopwatch()).run(switch=False)
    assert views_of(again(moved)) == views
    assert rest(again(moved)) == others


def flyball(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "flyball", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_backup_of_a_running_service_on_servers_has_each_event_that_was_accepted_before_it(tmp_path: Path) -> None:
    name = f"backed_{os.urandom(4).hex()}"
    (tmp_path / "cinema.py").write_text(SERVED_CINEMA)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.toml").write_text(on_servers(name, tmp_path))
    fill(tmp_path)
    place = f"s3://flyball/{name}-backups?endpoint={OBJECTS}"
    instance = Instance(tmp_path)
    try:
        until(lambda: len(instance.children()) == 4 and instance.get("/readyz")[0] == 200)
        writer = Writer(instance)
        until(lambda: len(writer.accepted) > 20)
        accepted = list[set[int]]()
        for _ in range(2):
            accepted.append(set(writer.accepted))
            report = msgspec.json.decode(
                flyball(tmp_path, "backup", "cinema.py", "--home", "home", "--to", place, "--json").splitlines()[-1]
            )
        writer.stop()
        assert set(writer.statuses["lists"]) == set(writer.statuses["events"]) == {200}
    finally:
        instance.end()
    flyball(tmp_path, "backup", "verify", place)
    flyball(tmp_path, "restore", place, "--home", "restored", "--id", report["id"])
    log = open_log(load_settings(tmp_path / "restored").events)
    users = [
        int(record.key)
        for piece in log.read((0,) * len(log.ends()), 1_000_000)
        for record in piece.records
        if int(record.key) > 1_000
    ]
    assert len(users) == len(set(users))
    assert accepted[1] <= set(users) <= {*writer.accepted, max(writer.accepted) + 1}
    assert accepted[0] < accepted[1]
