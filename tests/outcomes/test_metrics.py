"""Shares and means of labels against a published table and the formulas by hand."""

import math
import statistics

import pytest

from flyball.outcomes.counts import MINUTE_US, LabelCounts, VersionCounts
from flyball.outcomes.metrics import LabelMetric, LabelSpec, VersionOutcomes, version_outcomes, wilson

HOUR_US = 60 * MINUTE_US
SHARE, SHARE_OF_KNOWN = LabelSpec(HOUR_US, False, 0.0), LabelSpec(HOUR_US, False, None)
MEAN, MEAN_OF_ALL = LabelSpec(HOUR_US, True, None), LabelSpec(HOUR_US, True, 0.5)
LATE_US = 1_000 * HOUR_US


def outcomes(spec: LabelSpec, *minutes: tuple[int, int, LabelCounts], now_us: int = LATE_US) -> VersionOutcomes:
    """Of one version: `minutes` are (minute, responses, counts of the label)."""
    counted = [(minute, VersionCounts(responses=n, labels={"positive": counts})) for minute, n, counts in minutes]
    return version_outcomes("v1", counted, {"positive": spec}, now_us)


def metric(spec: LabelSpec, *minutes: tuple[int, int, LabelCounts], now_us: int = LATE_US) -> LabelMetric:
    return outcomes(spec, *minutes, now_us=now_us).labels["positive"]


def counts_of(*values: float, responses: int = 0, censored: int = 0, impossible: int = 0) -> LabelCounts:
    micro = [round(value * 1e6) for value in values]
    total, squares = sum(micro), sum(value * value for value in micro)
    return LabelCounts(responses or len(values), len(values), total, squares, censored, impossible)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_that_of_a_published_table(successes: int, trials: int, low: float, high: float) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 1998, table I."""
    assert [round(end, 4) for end in wilson(successes, trials)] == [low, high]


def test_a_share_is_over_the_responses_that_could_have_it() -> None:
    counts = counts_of(1, 1, 1, responses=2, censored=3, impossible=5)
    found = metric(SHARE, (0, 20, counts))
    assert (found.value, found.low, found.high) == (2 / 12, *wilson(2, 12))
    assert (found.mature, found.censored, found.impossible, found.n, found.is_share) == (20, 3, 5, 3, True)
    known = metric(SHARE_OF_KNOWN, (0, 20, counts))
    assert known.value == 1.0, "where nothing holds otherwise, of those that have it"
    assert metric(SHARE, (0, 3, LabelCounts(censored=3))).value is None


def test_a_mean_has_the_interval_of_its_standard_error() -> None:
    values = [1.0, 2.0, 4.5, 3.0]
    found = metric(MEAN, (0, 9, counts_of(*values)))
    half = 1.959964 * statistics.stdev(values) / math.sqrt(len(values))
    assert found.value == pytest.approx(2.625)
    assert (found.low, found.high) == (pytest.approx(2.625 - half), pytest.approx(2.625 + half))
    assert not found.is_share
    single = metric(MEAN, (0, 9, counts_of(3.0)))
    assert (single.value, single.low, single.high) == (3.0, None, None)
    assert metric(MEAN, (0, 9, LabelCounts())).value is None


def test_a_mean_counts_what_holds_otherwise_for_those_without_one() -> None:
    """Four more responses of 0.5, without those whose wait was ended or that had none."""
    found = metric(MEAN_OF_ALL, (0, 9, counts_of(1.0, 2.0, censored=2, impossible=1)))
    values = [1.0, 2.0, 0.5, 0.5, 0.5, 0.5]
    half = 1.959964 * statistics.stdev(values) / math.sqrt(len(values))
    assert (found.value, found.low) == (pytest.approx(statistics.mean(values)), pytest.approx(found.value - half))  # type: ignore[operator]


@pytest.mark.parametrize(("after_us", "mature"), [(-1, 0), (0, 4), (1, 4)])
def test_a_minute_is_mature_when_the_window_of_its_last_response_has_closed(after_us: int, mature: int) -> None:
    now_us = 6 * MINUTE_US + HOUR_US + after_us
    found = metric(SHARE, (5, 4, counts_of(1)), (6, 10, counts_of(1, 1)), now_us=now_us)
    assert (found.mature, found.open, found.n) == (mature, 14 - mature, 1 if mature else 0)
    assert found.so_far == 3 / 14
    assert found.value == (0.25 if mature else None)


def test_a_version_without_responses_has_no_share_of_anything() -> None:
    none = version_outcomes("", [], {"positive": SHARE}, LATE_US)
    assert (none.responses, none.availability, none.modeled, none.p50_us) == (0, None, None, None)
    assert none.labels["positive"] == LabelMetric(None, None, None, None, 0, 0, 0, 0, 0)


def test_what_was_answered_is_summed_over_minutes() -> None:
    first = VersionCounts(responses=3, filled=2, modeled=1, levels={"champion": 3}, arms={"champion": 2, "arm": 1})
    second = VersionCounts(responses=1, filled=1, modeled=1, levels={"popular": 1}, arms={"champion": 1})
    found = version_outcomes("v1", [(0, first), (9, second)], {}, LATE_US)
    assert (found.version, found.responses, found.availability, found.modeled) == ("v1", 4, 0.75, 0.5)
    assert (found.levels, found.arms) == ({"champion": 3, "popular": 1}, {"arm": 1, "champion": 3})
