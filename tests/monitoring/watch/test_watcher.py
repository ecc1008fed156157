"""Watching: quiet weeks are quiet, planted faults are found soon; nothing is lost or doubled by a crash."""

from pathlib import Path

import pytest
from tests.monitoring.watch.shops import DAY_US, HOUR_US, START_US, Change, shop

from flyball.core import FlyballError
from flyball.monitoring import Watcher, WatchRound, read_state, watch_folder

DAYS, FAULT_HOUR = 31, 29 * 24


def found(rounds: list[WatchRound]) -> dict[tuple[str, str], float]:
    """{(monitor, subject): hours from the fault to the finding}."""
    return {
        (finding.monitor, finding.subject): (one_round.at_us - START_US) / HOUR_US - FAULT_HOUR
        for one_round in reversed(rounds)
        for finding in one_round.decision.findings
        if finding.fingerprint in one_round.decision.new
    }


def watched(folder: Path, change: Change = lambda hour, event: event, seed: int = 1) -> list[WatchRound]:
    runtime = shop(folder, DAYS, change, seed)
    return Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + 22 * DAY_US)


def test_quiet_days_with_weekends_have_no_findings(tmp_path: Path) -> None:
    rounds = watched(tmp_path)
    assert len(rounds) == 4 * (DAYS - 22)
    assert min(one_round.looked for one_round in rounds) >= 4
    assert found(rounds) == {}


def cents(hour: int, event: dict[str, object]) -> dict[str, object]:
    return {**event, "price": event["price"] * 100} if hour >= FAULT_HOUR else event  # type: ignore[operator]


def outage(hour: int, event: dict[str, object]) -> dict[str, object] | None:
    return None if hour >= FAULT_HOUR else event


def no_coupons(hour: int, event: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in event.items() if name != "coupon" or hour < FAULT_HOUR}


@pytest.mark.parametrize(
    ("change", "finding", "within_hours"),
    [
        (cents, ("shift", "events.buy.price"), 6),
        (outage, ("volume", "events.buy"), 6),
        (no_coupons, ("missing", "events.buy.coupon"), 24),
    ],
)
def test_planted_faults_are_found_and_nothing_else(
    tmp_path: Path, change: Change, finding: tuple[str, str], within_hours: int
) -> None:
    hours = found(watched(tmp_path, change))
    assert 0 <= hours[finding] <= within_hours
    assert {(monitor.removesuffix("-daily"), subject) for monitor, subject in hours} == {finding}


def test_a_crash_before_the_state_is_written_repeats_the_round(tmp_path: Path) -> None:
    runtime = shop(tmp_path, DAYS, cents)
    now_us, rounds = runtime.clock.now_us(), list[WatchRound]()

    def crash_once(one_round: WatchRound) -> None:
        rounds.append(one_round)
        if one_round.decision.new and len([old for old in rounds if old.decision.new]) == 1:
            raise FlyballError("the database is away")

    with pytest.raises(FlyballError, match="away"):
        Watcher(runtime, crash_once).step(now_us, START_US + 28 * DAY_US)
    Watcher(runtime, crash_once).step(now_us)
    repeated = [one_round for one_round in rounds if one_round.at_us == rounds[4].at_us]
    assert repeated[0] == repeated[1]
    assert [one_round.at_us for one_round in rounds] == sorted(one_round.at_us for one_round in rounds)
    held = {(finding.monitor, finding.subject) for finding in read_state(watch_folder(runtime)).findings}
    assert ("shift", "events.buy.price") in held


def test_the_first_step_only_notes_where_to_begin(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 2)
    watcher = Watcher(runtime, lambda one_round: None)
    assert watcher.step(runtime.clock.now_us()) == []
    assert watcher.step(runtime.clock.now_us()) == []
    (one_round,) = watcher.step(runtime.clock.now_us() + 6 * HOUR_US)
    assert one_round.at_us == START_US + 2 * DAY_US + 6 * HOUR_US
    assert one_round.looked == 0
    assert watcher.step(runtime.clock.now_us() - DAY_US) == []  # the clock was set back


def test_what_is_ignored_is_not_looked_at(tmp_path: Path) -> None:
    runtime = shop(tmp_path, DAYS, cents)
    plan = runtime.app.watch
    runtime.app.watch = type(plan)(plan.every_us, plan.days, plan.false_findings, plan.least, ("events.buy.price",))
    rounds = Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + 28 * DAY_US)
    assert found(rounds) == {}
