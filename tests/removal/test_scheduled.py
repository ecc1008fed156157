"""A round of retention removes what is older than declared, and artifacts that are needed no more."""

from pathlib import Path

import numpy as np
import pytest

from flyball.app import App, load_app
from flyball.core import FileLock, ManualStopwatch
from flyball.history import take_snapshot
from flyball.learning import LEARNING_LOCK
from flyball.models import has_artifact, save_artifact
from flyball.operations import RETENTION, RetentionReport, catch_up
from flyball.operations.process_specs import read_report
from flyball.registry import add_versions, begin_run
from flyball.removal import Removal, apply_retention, due_removal, plan_under_way

from .homes import APP, add, again, answer, open_home, version_of

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    path = tmp_path_factory.mktemp("app") / "cinema.py"
    path.write_text(APP.replace("k=3),", 'k=3),\n    retention={"Watch": "30d", "predictions": "40d"},'))
    return load_app(str(path), {})


def watches(count: int) -> list[dict[str, object]]:
    return [{"type": "watch", "user": number % 3, "film": f"f{number % 4}", "minute": 5} for number in range(count)]


def test_what_is_older_than_declared_goes_when_its_time_has_come(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    add(home, watches(6))
    answer(home, [1])
    catch_up(home)
    home.clock.advance_us(29 * DAY_US)  # type: ignore[attr-defined]
    add(home, watches(2))
    removed = []
    for _ in range(15):
        removed.append(apply_retention(home, ManualStopwatch(), "governor").removed)
        home.clock.advance_us(DAY_US)  # type: ignore[attr-defined]
    counts = {(day, name): count for day, each in enumerate(removed) for name, count in each.items() if count}
    assert counts == {(1, "events"): 6, (11, "predictions"): 1}
    kept = [record for piece in again(home).log.read((0,) * len(home.log.ends()), 100) for record in piece.records]
    assert len(kept) == 2
    report = read_report(home.home, RETENTION, RetentionReport)
    assert report is not None
    assert (report.at_us, report.error) == (home.clock.now_us() - DAY_US, "")
    assert [entry.by for entry in home.registry.audit() if entry.action == "retention"] == ["governor"] * 2


def test_a_round_completes_one_that_was_killed(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    add(home, watches(6))
    home.clock.advance_us(31 * DAY_US)  # type: ignore[attr-defined]

    def killed(words: str) -> None:
        if words == "removed from events":
            raise KeyboardInterrupt

    plan = due_removal(home, "governor")
    assert plan is not None
    with pytest.raises(KeyboardInterrupt):
        Removal(home, ManualStopwatch(), killed).begin(plan)
    assert plan_under_way(home.layout) is not None
    home.clock.advance_us(1)  # type: ignore[attr-defined]
    assert apply_retention(again(home), ManualStopwatch(), "governor").removed["events"] == 6
    assert plan_under_way(home.layout) is None


def test_artifacts_that_are_needed_no_more_go_also_where_nothing_learns(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    add(home, watches(4))
    catch_up(home)
    snapshot = take_snapshot(home.history_files, home.schema, home.clock.now_us())
    for number in range(1, 8):
        run = begin_run(home.registry, "cinema", number, number)
        name = f"{run.id}-own"
        save_artifact(home.artifacts / name, {"kind": "own"}, {"numbers": np.array([1])}, texts={})
        add_versions(home.registry, [version_of(name, snapshot.name, run.id)])
    with FileLock(home.home / LEARNING_LOCK, "learning"):
        assert apply_retention(home, ManualStopwatch(), "governor").artifacts == [], "learning removes them at its end"
    assert apply_retention(home, ManualStopwatch(), "governor").artifacts == ["v1", "v2"]
    assert [has_artifact(home.artifact_files, f"r{number}-own") for number in range(1, 8)] == [False] * 2 + [True] * 5
    assert apply_retention(home, ManualStopwatch(), "governor").artifacts == []


def test_what_fails_is_reported(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    add(home, watches(4))
    home.clock.advance_us(31 * DAY_US)  # type: ignore[attr-defined]
    with FileLock(home.layout.run / "backup.lock", "flyball backup"):
        report = apply_retention(home, ManualStopwatch(), "governor")
    assert "Nothing was removed: run the command again when the backup is done" in report.error
    assert apply_retention(home, ManualStopwatch(), "governor").removed["events"] == 4
