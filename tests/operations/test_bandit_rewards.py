"""Rewards of a bandit from the log: as counted naively, once each, from where the last look ended."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.experiments.market import DAY_US, START_US, market, release

from flyball.operations import BanditRewards, catch_up
from flyball.outcomes import outcomes_frame, prediction_of, records_between
from flyball.releases import ArmReward


def naive(runtime: Any, until_us: int) -> dict[str, tuple[int, float]]:
    """{arm: answers given before then, mean reward}; all shares are a half."""
    labels = outcomes_frame(runtime.outcomes_path)
    bought: dict[str, float] = {}
    for id, value in labels.select("id", "labels.positive").iter_rows():
        bought[id] = bought.get(id, 0.0) + (value or 0.0)
    rows: dict[str, list[float]] = {}
    for record in records_between(runtime.predictions, START_US, until_us):
        prediction = prediction_of(record)
        rows.setdefault(prediction.exposures[0].arm, []).append(bought.get(prediction.id, 0.0))
    return {arm: (len(rewards), sum(rewards) / len(rewards)) for arm, rewards in rows.items()}


def shown(rewards: list[ArmReward], group: str = "") -> dict[str, tuple[int, float]]:
    return {one.arm: (one.answers, pytest.approx(one.mean)) for one in rewards if one.group == group}  # type: ignore[misc]


def test_they_are_those_of_final_labels_counted_naively(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=400)
    catch_up(runtime)
    bandit = msgspec.structs.replace(release("bandit", success={"positive": 0.0}, group="k"), state="bandit")
    read = BanditRewards(runtime)
    for now_us in (START_US, START_US + 3 * DAY_US, START_US + 3 * DAY_US, runtime.clock.now_us()):
        rewards, binary = read(bandit, now_us)
        until_us = now_us - DAY_US - 60_000_000
        assert naive(runtime, until_us) == shown(rewards)
        assert shown(rewards, "3") == shown(rewards)
        assert not binary  # a list may lead to several
    back, _ = read(bandit, START_US)
    assert back == rewards
    assert BanditRewards(runtime)(bandit, runtime.clock.now_us())[0] == rewards
    assert {one.effective for one in rewards} == {float(one.answers) for one in rewards}


def test_what_was_computed_is_left_for_whoever_shows_it(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=100)
    catch_up(runtime)
    bandit = msgspec.structs.replace(release("bandit", success={"positive": 0.0}), state="bandit")
    kept = runtime.known_metrics
    read = BanditRewards(runtime, kept)
    assert read(bandit, START_US)[0] == []
    assert kept.rewards(bandit, START_US) == ((), True)
    rewards, binary = read(bandit, runtime.clock.now_us())
    assert rewards
    assert kept.rewards(bandit, START_US) == (tuple(rewards), binary)
    assert read(bandit, runtime.clock.now_us())[0] == rewards
    assert kept.rewards(bandit, START_US) == (tuple(rewards), binary)
