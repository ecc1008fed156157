"""Group commit: callers share transactions and each learns its own outcome."""

import threading
from collections.abc import Sequence

import pytest

from flyball.core import Refused, StoreUnavailable
from flyball.events import Appended, Appender, Record
from flyball.testing.log_contract import PlainLog, record


class HeldLog(PlainLog):
    """Counts transactions; each waits until `open` is set. `broken`: the error it raises instead."""

    def __init__(self) -> None:
        super().__init__(1)
        self.open = threading.Event()
        self.open.set()
        self.sizes: list[int] = []
        self.broken: Exception | None = None

    def append(self, records: Sequence[Record]) -> Appended:
        assert self.open.wait(30)
        if self.broken is not None:
            raise self.broken
        self.sizes.append(len(records))
        return super().append(records)


def test_appends_that_wait_together_share_one_transaction() -> None:
    log = HeldLog()
    appender = Appender(log, wait_s=0.0)
    log.open.clear()
    first = appender.submit([record(0)])
    waiting = [appender.submit([record(number), record(number + 1)]) for number in range(1, 9)]
    log.open.set()
    assert first.result(30) == Appended(1, [])
    outcomes = [future.result(30) for future in waiting]
    assert outcomes == [Appended(2, []), *[Appended(1, [0])] * 7]
    assert len(log.sizes) <= 3
    appender.close()


def test_a_failed_transaction_fails_its_callers_and_no_others() -> None:
    log = HeldLog()
    appender = Appender(log, wait_s=0.0)
    log.broken = StoreUnavailable("the log must be free, got a lock")
    with pytest.raises(StoreUnavailable):
        appender.append([record(1)])
    log.broken = None
    assert appender.append([record(1)]) == Appended(1, [])
    appender.close()


def test_close_writes_what_was_passed_and_takes_no_more() -> None:
    log = HeldLog()
    appender = Appender(log, wait_s=60.0)
    future = appender.submit([record(1)])
    appender.close()
    assert future.result(0) == Appended(1, [])
    with pytest.raises(Refused):
        appender.append([record(2)])


def test_threads_each_learn_their_own_duplicates() -> None:
    log = HeldLog()
    appender = Appender(log, wait_s=0.002)
    outcomes: list[tuple[int, Appended]] = []

    def run(number: int) -> None:
        for step in range(20):
            outcomes.append((number, appender.append([record(step), record(1_000 * number + step + 100)])))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.written for _, one in outcomes) == 20 + 5 * 20 == sum(log.ends())
    assert all(one.duplicates in ([], [0]) for _, one in outcomes)
    appender.close()
