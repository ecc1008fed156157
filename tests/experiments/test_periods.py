"""A market where one answer takes from another's: the split of users is biased, the switchback is not."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.experiments.market import DAY_US, HOUR_US, METRICS, START_US, market, release

from flyball.core import BadInput, Refused
from flyball.experiments import PredictionRows
from flyball.experiments.periods import PeriodAnswer, compare_periods, period_answers
from flyball.operations import catch_up
from flyball.statistics import Sums, mean_contrast, welch

DEMAND, SUPPLY = 60, 36


def served(candidates: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    """Which requests of a period get one of the few couriers: those of the candidate ask first, and take them."""
    first = np.argsort(np.where(candidates, 0.0, 1.0) + rng.random(len(candidates)) * 0.5)
    got = np.zeros(len(candidates), dtype=bool)
    got[first[: rng.binomial(SUPPLY * 2, 0.5)]] = True
    return got


def test_the_split_of_users_is_biased_and_the_switchback_is_not() -> None:
    """Whoever asks first, as many couriers are there: for all at once neither version is better."""
    rng = np.random.default_rng(1)
    halves, answers = [], []
    for period in range(400):
        split = rng.random(DEMAND) < 0.5
        halves.append((split, served(split, rng)))
        whole = bool(rng.random() < 0.5)
        reached = served(np.full(DEMAND, whole), rng)
        arm = "candidate" if whole else "control"
        answers += [
            PeriodAnswer("", period * HOUR_US + 60_000_000 * n, arm, float(one)) for n, one in enumerate(reached)
        ]
    arms, got = (np.concatenate(part) for part in zip(*halves, strict=True))
    by_user = welch(mean_contrast(Sums.of(got[~arms].astype(float)), Sums.of(got[arms].astype(float))))
    assert by_user.verdict == "better"
    assert by_user.low > 0.5, "users of control lose what those of the candidate gain"
    by_period = compare_periods(answers, HOUR_US)
    assert by_period.verdict == "undecided"
    assert by_period.low < 0 < by_period.high
    assert by_period.high - by_period.low < 0.1


def test_each_market_has_its_own_periods() -> None:
    """Two cities alternate against each other: in every hour one is of each arm; the candidate is worth 2 more."""
    answers = [
        PeriodAnswer(city, hour * HOUR_US + n, arm, hour % 5 + 2.0 * (arm == "candidate"))
        for hour in range(40)
        for city, arm in zip(
            ("Delft", "Leiden"), ("control", "candidate") if hour % 2 else ("candidate", "control"), strict=True
        )
        for n in range(20)
    ]
    found = compare_periods(answers, HOUR_US)
    assert (found.count_a, found.count_b) == (40, 40)
    assert found.effect == pytest.approx(2.0)
    assert found.verdict == "better"


def test_intervals_over_periods_cover_a_planted_effect() -> None:
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        answers = []
        for period in range(60):
            arm = "candidate" if rng.random() < 0.5 else "control"
            level = rng.normal(10.0, 1.0) + 0.5 * (arm == "candidate")
            answers += [
                PeriodAnswer("", period * HOUR_US, arm, level + rng.normal()) for _ in range(rng.poisson(20) + 1)
            ]
        inference = compare_periods(answers, HOUR_US)
        covered += inference.low <= 0.5 <= inference.high
    assert 88 <= covered <= 100


def test_the_beginning_of_a_period_is_left_out_where_the_one_before_still_acts() -> None:
    rng = np.random.default_rng(3)
    answers, before = [], 0.0
    for period in range(200):
        arm = "candidate" if rng.random() < 0.5 else "control"
        effect = float(arm == "candidate")
        for minute in range(0, 60, 5):
            carried = before if minute < 20 else effect
            answers.append(PeriodAnswer("", period * HOUR_US + minute * 60_000_000, arm, carried + rng.normal(0, 0.3)))
        before = effect
    diluted = compare_periods(answers, HOUR_US)
    clean = compare_periods(answers, HOUR_US, carry_over_us=20 * 60_000_000)
    assert diluted.high < 1.0
    assert clean.low < 1.0 < clean.high


def test_what_is_no_switchback_is_refused() -> None:
    with pytest.raises(Refused, match="a period must be of one arm, got control and candidate in period 0"):
        compare_periods([PeriodAnswer("", 0, "control", 1.0), PeriodAnswer("", 1, "candidate", 1.0)], HOUR_US)
    with pytest.raises(Refused, match="8 periods or more to be compared, got 1 and 0"):
        compare_periods([PeriodAnswer("", 0, "control", 1.0)], HOUR_US)
    with pytest.raises(BadInput, match="below the period"):
        compare_periods([], HOUR_US, carry_over_us=HOUR_US)


def test_answers_of_a_switchback_are_read_from_the_log(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=100)
    catch_up(runtime)
    rows = PredictionRows(runtime.predictions, runtime.outcomes_path, runtime.app.task.about, METRICS["taken"])
    switchback = msgspec.structs.replace(release(), kind="switchback")
    read = list(period_answers(runtime.predictions, switchback, rows, runtime.clock.now_us()))
    assert len(read) == 200
    assert {answer.arm for answer in read} == {"control", "candidate"}
    assert 5 <= sum(answer.number for answer in read) <= 60
    assert list(period_answers(runtime.predictions, switchback, rows, START_US + DAY_US - 1)) == []
