"""Group commit: small appends from many callers become one transaction with one sync to disk."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from flyball.core import Refused
from flyball.events.log import Appended, EventLog, Record

_MOST = 10_000
"""The most records in one transaction, so that other writers wait only briefly during a burst."""


class _Submission(NamedTuple):
    records: Sequence[Record]
    future: "Future[Appended]"


class Appender:
    """Appends from many threads, merged. A caller waits at most about `wait_s` for others, then for the commit.

    While one transaction syncs, the next one is collected, so no time is lost under load. Of equal records from several
    callers all but the first are reported as duplicates. A failed append raises the log's error for all callers
    that share it; they append again, as `EventLog` says. The thread starts at the first use, so an appender may be made
    before a fork.
    """

    def __init__(self, log: EventLog, wait_s: float = 0.01) -> None:
        self._log, self._wait_s = log, wait_s
        self._changed = threading.Condition()
        self._waiting: list[_Submission] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def submit(self, records: Sequence[Record]) -> "Future[Appended]":
        """Queue records; the future is done when they are durable. Raises `Refused` after `close`."""
        future: Future[Appended] = Future()
        with self._changed:
            if self._closing:
                raise Refused("an appender that was closed takes nothing more")
            self._waiting.append(_Submission(records, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="appender", daemon=True)
                self._thread.start()
            self._changed.notify()
        return future

    def append(self, records: Sequence[Record]) -> Appended:
        """`submit` and wait: the records are durable on return. Raises what the log raises."""
        return self.submit(records).result() if records else Appended(0, [])

    def close(self) -> None:
        """Write the queued records, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    return
                if not self._closing:
                    self._changed.wait_for(lambda: self._closing, self._wait_s)
                batch = self._take()
            self._write(batch)

    def _take(self) -> list[_Submission]:
        count, size = 0, 0
        while count < len(self._waiting) and (count == 0 or size + len(self._waiting[count].records) <= _MOST):
            size += len(self._waiting[count].records)
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _write(self, batch: Sequence[_Submission]) -> None:
        merged = [record for submission in batch for record in submission.records]
        try:
            appended = self._log.append(merged)
        except Exception as error:  # any error is passed to the callers that wait
            for submission in batch:
                submission.future.set_exception(error)
            return
        start = 0
        for submission in batch:
            end = start + len(submission.records)
            again, wrong = (
                [index - start for index in indices if start <= index < end]
                for indices in (appended.duplicates, appended.conflicts)
            )
            submission.future.set_result(Appended(len(submission.records) - len(again) - len(wrong), again, wrong))
            start = end
