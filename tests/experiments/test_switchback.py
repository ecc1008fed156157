"""A market where one answer takes from another's: the split of users is biased, the served switchback is not."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.experiments.market import HOUR_US, START_US, answer, register, release, shop

from flyball.core import BadDeclaration, ManualClock, Refused
from flyball.experiments import experiment, impact_ledger, switchback
from flyball.experiments.periods import PeriodAnswer, compare_periods
from flyball.operations import ReleaseMetrics, catch_up
from flyball.policy import metric
from flyball.policy import switchback as plan_switchback
from flyball.releases import Release, ReleaseState, Router
from flyball.runtime import Runtime, load_settings

DEMAND, HOURS = 10, 240


def of_kind(kind: str) -> Release:
    constants = {"n_best": 2_000.0, "alpha": 0.01, "period_us": float(HOUR_US), "burn_in_us": HOUR_US / 6}
    constants["patience_us"] = float(HOURS * HOUR_US)
    return msgspec.structs.replace(release(kind), state=kind, constants=constants)


def world(folder: Path, kind: str, effect: float = 0.0, late: bool = False) -> tuple[Runtime, Release]:
    """Each hour half of ten requests, `effect` more where the candidate answered all, get one of the couriers; those of
    the candidate ask first. `late`: in the first ten minutes what counts is the arm of the hour before."""
    draw, rng, made = np.random.default_rng(3), random.Random(3), of_kind(kind)
    runtime = Runtime(
        shop({"taken": metric.label("positive", within="1d", role="primary")}),
        load_settings(folder),
        ManualClock(START_US + (HOURS + 48) * HOUR_US),
    )
    router, records, events, before = Router(ReleaseState(champion="v1", releases=(made,))), [], [], 0.0
    user = 0
    for hour in range(HOURS):
        asks = []
        for number in range(DEMAND):
            user += 1
            at_us = START_US + hour * HOUR_US + number * HOUR_US // DEMAND
            route = router.route(str(user), SimpleNamespace(at=at_us))
            asks.append((at_us, user, route))
            records.append(answer(rng, user, at_us, *route.exposures, version=route.version))
        first = sorted(asks, key=lambda ask: (ask[2].version != "v2", draw.random()))
        share = sum(route.version == "v2" for _, _, route in asks) / DEMAND
        couriers = draw.binomial(DEMAND, 0.5 + effect * share)
        for at_us, buyer, _ in first[:couriers]:
            gone = late and (at_us - START_US) % HOUR_US < HOUR_US // 6 and draw.random() < before
            if not gone:
                fields = {"user": buyer, "item": "a", "price": 5.0}
                events.append(runtime.schema.check("buy", fields, at_us + 60_000_000, at_us + 60_000_000))
        before = share
    runtime.log.append(events)
    runtime.predictions.append(records)
    register(runtime, made)
    catch_up(runtime)
    return runtime, made


def test_a_split_of_users_finds_what_is_not_there_and_the_switchback_does_not(tmp_path: Path) -> None:
    runtime, _ = world(tmp_path / "split", "ab")
    biased = experiment(runtime, "rel1", runtime.clock.now_us()).of("taken")
    assert biased.verdict == "better"
    assert biased.inference is not None
    assert biased.inference.low > 0.2, "users of control lose what those of the candidate gain"
    runtime, made = world(tmp_path / "time", "switchback")
    (found,) = switchback(runtime, made, runtime.clock.now_us()).metrics
    assert found.inference is not None
    assert (found.inference.verdict, found.inference.low < 0 < found.inference.high) == ("undecided", True)
    assert found.inference.high - found.inference.low < 0.2
    with pytest.raises(Refused, match="periods of all units"):
        experiment(runtime, "rel1", runtime.clock.now_us())


def test_a_planted_effect_is_found_without_what_carries_over(tmp_path: Path) -> None:
    runtime, made = world(tmp_path, "switchback", effect=0.3, late=True)
    result = switchback(runtime, made, runtime.clock.now_us())
    (found,) = result.metrics
    assert found.inference is not None
    assert found.inference.verdict == "better"
    assert found.inference.low < 0.3 < found.inference.high
    assert found.inference.count_a + found.inference.count_b == HOURS
    assert "periods of 1h, the first 10m of each left out" in result.sentences[0]
    evidence, blocked = ReleaseMetrics(runtime)(made, runtime.clock.now_us())
    assert ([row.sentence for row in evidence], blocked) == ([found.sentence], "")
    early = switchback(runtime, made, START_US + 30 * HOUR_US)
    assert "nothing may be concluded yet" in early.sentences[1]


def test_equal_versions_are_rarely_told_apart_at_any_look() -> None:
    errs = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        answers: list[PeriodAnswer] = []
        arms = ["candidate" if rng.random() < 0.5 else "control" for _ in range(300)]
        wrong = False
        for period, arm in enumerate(arms):
            level = rng.normal(1.0, 0.3)
            answers += [PeriodAnswer("", period * HOUR_US, arm, level + rng.normal()) for _ in range(5)]
            if period >= 120 and period % 20 == 0:
                found = compare_periods(answers, HOUR_US, n_best=300)
                wrong = wrong or found.verdict in ("better", "worse")
        errs += wrong
    assert errs <= 6


def test_each_stretch_of_time_of_each_city_is_drawn_apart() -> None:
    made: Any = msgspec.structs.replace(of_kind("switchback"), unit=("city",))
    router = Router(ReleaseState(champion="v1", releases=(made,)))
    arms: dict[tuple[str, int], set[str]] = {}
    for hour in range(300):
        for minute in range(0, 60, 20):
            for city in ("a", "b"):
                event = SimpleNamespace(at=hour * HOUR_US + minute * 60_000_000, city=city)
                arms.setdefault((city, hour), set()).add(router.route("7", event).version)
    assert all(len(versions) == 1 for versions in arms.values())
    drawn = {city: [next(iter(arms[city, hour])) == "v2" for hour in range(300)] for city in ("a", "b")}
    assert 110 < sum(drawn["a"]) < 190
    assert 110 < sum(x == y for x, y in zip(drawn["a"], drawn["b"], strict=True)) < 190


def test_a_burn_in_as_long_as_the_period_is_refused() -> None:
    assert plan_switchback("1h", burn_in="10m").constants["burn_in_us"] == 600e6
    with pytest.raises(BadDeclaration, match="burn_in of switchback"):
        plan_switchback("1h", burn_in="1h")


def test_a_switchback_has_the_effect_for_all_at_once(tmp_path: Path) -> None:
    runtime, _ = world(tmp_path, "switchback", effect=0.3)
    (row,) = impact_ledger(runtime, runtime.clock.now_us()).rows
    assert (row.kind, row.version, row.online_metric) == ("switchback", "v2", "taken")
    assert (row.verdict, row.missing) == ("better", "")
    assert row.measured_low is not None
    assert row.measured_high is not None
    assert row.measured_low < 0.3 < row.measured_high


def test_a_switchback_of_too_few_periods_says_what_is_missing(tmp_path: Path) -> None:
    runtime, _ = world(tmp_path, "switchback")
    (row,) = impact_ledger(runtime, START_US + 3 * HOUR_US).rows
    assert row.measured is None
    assert "each arm must have 8 periods or more" in row.missing
