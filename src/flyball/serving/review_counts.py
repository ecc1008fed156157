"""Counts the reviews of a day, so that a declared number of reviews a day holds.

A serving process knows the reviews in the log of predictions, those of all processes, and its own that are not there
yet. The log is read four times a second, so what it misses are the reviews that others decided in less than half a
second; a process that starts has read the day before a version decides.
"""

import threading
from datetime import date, datetime, timedelta, tzinfo

from flyball.events import EventLog, Offsets
from flyball.outcomes import Prediction, prediction_of, records_between
from flyball.tasks import Request

_UNSETTLED_US = 60_000_000
"""How long a review counts whose response was never sent, as another one was faster."""


class ReviewCounts:
    """The responses that were sent to review, by day in the time zone `zone`. `decision`: what they say.

    All methods may be called from any thread.
    """

    def __init__(self, decision: str, zone: tzinfo) -> None:
        self._decision, self._zone = decision, zone
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
                reviews.add(request.id)
            self._taken[request.id] = count, request.at_us
            return count

    def settle(self, prediction: Prediction) -> None:
        """Count the response as it is sent: it may be of another version than the one that took a review."""
        if prediction.id not in self._taken and prediction.decision != self._decision:
            return
        with self._lock:
            self._taken.pop(prediction.id, None)
            reviews = self._of_day(prediction.at_us)
            if prediction.decision == self._decision:
                reviews.add(prediction.id)
            else:
                reviews.discard(prediction.id)

    def forget(self, prediction: Prediction) -> None:
        """The response is not kept, so it is not counted either."""
        with self._lock:
            self._taken.pop(prediction.id, None)
            self._of_day(prediction.at_us).discard(prediction.id)

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
        yesterday = self._day(now_us) - timedelta(days=1)
        self._reviews = {day: reviews for day, reviews in self._reviews.items() if day >= yesterday}
        unsent = [(name, at_us) for name, (_, at_us) in self._taken.items() if now_us - at_us > _UNSETTLED_US]
        for name, at_us in unsent:
            del self._taken[name]
            self._of_day(at_us).discard(name)

    def _of_day(self, at_us: int) -> set[str]:
        return self._reviews.setdefault(self._day(at_us), set())

    def _day(self, at_us: int) -> date:
        return datetime.fromtimestamp(at_us // 1_000_000, self._zone).date()
