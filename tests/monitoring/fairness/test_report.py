"""The report on answers in real logs: a merchant whose scores say less, versions, features as groups."""

from pathlib import Path

import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, WITHIN_DAYS, bank, bank_app, noisy_corner

from flyball.core import Refused
from flyball.monitoring import fairness_report


def test_the_merchant_whose_scores_say_less_is_found(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=24, daily=300, change=noisy_corner, app=bank_app(groups=("merchant",)))
    report = fairness_report(runtime, days=20)
    assert report.until_us - report.since_us == 20 * DAY_US
    assert report.answers == report.labeled == 20 * 300
    (comparison,) = report.compared
    assert {group.group: group.requests for group in comparison.groups} == {"acme": 4_000, "corner": 2_000}
    auc = comparison.largest["auc"]
    assert auc.certain
    assert (auc.high_group, auc.low_group) == ("acme", "corner")
    (sampling,) = report.sampling
    assert [group.p for group in sampling.groups] == [1.0, 1.0]
    assert all(group.arrives_us is not None for group in sampling.groups)


def test_only_answers_with_a_final_label_are_looked_at(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=8, daily=50, app=bank_app(groups=("merchant",)))
    report = fairness_report(runtime, days=2, version="v1", until_us=START_US + 7 * DAY_US)
    assert report.until_us == START_US + (7 - WITHIN_DAYS) * DAY_US
    assert report.labeled == 100
    with pytest.raises(Refused, match="there must be answers of v9 with a final label, which takes 3d, in the 2 days"):
        fairness_report(runtime, days=2, version="v9")


def test_a_task_without_groups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the task must declare groups"):
        fairness_report(bank(tmp_path, days=4, daily=5), days=2)
