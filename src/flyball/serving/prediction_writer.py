"""Writes predictions to the log in the background."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import msgspec

from flyball.core import BadInput
from flyball.events import ErasedPeople, EventLog, Record
from flyball.outcomes import NamedIn, Prediction, prediction_record
from flyball.serving.metrics import ServingMetrics

MAX_RECORDS = 500
EVERY_S = 0.05
BOUND = 50_000
"""The most records buffered while the log cannot be written: at 4,000 answers/s twelve seconds, some 100 MB."""


class PredictionWriter:
    """Appends predictions in the background, at most 100 ms after they were answered, 500 in an append.

    While the log is locked or full, up to `bound` records are buffered; further ones are counted as dropped. Records
    that a process has buffered when it is killed are lost: at most 200 ms of answers while the log can be written.
    `written`: called with the answers, and how long each took, that are in the log. `erased`, with `named`, the
    entities that an answer names: an answer of somebody who was erased after it is dropped.
    """

    def __init__(
        self,
        log: Callable[[], EventLog],
        metrics: ServingMetrics,
        worker: str,
        bound: int = BOUND,
        written: Callable[[Sequence[tuple[Prediction, int]]], object] | None = None,
        erased: ErasedPeople | None = None,
        named: NamedIn | None = None,
    ) -> None:
        self._log, self._metrics, self._worker, self._bound = log, metrics, worker, bound
        self._written, self._erased, self._named = written, erased, named
        self._waiting: deque[tuple[Prediction, int]] = deque()
        self._by_id: dict[str, tuple[Prediction, int]] = {}
        self._singly = 0  # how many records are appended one by one
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, prediction: Prediction, took_us: int) -> None:
        """Queue `prediction`, which was answered in `took_us`; never waits."""
        if len(self._waiting) >= self._bound:
            self._metrics.counters.add("predictions|dropped")
        else:
            self._by_id[prediction.id] = (prediction, took_us)
            self._waiting.append((prediction, took_us))

    def recent(self, prediction_id: str) -> Prediction | None:
        """A prediction that is not in the log yet."""
        waiting = self._by_id.get(prediction_id)
        if waiting is None:
            return None
        prediction, took_us = waiting
        return msgspec.structs.replace(prediction, took_us=took_us, worker=self._worker)

    def stop(self, within_s: float = 5.0) -> int:
        """Write the buffered records, trying for `within_s`; returns how many could not be written."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within_s)
        return len(self._waiting)

    def flush(self) -> bool:
        """Append all buffered records; False when the log could not be written (they stay buffered)."""
        while self._waiting:
            size = 1 if self._singly else min(len(self._waiting), MAX_RECORDS)
            batch = [self._waiting[index] for index in range(size)]
            try:
                with nullcontext() if self._erased is None else self._erased.holding():
                    kept = [waiting for waiting in batch if not self._was_erased(waiting[0])]
                    pairs = [(waiting, record) for waiting in kept if (record := self._record(*waiting)) is not None]
                    records = [record for _, record in pairs]
                    self._log().append(records)
            except BadInput as error:  # larger than a message of the topic may be, and so for ever
                if size > 1:  # which of them is seen when they are appended one by one
                    self._singly = size
                    continue
                self._metrics.note("predictions", "record", error)
                self._metrics.counters.add("predictions|refused")
            except Exception as error:  # when the log cannot be written, answers continue and records wait
                self._metrics.note("predictions", "log", error)
                return False
            else:
                self._metrics.counters.add("predictions|written", len(records))
                if self._written is not None:
                    self._written([waiting for waiting, _ in pairs])
            self._singly = max(0, self._singly - 1)
            for _ in batch:
                prediction, _ = self._waiting.popleft()
                self._by_id.pop(prediction.id, None)
            self._metrics.gauge("writing", len(self._waiting))
        return True

    def _was_erased(self, prediction: Prediction) -> bool:
        """Whether it names somebody who was erased since."""
        if self._erased is None or self._named is None or self._erased.is_empty:
            return False
        return self._erased.was(self._named(prediction), prediction.at_us)

    def _record(self, prediction: Prediction, took_us: int) -> Record | None:
        """The record; None, and a failure is counted, for one that cannot be encoded, so that it does not block the
        others."""
        try:
            return prediction_record(prediction, took_us, self._worker)
        except Exception as error:
            self._metrics.note("predictions", "record", error)
            return None

    def _run(self) -> None:
        tries = 0
        while not self._stop.wait(EVERY_S):
            self.flush()
        while not self.flush() and tries < 20:
            tries += 1
            threading.Event().wait(EVERY_S)
