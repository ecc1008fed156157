"""The report over real logs: measured where labels are known, estimated where not, planted changes, and refusals."""

from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, bank, kitchen, market

from flyball.core import BadInput, NotFound, Refused
from flyball.monitoring import PerformanceReport, performance_report
from flyball.runtime import Runtime


def look(runtime: Runtime, until_day: int | None = None, last: int = 1, before: int = 14) -> PerformanceReport:
    until_us = None if until_day is None else START_US + until_day * DAY_US
    return performance_report(runtime, last_us=last * DAY_US, before_us=before * DAY_US, until_us=until_us)


def drifting(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From day 20 on the outcome has little to do with the scores."""
    return (scores, scores) if day < 20 else (scores, 0.15 * scores + 0.35)


def easier(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From day 26 on probabilities are in the middle, so that less is certain."""
    return (scores, scores) if day < 26 else ((moved := 0.35 + 0.3 * scores), moved)


def test_a_day_whose_labels_are_known_is_measured(tmp_path: Path) -> None:
    report = look(bank(tmp_path, days=24), until_day=20)
    assert (report.predictions, report.labeled) == (150, 150)
    assert {row.metric.basis for row in report.metrics} == {"measured"}
    assert not report.worse
    assert not report.unknown
    assert report.run is not None
    assert report.run.p > 0.01


def test_a_changed_relation_is_worse_once_labels_are_known(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=25, change=drifting)
    report = look(runtime, until_day=21)
    assert {"brier", "log_loss", "auc"} <= {metric.metric for metric in report.worse}
    assert not look(runtime, until_day=20).worse


def test_a_day_whose_labels_are_not_known_is_estimated(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=27, daily=300, change=easier)
    report = look(runtime)
    assert report.labeled == 0
    assert {row.metric.basis for row in report.metrics} == {"estimated"}
    assert "brier" in {metric.metric for metric in report.worse}
    assert not look(runtime, until_day=26, before=13).worse


def test_slices_have_their_own_lines(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=24)
    report = performance_report(
        runtime, last_us=DAY_US, before_us=14 * DAY_US, by=("merchant",), until_us=START_US + 20 * DAY_US
    )
    assert [(row.metric.slice, row.metric.rows) for row in report.metrics if row.metric.by] == [
        ("acme", 100),
        ("corner", 50),
    ]


def test_numbers_are_measured(tmp_path: Path) -> None:
    runtime = kitchen(tmp_path, late=lambda day: 2.0 if day == 10 else 1.0)
    report = look(runtime, until_day=11, before=8)
    assert {row.metric.metric for row in report.metrics} == {"absolute_error", "bias", "coverage"}
    assert [metric.metric for metric in report.worse] == ["absolute_error"]
    assert {row.metric.metric for row in report.metrics if row.verdict == "changed"} == {"bias", "coverage"}
    waiting = look(runtime, before=8)
    assert waiting.unknown == {
        "estimates": "numbers have no probabilities from which their performance could be estimated"
    }


def test_lists_are_measured(tmp_path: Path) -> None:
    runtime = market(tmp_path, hits=lambda day: 0.05 if day == 9 else 0.5)
    report = look(runtime, until_day=10, before=7)
    assert {metric.metric for metric in report.worse} == {"hit_rate", "reciprocal_rank"}
    assert not look(runtime, until_day=9, before=7).worse


def test_a_time_before_without_labels_is_named(tmp_path: Path) -> None:
    report = look(bank(tmp_path, days=4), before=2)
    assert report.unknown["before"] == (
        "no label of the time before is known yet; they take 3d: compare with a longer time, by --before"
    )
    assert not report.metrics


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=3, daily=10)
    with pytest.raises(BadInput, match="a multiple of the length of the last window"):
        performance_report(runtime, last_us=DAY_US, before_us=DAY_US + 1)
    with pytest.raises(NotFound, match="no label 'refund'; known: chargeback"):
        performance_report(runtime, last_us=DAY_US, before_us=DAY_US, label="refund")
    with pytest.raises(Refused, match="there must be predictions of a version in the 1d looked at, got none"):
        performance_report(runtime, last_us=DAY_US, before_us=DAY_US, until_us=START_US - DAY_US)
