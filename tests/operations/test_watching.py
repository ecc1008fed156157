"""The schedule of looks: one process at a time, after each window, and its news."""

from pathlib import Path

from tests.monitoring.watch.shops import DAY_US, HOUR_US, START_US, shop
from tests.operations.fake_processes import FakeProcess

from flyball.monitoring import FindingsDecision, Observation, WatchRound, read_state, watch_folder
from flyball.operations import look_and_record
from flyball.operations.watching import FIRST_LOOK_US, START_AFTER_US, WatchSchedule, watch_words

NOW_US = START_US + 10 * 60_000_000


def test_a_look_starts_after_each_window_one_at_a_time(tmp_path: Path) -> None:
    started = list[FakeProcess]()

    def launch() -> FakeProcess:
        started.append(FakeProcess())
        return started[-1]

    log = tmp_path / "watch.log"
    schedule = WatchSchedule(HOUR_US, launch, log)
    assert schedule.step(NOW_US) == []
    schedule.step(NOW_US + FIRST_LOOK_US - 1)
    assert not started
    schedule.step(NOW_US + FIRST_LOOK_US)
    assert len(started) == 1
    schedule.step(START_US + 5 * HOUR_US)  # it still runs
    assert len(started) == 1
    log.write_text("found: high: events.buy had 0 rows\n")
    started[0].code = 0
    assert schedule.step(START_US + 5 * HOUR_US) == ["high: events.buy had 0 rows"]
    schedule.step(START_US + 5 * HOUR_US)
    assert len(started) == 2
    log.write_text("nothing new\n")
    started[1].code = 0
    assert schedule.step(START_US + 5 * HOUR_US + START_AFTER_US) == []
    schedule.step(START_US + 6 * HOUR_US + START_AFTER_US - 1)
    assert len(started) == 3  # the one of five o'clock
    log.write_text("the registry is away\n")
    started[2].code = 1
    assert schedule.step(START_US + 6 * HOUR_US) == ["watching the data failed: the registry is away"]


def test_a_clock_that_is_set_back_does_not_end_the_looks(tmp_path: Path) -> None:
    started = list[FakeProcess]()
    schedule = WatchSchedule(
        HOUR_US, lambda: started.append(FakeProcess(code=0)) or started[-1], tmp_path / "watch.log"
    )
    schedule.step(NOW_US)
    schedule.step(NOW_US + FIRST_LOOK_US)
    schedule.step(NOW_US + FIRST_LOOK_US)
    schedule.step(NOW_US - 40 * DAY_US)
    schedule.step(NOW_US - 40 * DAY_US + FIRST_LOOK_US)
    assert len(started) == 2
    schedule.stop()
    assert started[1].killed


def test_findings_become_incidents_and_are_over_when_they_no_longer_hold(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 9)
    assert look_and_record(runtime) == []
    clock = runtime.clock
    for hours in (6, 12, 18, 24):
        clock.move_to_us(START_US + 9 * DAY_US + hours * HOUR_US + 300_000_000)  # type: ignore[attr-defined]
        (latest,) = look_and_record(runtime)
        if latest.decision.new:
            break
    assert watch_words(latest).startswith("high: events.buy had 0 rows, expected")
    (finding,) = read_state(watch_folder(runtime)).findings
    from flyball.monitoring import list_incidents

    listed = list_incidents(runtime.registry, clock.now_us())
    assert [listing.incident.severity for listing in listed.incidents] == [finding.severity]


def test_words_of_a_round_name_what_is_new_and_what_is_over() -> None:
    finding = Observation("volume", "events.buy", 9.0, True, "no rows", "high").finding(2, 1)
    new = FindingsDecision({}, (finding,), (finding.fingerprint,), ())
    assert watch_words(WatchRound(2, 1, new)) == "high: no rows"
    assert watch_words(WatchRound(2, 1, FindingsDecision({}, (finding,), (), ("other",)))) == "1 finding over"
    assert watch_words(WatchRound(2, 1, FindingsDecision({}, (finding,), (), ()))) == ""
