"""The governor: first learning, the schedule, jobs that take time."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from flyball.core import ManualStopwatch
from flyball.learning import LearningCause, LearningEvidence, UndoneVersion
from flyball.monitoring import Finding
from flyball.operations import Governor
from flyball.policy import Trigger, cron, every, on_drift, on_volume

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000


class Stores:
    """What the governor looks at, set by hand."""

    def __init__(self) -> None:
        self.serving: str | None = None
        self.last_us: int | None = None
        self.count = 0
        self.known = LearningEvidence()

    def champion(self) -> str | None:
        return self.serving

    def last_attempt_us(self) -> int | None:
        return self.last_us

    def events(self) -> int:
        return self.count

    def evidence(self, now_us: int) -> LearningEvidence:
        return self.known


class HandJob:
    def __init__(self) -> None:
        self.outcome: str | None = None

    def poll(self) -> str | None:
        return self.outcome


def governor(stores: Stores) -> tuple[Governor, list[HandJob]]:
    jobs: list[HandJob] = []

    def start(now_us: int, case_ids: tuple[str, ...]) -> HandJob:
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

    def start(now_us: int, case_ids: tuple[str, ...]) -> HandJob:
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

    def start(now_us: int, case_ids: tuple[str, ...]) -> HandJob:
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


class Book:
    """The cases of a governor, as lines."""

    def __init__(self, waiting: Mapping[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self._waiting = dict(waiting or {})

    def waiting(self) -> Mapping[str, str]:
        return self._waiting

    def refuse(self, cause: LearningCause, reason: str, now_us: int) -> None:
        self.lines.append(f"{cause.kind} refused: {reason}")

    def withdraw(self, fingerprint: str, now_us: int) -> None:
        self.lines.append(f"{fingerprint} withdrawn")

    def begin(self, causes: Sequence[LearningCause], now_us: int) -> tuple[str, ...]:
        self.lines.append(f"{', '.join(cause.kind for cause in causes)} begun")
        return tuple(f"c{number}" for number, _ in enumerate(causes))

    def end(self, case_ids: Sequence[str], outcome: str, now_us: int) -> None:
        self.lines.append(f"{', '.join(case_ids)} ended: {outcome}")


def watching(stores: Stores, book: Book, *triggers: Trigger) -> tuple[Governor, list[HandJob]]:
    jobs: list[HandJob] = []

    def start(now_us: int, case_ids: tuple[str, ...]) -> HandJob:
        stores.last_us = now_us
        jobs.append(HandJob())
        return jobs[-1]

    return Governor(triggers, stores, start, cases=book), jobs


LABELED = LearningEvidence(champion="v1", known_us=1, at_us=2, labels=100)
HOUR_US = DAY_US // 24


def test_evidence_starts_one_run_and_then_waits_for_its_cooldown() -> None:
    stores, book = Stores(), Book()
    governor_of_labels, jobs = watching(stores, book, on_volume(100, cooldown="6h"))
    stores.serving, stores.last_us, stores.known = "v1", 0, LABELED
    assert governor_of_labels.tick(DAY_US).words == "100 new labels since the snapshot of v1, 100 are enough"
    assert [governor_of_labels.tick(DAY_US + second).kind for second in (1, 2, 3)] == ["running"] * 3
    jobs[0].outcome = "no candidate passed its gates"
    assert governor_of_labels.tick(DAY_US + HOUR_US).kind == "finished"
    for minute in range(5 * 60 - 1):
        assert governor_of_labels.tick(DAY_US + HOUR_US + minute * MINUTE_US).kind == "waiting"
    assert governor_of_labels.tick(DAY_US + 6 * HOUR_US).kind == "started"
    assert book.lines == [
        "volume begun",
        "c0 ended: no candidate passed its gates",
        "volume refused: cooldown of 6h since the run that started at 1970-01-02T00:00:00Z",
        "volume begun",
    ]


def test_other_causes_are_refused_while_a_run_is_under_way_and_start_it_later() -> None:
    stores, book = Stores(), Book()
    governor_of_both, jobs = watching(stores, book, on_volume(100), on_drift(), every("1d"))
    stores.serving, stores.last_us, stores.known = "v1", 0, LABELED
    assert governor_of_both.tick(DAY_US).kind == "started"
    finding = Finding("label_share", "stars", DAY_US, DAY_US, "low", "stars fell", "world")
    stores.known = msgspec.structs.replace(LABELED, findings=(finding,))
    for second in range(3):
        assert governor_of_both.tick(DAY_US + second).kind == "running"
    jobs[0].outcome = "v2 (linear) is the champion now"
    assert governor_of_both.tick(DAY_US + HOUR_US).kind == "finished"
    stores.serving = "v2"
    stores.known = LearningEvidence(champion="v2", known_us=DAY_US)
    assert governor_of_both.tick(DAY_US + 2 * HOUR_US).kind == "waiting"
    assert book.lines == [
        "schedule, volume begun",
        "drift refused: another run is under way",
        "c0, c1 ended: v2 (linear) is the champion now",
        "fb.on_drift() v1 withdrawn",
    ]


def test_causes_that_waited_when_the_governor_ended_are_withdrawn_by_the_next() -> None:
    stores, book = Stores(), Book({"fb.on_volume(100) v0": "cooldown"})
    governor_of_labels, _ = watching(stores, book, on_volume(100))
    stores.serving, stores.last_us = "v1", 0
    assert governor_of_labels.tick(1).kind == "waiting"
    assert book.lines == [], "nothing is known about the champion yet"
    stores.known = msgspec.structs.replace(LABELED, labels=0)
    assert governor_of_labels.tick(2).kind == "waiting"
    assert book.lines == ["fb.on_volume(100) v0 withdrawn"]


def test_runs_that_leave_the_champion_where_it_is_become_rarer() -> None:
    stores, book = Stores(), Book()
    governor_of_labels, jobs = watching(stores, book, on_volume(100, cooldown="6h"))
    stores.serving, stores.last_us, stores.known = "v1", 0, LABELED
    started: list[int] = []
    for hour in range(24, 24 * 12):
        if governor_of_labels.tick(hour * HOUR_US).kind == "started":
            started.append(hour)
            jobs[-1].outcome = "no candidate passed its gates"
            governor_of_labels.tick(hour * HOUR_US + 1)
    assert [later - earlier for earlier, later in pairwise(started)] == [6, 12, 24, 48, 96]
    stores.serving = "v2"
    stores.known = msgspec.structs.replace(LABELED, champion="v2")
    assert governor_of_labels.tick(24 * 12 * HOUR_US).kind == "started", "another champion, another cause"


def test_a_finding_whose_version_was_rolled_back_by_a_person_starts_no_run_until_it_comes_again() -> None:
    stores, book = Stores(), Book()
    governor_of_drift, jobs = watching(stores, book, on_drift(cooldown="1m"))
    finding = Finding("label_share", "stars", HOUR_US, HOUR_US, "low", "stars fell", "world")
    stores.serving, stores.last_us = "v3", 0
    stores.known = LearningEvidence(champion="v3", known_us=1, findings=(finding,))
    assert governor_of_drift.tick(2 * HOUR_US).kind == "started"
    jobs[0].outcome = "v4 (linear) is the champion now"
    assert governor_of_drift.tick(2 * HOUR_US + 1).kind == "finished"
    undone = UndoneVersion(
        version="v4", words="rolled back", at_us=3 * HOUR_US, by="root", reason="night drill", known_us=2 * HOUR_US
    )
    stores.known = msgspec.structs.replace(stores.known, undone=undone)
    for minute in range(1, 600):
        assert governor_of_drift.tick(3 * HOUR_US + minute * MINUTE_US).kind == "waiting"
    assert len(book.lines) == 3
    assert book.lines[2].startswith("drift refused: v4 was rolled back by root at 1970-01-01T03:00:00Z (night drill): ")
    again = msgspec.structs.replace(finding, at_us=13 * HOUR_US)
    stores.known = msgspec.structs.replace(stores.known, findings=(again,))
    assert governor_of_drift.tick(14 * HOUR_US).kind == "started"
