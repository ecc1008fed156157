"""The worker: order of consumers, resuming, and a consumer in trouble."""

from collections.abc import Sequence

import pytest

from flyball.core import LeaseLost, ManualStopwatch
from flyball.events import (
    Appended,
    ConsumerLag,
    Offsets,
    Record,
    Slice,
    WorkerReport,
    after_slices,
    consumer_troubles,
)
from flyball.operations import Consumer, Worker, at_most_every

SECOND_US = 1_000_000


def record(number: int) -> Record:
    return Record("watch", str(number), number, number, number.to_bytes(16, "big"), b"")


class ListLog:
    """One partition in memory."""

    def __init__(self, count: int = 0) -> None:
        self.records = [record(number) for number in range(count)]

    def append(self, records: Sequence[Record]) -> Appended:
        self.records += records
        return Appended(len(records), [])

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        found = self.records[after[0] : after[0] + limit]
        return [Slice(0, after[0], found)] if found else []

    def ends(self) -> Offsets:
        return (len(self.records),)


class Kept:
    """A consumer that stores what it saw, may fail, and notes each call in a shared list."""

    def __init__(self, name: str, calls: list[str], fail: int = 0) -> None:
        self.name, self.calls, self.fail = name, calls, fail
        self.seen: list[int] = []
        self.stored: Offsets = (0,)
        self.rested: list[int] = []

    def apply(self, slices: Sequence[Slice]) -> None:
        self.calls.append(self.name)
        if self.fail:
            self.fail -= 1
            raise RuntimeError("disk full")
        self.seen += [one.at for piece in slices for one in piece.records]
        self.stored = after_slices(self.stored, slices)

    def consumer(self, log: ListLog, limit: int) -> Consumer:
        return Consumer(self.name, log, lambda: self.stored, self.apply, limit, self.rested.append)


def test_the_first_feed_comes_first_and_between_the_others() -> None:
    calls: list[str] = []
    log = ListLog(100)
    state, history, outcomes = (Kept(name, calls) for name in ("state", "history", "outcomes"))
    Worker([state.consumer(log, 10), history.consumer(log, 50), outcomes.consumer(log, 50)]).step(0)
    assert calls == ["state"] * 4 + ["history"] + ["state"] * 4 + ["outcomes"] + ["state"] * 2


def test_every_feed_sees_every_record_once_and_rests_at_the_end() -> None:
    log, calls = ListLog(105), list[str]()
    state, history = Kept("state", calls), Kept("history", calls)
    worker = Worker([state.consumer(log, 10), history.consumer(log, 20)])
    assert worker.drain(7) == 210
    log.append([record(200)])
    assert worker.drain(9) == 2
    for each in (state, history):
        assert each.seen == [*range(105), 200]
        assert set(each.rested) == {7, 9}
    assert worker.step(10).idle


def test_a_failing_feed_waits_longer_each_time_while_the_others_go_on() -> None:
    log, calls = ListLog(5), list[str]()
    state, history = Kept("state", calls), Kept("history", calls, fail=3)
    worker = Worker([state.consumer(log, 10), history.consumer(log, 10)])
    failed_at = []
    for now_us in range(0, 3 * SECOND_US, 50_000):
        before = history.fail
        progress = worker.step(now_us)
        if history.fail < before:
            failed_at.append(now_us)
            assert "disk full" in progress.lags["history"].error
    assert failed_at == [0, 200_000, 600_000]
    assert state.seen == history.seen == [0, 1, 2, 3, 4]
    assert progress.lags["history"].error == ""


def test_a_stream_that_is_away_stops_its_own_feed_only() -> None:
    class Away(ListLog):
        gone = False

        def ends(self) -> Offsets:
            if self.gone:
                raise RuntimeError("no such file")
            return super().ends()

    log, other, calls = Away(5), ListLog(5), list[str]()
    state, history = Kept("state", calls), Kept("history", calls)
    worker = Worker([state.consumer(log, 10), history.consumer(other, 10)])
    worker.step(0)
    log.gone = True
    other.append([record(9)])
    progress = worker.step(SECOND_US)
    assert "no such file" in progress.lags["state"].error
    assert (progress.lags["history"], history.seen[-1]) == (ConsumerLag(0, 0), 9)
    log.gone = False
    assert worker.step(2 * SECOND_US).lags["state"] == ConsumerLag(0, 0)


def test_a_clock_set_back_holds_up_no_retry_and_tells_no_odd_lag() -> None:
    log, calls, watch, now_us = ListLog(5), list[str](), ManualStopwatch(), 7_200 * SECOND_US
    for stopwatch in (watch, None):
        state = Kept("state", calls, fail=1)
        worker = Worker([state.consumer(log, 2)], stopwatch)
        worker.step(now_us)
        assert "disk full" in worker.step(now_us + 100_000).lags["state"].error
        watch.advance_s(0.3)
        for tenth in range(4):
            lag = worker.step(now_us // 2 + tenth * 100_000).lags["state"]
        assert state.seen == [0, 1, 2, 3, 4]
        assert lag == ConsumerLag(0, 0)
        log.append([record(number) for number in range(20)])
        assert worker.step(now_us).lags["state"].lag_us == 0
        assert 0 <= worker.step(now_us // 2).lags["state"].lag_us <= SECOND_US
        del log.records[5:]


def test_what_is_done_at_most_every_so_often_is_done_so_after_the_clock_was_set_back() -> None:
    done: list[int] = []
    rest = at_most_every(5 * SECOND_US, done.append)
    for second in (100, 103, 105, 20, 22, 24, 26, 31):
        rest(second * SECOND_US)
    assert done == [105 * SECOND_US, 26 * SECOND_US, 31 * SECOND_US]


def test_lag_is_the_time_since_the_oldest_unapplied_record_was_seen() -> None:
    log, calls = ListLog(0), list[str]()
    state = Kept("state", calls)
    worker = Worker([state.consumer(log, 1)])
    assert worker.step(0).lags["state"] == ConsumerLag(0, 0)
    log.append([record(number) for number in range(6)])
    assert worker.step(3 * SECOND_US).lags["state"] == ConsumerLag(2, 0)
    log.append([record(number) for number in range(4)])
    assert worker.step(4 * SECOND_US).lags["state"] == ConsumerLag(2, 0)  # the first six are applied
    log.append([record(number) for number in range(8)])
    assert worker.step(5 * SECOND_US).lags["state"] == ConsumerLag(6, 0)
    assert worker.step(7 * SECOND_US).lags["state"] == ConsumerLag(2, 2 * SECOND_US)
    assert worker.step(8 * SECOND_US).lags["state"] == ConsumerLag(0, 0)


def test_a_feed_that_stands_still_keeps_few_looks() -> None:
    log, calls = ListLog(0), list[str]()
    state = Kept("state", calls, fail=1_000_000)
    worker = Worker([state.consumer(log, 1)])
    for now_s in range(3_000):
        log.append([record(now_s)])
        lag = worker.step(now_s * SECOND_US).lags["state"]
    assert lag.lag_us <= 2_999 * SECOND_US


def test_a_restarted_worker_resumes_where_each_feed_stood() -> None:
    log, calls = ListLog(30), list[str]()
    state, history = Kept("state", calls), Kept("history", calls)
    Worker([state.consumer(log, 10), history.consumer(log, 7)]).step(0)
    assert len(history.seen) == 7
    Worker([state.consumer(log, 10), history.consumer(log, 7)]).drain(1)
    assert state.seen == history.seen == list(range(30))


@pytest.mark.parametrize("consumers", [0])
def test_no_feeds_is_idle(consumers: int) -> None:
    assert Worker([]).step(0).idle


def test_how_long_a_consumer_has_been_failing_or_standing_still_is_reported() -> None:
    log, calls = ListLog(5), list[str]()
    state, history = Kept("state", calls), Kept("history", calls, fail=10**6)
    stuck = Kept("outcomes", calls)
    idle = Consumer("idle", log, lambda: (0,), stuck.apply, 10, active=lambda: False)
    worker = Worker([state.consumer(log, 10), history.consumer(log, 10), idle])
    for second in range(100):
        report = worker.step(7_000 * SECOND_US + second * SECOND_US)
    assert "idle" not in report.lags | report.applied
    assert report.lags["state"] == ConsumerLag(0, 0)
    assert report.lags["history"].failing_since_us == 7_000 * SECOND_US
    assert "disk full" in report.lags["history"].error
    history.fail = 0
    for second in range(100, 140):
        report = worker.step(7_000 * SECOND_US + second * SECOND_US)
    assert report.lags["history"] == ConsumerLag(0, 0)


def test_a_consumer_that_takes_forever_counts_as_stuck_only_while_it_does_not_move() -> None:
    log, calls = ListLog(5), list[str]()
    first = Consumer("state", log, lambda: (0,), lambda slices: calls.append("x"), 0)  # reads nothing, moves nowhere
    worker = Worker([first])
    stills = [worker.step(second * SECOND_US).lags["state"].still_us for second in range(90)]
    assert stills[0] == 0
    assert stills[-1] == 89 * SECOND_US


def test_what_is_wrong_with_consumers_in_words() -> None:
    now_us = 1_000 * SECOND_US
    lags = {
        "state": ConsumerLag(0, 0),
        "history": ConsumerLag(-1, 0, "OSError: disk full", now_us - 75 * SECOND_US),
        "outcomes": ConsumerLag(1_204, 0, still_us=61 * SECOND_US),
        "features": ConsumerLag(1_204, 0, still_us=59 * SECOND_US),
    }
    report = WorkerReport(now_us, {}, lags)
    assert consumer_troubles(report, now_us) == {
        "history": "consumer history has been failing for 1m15s: OSError: disk full",
        "outcomes": "consumer outcomes has not moved for 1m1s, 1,204 records behind",
    }
    assert list(consumer_troubles(report, now_us + 20 * SECOND_US)) == [""]
    assert "silent for 20s" in consumer_troubles(report, now_us + 20 * SECOND_US)[""]
    assert consumer_troubles(None, now_us) == {}


class WithDuplicates(ListLog):
    """Every second offset, and the last ones, hold no event."""

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        end = min(after[0] + limit, len(self.records))
        slices, start = list[Slice](), after[0]
        for offset in range(after[0], end):
            if offset % 2 == 0 and offset < 20:
                slices.append(Slice(0, offset, [self.records[offset]], skipped=offset - start))
                start = offset + 1
        return slices if start >= end else [*slices, Slice(0, end, [], skipped=end - start)]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_offsets_without_an_event_do_not_keep_a_consumer_behind(limit: int) -> None:
    log, kept = WithDuplicates(31), Kept("kept", [])
    worker = Worker([Consumer("kept", log, lambda: kept.stored, kept.apply, limit)])
    worker.drain(0)
    assert kept.seen == list(range(0, 20, 2))
    assert worker.step(0).lags["kept"].behind == 0


def test_a_write_that_is_refused_since_another_holds_the_lease_is_known_by_its_kind() -> None:
    """Not by the words of its message, which another error may have as well."""

    def refused(slices: Sequence[Slice]) -> None:
        raise LeaseLost("online", 5, "7")

    def failing(slices: Sequence[Slice]) -> None:
        raise ValueError("LeaseLost: not this one")

    closed: list[str] = []
    log = ListLog(3)
    worker = Worker(
        [
            Consumer("state", log, lambda: (0,), refused, 2, close=lambda: closed.append("state")),
            Consumer("history", log, lambda: (0,), failing, 2),
        ]
    )
    report = worker.step(0)
    assert report.lost == ("state",)
    assert (
        report.lags["state"].error
        == "LeaseLost: lease online must be held with token 5, got 7: stand by until it is free"
    )
    worker.close()
    assert closed == ["state"]
