"""Reads messages from given offsets on, with a few consumers that stand where readers left off."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from flyball.core import StoreUnavailable
from flyball.events.kafka.client import WATCH, KafkaClient, holds_clients, set_aside

_CURSORS = 4
_AT_ONCE = 10_000
_WAIT_S = 0.1


class Fetched(NamedTuple):
    """The messages of one partition in offsets [start, end); where offsets are missing, nothing is there any more."""

    partition: int
    start: int
    end: int
    messages: list[Any]


class RemovedFromLog(Exception):
    """What was to be read was removed from the topic; decided about by the log."""


class _Moved(Exception):
    """Offsets are missing on a consumer that was moved before: read again with a new one."""


class _Cursor:
    def __init__(self, consumer: Any) -> None:
        self.consumer, self.at, self.moves = consumer, dict[int, int](), 0

    def matches(self, starts: Mapping[int, int]) -> int:
        return sum(self.at.get(part) == start for part, start in starts.items())


class Fetcher:
    """Fetches from one topic. Used by one thread at a time."""

    def __init__(self, client: KafkaClient, topic: str) -> None:
        self._client, self._topic = client, topic
        self._cursors: list[_Cursor] = []
        self._lock = threading.Lock()
        holds_clients(self)

    def after_fork(self) -> None:
        """Set aside the parent's consumers."""
        set_aside([cursor.consumer for cursor in self._cursors])
        self._cursors, self._lock = [], threading.Lock()

    def fetch(self, ranges: Mapping[int, tuple[int, int]], ends: Mapping[int, int]) -> list[Fetched]:
        """The messages of each partition in `ranges` {partition: (start, end)}, and those that came along.

        `ends`: the ends of the partitions. Raises `RemovedFromLog`, or `StoreUnavailable` when nothing comes for as
        long as a call may wait.
        """
        with self._lock:
            try:
                return self._fetch(ranges, ends)
            except _Moved:
                return self._fetch(ranges, ends, new=True)

    def close(self) -> None:
        """Close the consumers."""
        with self._lock:
            for cursor in self._cursors:
                cursor.consumer.close()
            self._cursors = []

    def _fetch(
        self, ranges: Mapping[int, tuple[int, int]], ends: Mapping[int, int], new: bool = False
    ) -> list[Fetched]:
        starts = {part: start for part, (start, _) in ranges.items()}
        cursor = self._cursor_at(starts, new)
        begun, fetched = dict(cursor.at), {part: list[Any]() for part in cursor.at}
        try:
            self._take(cursor, {part: end for part, (_, end) in ranges.items()}, fetched)
            if all(at >= ends.get(part, at) for part, at in cursor.at.items()):
                cursor.consumer.unassign()  # a consumer at the end asks the broker a hundred times a second
                reached, cursor.at = cursor.at, {}
            else:
                reached = cursor.at
        except BaseException:
            self._discard(cursor)
            raise
        return [
            Fetched(part, begun[part], reached[part], messages)
            for part, messages in fetched.items()
            if reached[part] > begun[part]
        ]

    def _take(self, cursor: _Cursor, goals: Mapping[int, int], fetched: dict[int, list[Any]]) -> None:
        moved_at = WATCH.read_s()
        while left := sum(max(0, goal - cursor.at[part]) for part, goal in goals.items()):
            try:
                messages = cursor.consumer.consume(min(left, _AT_ONCE), 0) or cursor.consumer.consume(1, _WAIT_S)
            except KafkaException as error:
                raise self._client.unavailable(error) from error
            before = sum(cursor.at.values())
            _sort(cursor, messages, fetched)
            if sum(cursor.at.values()) > before:
                moved_at = WATCH.read_s()
                self._client.answered()
            elif WATCH.read_s() - moved_at > self._client.timeout_s:
                raise self._client.unavailable("no message came")

    def _cursor_at(self, starts: Mapping[int, int], new: bool) -> _Cursor:
        cursors = self._cursors
        best = max(cursors, key=lambda cursor: cursor.matches(starts), default=None)
        if best is not None and best.matches(starts) == len(starts) and not new:
            cursors.remove(best)
            cursors.append(best)  # the last is the one used last
            return best
        if new or not cursors or (len(cursors) < _CURSORS and all(cursor.at for cursor in cursors)):
            cursor = _Cursor(self._client.consumer())
        else:
            cursor = next((cursor for cursor in cursors if not cursor.at), cursors[0])
            cursors.remove(cursor)
        cursors.append(cursor)
        try:
            cursor.consumer.assign([TopicPartition(self._topic, part, start) for part, start in starts.items()])
        except KafkaException as error:
            self._discard(cursor)
            raise self._client.unavailable(error) from error
        cursor.at, cursor.moves = dict(starts), cursor.moves + 1
        while len(cursors) > _CURSORS:
            self._discard(cursors[0])
        return cursor

    def _discard(self, cursor: _Cursor) -> None:
        if cursor in self._cursors:
            self._cursors.remove(cursor)
        try:
            cursor.consumer.close()
        except (KafkaException, RuntimeError):
            set_aside(cursor.consumer)


def _sort(cursor: _Cursor, messages: Sequence[Any], fetched: dict[int, list[Any]]) -> None:
    """Add messages to the lists of their partitions and move the cursor."""
    positions = cursor.at
    for message in messages:
        part, offset, error = message.partition(), message.offset(), message.error()
        if error is None and positions.get(part) == offset:
            fetched[part].append(message)
            positions[part] = offset + 1
        elif error is not None:
            _judge(cursor, part, error, offset)
        elif part in positions and offset > positions[part]:
            if cursor.moves > 1:
                raise _Moved  # left over from before the consumer was moved, or these offsets are missing
            fetched[part].append(message)
            positions[part] = offset + 1


def _judge(cursor: _Cursor, part: int, error: Any, offset: int) -> None:
    code = error.code()
    if code == KafkaError._PARTITION_EOF:
        if part in cursor.at and offset > cursor.at[part]:
            if cursor.moves > 1:
                raise _Moved
            cursor.at[part] = offset
    elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
        raise RemovedFromLog
    elif not error.retriable():
        raise StoreUnavailable(f"topic must be readable, got: {error.str()}")
