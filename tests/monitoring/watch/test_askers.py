"""Who asks: users that come more often than usual are seen, and days of chance are not."""

from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, Buy, answer, bank

import flyball as fb
from flyball.core import ManualClock
from flyball.monitoring import fingerprint_of
from flyball.monitoring.watch.askers import asker_change, asker_monitor, asker_table, count_askers, observe_askers
from flyball.runtime import Runtime
from flyball.settings import load_settings

USERS = 300
SUBJECT = "requests.user.requests"


def days_of_counts(rng: np.random.Generator, days: int, change: float = 1.0, moods: float = 0.0) -> list[np.ndarray]:
    """Requests of users with rates of their own, each day in another mood; on the last day one in twelve comes `change`
    times as often."""
    rates = rng.gamma(1.5, 1 / 1.5, USERS)
    counts = []
    for day in range(days):
        times = rng.gamma(1 / moods, moods, USERS) if moods else np.ones(USERS)
        often = np.where(np.arange(USERS) % 12 == 0, change if day == days - 1 else 1.0, 1.0)
        counts.append(rng.poisson(rates * times * often).astype(float))
    return counts


@pytest.mark.parametrize("moods", [0.0, 0.5])
def test_p_values_of_usual_days_are_even(moods: float) -> None:
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(200):
        *before, now = days_of_counts(rng, 11, moods=moods)
        change = asker_change(before, now)
        assert change is not None
        p_values.append(change.p)
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.09
    assert min(p_values) > 1e-4
    assert 0.4 < np.median(p_values) < 0.6


def test_a_group_that_comes_more_often_is_seen() -> None:
    rng = np.random.default_rng(8)
    changes = [asker_change(before, now) for *before, now in (days_of_counts(rng, 11, change=5.0) for _ in range(20))]
    assert np.median([change.p for change in changes if change is not None]) < 1e-3
    # A twelfth comes five times as often: 5/16 of the requests instead of 1/12, so 23 % are of others.
    assert 0.1 < np.median([change.distance for change in changes if change is not None]) < 0.23


def test_new_users_say_nothing_and_few_days_or_users_are_not_compared() -> None:
    *before, now = days_of_counts(np.random.default_rng(9), 11)
    known = asker_change(before, now)
    with_new = [np.append(own, np.zeros(50)) for own in before]
    assert asker_change(with_new, np.append(now, np.full(50, 9.0))) == known
    assert asker_change(before[:6], now) is None
    assert asker_change(before, np.zeros(USERS)) is None
    assert asker_change([own[:20] for own in before], now[:20]) is None


def shop(folder: Path, counts: list[np.ndarray]) -> Runtime:
    user, item = fb.Entity("user"), fb.Entity("item")
    app = fb.App(
        "shop",
        events=[Buy],
        task=fb.Recommend(user, item, positive=fb.outcome(Buy, within="1d"), k=1),
        candidates={"popular": fb.Popular()},
        watch=fb.watch("1d", days=10),
    )
    runtime = Runtime(app, load_settings(folder), ManualClock(START_US + len(counts) * DAY_US))
    lists = {"items": ["a"], "scores": [1.0], "sources": ["model"]}
    asked = [(day, user) for day, own in enumerate(counts) for user in np.repeat(np.arange(USERS), own.astype(int))]
    step_us = DAY_US // (1 + max(int(own.sum()) for own in counts))
    times = [START_US + day * DAY_US + number % (DAY_US // step_us) * step_us for number, (day, _) in enumerate(asked)]
    answers = [
        answer(at_us, number, str(user), "recommendrequest", {"user": int(user), "k": 1}, **lists)
        for number, (at_us, (_, user)) in enumerate(zip(times, asked, strict=True))
    ]
    runtime.predictions.append(sorted(answers, key=lambda record: record.at))
    return runtime


def test_requests_are_counted_by_user_and_day_and_the_change_is_an_observation(tmp_path: Path) -> None:
    counts = days_of_counts(np.random.default_rng(10), 11, change=6.0)
    runtime = shop(tmp_path, counts)
    counted = count_askers(runtime, START_US, 11)
    assert counted.sum(axis=1).tolist() == [own.sum() for own in counts]
    assert sorted(counted.sum(axis=0)) == sorted(total for total in np.sum(counts, axis=0) if total)
    sample = count_askers(runtime, START_US, 11, most=100)
    assert 30 <= sample.shape[1] <= 100
    (seen,) = asker_monitor(runtime)(START_US + 10 * DAY_US, START_US + 11 * DAY_US, {})
    assert (seen.monitor, seen.subject, seen.daily, seen.matters) == ("shift", SUBJECT, True, True)
    assert seen.e_value > 100
    assert "of the requests or more are of other users than usual" in seen.message
    assert asker_table(runtime.app.task.about) == "requests.user"


def test_days_under_suspicion_are_no_reference(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    usual, after = days_of_counts(rng, 10, change=6.0), days_of_counts(rng, 1, change=6.0)
    runtime = shop(tmp_path, [*usual, *after])
    until_us = START_US + 11 * DAY_US
    suspects = {fingerprint_of("shift", SUBJECT): START_US + 9 * DAY_US}
    (hidden,), (seen,) = (observe_askers(runtime, until_us, of) for of in ({}, suspects))
    assert seen.evidence["usual"] < hidden.evidence["usual"]
    assert seen.evidence["p"] < hidden.evidence["p"]


def test_tasks_without_lists_have_no_askers(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=10, daily=40)
    assert asker_monitor(runtime)(START_US + 9 * DAY_US, START_US + 10 * DAY_US, {}) == []
