"""Rows of a sample of users count for less; keys that come in every window are no sample."""

import numpy as np
import polars as pl
from scipy import stats
from tests.monitoring.profiles.clustered import sessions

from flyball.monitoring import TableProfile, compare_profiles
from flyball.monitoring.profiles.dependence import dependence


def test_keys_that_come_in_every_window_are_no_sample() -> None:
    rng = np.random.default_rng(3)
    machines = pl.Series([f"m{number}" for number in np.arange(200) % 5])
    window = TableProfile.of(pl.DataFrame({"value": rng.normal(size=200)}), machines)
    assert dependence(window, window, "value") == 1.0
    users = [TableProfile.of(part.drop("key"), part["key"]) for part in (sessions(rng, 30, 5, 0.9) for _ in range(4))]
    assert dependence(users[0], users[1].merge(users[2]).merge(users[3]), "value") > 3
    few = TableProfile.of(sessions(rng, 5, 5, 0.9).drop("key"), sessions(rng, 5, 5, 0.9)["key"])
    assert dependence(few, users[1], "value") == np.inf


def test_rows_of_a_few_users_are_no_shift() -> None:
    rng, trials = np.random.default_rng(4), 80
    alarms = 0
    for _ in range(trials):
        before, now = sessions(rng, 300, 8, 0.9), sessions(rng, 30, 8, 0.9)
        reference, current = (TableProfile.of(part.drop("key"), part["key"]) for part in (before, now))
        alarms += compare_profiles([reference], current).differs
    assert alarms <= stats.binom.ppf(0.999, trials, 0.05)
