"""The governor: first learning, the schedule, jobs that take time."""

from flyball.core import ManualStopwatch
from flyball.operations import Governor
from flyball.policy import cron, every

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000


class Stores:
    """What the governor looks at, set by hand."""

    def __init__(self) -> None:
        self.serving: str | None = None
        self.last_us: int | None = None
        self.count = 0

    def champion(self) -> str | None:
        return self.serving

    def last_attempt_us(self) -> int | None:
        return self.last_us

    def events(self) -> int:
        return self.count


class HandJob:
    def __init__(self) -> None:
        self.outcome: str | None = None

    def poll(self) -> str | None:
        return self.outcome


def governor(stores: Stores) -> tuple[Governor, list[HandJob]]:
    jobs: list[HandJob] = []

    def start(now_us: int) -> HandJob:
        stores.last_us = now_us
        jobs.append(HandJob())
        return jobs[-1]

    return Governor([every("3d")], stores, start, first_events=1_000), jobs


def test_learns_first_when_there_are_events_enough() -> None:
    stores = Stores()
    one, jobs = governor(stores)
    assert one.tick(0).kind == "waiting"
    stores.count = 999
    assert one.tick(1).kind == "waiting"
    stores.count = 1_000
    decision = one.tick(2)
    assert (decision.kind, decision.words) == ("started", "no champion yet, 1,000 events")
    assert one.tick(3).kind == "running"
    jobs[0].outcome = "too little data"
    assert one.tick(4).words == "too little data"
    assert one.tick(5).kind == "waiting"


def test_without_a_champion_it_tries_again_when_the_log_has_grown_by_half() -> None:
    stores = Stores()
    one, jobs = governor(stores)
    stores.count = 1_000
    one.tick(0)
    jobs[0].outcome = "too little data"
    one.tick(1)
    stores.count = 1_499
    assert one.tick(10 * MINUTE_US).kind == "waiting"
    stores.count = 1_500
    assert one.tick(10 * MINUTE_US).kind == "started"
    jobs[1].outcome = "too little data"
    one.tick(10 * MINUTE_US + 1)
    stores.count = 10_000
    assert one.tick(11 * MINUTE_US - 1).kind == "waiting"
    assert one.tick(11 * MINUTE_US).kind == "started"


def test_a_clock_set_back_holds_up_neither_the_next_try_nor_the_schedule() -> None:
    stores, watch = Stores(), ManualStopwatch()
    jobs: list[HandJob] = []

    def start(now_us: int) -> HandJob:
        stores.last_us = now_us
        jobs.append(HandJob())
        return jobs[-1]

    one = Governor([every("3d")], stores, start, first_events=1_000, stopwatch=watch)
    stores.count = 1_000
    assert one.tick(9 * DAY_US).kind == "started"
    jobs[0].outcome = "too little data"
    one.tick(9 * DAY_US)
    stores.count = 2_000
    watch.advance_s(59)
    assert one.tick(8 * DAY_US).kind == "waiting"
    watch.advance_s(1)
    assert one.tick(8 * DAY_US).kind == "started"
    stores.serving, jobs[1].outcome = "v1", "released"
    assert one.tick(2 * DAY_US).next_us == 5 * DAY_US  # the attempt of day 8 is still to come: it counts as made now
    assert one.tick(5 * DAY_US - 1).kind == "waiting"
    assert one.tick(5 * DAY_US).kind == "started"


def test_a_clock_that_jumps_ahead_and_back_learns_once_and_then_by_schedule() -> None:
    stores = Stores()
    one, jobs = governor(stores)
    stores.serving, stores.last_us = "v1", 5 * DAY_US
    assert one.tick(400 * DAY_US).kind == "started"
    jobs[0].outcome = "no better version"
    kinds = [one.tick(6 * DAY_US + hour * DAY_US // 24).kind for hour in range(10 * 24)]
    assert [place for place, kind in enumerate(kinds) if kind == "started"] == [72]


def test_follows_the_schedule_from_the_last_attempt_whoever_made_it() -> None:
    stores = Stores()
    one, jobs = governor(stores)
    stores.serving, stores.last_us = "v1", 5 * DAY_US
    assert one.tick(6 * DAY_US).next_us == 8 * DAY_US
    assert one.tick(8 * DAY_US - 1).kind == "waiting"
    assert one.tick(8 * DAY_US).words == "scheduled"
    assert one.tick(12 * DAY_US).kind == "running"
    jobs[0].outcome = "no better version"
    assert one.tick(12 * DAY_US).kind == "finished"
    assert one.tick(12 * DAY_US).kind == "started"


def test_times_of_the_calendar_that_pass_while_a_run_is_under_way_start_one_run_together() -> None:
    hour_us, stores, jobs = DAY_US // 24, Stores(), list[HandJob]()

    def start(now_us: int) -> HandJob:
        stores.last_us = now_us
        jobs.append(HandJob())
        return jobs[-1]

    governor_of_nights = Governor([cron("0 3 * * *"), cron("0 15 * * *")], stores, start)
    stores.serving, stores.last_us = "v1", 10 * DAY_US
    assert governor_of_nights.tick(10 * DAY_US + hour_us).next_us == 10 * DAY_US + 3 * hour_us
    assert governor_of_nights.tick(10 * DAY_US + 3 * hour_us - 1).kind == "waiting"
    assert governor_of_nights.tick(10 * DAY_US + 3 * hour_us).kind == "started"
    assert governor_of_nights.tick(11 * DAY_US + 4 * hour_us).kind == "running"  # 15:00 and 03:00 have passed
    jobs[0].outcome = "no better version"
    assert governor_of_nights.tick(11 * DAY_US + 4 * hour_us).kind == "finished"
    assert governor_of_nights.tick(11 * DAY_US + 4 * hour_us).kind == "started"
    jobs[1].outcome = "no better version"
    assert governor_of_nights.tick(11 * DAY_US + 5 * hour_us).kind == "finished"
    assert governor_of_nights.tick(11 * DAY_US + 5 * hour_us).next_us == 11 * DAY_US + 15 * hour_us
