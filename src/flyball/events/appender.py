"""Group commit: small appends from many callers become one transaction, so that they share its one sync to disk."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from flyball.core import Refused
from flyball.events.log import Appended, EventLog, Record

_MOST = 10_000
"""Records in one transaction, so that a burst keeps other writers waiting only briefly."""


class _Submission(NamedTuple):
    records: Sequence[Record]
    future: "Future[Appended]"


class Appender:
    """Appends from many threads, merged. A caller waits at most about `wait_s` for company, then for the commit.

    While one transaction syncs, the next gathers, so under load no time is lost waiting. Duplicates among callers
    count for all but the first. A failed transaction fails all who shared it, with the log's own error: nothing of
    theirs was written. Starts its thread when first used, so it may be made before a fork.
    """

    def __init__(self, log: EventLog, wait_s: float = 0.01) -> None:
        self._log, self._wait_s = log, wait_s
        self._changed = threading.Condition()
        self._waiting: list[_Submission] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def submit(self, records: Sequence[Record]) -> "Future[Appended]":
        """Hand records over; the future is done when they are durable."""
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
        """`submit` and wait: durable on return; raises what the log raises."""
        return self.submit(records).result() if records else Appended(0, [])

    def close(self) -> None:
        """Write what was handed over, then end."""
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
                taken = self._take()
            self._write(taken)

    def _take(self) -> list[_Submission]:
        count, size = 0, 0
        while count < len(self._waiting) and (count == 0 or size + len(self._waiting[count].records) <= _MOST):
            size += len(self._waiting[count].records)
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def _write(self, taken: Sequence[_Submission]) -> None:
        merged = [record for submission in taken for record in submission.records]
        try:
            repeats = self._log.append(merged).duplicates
        except Exception as error:  # whatever it is, it belongs to those who wait
            for submission in taken:
                submission.future.set_exception(error)
            return
        start = 0
        for submission in taken:
            end = start + len(submission.records)
            own = [index - start for index in repeats if start <= index < end]
            submission.future.set_result(Appended(len(submission.records) - len(own), own))
            start = end
