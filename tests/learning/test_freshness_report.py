"""The curve of losses, the cadence and the window that follow from it, and the recommendation in words."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.evaluation import Estimate
from flyball.learning import AgeLoss, Cadence, FreshnessReport, WindowValue
from flyball.learning.freshness_report import (
    cadences_of,
    pooled,
    recommended_cadence,
    recommended_window,
    smoothed,
)

DAY_US = 86_400_000_000


def aged(*losses: float) -> list[AgeLoss]:
    return [AgeLoss((day + 1) * DAY_US, 2.0 + loss, Estimate(loss)) for day, loss in enumerate(losses)]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_no_curve_that_does_not_fall_is_nearer_to_the_losses(losses: list[float]) -> None:
    curve = smoothed(aged(*losses))
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise([0.0, *curve]))
    grid = np.linspace(0, 1, 41)
    cost = np.zeros(len(grid))
    for loss in losses:  # dynamic programming over a grid of levels
        cost = np.minimum.accumulate(cost) + (grid - loss) ** 2
    distance = sum((value - loss) ** 2 for value, loss in zip(curve, losses, strict=True))
    assert distance <= cost.min() + 1e-9


def test_a_cadence_loses_the_mean_of_the_curve_up_to_it() -> None:
    ages = aged(1.0, 1.0, 4.0)
    cadences = cadences_of(ages, [1.0, 1.0, 4.0], fit_s=10.0)
    assert [cadence.loss for cadence in cadences] == pytest.approx([0.5, 0.75, (0.5 + 1.0 + 2.5) / 3])
    assert [cadence.runs for cadence in cadences] == [30.0, 15.0, 10.0]
    assert [cadence.seconds for cadence in cadences] == [300.0, 150.0, 100.0]
    fine = np.linspace(0, 3, 30_001)
    assert cadences[2].loss == pytest.approx(np.interp(fine, [0, 1, 2, 3], [0, 1, 1, 4]).mean(), abs=1e-3)


CADENCES = [Cadence(days * DAY_US, loss, 30 / days, 1.0) for days, loss in ((1, 0.01), (2, 0.02), (4, 0.05))]


@pytest.mark.parametrize(
    ("decays", "tolerance", "days"),
    [(True, 0.01, 2), (True, 0.009, 1), (True, 0.001, 1), (True, 0.9, 4), (False, 0.01, None)],
)
def test_the_longest_cadence_that_is_tolerable_is_recommended(decays: bool, tolerance: float, days: int | None) -> None:
    chosen = recommended_cadence(CADENCES, decays, fresh=2.0, tolerance=tolerance)
    assert chosen == (None if days is None else days * DAY_US)


def test_a_window_must_certainly_gain_to_be_recommended() -> None:
    unsure = WindowValue("1d", 2.0, Estimate(0.9, -0.1, 1.9))
    sure, better = WindowValue("7d", 2.0, Estimate(0.3, 0.1, 0.5)), WindowValue("30d", 2.0, Estimate(0.4, 0.1, 0.7))
    assert recommended_window([WindowValue("all", 2.0), unsure]) == "all"
    assert recommended_window([WindowValue("all", 2.0), unsure, sure, better, WindowValue("3d", failed="few")]) == "30d"


def test_the_interval_of_a_mean_over_windows_covers_its_truth() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        errors = rng.uniform(0.5, 1.5, 4)
        drawn = [Estimate(v, v - 1.96 * e, v + 1.96 * e) for v, e in zip(rng.normal(3.0, errors), errors, strict=True)]
        mean = pooled(drawn)
        covered += mean.low is not None and mean.high is not None and mean.low <= 3.0 <= mean.high
    assert covered >= 0.93 * 400
    narrow, wide = pooled([Estimate(1.0, 0.0, 2.0)]), pooled([Estimate(1.0, 0.0, 2.0)], together=5)
    assert narrow.high is not None
    assert wide.high is not None
    assert narrow.high == pytest.approx(2.0)
    assert wide.high > 2.2
    assert pooled([Estimate(1.0), Estimate(3.0)]) == Estimate(2.0)


def report(cadence_us: int | None, window: str, curve: tuple[float, ...] = (0.02, 0.04)) -> FreshnessReport:
    ages = aged(*curve)
    return FreshnessReport(
        app="a",
        candidate="linear",
        metric="mae",
        as_of_us=0,
        snapshot="",
        seed=0,
        tested=1,
        requests=9,
        length_us=DAY_US,
        fresh=2.0,
        ages=ages,
        curve=list(curve),
        decays=cadence_us is not None,
        tolerance=0.01,
        cadences=cadences_of(ages, curve, 2.0),
        cadence_us=cadence_us,
        windows=[],
        window=window,
        fit_s=2.0,
    )


def test_the_recommendation_in_words() -> None:
    assert report(DAY_US, "all").sentence == (
        'learn every 1d, fb.every("1d"): on average mae is worse by 0.01, for 60 s of training a month; '
        "learn from all data"
    )
    assert report(2 * DAY_US, "7d", (0.2, 0.4)).sentence.endswith(
        "worse by 0.2, more than the 0.02 that are tolerated, for 30 s of training a month; learn from the last "
        '7d, train_window=["all", "7d"]'
    )
    assert report(None, "drift").sentence == (
        "no loss by age is certain up to 2d: learning more often than every 2d gains nothing that is measurable; "
        'learn from data since the last drift, train_window=["all", "since_drift"]'
    )


def test_between_measured_ages_the_loss_is_a_line() -> None:
    known = report(DAY_US, "all")
    assert [known.loss_at(days * DAY_US) for days in (0, 0.5, 1, 1.5, 2, 9)] == pytest.approx(
        [0.0, 0.01, 0.02, 0.03, 0.04, 0.04]
    )
