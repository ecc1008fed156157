"""Answers before the deadline: a queue, a scoring thread that drains it in batches, and a timer for overdue requests.

The event loop only waits. When a version is late, the requests that it holds up are answered by the next version on
another thread, while their deadline still allows it, then by the fallback. When the scoring thread is stuck for longer
than `STUCK_S`, the circuit breaker of the version at fault opens, a new thread takes over the queue and the requests of
the old one, which ends when it returns; its answers are dropped.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from flyball.core import Stopwatch
from flyball.outcomes import Prediction
from flyball.serving.answering.engine import Engine, ScoringProgress
from flyball.serving.metrics import ServingMetrics
from flyball.serving.spans import AnswerSpans
from flyball.tasks import Request

BATCH = 32
QUEUE = 1_000
TICK_S = 0.005
RELIEF_SHARE = 0.25
"""The share of the time to answer in that is kept for the next version, when a version is late."""
STUCK_S = 1.0
MAX_STUCK = 3
"""The most stuck scoring threads; with more, no new one is started and the process asks to be replaced."""


Done = Callable[[Prediction], None]


class _Waiting:
    __slots__ = ("answered", "done", "due_s", "relieved", "request")

    def __init__(self, request: Request, done: Done, due_s: float) -> None:
        self.request, self.done, self.due_s = request, done, due_s
        self.answered = self.relieved = False


class _Turn:
    """One thread that answers: what it is doing, for which requests, and since when (0.0: nothing)."""

    def __init__(self) -> None:
        self.progress = ScoringProgress()
        self.since_s = 0.0
        self.batch: Sequence[_Waiting] = ()
        self.given_up = False


class Scorer:
    """Answers requests through `engine`, and from its fallback when `deadline_s` is near. Call all methods from the
    event loop's thread. Of a version that is late, at most one other thread at a time takes requests over.

    `trip(version, reason)`: called once for each thread given up.
    """

    def __init__(
        self,
        engine: Engine,
        trip: Callable[[str, str], None],
        metrics: ServingMetrics,
        stopwatch: Stopwatch,
        deadline_s: float,
        spans: AnswerSpans | None = None,
    ) -> None:
        self._engine, self._trip, self._spans = engine, trip, spans
        self._metrics, self._stopwatch = metrics, stopwatch
        # a tick may be late by one, and sending the answer takes a moment
        self._wait_s = max(deadline_s - 4 * TICK_S, deadline_s / 2)
        self._relief_s = RELIEF_SHARE * self._wait_s
        self._queue: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._gathered: list[_Waiting] = []
        self._put, self._taken = (
            0,
            0,
        )  # numbers of requests, the first counted by the event loop, the second by the scoring thread
        self._open: deque[_Waiting] = deque()
        self._turn = _Turn()
        self._relief: _Turn | None = None
        self._stuck = 0
        self._ticking = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._start_thread()

    def stop(self) -> None:
        self._queue.put(None)

    @property
    def spent(self) -> bool:
        """Whether so many threads are stuck that the process should be replaced."""
        return self._stuck > MAX_STUCK

    def oldest_wait_s(self) -> float:
        """How long the request waits that came first of those without an answer."""
        due_s = next((waiting.due_s for waiting in self._open if not waiting.answered), None)
        return 0.0 if due_s is None else self._stopwatch.read_s() - (due_s - self._wait_s)

    def answer(self, request: Request) -> "asyncio.Future[Prediction]":
        """A future that has its answer before the deadline, whatever the scoring thread does."""
        future: asyncio.Future[Prediction] = self._running().create_future()

        def done(prediction: Prediction) -> None:
            if not future.done():
                future.set_result(prediction)

        self.submit(request, done)
        return future

    async def answer_all(self, requests: Sequence[Request]) -> list[Prediction]:
        """The answers to requests that came together, in order."""
        if not requests:
            return []
        answers: dict[int, Prediction] = {}
        every: asyncio.Future[None] = self._running().create_future()

        def done(index: int, prediction: Prediction) -> None:
            answers[index] = prediction
            if len(answers) == len(requests) and not every.done():
                every.set_result(None)

        for index, request in enumerate(requests):
            self.submit(request, partial(done, index))
        await every
        return [answers[index] for index in range(len(requests))]

    def submit(self, request: Request, done: Done) -> None:
        """Calls `done` in the event loop with the answer, before the deadline, whatever the scoring thread does; at
        once when too many wait.

        Requests submitted in one iteration of the event loop are passed to the scoring thread together, which is woken
        once.
        """
        loop = self._running()
        if self._put - self._taken >= QUEUE or self.spent:
            self._metrics.note("overload", "queue", f"{self._put - self._taken} waiting")
            done(self._engine.from_fallback(request, "overload"))
            return
        waiting = _Waiting(request, done, self._stopwatch.read_s() + self._wait_s)
        self._put += 1
        self._open.append(waiting)
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(waiting)
        if not self._ticking:
            self._ticking = True
            loop.call_later(TICK_S, self._tick)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("Scorer must be started first")
        return self._loop

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        for first in range(0, len(gathered), BATCH):
            self._queue.put(gathered[first : first + BATCH])

    def _start_thread(self) -> None:
        turn = self._turn = _Turn()
        threading.Thread(target=self._run, args=(turn,), name="scoring", daemon=True).start()

    def _run(self, turn: _Turn) -> None:
        loop, queue = self._loop, self._queue
        assert loop is not None
        while not turn.given_up:
            batch = _drain(queue)
            if batch is None:
                return
            self._taken += len(batch)
            batch = [waiting for waiting in batch if not waiting.answered]
            if not batch:
                continue
            requests = [waiting.request for waiting in batch]
            turn.batch, turn.since_s = batch, self._stopwatch.read_s()
            timed = None if self._spans is None else self._spans.progress()
            turn.progress = timed or turn.progress
            try:
                answers = self._engine.answer(requests, turn.progress)
            except Exception as error:  # the engine has its own levels; this is the last one
                self._metrics.note("fault", "engine", error)
                answers = [self._engine.from_fallback(request, "fault") for request in requests]
            turn.since_s = 0.0
            if self._spans is not None and timed is not None:
                self._spans.scored(requests, timed)
            if turn.given_up:
                _call_in_loop(loop, self._came_back)
            else:
                self._metrics.counters.add("batches")
                self._metrics.counters.add("batched", len(requests))
                _call_in_loop(loop, self._deliver, batch, answers)

    def _tick(self) -> None:
        assert self._loop is not None
        now_s = self._stopwatch.read_s()
        waiting = self._open
        while waiting and waiting[0].answered:
            waiting.popleft()
        while waiting and waiting[0].due_s <= now_s:
            overdue = waiting.popleft()
            if not overdue.answered:
                self._metrics.note("late", self._turn.progress.version or "state", "answered by the fallback")
                self._answered(overdue, self._engine.from_fallback(overdue.request, "late"))
        self._relieve(now_s)
        self._check_threads(now_s)
        self._metrics.gauge("queue", self._put - self._taken)
        if waiting or self._turn.since_s or self._relief is not None:
            self._loop.call_later(TICK_S, self._tick)
        else:
            self._ticking = False

    def _relieve(self, now_s: float) -> None:
        """Have the requests that a late version holds up, and whose deadline is near, answered without it."""
        turn = self._turn
        late = turn.progress.version
        if not late or not turn.since_s or now_s - turn.since_s < self._relief_s:
            return
        if self._relief is not None or self.spent:
            return
        batch = []
        for waiting in self._open:
            if waiting.due_s - self._relief_s > now_s:
                break
            if not waiting.answered and not waiting.relieved:
                waiting.relieved = True
                batch.append(waiting)
        if batch:
            relief = self._relief = _Turn()
            relief.since_s = now_s
            threading.Thread(target=self._run_relief, args=(relief, late, batch), name="relief", daemon=True).start()

    def _run_relief(self, relief: _Turn, late: str, batch: list[_Waiting]) -> None:
        answers: list[Prediction | None] = [None] * len(batch)
        try:
            answers = self._engine.answer_without(late, [waiting.request for waiting in batch], relief.progress)
        except Exception as error:  # the engine has its own levels; the timer is the last one
            self._metrics.note("fault", "engine", error)
        assert self._loop is not None
        _call_in_loop(self._loop, self._relieved, relief, late, batch, answers)

    def _relieved(self, relief: _Turn, late: str, batch: list[_Waiting], answers: Sequence[Prediction | None]) -> None:
        if relief.given_up:
            self._came_back()
            return
        self._relief = None
        for waiting, answer in zip(batch, answers, strict=True):
            if answer is not None and not waiting.answered:
                if answer.failed == "late":
                    self._metrics.note("late", late, f"answered by {answer.version}")
                self._answered(waiting, answer)

    def _check_threads(self, now_s: float) -> None:
        """Give up the threads that are stuck. A new scoring thread takes over what the old one has not answered; what
        a relief has not, the timer answers."""
        turn = self._turn
        if self._stuck_since(turn, now_s):
            self._give_up(turn)
            if not self.spent:
                self._start_thread()
                unanswered = [waiting for waiting in turn.batch if not waiting.answered]
                self._put += len(unanswered)
                self._queue.put(unanswered)
        relief = self._relief
        if relief is not None and self._stuck_since(relief, now_s):
            self._relief = None
            self._give_up(relief)

    def _stuck_since(self, turn: _Turn, now_s: float) -> bool:
        return bool(turn.since_s) and now_s - turn.since_s > STUCK_S and not turn.given_up

    def _give_up(self, turn: _Turn) -> None:
        turn.given_up = True
        self._stuck += 1
        where = turn.progress.version
        self._metrics.note("stuck", where or "state", f"after {STUCK_S} s")
        if where:
            self._trip(where, f"held the scoring thread longer than {STUCK_S:g} s")

    def _deliver(self, batch: list[_Waiting], answers: list[Prediction]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answered:
                self._answered(waiting, answer)

    def _answered(self, waiting: _Waiting, answer: Prediction) -> None:
        waiting.answered = True
        try:
            waiting.done(answer)
        except Exception as error:  # an error in one reply must not delay the others
            self._metrics.note("fault", "reply", error)

    def _came_back(self) -> None:
        self._stuck -= 1


def _call_in_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: object) -> None:
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        if not loop.is_closed():  # after the loop has closed, no caller waits
            raise


def _drain(queue: "SimpleQueue[list[_Waiting] | None]") -> list[_Waiting] | None:
    """Wait for requests, then take further ones up to `BATCH`; None at the end."""
    first = queue.get()
    if first is None:
        return None
    batch = first
    while len(batch) < BATCH:
        try:
            following = queue.get_nowait()
        except Empty:
            break
        if following is None:
            queue.put(None)
            break
        batch = batch + following
    return batch
