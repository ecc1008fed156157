"""The report on exposure, from logs that were written."""

from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.exposure.shop import hours, narrowing_lists, shop

from flyball.core import BadInput, Refused
from flyball.evaluation import Estimate
from flyball.monitoring import exposure_report
from flyball.monitoring.exposure.report import half_width

DAY_US = 86_400_000_000


def test_a_row_for_each_period_and_each_of_its_versions(tmp_path: Path) -> None:
    runtime = shop(tmp_path, narrowing_lists(), [(0.1, 1, "a"), (70, 2, "b")], products="abcdefghijklmnop")
    report = exposure_report(runtime, last_us=3 * DAY_US, every_us=DAY_US, until_us=hours(72))
    assert [(row.since_us, row.version, row.lists) for row in report.rows] == [
        (hours(0), "", 40),
        (hours(24), "", 40),
        (hours(24), "v1", 20),
        (hours(24), "v2", 20),
        (hours(48), "", 40),
        (hours(48), "v1", 20),
        (hours(48), "v2", 20),
    ]
    assert (report.items, report.lists) == (16, 120)
    days = [row.measures for row in report.rows if not row.version]
    assert [day["coverage"].value for day in days] == [12 / 16, 9 / 16, 6 / 16]
    assert days[0]["gini"].value < days[1]["gini"].value < days[2]["gini"].value


def test_the_randomized_slice_is_in_no_row_and_costs_what_it_takes_less(tmp_path: Path) -> None:
    shown = [(number / 4, number % 20 + 1, "abc", "v1") for number in range(60)]
    shown += [(number / 4 + 0.1, number % 20 + 1, "xyz", "random") for number in range(20)]
    bought = [(at + 0.05, user, "a") for at, user, _, version in shown[:60:2]] + [(shown[60][0] + 0.05, 1, "x")]
    report = exposure_report(
        shop(tmp_path, shown, bought, "abcxyz"), last_us=2 * DAY_US, every_us=2 * DAY_US, until_us=hours(48)
    )
    assert (report.lists, report.rows[0].lists) == (80, 60)
    assert report.rows[0].measures["coverage"].value == 0.5
    assert report.slice is not None
    assert (report.slice.lists, report.slice.others, report.slice.rate.value) == (20, 60, 0.05)
    assert report.slice.others_rate.value == 0.5


def test_a_period_without_lists_has_no_row(tmp_path: Path) -> None:
    runtime = shop(tmp_path, [(1, 1, "ab", "v1"), (49, 2, "ab", "v1")], [(60, 2, "a")])
    report = exposure_report(runtime, last_us=3 * DAY_US, every_us=DAY_US, until_us=hours(72))
    assert [row.since_us for row in report.rows] == [hours(0), hours(48)]


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    runtime = shop(tmp_path, [(1, 1, "ab", "v1")], [(60, 2, "a")])
    with pytest.raises(BadInput, match="1 to 400 periods long"):
        exposure_report(runtime, last_us=3 * DAY_US, every_us=2 * DAY_US)
    with pytest.raises(Refused, match="must be lists in the 1d looked at, got none: look at a longer time"):
        exposure_report(runtime, last_us=DAY_US, every_us=DAY_US)


def test_half_of_an_interval() -> None:
    assert half_width(Estimate(2.0, 1.0, 4.0)) == 1.5
    assert np.isnan(half_width(Estimate(2.0)))
