"""A sample of answers: bounded, the same in any order, without a preference; what a look concludes from one."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, answer, bank, market

from flyball.monitoring.performance.answer_sample import sample_answers
from flyball.monitoring.performance.logged import labels_of, logged
from flyball.monitoring.performance.report import compare_performance
from flyball.outcomes import Prediction, prediction_of


def one_answer(number: int) -> Prediction:
    return prediction_of(answer(START_US + number * 1_000, number, str(number % 7), "payment", {}, values=[0.5]))


def answers(count: int) -> list[Prediction]:
    return list(map(one_answer, range(count)))


@pytest.mark.parametrize("count", [0, 1, 99, 100])
def test_so_many_as_fit_are_all_kept_by_time(count: int) -> None:
    made = answers(count)
    sample = sample_answers(reversed(made), most=100)
    assert [row.answer.id for row in sample.kept] == [one.id for one in made]
    assert (sample.seen, sample.share) == (count, 1.0)


@pytest.mark.parametrize("count", [101, 1_000, 3_000])
def test_of_more_a_part_is_kept_that_does_not_depend_on_their_order(count: int) -> None:
    made = answers(count)
    sample = sample_answers(made, most=100)
    assert len(sample.kept) <= 100
    assert sample.share == 2.0 ** round(np.log2(sample.share)) < 1
    assert abs(len(sample.kept) - count * sample.share) < 5 * np.sqrt(count * sample.share)
    for seed in range(3):
        assert sample_answers(random.Random(seed).sample(made, count), most=100) == sample


def test_memory_does_not_grow_with_the_number_of_answers() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            sample_answers(map(one_answer, range(count)), most=50)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(60)  # what is made once, such as decoders
    assert peak(2_000) < 1.3 * peak(400)


def test_a_look_at_a_sample_measures_what_one_at_all_does(tmp_path: Path) -> None:
    runtime = bank(tmp_path, days=12, daily=400)
    (label,) = labels_of(runtime.app.task.about)
    until_us = START_US + 12 * DAY_US
    every = logged(runtime, label, START_US, until_us, until_us, ("merchant",))
    part = logged(runtime, label, START_US, until_us, until_us, ("merchant",), most=1_500)
    assert (every.share, part.share) == (1.0, 0.25)
    assert len(part) <= 1_500
    assert set(part.at_us.tolist()) < set(every.at_us.tolist())
    kept = np.isin(every.at_us, part.at_us)
    for column in ("at_us", "scores", "flagged", "mature", "weight", "known_after_us"):
        assert np.array_equal(getattr(part, column), getattr(every.only(kept), column)), column
    assert np.array_equal(part.actual, every.only(kept).actual, equal_nan=True)
    assert part.text.endswith("predictions (a sample, 1 in 4)")
    assert every.text == "4,800 predictions"
    since_us = START_US + 6 * DAY_US
    report = compare_performance(
        part.between(START_US, since_us),
        part.between(since_us, until_us),
        since_us=since_us,
        last_us=6 * DAY_US,
        before_us=6 * DAY_US,
        within_us=label.within_us,
    )
    assert report.share == 0.25
    assert not report.worse


def test_equal_lists_stay_equal_and_others_differ(tmp_path: Path) -> None:
    runtime = market(tmp_path, days=2, daily=20)
    (label,) = labels_of(runtime.app.task.about)
    rows = logged(runtime, label, START_US, START_US + 2 * DAY_US, START_US + 9 * DAY_US)
    assert rows.scores.tolist() == [3.0] * 40
    assert len(set(rows.answer.tolist())) > 35
