"""Labels of one group that come late, or not at night: seen, with the reweighted metrics near the truth."""

import numpy as np
import pytest
from tests.monitoring.performance.bank import rows

from flyball.core import BadInput
from flyball.monitoring.fairness.sampling import sampling_times
from flyball.monitoring.performance.logged import Logged

HOUR_US = 3_600_000_000


def night_shift(missing: float, late: float = 1.0, count: int = 6_000, seed: int = 3) -> tuple[Logged, np.ndarray]:
    """(predictions, hour of each): at night the model errs more; of the south's night a share has no label.

    `late`: the factor of how long labels of the south take, 10 hours on average in the north.
    """
    rng = np.random.default_rng(seed)
    hour = rng.integers(24, size=count)
    group = rng.choice(np.array(["north", "south"], object), count)
    night = hour < 6
    scores = np.full(count, 0.5)
    actual = (rng.random(count) < np.where(night, 0.9, 0.5)).astype(float)
    actual[(group == "south") & night & (rng.random(count) < missing)] = np.nan
    waits = rng.exponential(10 * HOUR_US, count) * np.where(group == "south", late, 1.0)
    known_after_us = np.where(actual > 0, waits, -1).astype(np.int64)
    return rows(scores, actual, slices={"region": group}, known_after_us=known_after_us), hour


def test_labels_that_are_missing_at_night_are_seen_and_reweighted() -> None:
    sample, hour = night_shift(missing=0.9)
    result = sampling_times(sample, "region", hour, 100 * HOUR_US)
    by_name = {group.group: group for group in result.groups}
    assert by_name["south"].p < 0.01
    assert by_name["north"].p == 1.0
    assert by_name["south"].labeled_share < by_name["south"].share - 0.03
    gap = {group.group: group.metrics["calibration_gap"].value for group in result.reweighted.groups}
    own = (sample.slices["region"] == "south") & sample.labeled
    plain = float((sample.actual[own] - sample.scores[own]).mean())
    truth = 6 / 24 * 0.4
    assert abs(gap["south"] - truth) < 0.03 < abs(plain - truth)
    assert abs(gap["north"] - truth) < 0.03


def test_labels_missing_at_random_are_chance() -> None:
    p_values = []
    for seed in range(40):
        sample, hour = night_shift(missing=0.0, count=600, seed=seed)
        lacking = np.random.default_rng(seed + 900).random(600) < 0.4
        thinned = sample.only(np.ones(600, bool))
        thinned.actual[lacking] = np.nan
        result = sampling_times(thinned, "region", hour, 100 * HOUR_US)
        p_values += [group.p for group in result.groups]
    assert np.mean(np.array(p_values) < 0.05) <= 0.12


def test_labels_of_one_group_arrive_later() -> None:
    sample, hour = night_shift(missing=0.0, late=3.0)
    by_name = {group.group: group for group in sampling_times(sample, "region", hour, 40 * HOUR_US).groups}
    north, south = by_name["north"].arrives_us, by_name["south"].arrives_us
    assert north is not None
    assert south is not None
    assert north.high is not None
    assert south.low is not None
    assert north.high < south.low
    assert south.value == pytest.approx(30 * np.log(2) * HOUR_US, rel=0.1)
    known = [1 - np.exp(-age / 10) for age in (10, 20, 30)]
    assert by_name["north"].known_by == pytest.approx(known, abs=0.03)


def test_hours_without_a_label_are_counted_and_young_predictions_left_out() -> None:
    sample, hour = night_shift(missing=1.0, count=1_000)
    sample.mature[500:] = False
    result = sampling_times(sample, "region", hour, 100 * HOUR_US)
    assert sum(group.answers for group in result.groups) == 500
    own = (sample.slices["region"] == "south")[:500]
    south = next(group for group in result.groups if group.group == "south")
    assert south.uncovered == pytest.approx((hour[:500][own] < 6).mean())
    with pytest.raises(BadInput, match="so old that their labels are final"):
        sampling_times(sample.only(~sample.mature), "region", hour[500:], 100 * HOUR_US)
