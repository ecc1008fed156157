"""Watching: quiet weeks are quiet, planted faults are found soon; nothing is lost or doubled by a crash."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats
from tests.monitoring.performance.bank import START_US as BANK_US
from tests.monitoring.performance.bank import bank
from tests.monitoring.watch.shops import DAY_US, DAYS, FAULT_HOUR, HOUR_US, START_US, Change, found, shop

import flyball as fb
from flyball.core import FlyballError
from flyball.monitoring import Finding, Watcher, WatchRound, read_state, watch_folder
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.watch.table_look import EarlierProfiles, TableLook
from flyball.operations import catch_up
from flyball.registry import AuditEntry, add_entry
from flyball.runtime import Runtime
from flyball.simulation.past import ingest_pieces, pieces_of

Before = tuple[Path, list[WatchRound]]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    """A shop that was watched for a week until the hour of a fault, and its rounds."""
    folder = tmp_path_factory.mktemp("before")
    runtime = shop(folder, FAULT_HOUR // 24)
    rounds = Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + 22 * DAY_US)
    runtime.close()
    return folder, rounds


def two_days_later(before: Before, folder: Path, change: Change) -> Runtime:
    shutil.copytree(before[0], folder, dirs_exist_ok=True)
    return shop(folder, DAYS, change, first_hour=FAULT_HOUR)


def watched(before: Before, folder: Path, change: Change = lambda hour, event: event) -> list[WatchRound]:
    """The rounds of a shop that is watched for two days more."""
    runtime = two_days_later(before, folder, change)
    return before[1] + Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us())


def test_quiet_days_with_weekends_have_no_findings(before: Before, tmp_path: Path) -> None:
    rounds = watched(before, tmp_path)
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
    before: Before, tmp_path: Path, change: Change, finding: tuple[str, str], within_hours: int
) -> None:
    hours = found(watched(before, tmp_path, change))
    assert 0 <= hours[finding] <= within_hours
    assert {(monitor.removesuffix("-daily"), subject) for monitor, subject in hours} == {finding}


def rare(
    folder: Path, part: int, since_day: int, change: Change = lambda hour, event: event, seed: int = 1
) -> list[WatchRound]:
    """A look each hour at a shop with one visitor in `part`, so that all hours have too few rows."""
    runtime = shop(folder, DAYS, lambda hour, event: change(hour, event) if rarely(event, part) else None, seed)
    runtime.app.watch = replace(runtime.app.watch, every_us=HOUR_US)
    return Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + since_day * DAY_US)


def rarely(event: dict[str, object], part: int) -> bool:
    return int(str(event["visitor"])) % part == 0


def test_rows_too_few_for_an_hour_are_looked_at_together(tmp_path: Path) -> None:
    """Prices in cents since midnight are found after six hours, or twelve, and not at the end of the day."""
    rounds = rare(tmp_path, 2, 28, cents)
    assert 6 <= found(rounds)["shift", "events.buy.price"] <= 12
    assert pooled_hours(rounds) == {6}
    news = [finding for one_round in rounds for finding in one_round.decision.findings]
    assert any(finding.evidence.get("pooled_us") for finding in news)


def pooled_hours(rounds: list[WatchRound]) -> set[int]:
    return {seen.pooled_us // HOUR_US for latest in rounds for seen in latest.observations if seen.pooled_us}


def test_where_six_hours_have_too_few_rows_twelve_are_looked_at(tmp_path: Path) -> None:
    """A fifth of the visitors: some 15 rows in six hours of a working day, and 30 in the twelve from noon on."""
    rounds = rare(tmp_path, 5, 29, cents)
    assert 12 in pooled_hours(rounds)


def test_rare_rows_that_are_as_usual_have_p_values_like_chance_and_no_finding(tmp_path: Path) -> None:
    rounds = rare(tmp_path, 2, 22, seed=2)
    assert found(rounds) == {}
    p_values = [
        float(seen.evidence["p"])
        for one_round in rounds
        for seen in one_round.observations
        if seen.pooled_us and seen.monitor == "shift"
    ]
    assert len(p_values) >= 40
    small = sum(p <= 0.05 for p in p_values)
    assert small <= stats.binom.ppf(0.999, len(p_values), 0.05)


def test_a_crash_before_the_state_is_written_repeats_the_round(before: Before, tmp_path: Path) -> None:
    runtime = two_days_later(before, tmp_path, cents)
    (watch_folder(runtime) / "state").unlink()
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
    assert one_round.looked == 1, "only the quarantine, of which nothing need be known before"
    assert watcher.step(runtime.clock.now_us() - DAY_US) == []  # the clock was set back


def test_windows_before_a_new_service_do_not_show_what_is_usual(tmp_path: Path) -> None:
    """Prices are a hundred times as large once the service begins: no finding where windows count from then on."""
    begun_us = START_US + FAULT_HOUR * HOUR_US
    runtime = shop(tmp_path, FAULT_HOUR // 24 + 10, cents)
    both = []
    for name, usual_us in (("all", 0), ("later", begun_us)):
        watcher = Watcher(runtime, lambda one_round: None, folder=tmp_path / name, usual_since_us=usual_us)
        both.append(watcher.step(runtime.clock.now_us(), begun_us))
    assert ("shift", "events.buy.price") in found(both[0])
    assert found(both[1]) == {}
    assert both[1][0].looked < both[1][-1].looked  # after a week they are known
    assert {"shift", "volume"} <= set(both[0][-1].monitors)


def test_what_is_ignored_is_not_looked_at(before: Before, tmp_path: Path) -> None:
    runtime = two_days_later(before, tmp_path, cents)
    (watch_folder(runtime) / "state").unlink()
    plan = runtime.app.watch
    runtime.app.watch = type(plan)(plan.every_us, plan.days, plan.false_findings, plan.least, ("events.buy.price",))
    rounds = Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + 28 * DAY_US)
    assert found(rounds) == {}


def test_events_imported_into_the_past_later_are_in_the_profiles_it_compares_with(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 12)
    store = Watcher(runtime, lambda one_round: None)._windows
    watcher = Watcher(runtime, lambda one_round: None)
    watcher.step(START_US + 10 * DAY_US + 300_000_000, START_US + 9 * DAY_US)
    start_us = START_US + 5 * DAY_US
    before = store.profiles(start_us)["events.buy"].rows
    lines = [
        json.dumps({"type": "buy", "at": start_us + n, "visitor": f"v{n}", "item": "late", "price": 1.0}).encode()
        for n in range(40)
    ]
    ingest_pieces(runtime, "jsonl", pieces_of(lines), "late purchases", "history")
    catch_up(runtime)
    assert store.profiles(start_us)["events.buy"].rows == before  # from its file
    watcher.step(START_US + 12 * DAY_US + 300_000_000)
    assert store.profiles(start_us)["events.buy"].rows == before + 40


FIRST_DAY, SECOND_DAY, RELEASE_DAYS = 12, 24, 32


def other_answers(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A default that answers about the same, then a champion, then one whose probabilities are far too high."""
    answered = 0.1 + 0.01 * scores if day < FIRST_DAY else scores if day < SECOND_DAY else 1 - 0.3 * scores
    return answered, scores


def released(folder: Path, promoted: bool) -> list[Finding]:
    """The findings in answers while champions change; `promoted`: whether the audit trail says so."""
    runtime = bank(folder, RELEASE_DAYS, 80, other_answers)
    for number, day in enumerate((FIRST_DAY, SECOND_DAY) if promoted else ()):
        at_us = BANK_US + day * DAY_US
        entry = AuditEntry(at_us=at_us, by="test", action="promote", subject=f"v{number + 1}", reason="it is better")
        add_entry(runtime.registry, entry)
    runtime.app.watch = fb.watch("1d")
    rounds = Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us() + HOUR_US, BANK_US + 8 * DAY_US)
    decisions = [one_round.decision for one_round in rounds]
    news = [(finding, decision.new) for decision in decisions for finding in decision.findings]
    first = [finding for finding, new in news if finding.fingerprint in new]
    return [finding for finding in first if finding.subject.startswith("predictions.")]


def test_a_first_champion_is_no_finding_and_a_bad_one_after_it_is_named(tmp_path: Path) -> None:
    unknown, known = (released(tmp_path / str(promoted), promoted) for promoted in (False, True))
    first_us = BANK_US + (FIRST_DAY + 2) * DAY_US
    assert unknown[0].at_us <= first_us
    assert not unknown[0].came_with_release
    (finding,) = known
    assert BANK_US + SECOND_DAY * DAY_US < finding.at_us <= BANK_US + (SECOND_DAY + 2) * DAY_US
    assert finding.came_with_release
    assert "v2 became the champion" in finding.message


def test_the_day_on_which_the_log_began_is_not_usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins at 17:00: days are held against whole days, windows against whole windows."""
    runtime = shop(tmp_path, 9, lambda hour, event: event if hour >= 17 else None)
    usual: dict[str, set[int]] = {}

    def looked(table: str, profile: object, before: EarlierProfiles, look: TableLook) -> list[Observation]:
        usual.setdefault(look.suffix, set()).update(window.start_us for window, then in before if then.rows)
        return []

    monkeypatch.setattr("flyball.monitoring.watch.watcher.observe_table", looked)
    Watcher(runtime, lambda one_round: None).step(runtime.clock.now_us(), START_US + 8 * DAY_US)
    assert min(usual["-daily"]) == START_US + DAY_US
    assert min(usual[""]) == START_US + 18 * HOUR_US  # the windows of 6 hours begin with one of which an hour is known
