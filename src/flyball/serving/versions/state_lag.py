"""How long the log has held events that the online state has not applied."""

from collections import deque

from flyball.events import Offsets


class StateLag:
    """The lag of the online state: how long the log has held events that are not applied yet.

    `first_us`: the assumed age of events that are unapplied at the first poll.
    """

    def __init__(self, first_us: int = 0) -> None:
        self._polls: deque[tuple[int, Offsets]] = deque()
        self._first_us = first_us

    def poll(self, now_us: int, applied: Offsets, ends: Offsets) -> int:
        """Microseconds since the oldest unapplied event was first seen in the log; 0 when all are applied.

        When the clock has been set back, the time counts from then on.
        """
        if self._first_us and not _covers(applied, ends):
            self._polls.append((now_us - self._first_us, ends))
        self._first_us = 0
        if self._polls and now_us < self._polls[-1][0]:
            self._polls = deque((now_us, seen) for _, seen in self._polls)
        if not self._polls or self._polls[-1][1] != ends:
            self._polls.append((now_us, ends))
        while self._polls and _covers(applied, self._polls[0][1]):
            self._polls.popleft()
        if len(self._polls) > 1_000:  # for a consumer without progress, every second poll is enough
            self._polls = deque(poll for index, poll in enumerate(self._polls) if index % 2 == 0)
        return now_us - self._polls[0][0] if self._polls else 0


def _covers(applied: Offsets, ends: Offsets) -> bool:
    return all(end <= (applied[index] if index < len(applied) else 0) for index, end in enumerate(ends))
