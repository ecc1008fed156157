"""A run of learning: the planted taste wins, failures are their own, nothing half made stays."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flyball.core import FileLock, HomeBusy, Refused, parse_duration, sha256_file
from flyball.learning import LearnReport, Progress, learn
from flyball.learning.cleanup import remove_outdated
from flyball.registry import REMOVED, Version, add_versions
from flyball.releases import current, promote, rollback
from flyball.runtime import Runtime

DAY_US = 86_400_000_000


def run(runtime: Runtime, **options: Any) -> LearnReport:
    return learn(runtime, **{"workers": 1, **options})


def by_name(report: LearnReport) -> dict[str, Any]:
    return {each.name: each for each in report.candidates}


def test_the_planted_taste_wins_and_serves(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    report = run(runtime, by="ann")
    assert report.status == "done"
    message = by_name(report)
    assert set(message) == {"popular", "together", "random"}
    assert message["together"].metrics["ndcg@5"]["value"] > 1.1 * message["popular"].metrics["ndcg@5"]["value"]
    assert message["random"].role == "baseline"
    assert report.released
    assert (report.chosen, report.champion, report.champion_before) == ("v2", "v2", None)
    assert current(runtime.registry).champion == "v2"
    champion = runtime.registry.version("v2")
    assert (champion.candidate, champion.state, champion.run, champion.snapshot) == (
        "together",
        "champion",
        "r1",
        report.snapshot,
    )
    folder = runtime.artifacts / champion.artifact
    assert champion.artifact_files == {path.name: sha256_file(path) for path in folder.iterdir()}
    assert [(entry.by, entry.action, entry.subject) for entry in runtime.registry.audit()] == [("ann", "promote", "v2")]
    ended = runtime.registry.runs()[0]
    assert (ended.status, ended.report["champion"], ended.snapshot) == ("done", "v2", report.snapshot)
    assert not (runtime.home / "learning").exists()


def test_the_window_holds_the_latest_fifth_and_nobody_saw_it(filled: Callable[..., Runtime]) -> None:
    report = run(filled())
    assert report.window is not None
    assert report.window.positives == pytest.approx(80 * 14 * 0.2, abs=1)
    assert report.window.end_us == report.as_of_us + 1
    assert report.evaluation["start_us"] == report.window.start_us
    assert report.units == 80


def test_every_step_is_reported(filled: Callable[..., Runtime]) -> None:
    steps: list[Progress] = []
    run(filled(), progress=steps.append)
    stages = [step.stage for step in steps]
    assert list(dict.fromkeys(stages)) == [
        "history",
        "snapshot",
        "examples",
        "fit",
        "evaluate",
        "refit",
        "register",
        "release",
    ]
    assert {step.candidate for step in steps if step.stage == "fit"} == {"", "popular", "together", "random"}
    assert all(str(step) for step in steps)


def test_candidates_that_fail_are_rejected_with_the_reason(filled: Callable[..., Runtime]) -> None:
    report = run(filled(broken="raise,objects,nan,score raises,full disk"))
    message = by_name(report)
    reasons = {name: each.reason for name, each in message.items() if name.startswith("broken")}
    for name, words in {
        "broken-raise": "no convergence",
        "broken-objects": "arrays of numbers",
        "broken-nan": "nan",
        "broken-score-raises": "in score",
        "broken-full-disk": "No space left",
    }.items():
        assert words in reasons[name]
        assert message[name].outcome == "rejected"
    assert message["together"].outcome == "passed"
    assert report.champion == message["together"].version


def test_a_rejected_version_has_no_artifact_and_never_serves(filled: Callable[..., Runtime]) -> None:
    runtime = filled(broken="raise")
    run(runtime)
    rejected = next(each for each in runtime.registry.versions() if each.state == "rejected")
    assert (rejected.artifact, rejected.artifact_files) == ("", {})
    with pytest.raises(Refused, match="no convergence"):
        promote(runtime.registry, rejected.id, "try", "ann", 1, artifacts=runtime.artifacts)
    assert len(list(runtime.artifacts.iterdir())) == 2


def test_a_candidate_that_fails_on_the_whole_only_is_rejected(filled: Callable[..., Runtime]) -> None:
    runtime = filled(broken="later")
    message = by_name(run(runtime))
    assert message["broken-later"].outcome == "rejected"
    assert message["together"].outcome == "passed"


@pytest.mark.live
def test_a_candidate_whose_process_dies_is_rejected_and_the_others_go_on(filled: Callable[..., Runtime]) -> None:
    runtime = filled(broken="exit,score exits")
    message = by_name(run(runtime, workers=2))
    assert "exit code 7" in message["broken-exit"].reason
    assert "exit code 8" in message["broken-score-exits"].reason
    assert message["together"].outcome == "passed"


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.live)])
def test_the_same_snapshot_and_seed_give_the_same_bits(filled: Callable[..., Runtime], shop: Any, workers: int) -> None:
    first, second = filled(), shop.another("second")
    one, other = run(first, seed=3), run(second, seed=3, workers=workers)
    assert one.snapshot == other.snapshot
    assert metrics(one) == metrics(other)
    assert artifacts(first, one) == artifacts(second, other)
    assert len(artifacts(first, one)) == 2


def metrics(report: LearnReport) -> dict[str, Any]:
    return {each.name: each.metrics for each in report.candidates if each.role != "champion"}


def artifacts(runtime: Runtime, report: LearnReport) -> dict[str, dict[str, str]]:
    return {
        version.candidate: version.artifact_files
        for version in runtime.registry.versions()
        if version.run == report.run and version.artifact
    }


def test_the_champion_is_compared_without_what_it_had_seen(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    run(runtime)
    report = run(runtime)
    message = by_name(report)
    assert message["champion:v2"].role == "champion"
    assert message["champion:v2"].metrics == message["together"].metrics
    assert any("champion v2 had learned from part of the test window" in note for note in report.notes)
    assert (report.champion_before, report.champion) == ("v2", "v4")
    assert rollback(runtime.registry, "back", "ben", 1, artifacts=runtime.artifacts).state.champion == "v2"


def test_a_champion_of_another_recipe_is_fitted_again_for_the_comparison(
    filled: Callable[..., Runtime], shop: Any
) -> None:
    runtime = filled()
    run(runtime)
    report = run(shop.open(shrink=1_000.0))
    message = by_name(report)
    assert message["champion:v2"].metrics["ndcg@5"] != {}
    assert message["together"].metrics != message["champion:v2"].metrics


def test_a_champion_older_than_the_window_is_evaluated_as_it_is(filled: Callable[..., Runtime], shop: Any) -> None:
    runtime = filled()
    first = run(runtime)
    shop.likes(runtime, users=200, days=10, seed=2, day=20)
    report = run(runtime)
    assert report.window is not None
    assert report.window.start_us > first.as_of_us
    message = by_name(report)
    assert message[f"champion:{first.champion}"].metrics
    assert not report.notes


def test_a_much_worse_candidate_does_not_replace_the_champion(filled: Callable[..., Runtime], shop: Any) -> None:
    runtime = filled()
    run(runtime)
    report = run(shop.open(turned=True))
    assert not report.released
    assert (report.champion, report.chosen, report.reason) == ("v2", "", "no candidate passed its gates")
    assert "holds_champion" in by_name(report)["popular"].reason
    assert current(runtime.registry).champion == "v2"


def test_a_champion_whose_class_is_gone_cannot_be_compared(
    filled: Callable[..., Runtime], shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = filled()
    run(runtime)
    text = shop.file.read_text().replace('"together": Together(shrink, turned)', "")
    shop.file.write_text(re.sub(r"class Together.*?(?=class Broken)", "", text, flags=re.DOTALL))
    monkeypatch.delitem(sys.modules, "flyball_app_shop")  # another process reads the file again
    report = run(shop.open(only="popular"))
    assert any("champion v2 could not be compared" in note for note in report.notes)
    assert report.champion == "v3"


def test_a_champion_that_is_no_candidate_any_more_is_compared(filled: Callable[..., Runtime], shop: Any) -> None:
    runtime = filled()
    run(runtime)
    report = run(shop.open(only="popular"))
    assert not any("could not be compared" in note for note in report.notes)
    assert report.champion == "v2"


def test_a_corrupt_champion_is_reported_and_replaced(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    run(runtime)
    artifact = runtime.artifacts / runtime.registry.version("v2").artifact / "together.npy"
    artifact.chmod(0o644)
    artifact.write_bytes(b"poison")
    report = run(runtime)
    assert any("champion v2 could not be compared" in note for note in report.notes)
    assert report.champion == "v4"


def test_a_release_made_meanwhile_is_not_overwritten(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    run(runtime)

    def meddle(step: Progress) -> None:
        if step.stage == "evaluate":
            promote(runtime.registry, "v1", "by hand", "ann", 1, artifacts=runtime.artifacts)

    report = run(runtime, progress=meddle)
    assert not report.released
    assert "another release came in between" in report.reason
    assert current(runtime.registry).champion == report.champion == "v1"


@pytest.mark.parametrize(("users", "days"), [(0, 1), (1, 1), (3, 2), (8, 14)])
def test_too_little_data_is_reported_and_breaks_nothing(shop: Any, users: int, days: int) -> None:
    runtime = shop.open()
    shop.likes(runtime, users=users, days=days)
    report = run(runtime)
    assert report.status == "too_little_data"
    assert "too little" in report.reason
    assert runtime.registry.versions() == []
    assert current(runtime.registry).champion is None
    assert runtime.registry.runs()[0].status == "too_little_data"
    shop.likes(runtime, day=20)
    assert run(runtime).released


def test_a_small_home_gets_a_wider_window(shop: Any) -> None:
    runtime = shop.open()
    shop.likes(runtime, users=25, days=3)
    report = run(runtime)
    assert report.window is not None
    assert report.window.share > 0.3


def test_as_of_an_earlier_time(filled: Callable[..., Runtime], shop: Any) -> None:
    runtime = filled(max_loss=0.5)
    earlier = runtime.clock.now_us() - 4 * DAY_US
    report = run(runtime, as_of_us=earlier)
    assert report.events["liked"] < 80 * 14
    assert report.window is not None
    assert report.window.end_us == earlier + 1
    assert report.released
    later = run(runtime)
    assert later.events["liked"] == 80 * 14
    assert (later.released, later.champion) == (True, "v4")
    again = run(runtime, as_of_us=earlier)
    assert (again.snapshot, again.chosen, again.released, again.champion) == (report.snapshot, "v6", False, "v4")
    assert "release it by hand" in again.reason


def test_events_ingested_live_long_after_they_happened(shop: Any) -> None:
    now = shop.clock.now_us() + 300 * DAY_US
    runtime = shop.open()
    shop.likes(runtime, known_us=now)
    shop.clock.move_to_us(now)
    report = run(runtime)
    assert report.status == "too_little_data"
    assert "ingested as history" in report.reason


def test_two_runs_in_one_home_do_not_meet(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    with FileLock(runtime.home / "learn.lock", "learning"), pytest.raises(HomeBusy):
        run(runtime)
    assert runtime.registry.runs() == []


def test_an_error_in_the_middle_is_noted_and_leaves_nothing(filled: Callable[..., Runtime]) -> None:
    runtime = filled()

    def fail(step: Progress) -> None:
        if step.stage == "refit":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        run(runtime, progress=fail)
    assert runtime.registry.runs()[0].status == "failed"
    assert "No space" in runtime.registry.runs()[0].report["reason"]
    assert runtime.registry.versions() == []
    assert list(runtime.artifacts.iterdir()) == []
    assert run(runtime).champion == "v2"


def test_stopping_by_hand_leaves_nothing(filled: Callable[..., Runtime]) -> None:
    runtime = filled()

    def stop(step: Progress) -> None:
        if step.stage == "fit":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(runtime, progress=stop)
    assert runtime.registry.runs()[0].status == "interrupted"
    assert not (runtime.home / "learning").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from flyball.app import load_app
from flyball.core import ManualClock
from flyball.learning import learn
from flyball.runtime import Runtime, load_settings

home, file, stage, now = sys.argv[1:]
def kill(step):
    if step.stage == stage:
        os.kill(os.getpid(), signal.SIGKILL)
learn(Runtime(load_app(file), load_settings(Path(home)), ManualClock(int(now))), None, kill, workers=1)
"""


@pytest.mark.live
@pytest.mark.parametrize("stage", ["snapshot", "fit", "refit", "register"])
def test_killed_anywhere_the_registry_is_whole_and_the_next_run_cleans_up(
    filled: Callable[..., Runtime], shop: Any, stage: str
) -> None:
    runtime = filled()
    message = subprocess.run(
        [sys.executable, "-c", KILLED, runtime.home, shop.file, stage, str(shop.clock.now_us())], check=False
    )
    assert message.returncode == -signal.SIGKILL
    versions = runtime.registry.versions()
    assert [whole(runtime, each) for each in versions] == [True] * (2 if stage == "register" else 0)
    left = runtime.registry.runs()[0]
    assert (left.status, left.ended_us) == ("interrupted", None), "whoever looks knows at once"
    assert current(runtime.registry).champion is None
    report = run(runtime)
    assert report.run == "r2"
    closed = runtime.registry.runs()[0]
    assert (closed.status, closed.ended_us is None) == ("interrupted", False)
    assert report.released
    named = {each.artifact for each in runtime.registry.versions()}
    assert {path.name for path in runtime.artifacts.iterdir()} == named


def whole(runtime: Runtime, version: Version) -> bool:
    folder = runtime.artifacts / version.artifact
    return version.artifact_files == {path.name: sha256_file(path) for path in folder.iterdir()}


def test_files_that_no_run_made_are_left_alone(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    kept = runtime.artifacts / "mine"
    kept.mkdir(parents=True)
    run(runtime)
    assert kept.is_dir()
    assert os.listdir(kept) == []


def test_the_champion_is_reported_as_it_is_and_as_its_recipe(filled: Callable[..., Runtime], shop: Any) -> None:
    runtime = filled()
    run(runtime)
    message = by_name(run(runtime))
    assert {"champion:v2", "champion:v2:as-it-is"} <= set(message)
    assert message["champion:v2:as-it-is"].role == "champion"
    shop.likes(runtime, users=200, days=10, seed=2, day=20)
    later = run(runtime)
    assert {f"champion:{later.champion_before}", f"champion:{later.champion_before}:refitted"} <= set(by_name(later))


def test_the_same_recipe_on_newer_data_is_released(filled: Callable[..., Runtime], shop: Any) -> None:
    runtime = filled(only="together", max_loss=0.0)
    run(runtime)
    shop.likes(runtime, users=60, days=5, seed=3, day=20)
    report = run(runtime)
    assert report.released, report.candidates


def test_artifacts_that_never_served_go_after_some_runs(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    for _ in range(3):
        report = run(runtime, keep_runs=2)
    assert any("removed the artifacts of v1" in note for note in report.notes)
    first = runtime.registry.version("v1")
    assert not (runtime.artifacts / first.artifact).exists()
    assert [entry.subject for entry in runtime.registry.audit() if entry.action == "remove artifact"] == ["v1"]
    with pytest.raises(Refused, match="removed some runs later"):
        promote(runtime.registry, "v1", "back", "ann", 1, artifacts=runtime.artifacts)
    served = [each for each in runtime.registry.versions() if each.state in ("champion", "retired")]
    assert all((runtime.artifacts / each.artifact).is_dir() for each in served)
    assert rollback(runtime.registry, "back", "ben", 1, artifacts=runtime.artifacts).changed


def test_artifacts_of_versions_long_out_of_service_go_too(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    settings = msgspec.structs.replace(runtime.settings, keep_answers="30d")
    runtime.settings = settings
    run(runtime)
    registry, artifacts, day = runtime.registry, runtime.artifacts, parse_duration("1d")
    start = runtime.clock.now_us()
    able = [one for one in registry.versions() if one.state in ("candidate", "champion")]
    first = able[0]
    extra = [msgspec.structs.replace(first, run="r1", artifact=f"r1-extra{place}") for place in range(6)]
    for each in extra:
        shutil.copytree(artifacts / first.artifact, artifacts / each.artifact)
    names = [one.id for one in add_versions(registry, extra)]
    for place, name in enumerate(names):
        promote(registry, name, "test", "ann", start + place * 10 * day, artifacts=artifacts)
    # the last of them serves, the one before it is where rollback goes, two more are within reach
    assert remove_outdated(registry, artifacts, 5, 30 * day, start + 50 * day) == [current(registry).trail[0]]
    assert remove_outdated(registry, artifacts, 5, 30 * day, start + 51 * day) == [names[0]]
    assert remove_outdated(registry, artifacts, 5, 30 * day, start + 999 * day) == [names[1]]
    assert remove_outdated(registry, artifacts, 5, 30 * day, start + 999 * day) == []
    entry = [one for one in registry.audit() if one.action == REMOVED][-1]
    assert (entry.subject, entry.reason) == (names[1], "it has been out of service for longer than 30d")
    for place in (4, 3, 2):
        assert (
            rollback(registry, "back", "ben", start + 1_000 * day, artifacts=artifacts).state.champion == names[place]
        )
    with pytest.raises(Refused, match="long out of service"):
        rollback(registry, "back", "ben", start + 1_000 * day, artifacts=artifacts)


@pytest.mark.live
def test_a_fit_that_hangs_is_ended_and_rejected(filled: Callable[..., Runtime]) -> None:
    runtime = filled(broken="hang")
    message = by_name(run(runtime, workers=2))
    assert "must end within 20 s" in message["broken-hang"].reason
    assert message["together"].outcome == "passed"
