"""After a batch was taken back a home is as if it had never been ingested, wherever the process was killed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flyball.app import App
from flyball.core import FileLock, HomeBusy, ManualStopwatch, NotFound
from flyball.events import LineSource, Slice, batches_in, find_format, ingest_lines, open_log
from flyball.history import take_snapshot
from flyball.operations import catch_up
from flyball.removal import Removal, RemovalReport, begin_removal, plan_of_batch
from flyball.runtime import Runtime

from .homes import add, again, answer, cinema, derived, open_home


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return cinema(tmp_path_factory.mktemp("app"))


def watches(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {"type": "watch", "user": number % 4 + 1, "film": f"f{number % 7}", "minute": number % 300}
        for number in range(first, first + count)
    ]


def add_batch(home: Runtime, name: str, events: list[dict[str, Any]]) -> list[str]:
    """Ingest events of an hour before under the name of a batch; returns what came of each."""
    at_us = home.clock.now_us() - 3_600_000_000
    lines = [msgspec.json.encode({**event, "at": at_us + number * 1_000_000}) for number, event in enumerate(events)]
    source = LineSource("old.jsonl", find_format("jsonl"), "jsonl", "history", batch=name)
    return [verdict.verdict for verdict in ingest_lines(lines, source, home.inlet).verdicts]


def filled(app: App, folder: Path) -> Runtime:
    home = open_home(app, folder)
    add(home, watches(0, 30))
    answer(home, [1, 2, 3])
    catch_up(home)
    wrong = [*watches(500, 20), {"type": "watch", "user": 9, "film": "new", "minute": 1}]
    add_batch(home, "wrong", [*wrong, {"type": "watch", "user": 1, "film": "f1", "minute": 999}])
    catch_up(home)
    add(home, watches(40, 10))
    add_batch(home, "right", watches(700, 5))
    return home


def without(home: Runtime, other: Runtime, name: str) -> Runtime:
    """Another home whose logs have all but the records of a batch, at the same offsets."""
    for log_name in ("events", "predictions"):
        log, copy = open_log(getattr(home.settings, log_name)), open_log(getattr(other.settings, log_name))
        for piece in log.read((0,) * len(log.ends()), 1_000_000):
            for offset, record in enumerate(piece.records, piece.first):
                left_out = record.batch == name
                one = Slice(piece.partition, offset + left_out, [] if left_out else [record], skipped=int(left_out))
                copy.restore([one], log.schemas.stored())  # type: ignore[attr-defined]
    return other


def take_back(home: Runtime, name: str, on_step: Callable[[str], object] = lambda words: None) -> RemovalReport:
    begin_removal(home.layout, plan_of_batch(home, name, "ann"))
    return Removal(home, ManualStopwatch(), on_step).run()


def test_a_home_is_as_if_the_batch_had_never_been_in_it(app: App, tmp_path: Path) -> None:
    home = filled(app, tmp_path / "home")
    other = without(home, open_home(app, tmp_path / "other"), "wrong")
    report = take_back(home, "wrong")
    assert report.removed == {"events": 21, "predictions": 0, "quarantine": 1}
    assert derived(again(home)) == derived(other)
    assert [batch.name for batch in batches_in(again(home).log, home.quarantine)] == ["right"]
    (entry,) = [entry for entry in home.registry.audit() if entry.action == "ingest undo"]
    assert (entry.by, entry.subject) == ("ann", "wrong")
    with pytest.raises(NotFound, match="no batch 'wrong'"):
        plan_of_batch(again(home), "wrong", "ann")


def test_what_was_taken_back_can_be_ingested_again(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    add(home, watches(0, 10))
    events = watches(100, 8)
    assert add_batch(home, "a", events) == ["accepted"] * 8
    assert add_batch(home, "a", events) == ["duplicate"] * 8
    before = derived(home)["events"]
    take_back(home, "a")
    home = again(home)
    assert add_batch(home, "a", events) == ["accepted"] * 8
    known_at = {"known_at": 0}
    after = [msgspec.structs.replace(record, **known_at) for record in derived(again(home))["events"]]
    assert after == [msgspec.structs.replace(record, **known_at) for record in before]


def test_killed_at_each_step_and_continued_by_the_same_command(app: App, tmp_path: Path) -> None:
    home = filled(app, tmp_path / "home")
    expected = derived(without(home, open_home(app, tmp_path / "other"), "wrong"))
    steps = list[str]()
    saved = shutil.copytree(home.home, tmp_path / "saved")
    take_back(home, "wrong", steps.append)
    for step in range(2, len(steps), 6):
        folder = shutil.copytree(saved, tmp_path / f"killed-{step}")
        left = [step]

        def on_step(words: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed(words)

        killed = open_home(app, folder)
        with pytest.raises(Killed):
            take_back(killed, "wrong", on_step)
        assert take_back(again(killed), "wrong").removed == {"events": 21, "predictions": 0, "quarantine": 1}
        assert derived(again(killed)) == expected


def test_versions_that_learned_from_it_are_known(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    add(home, watches(0, 10))
    catch_up(home)
    earlier = take_snapshot(home.history_files, home.schema, home.clock.now_us())
    add_batch(home, "a", watches(100, 8))
    catch_up(home)
    later = take_snapshot(home.history_files, home.schema, home.clock.now_us())
    report = take_back(home, "a")
    assert report.snapshots == [later.name]
    assert earlier.name != later.name
    assert report.versions.learned == []  # none was learned


def test_a_backup_under_way_comes_first_and_its_copy_goes(app: App, tmp_path: Path) -> None:
    home = filled(app, tmp_path / "home")
    home.layout.backup.mkdir()
    (home.layout.backup / "events.db").write_bytes(b"the batch")
    with FileLock(home.layout.run / "backup.lock", "flyball backup"), pytest.raises(HomeBusy):
        take_back(home, "wrong")
    take_back(home, "wrong")
    assert not home.layout.backup.exists()
