"""The lines of a topic that someone else owns: the value of each message, as it is."""

from confluent_kafka import TopicPartition

from flyball.core import NotFound, Url
from flyball.events.kafka.client import KafkaClient, logger
from flyball.events.kafka.fetcher import Fetched, Fetcher, RemovedFromLog
from flyball.events.kafka.options import read_topic_options
from flyball.events.kafka.topic import find_topic
from flyball.events.line_streams import StreamedLines, StreamStart
from flyball.events.lines import MAX_LINE


class TopicLines:
    """`kafka://host:port/topic?group=name`. Reads all partitions; the offsets are those of the group, which joins no
    other readers."""

    def __init__(self, url: Url, group: str, start: StreamStart, until_end: bool) -> None:
        options = read_topic_options(url)
        self.name = options.shown
        self._topic, self._group = options.topic, url.options.get("group", group)
        self._client = KafkaClient(options)
        topic = find_topic(self._client, options.topic)
        if topic is None:
            raise NotFound("topic", options.topic, next_step=f"ask whoever owns it at {options.servers}")
        self._partitions = topic[1]
        self._fetcher = Fetcher(self._client, options.topic)
        self._last = self._client.offsets(self._topic, self._partitions) if until_end else None
        self._next = self._committed = self._first(start)

    def read(self, limit: int) -> list[StreamedLines]:
        ends = self._client.offsets(self._topic, self._partitions) if self._last is None else self._last
        while behind := [part for part, end in enumerate(ends) if self._next[part] < end]:
            share = max(1, limit // len(behind))
            ranges = {part: (self._next[part], min(ends[part], self._next[part] + share)) for part in behind}
            pieces = self._read(ranges, dict(enumerate(ends)))
            if pieces:
                return pieces
        return []

    def commit(self) -> None:
        if self._next != self._committed:
            positions = [TopicPartition(self._topic, part, offset) for part, offset in enumerate(self._next)]
            self._client.commit(self._group, positions)
            self._committed = self._next

    def rewind(self) -> None:
        self._next = self._committed

    def close(self) -> None:
        self._fetcher.close()
        self._client.close()

    def _first(self, start: StreamStart) -> tuple[int, ...]:
        if start == "end":
            return self._client.offsets(self._topic, self._partitions)
        firsts = self._client.first_offsets(self._topic, self._partitions)
        if start == "beginning":
            return firsts
        positions = [TopicPartition(self._topic, part) for part in range(self._partitions)]
        stored = {position.partition: position.offset for position in self._client.committed(self._group, positions)}
        return tuple(stored[part] if stored.get(part, -1) >= 0 else first for part, first in enumerate(firsts))

    def _read(self, ranges: dict[int, tuple[int, int]], ends: dict[int, int]) -> list[StreamedLines]:
        """The lines in `ranges`, and moves on; there may be none where messages were removed or have no value."""
        reached, pieces = list(self._next), list[StreamedLines]()
        try:
            for fetched in self._fetcher.fetch(ranges, ends):
                if fetched.start == reached[fetched.partition]:
                    pieces.append(self._lines(fetched))
                    reached[fetched.partition] = fetched.end
        except RemovedFromLog:
            firsts = self._client.first_offsets(self._topic, self._partitions)
            for part in ranges:
                if reached[part] < firsts[part]:
                    lost, reached[part] = firsts[part] - reached[part], firsts[part]
                    logger.error("%s: %d messages of partition %d were removed unread", self.name, lost, part)
        self._next = tuple(reached)
        return [piece for piece in pieces if piece.lines]

    def _lines(self, fetched: Fetched) -> StreamedLines:
        messages = [message for message in fetched.messages if message.value() is not None]
        return StreamedLines(
            f"{self.name}#{fetched.partition}",
            [message.offset() for message in messages],
            [message.value().rstrip(b"\r\n")[: MAX_LINE + 1] for message in messages],
            [message.timestamp()[1] * 1_000 for message in messages],
        )
