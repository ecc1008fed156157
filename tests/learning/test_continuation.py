"""A run continues the champion: from a checkpoint that knew nothing of the test window, and says what that saves.

FTRL continues bit for bit, so what a run continues must equal a fit on everything that was known before the window: a
model that had seen any of it, or missed any example, would differ.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.learning.changing import DAY_US, START_US, filled, late

import flyball as fb
from flyball.core import ManualClock
from flyball.learning import LearnReport, TrainingRecord, learn, record_of
from flyball.learning.continuation import CHECKPOINT
from flyball.models import TabularFit, load_artifact
from flyball.registry import Version
from flyball.runtime import Runtime, load_settings
from flyball.tasks import ContinuesCandidates, TrainingData

FTRL = fb.FTRL(bits=12)
DAYS = 10


class Forgetful(fb.FTRL, frozen=True):
    """Forgets everything when it continues."""

    def update(self, learned: TabularFit, table: Any, target: Any, seed: int) -> TabularFit:
        if not learned.arrays["n"].any():
            return super().update(learned, table, target, seed)
        return TabularFit({name: np.zeros_like(array) for name, array in learned.arrays.items()})


def application(candidates: Mapping[str, Any] | None = None, refit_every: int | None = 3) -> fb.App:
    training = None if refit_every is None else fb.stateful(refit_every=refit_every)
    return late(candidates or {"ftrl": FTRL}, training=training, period=40.0, orders_a_day=100)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("past")
    filled(folder, application(), DAYS)
    return folder


def home(past: Path, folder: Path, app: fb.App | None = None) -> Runtime:
    """A home of its own with the same past."""
    shutil.copytree(past, folder)
    return Runtime(app or application(), load_settings(folder), ManualClock(START_US + DAYS * DAY_US))


def days(runtime: Runtime, *known: float) -> list[LearnReport]:
    """A run by what was known after each of these days."""
    return [learn(runtime, START_US + int(day * DAY_US), workers=1) for day in known]


class Continued(NamedTuple):
    """Four runs: v1 is fitted, v2 and v3 continue, v4 is fitted and compared."""

    runtime: Runtime
    reports: list[LearnReport]


@pytest.fixture(scope="module")
def continued(past: Path, tmp_path_factory: pytest.TempPathFactory) -> Continued:
    runtime = home(past, tmp_path_factory.mktemp("continued") / "home")
    return Continued(runtime, days(runtime, 7.5, 8, 9, 10))


def version_of(runtime: Runtime, report: LearnReport, candidate: str = "ftrl") -> Version:
    versions = runtime.registry.versions()
    return next(version for version in versions if (version.run, version.candidate) == (report.run, candidate))


def sentence(report: LearnReport) -> str:
    assert report.training is not None
    return report.training.sentence


def test_a_run_continues_the_champion_as_if_it_had_learned_from_everything(
    continued: Continued, past: Path, tmp_path: Path
) -> None:
    runtime, reports = continued
    stateless = home(past, tmp_path / "stateless", application(refit_every=None))
    assert all(report.released for report in reports)
    assert sentence(reports[0]) == "fitted on everything: there is no champion to continue from"
    versions = [version_of(runtime, report) for report in reports]
    records = [record_of(version) for version in versions]
    assert [record.continued_from for record in records] == ["", "v1", "v2", ""]
    assert [record.steps for record in records] == [0, 1, 2, 0]
    assert records[2].new == records[2].examples - records[1].examples > 50
    assert records[2].sentence == f"continued from v2 with {records[2].new} new examples, 2 times in a row"
    for ours, theirs, version in zip(reports[1:3], days(stateless, 8, 9), versions[1:3], strict=True):
        assert theirs.training is None
        assert ours.candidates[0].metrics == theirs.candidates[0].metrics
        other = version_of(stateless, theirs)
        assert other.training == {}
        one = load_artifact(runtime.artifacts / version.artifact, version.artifact_files)
        two = load_artifact(stateless.artifacts / other.artifact, other.artifact_files)
        for name in ("z", "n", "seen"):
            np.testing.assert_array_equal(one.arrays[name], two.arrays[name])


def test_the_report_says_what_continuing_took_and_a_fit_on_everything(continued: Continued) -> None:
    first, second = continued.reports[:2]
    assert first.training is not None
    assert second.training is not None
    assert first.training.ratio is None
    fit_s = record_of(version_of(continued.runtime, first)).fit_s
    assert second.training.fit_s == fit_s == first.candidates[0].cost["train_s"]
    assert second.training.seconds == second.candidates[0].cost["train_s"]
    assert second.training.ratio == pytest.approx(fit_s / second.candidates[0].cost["train_s"])
    assert f"{second.training.ratio:.1f} times as long" in str(second.training)


def test_the_champion_is_compared_by_its_checkpoint(continued: Continued) -> None:
    """It had learned from the test window; the model of its own evaluation had not."""
    second = continued.reports[1]
    rows = {candidate.name: candidate for candidate in second.candidates}
    assert "its checkpoint, which knew nothing of the window, is evaluated instead" in " ".join(second.notes)
    assert rows["champion:v1"].metrics != rows["ftrl"].metrics
    assert rows["champion:v1"].metrics != rows["champion:v1:as-it-is"].metrics
    held = next(gate for gate in rows["ftrl"].gates if gate["name"] == "holds_champion")
    assert "minus the champion's" in held["reason"], "its checkpoint is another model"
    assert second.served is None


def test_after_some_runs_it_is_fitted_on_everything_and_compared(continued: Continued) -> None:
    fourth = continued.reports[3]
    assert fourth.training is not None
    assert sentence(fourth) == "fitted on everything: after 2 runs that continued"
    assert fourth.training.difference is not None
    assert fourth.training.difference.value == 0.0, "FTRL continues bit for bit"
    assert fourth.training.ratio is not None
    assert "champion:v3:continued" in [candidate.name for candidate in fourth.candidates]


def test_the_same_home_and_seed_give_the_same_bits(continued: Continued, past: Path, tmp_path: Path) -> None:
    again = home(past, tmp_path / "again")
    reports = [continued.reports[1], days(again, 7.5, 8)[1]]
    versions = [
        version_of(runtime, report) for runtime, report in zip((continued.runtime, again), reports, strict=True)
    ]
    files = [
        {name: digest for name, digest in version.artifact_files.items() if ".json" not in name} for version in versions
    ]
    checkpoints = [record_of(version).files for version in versions]
    assert files[0] == files[1]
    assert checkpoints[0] == checkpoints[1]


def test_one_that_was_rejected_is_fitted_on_everything_the_next_time(past: Path, tmp_path: Path) -> None:
    runtime = home(past, tmp_path / "a", application({"ftrl": Forgetful(bits=12)}))
    first, second, third = days(runtime, 7, 8, 9)
    assert (first.released, second.released, third.released) == (True, False, True)
    assert version_of(runtime, second).state == "rejected"
    assert record_of(version_of(runtime, second)).continued_from == "v1"
    assert sentence(third) == "fitted on everything: v2, which continued from v1, was rejected"


def test_what_cannot_be_continued_is_fitted_on_everything(continued: Continued, tmp_path: Path) -> None:
    before = continued.runtime.home
    (again,) = days(home(before, tmp_path / "again"), 10)
    assert sentence(again) == "fitted on everything: nothing is new since v4"
    (earlier,) = days(home(before, tmp_path / "earlier"), 8)
    assert sentence(earlier) == "fitted on everything: v4 was evaluated on a later test window"
    (other,) = days(home(before, tmp_path / "other", application({"ftrl": fb.FTRL(bits=12, l2=2.0)})), 10)
    assert sentence(other) == "fitted on everything: ftrl is not declared as it was when v4 was learned"
    held = learn(home(before, tmp_path / "held"), workers=1, without={"mallory": 0.0})
    assert sentence(held) == "fitted on everything: other accounts are left out than when v4 was learned"
    lost = home(before, tmp_path / "lost")
    shutil.rmtree(lost.artifacts / version_of(lost, continued.reports[3]).artifact / CHECKPOINT)
    (without,) = days(lost, 10)
    assert sentence(without) == "fitted on everything: v4 has no checkpoint that can be read"


def test_a_model_that_cannot_continue_says_so(past: Path, tmp_path: Path) -> None:
    runtime = home(past, tmp_path / "a", application({"linear": fb.Linear()}))
    _, second = days(runtime, 9, 10)
    assert sentence(second) == "fitted on everything: Linear cannot continue from what it learned"
    record = record_of(version_of(runtime, second, "linear"))
    assert (record.reason, record.files) == ("Linear cannot continue from what it learned", {})


def test_examples_that_came_late_or_were_removed_are_noticed() -> None:
    """A model that reads each request once could not follow them."""
    door = application().task.offline()
    assert isinstance(door, ContinuesCandidates)
    at_us = np.arange(10, dtype=np.int64) * 3_600_000_000  # the label of each is final six hours later
    data = TrainingData({"at_us": at_us}, {}, int(at_us[-1]))
    assert door.unseen(data, int(at_us[8]) + 1, examples=3) == 7
    assert door.unseen(data, int(at_us[8]), examples=2) == 8, "at the very hour it is not final yet"
    assert door.unseen(data, int(at_us[8]) + 1, examples=4) == "of the 4 examples known then there are 3 now"


def test_a_record_says_how_a_version_was_trained() -> None:
    assert TrainingRecord(continued_from="v6", new=1, steps=1).sentence == "continued from v6 with 1 new example"
    assert TrainingRecord(reason="nothing is new").sentence == "fitted on everything: nothing is new"
