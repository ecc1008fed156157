"""A version that went to all at once and does harm that shows late is rolled back; one that does not stays."""

import random
from pathlib import Path

import msgspec
import pytest
from tests.experiments.market import DAY_US, HOUR_US, START_US, answer, register, release, shop

from flyball.core import ManualClock
from flyball.operations import ReleaseMetrics, catch_up
from flyball.operations.late_harm import late_harm
from flyball.releases import Evidence, Release, advance
from flyball.runtime import Runtime, load_settings


def world(folder: Path, rate: float, days: int = 4) -> tuple[Runtime, Release]:
    """400 answers a day; of v1's, on three days, one in twenty leads to what is not wanted, of v2's `rate`."""
    rng, took_over = random.Random(2), START_US + 3 * DAY_US
    runtime = Runtime(shop(), load_settings(folder), ManualClock(took_over + days * DAY_US))
    records, events = [], []
    for number in range(400 * (3 + days)):
        at_us, user = START_US + number * DAY_US // 400, number + 1
        version = "v1" if at_us < took_over else "v2"
        records.append(answer(rng, user, at_us, version=version))
        if rng.random() < (0.05 if version == "v1" else rate):
            fields = {"user": user, "item": "a", "price": 1.0}
            events.append(runtime.schema.check("buy", fields, at_us + HOUR_US, at_us + HOUR_US))
    runtime.log.append(events)
    runtime.predictions.append(records)
    promoted = msgspec.structs.replace(
        release("immediate", harmful={"positive": 0.02}),
        state="champion",
        over="v1",
        since_us=took_over,
        started_us=took_over,
        watch_until_us=took_over + 7 * DAY_US,
    )
    register(runtime, promoted)
    catch_up(runtime)
    return runtime, promoted


@pytest.mark.parametrize(("rate", "command"), [(0.20, "rollback"), (0.05, None)])
def test_harm_that_shows_late_rolls_back(tmp_path: Path, rate: float, command: str | None) -> None:
    runtime, promoted = world(tmp_path, rate)
    now_us = runtime.clock.now_us()
    metrics, blocked = ReleaseMetrics(runtime)(promoted, now_us)
    assert blocked == ""
    (evidence,) = metrics
    assert (evidence.role, evidence.missing) == ("harmful", "")
    assert "of 1,200 answers by v2" in evidence.sentence
    assert -evidence.high <= rate - 0.05 <= -evidence.low
    decision = advance(promoted, Evidence(metrics=tuple(metrics)), now_us)
    assert (None if decision is None else decision.command) == command
    if decision is not None:
        assert "accepted +2.00%" in decision.reason


def test_before_labels_are_final_nothing_is_said(tmp_path: Path) -> None:
    runtime, promoted = world(tmp_path, 0.2, days=1)
    (evidence,) = late_harm(runtime, promoted, START_US + 3 * DAY_US + HOUR_US)
    assert "answers of both versions" in evidence.missing
    calm = msgspec.structs.replace(promoted, harmful={})
    assert ReleaseMetrics(runtime)(calm, runtime.clock.now_us()) == ((), "")
