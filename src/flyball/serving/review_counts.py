"""Counts the reviews of a day, so that a declared number of reviews a day holds.

The processes of one home tell each other at once (`ReviewFile`), so that they never exceed it together. Those of other
homes are known from the log of predictions, which is read four times a second: what is missed are the reviews that they
decided in less than half a second. A process that starts has read the day before a version decides.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, datetime, timedelta, tzinfo

from flyball.core import find_zone
from flyball.events import EventLog, Offsets
from flyball.outcomes import Prediction, prediction_of, records_between
from flyball.runtime import Runtime
from flyball.serving.review_file import ReviewFile
from flyball.tasks import DailyLimit, Request

_UNSETTLED_US = 60_000_000
"""How long a review counts whose response was never sent, as another one was faster."""


class ReviewCounts:
    """The responses that were sent to review, by day in the time zone `zone`. `decision`: what they say. `shared`: what
    the processes of a home share.

    All methods may be called from any thread.
    """

    def __init__(self, decision: str, zone: tzinfo, shared: ReviewFile | None = None) -> None:
        self._decision, self._zone, self._shared = decision, zone, shared
        self._text = decision.encode()
        self._lock = threading.Lock()
        self._reviews: dict[date, set[str]] = {}
        self._taken: dict[str, tuple[int, int]] = {}
        self._offsets: Offsets = ()

    def take(self, request: Request, limit: float) -> int:
        """How many reviews the day of the request has had. Below `limit` the request counts from now on.

        The same for the same request, whichever version is asked.
        """
        with self._lock:
            reviews = self._of_day(request.at_us)
            if request.id in self._taken:
                return self._taken[request.id][0]
            if request.id in reviews:  # it was sent to review already, and another version comes late
                return len(reviews) - 1
            count = len(reviews)
            if count < limit:
                with self._sharing(self._day(request.at_us), reviews) as add_line:
                    count = len(reviews)
                    if count < limit:
                        add_line(f"+{request.id}")
                        reviews.add(request.id)
            self._taken[request.id] = count, request.at_us
            return count

    def settle(self, prediction: Prediction) -> None:
        """Count the response as it is sent: it may be of another version than the one that took a review."""
        if prediction.id in self._taken or prediction.decision == self._decision:
            self._set(prediction, prediction.decision == self._decision)

    def forget(self, prediction: Prediction) -> None:
        """The response is not kept, so it is not counted either."""
        self._set(prediction, is_review=False)

    def _set(self, prediction: Prediction, is_review: bool) -> None:
        with self._lock:
            self._taken.pop(prediction.id, None)
            reviews = self._of_day(prediction.at_us)
            if (prediction.id in reviews) != is_review:
                with self._sharing(self._day(prediction.at_us), reviews) as add_line:
                    add_line(f"{'+' if is_review else '-'}{prediction.id}")
                    (reviews.add if is_review else reviews.discard)(prediction.id)

    @contextmanager
    def _sharing(self, day: date, reviews: set[str]) -> Iterator[Callable[[str], object]]:
        """With what other processes of the home have done meanwhile in `reviews`, a function that adds a line for them.

        Where the file cannot be written, such as on a full disk, the others learn of it from the log of predictions.
        """
        with ExitStack() as locks:
            add_line: Callable[[str], object] = str
            if self._shared is not None:
                with suppress(OSError):
                    lines = locks.enter_context(self._shared.of_day(day))
                    for line in lines.new:
                        (reviews.add if line[0] == "+" else reviews.discard)(line[1:])
                    add_line = lines.add
            yield add_line

    def read(self, predictions: EventLog, now_us: int) -> None:
        """Count what the log of predictions holds of the present day and was not read yet."""
        midnight = datetime.combine(self._day(now_us), datetime.min.time(), self._zone)
        ends, from_us = predictions.ends(), round(midnight.timestamp() * 1e6)
        for record in records_between(predictions, from_us, after=self._offsets):
            if self._text in record.body:  # most are not: to decode them takes ten times as long
                prediction = prediction_of(record)
                if prediction.decision == self._decision:
                    with self._lock:
                        self._of_day(prediction.at_us).add(prediction.id)
        self._offsets = ends
        with self._lock:
            self._forget_old(now_us)

    def _forget_old(self, now_us: int) -> None:
        unsent = [(name, at_us) for name, (_, at_us) in self._taken.items() if now_us - at_us > _UNSETTLED_US]
        for name, at_us in unsent:
            del self._taken[name]
            reviews = self._of_day(at_us)
            with self._sharing(self._day(at_us), reviews) as add_line:
                add_line(f"-{name}")
                reviews.discard(name)
        yesterday = self._day(now_us) - timedelta(days=1)
        if any(day < yesterday for day in self._reviews):
            self._reviews = {day: reviews for day, reviews in self._reviews.items() if day >= yesterday}
            if self._shared is not None:
                self._shared.forget_before(yesterday)

    def _of_day(self, at_us: int) -> set[str]:
        return self._reviews.setdefault(self._day(at_us), set())

    def _day(self, at_us: int) -> date:
        return datetime.fromtimestamp(at_us // 1_000_000, self._zone).date()


def counts_of(runtime: Runtime, limit: DailyLimit) -> ReviewCounts:
    """The counts of an application whose decision is limited."""
    return ReviewCounts(limit.decision, find_zone(limit.zone), ReviewFile(runtime.counters_folder))
