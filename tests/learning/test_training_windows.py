"""Training windows: after a planted change the data since then win, without one everything is kept; versions say so."""

from pathlib import Path
from typing import Any

import pytest
from tests.learning.changing import DAY_US, START_US, changing, filled, late

import flyball as fb
from flyball.core import BadDeclaration
from flyball.learning import LearnReport, learn, record_of
from flyball.learning import training_windows as windows_module
from flyball.runtime import Runtime

CHANGE_DAY, DAYS = 10, 12


def learned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, slower: float, declared: Any = "all", **of_run: Any
) -> tuple[Runtime, LearnReport]:
    """A run two days after the kitchens became `slower` minutes slower, which a monitor found."""
    app = changing(change_day=float(CHANGE_DAY), slower=slower, orders_a_day=120)
    app.train_window = declared
    runtime = filled(folder, app, DAYS)
    drift_us = START_US + CHANGE_DAY * DAY_US
    monkeypatch.setattr(windows_module, "last_drift_us", lambda registry, known_us: drift_us)
    return runtime, learn(runtime, workers=1, **of_run)


def test_after_a_change_a_candidate_learns_from_what_came_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, report = learned(tmp_path, monkeypatch, 20.0, ["all", "since_drift"])
    by_name = {candidate.name: candidate for candidate in report.candidates}
    assert by_name["linear"].metrics["mae"]["value"] < 0.5 * by_name["linear@all"].metrics["mae"]["value"]
    assert by_name["linear"].window.startswith("learned from since_drift, from 2026-01-11T00:00:00")
    assert "mae is better by" in by_name["linear"].window
    assert (by_name["linear@all"].outcome, by_name["linear@all"].role) == ("compared", "candidate")
    assert report.window is not None
    assert report.window.start_us > START_US + CHANGE_DAY * DAY_US  # the world that is gone decides nothing
    version = runtime.registry.version(report.chosen)
    record = record_of(version)
    assert (record.window, record.from_us) == ("since_drift", START_US + CHANGE_DAY * DAY_US)
    assert version.candidate == "linear"
    assert report.champion == version.id


def test_without_a_change_everything_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, report = learned(tmp_path, monkeypatch, 0.0, ["all", "2d"])
    linear = next(candidate for candidate in report.candidates if candidate.name == "linear")
    assert linear.window.startswith("learned from all: no other window is certainly better by mae: 2d (")
    assert record_of(runtime.registry.version(report.chosen)).window == "all"
    assert report.window is not None
    assert report.window.rule.startswith("the last 20%")


def test_a_window_of_one_run_is_not_the_declared_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, report = learned(tmp_path, monkeypatch, 0.0, train_window="3d")
    assert [candidate.name for candidate in report.candidates if candidate.role == "candidate"] == ["linear"]
    record = record_of(runtime.registry.version(report.chosen))
    assert (record.window, record.from_us) == ("3d", report.as_of_us - 3 * DAY_US)


def test_too_few_examples_since_a_drift_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = changing(orders_a_day=120)
    app.train_window = ["all", "since_drift"]
    runtime = filled(tmp_path, app, 6)
    monkeypatch.setattr(windows_module, "last_drift_us", lambda registry, known_us: known_us - DAY_US // 8)
    report = learn(runtime, workers=1)
    assert report.chosen
    assert any("since the drift at" in note and "60 are needed" in note for note in report.notes)


def test_a_window_with_too_few_examples_is_not_what_the_version_says_it_learned_from(tmp_path: Path) -> None:
    app = changing(orders_a_day=120)
    app.train_window = "1h"
    runtime = filled(tmp_path, app, 6)
    report = learn(runtime, workers=1)
    assert any("train_window 1h" in note and "left out of this run" in note for note in report.notes)
    record = record_of(runtime.registry.version(report.chosen))
    assert (record.window, record.from_us) == ("all", 0)


def test_a_model_that_continues_learns_from_everything_first() -> None:
    candidates = {"ftrl": fb.FTRL(bits=12)}
    app = late(candidates, training=fb.stateful())
    with pytest.raises(BadDeclaration, match="or a list that begins with it"):
        app.windows_of("7d")
    assert [window.name for window in app.windows_of(["all", "7d"])] == ["all", "7d"]
