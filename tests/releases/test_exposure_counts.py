"""Answers count once, for the arm and version they were assigned to, in the hour they were given."""

import random
from pathlib import Path
from typing import Any

from flyball.core import new_id
from flyball.events import Slice, open_log
from flyball.outcomes import Exposure, Prediction, prediction_record
from flyball.releases import AnswerCounts, ArmCounts, ExposureCounter, count_exposures

HOUR_US = 3_600_000_000
START_US = 480_000 * HOUR_US


def answer(number: int, hour: int = 0, **fields: Any) -> Prediction:
    at_us = START_US + hour * HOUR_US + number
    fixed: Any = {"items": ["a"], "scores": [1.0], "sources": ["model"], "version": "v1", "arm": "control"}
    stamps: Any = {"propensity": 1.0, "level": "champion", "offsets": (), "request_type": "r", "request": {}}
    ids: Any = {"id": new_id(at_us, random.Random(number)), "at_us": at_us, "key": str(number)}
    return Prediction(**{**fixed, **stamps, **ids, **fields})


def candidate(number: int, hour: int = 0, share: float = 0.05, **fields: Any) -> Prediction:
    return answer(number, hour, version="v2", exposures=(Exposure("rel1", "candidate", share),), **fields)


def counted(folder: Path, *slices: Slice) -> ExposureCounter:
    counter = ExposureCounter(folder / "exposures.db")
    for piece in slices:
        counter.apply([piece])
    return counter


def piece(first: int, *predictions: Prediction) -> Slice:
    return Slice(0, first, [prediction_record(prediction) for prediction in predictions])


def test_answers_count_by_arm_and_share_and_a_second_reading_changes_nothing(tmp_path: Path) -> None:
    given = [candidate(1), candidate(2, hour=1, took_us=5_000), candidate(3, share=0.25), answer(4)]
    counter = counted(tmp_path, piece(0, *given), piece(0, *given), piece(2, *given[2:], candidate(5, share=0.25)))
    assert counter.offsets(1) == (5,)
    first, second = counter.by_arm("rel1")
    assert first == ArmCounts("candidate", 500, AnswerCounts(2, {}, 0, {0: 1, 18: 1}), given[1].at_us)
    assert (second.share, second.counts.answers) == (2_500, 2)
    assert counter.by_arm("rel9") == []


def test_what_a_fallback_answered_counts_for_the_version_that_was_to(tmp_path: Path) -> None:
    late = candidate(1, assigned="v2", failed="late", took_us=300_000)
    late = Prediction(**{**{name: getattr(late, name) for name in late.__struct_fields__}, "version": "v1"})
    empty = answer(2, items=[], scores=[], sources=[])
    counter = counted(tmp_path, piece(0, late, empty))
    (arm,) = counter.by_arm("rel1")
    assert (arm.counts.answers, arm.counts.failed) == (1, {"late": 1})
    assert counter.of_version("v2", START_US, START_US + 1).failed == {"late": 1}
    assert counter.of_version("v1", START_US, START_US + 1).empty == 1


def test_a_version_is_counted_in_the_hours_that_overlap(tmp_path: Path) -> None:
    counter = counted(tmp_path, piece(0, *(answer(hour, hour) for hour in range(6))))
    assert counter.of_version("v1", START_US + HOUR_US, START_US + 3 * HOUR_US).answers == 2
    assert counter.of_version("v1", START_US + HOUR_US, START_US + 3 * HOUR_US + 1).answers == 3
    counter.forget_before(START_US + 4 * HOUR_US)
    assert counter.of_version("v1", 0, START_US + 9 * HOUR_US).answers == 2


def test_latency_is_known_to_a_quarter() -> None:
    counts = AnswerCounts()
    for number in range(1, 1_001):
        counts.note(answer(number, took_us=number * 100))
    assert 99_000 <= counts.quantile_us(0.99) <= 99_000 * 1.25
    assert 0 <= 500 - counts.slower_than(50_000) <= 125
    assert AnswerCounts().quantile_us(0.99) == 0


def test_any_machine_counts_what_is_in_the_log_once(tmp_path: Path) -> None:
    """Beside a worker that counts at the same time, and on a machine that has none."""
    log = open_log(f"sqlite://{tmp_path}/predictions.db?partitions=1&unique=0")
    log.append([prediction_record(candidate(number)) for number in range(7)])
    worker, other = (ExposureCounter(tmp_path / name) for name in ("worker.db", "other.db"))
    count_exposures(worker, log)
    log.append([prediction_record(candidate(number)) for number in range(7, 9)])
    for counter in (worker, other, other):
        count_exposures(counter, log)
    beside = ExposureCounter(tmp_path / "worker.db")
    count_exposures(beside, log)
    assert worker.by_arm("rel1") == other.by_arm("rel1") == beside.by_arm("rel1")
    assert other.by_arm("rel1")[0].counts.answers == 9
