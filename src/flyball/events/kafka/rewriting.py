"""Writes a topic again without some of its records: into another topic, in which every other message has its offset.

The messages are copied as they are, with their times. At the offset of a removed one, of a duplicate (which may hold
what is removed) and of none, there is a message that readers leave out. While most is copied, writers go on. Then the
topic is closed to them (`max.message.bytes=1`, until a probe of each partition is refused), the rest is copied,
compared, and a note in the topic of the declarations says where the records are from now on. Every handle reads that
note before it writes, or when its topic does not take messages any more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from confluent_kafka import KafkaError, TopicPartition

from flyball.core import Refused, StoreUnavailable
from flyball.events.kafka.client import WATCH, KafkaClient
from flyball.events.kafka.fetcher import Fetched, Fetcher
from flyball.events.kafka.messages import GAP, is_gap, record_of
from flyball.events.kafka.schemas import KafkaSchemas, TopicNote
from flyball.events.kafka.topic import Topic, delete_topic, find_topic, make_target, set_config, topic_settings
from flyball.events.kafka.writer import Message, Writer
from flyball.events.log import Offsets

_AT_ONCE = 10_000
_FEW = 2_000
"""With how many messages that have come meanwhile the topic is closed to writers."""
_CLOSED = {"max.message.bytes": "1"}
Duplicates = Callable[[Fetched], frozenset[int]]


class TopicRewrite:
    """The copy of `topic` without the records at some offsets.

    `duplicates`: the offsets of messages that are no events, since an earlier one has their id. `on_step` is called
    with words after each step that may be the last before the process is killed.
    """

    def __init__(
        self,
        client: KafkaClient,
        schemas: KafkaSchemas,
        topic: Topic,
        duplicates: Duplicates,
        on_step: Callable[[str], object] = lambda words: None,
    ) -> None:
        self._client, self._schemas, self._topic = client, schemas, topic
        self._duplicates, self._on_step = duplicates, on_step
        self._source = Fetcher(client, topic.name)

    def check(self) -> None:
        """Raise `Refused` for a topic with messages that no Flyball wrote: it is somebody else's, too."""
        copied = _Copied(self._topic, {}, self._duplicates)
        for fetched in self._fetched(self._source, self._firsts(), self._ends(self._topic.name)):
            for _ in copied.messages(fetched):
                pass

    def run(self, offsets: Mapping[int, Sequence[int]]) -> int:
        """Remove the records at these offsets; returns how many there were. One that was interrupted begins again."""
        digest = _digest(offsets)
        note = self._schemas.note()
        if note.removed == digest and not note.rewriting:
            return 0
        note = self._begun(note)
        try:
            make_target(self._client, note.rewriting, self._topic)
            self._on_step(f"made topic {note.rewriting}")
            count = self._copied(note, offsets)
        except BaseException:
            self._give_up(note)
            raise
        former = (*note.former, (self._topic.name, self._topic.id))
        done = TopicNote(note.rewriting, note.generation, former=former, removed=digest)
        self._schemas.write_note(done)
        self._on_step(f"the records are in topic {done.topic}")
        self._source.close()
        return count

    def _begun(self, note: TopicNote) -> TopicNote:
        if note.rewriting:
            delete_topic(self._client, note.rewriting)
            settings = note.settings
        else:
            settings = topic_settings(self._client, note.topic)
        generation = note.generation + 1
        target = f"{self._client.options.topic}.gen{generation}"
        begun = msgspec.structs.replace(note, generation=generation, rewriting=target, settings=settings)
        self._schemas.write_note(begun)
        self._on_step("it is noted where the topic is written again")
        return begun

    def _give_up(self, note: TopicNote) -> None:
        """Let writers write to the topic again."""
        set_config(self._client, self._topic.name, {name: note.settings[name] for name in _CLOSED})
        delete_topic(self._client, note.rewriting)
        self._schemas.write_note(msgspec.structs.replace(note, rewriting="", settings={}))

    def _copied(self, note: TopicNote, offsets: Mapping[int, Sequence[int]]) -> int:
        writer = Writer(self._client, note.rewriting, self._topic.message_bytes)
        target = Fetcher(self._client, note.rewriting)
        firsts = self._firsts()
        self._fill(writer, firsts)
        copied = _Copied(self._topic, offsets, self._duplicates)
        verified = _Copied(self._topic, {}, lambda fetched: frozenset())
        at = at_target = firsts
        closed = False
        while True:
            ends = self._ends(self._topic.name)
            left = sum(ends) - sum(at)
            if closed and left == 0:
                break
            for fetched in self._fetched(self._source, at, ends):
                writer.write(list(copied.messages(fetched)))
                self._on_step(f"copied partition {fetched.partition} up to {fetched.end:,}")
            self._compare(target, at_target, ends, copied, verified, note.rewriting)
            at = at_target = ends
            if not closed and left <= _FEW:
                self._close()
                closed = True
        writer.close()
        target.close()
        set_config(self._client, note.rewriting, note.settings)
        self._forget(note.rewriting, firsts)
        self._on_step("copied as a whole")
        return copied.removed

    def _close(self) -> None:
        """Close the topic to writers, on every broker that leads a partition of it."""
        set_config(self._client, self._topic.name, _CLOSED)
        self._on_step("writers are kept out")
        refused: set[int] = set()
        deadline_s = WATCH.read_s() + self._client.options.timeout_s
        producer = self._client.prober()

        def answered(error: Any, message: Any) -> None:
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                refused.add(message.partition())

        while left := sorted({*range(self._topic.partitions)} - refused):
            if WATCH.read_s() > deadline_s:
                raise StoreUnavailable(
                    f"topic {self._topic.name} of {self._client.options.shown} must refuse messages while it is "
                    f"written again, got partitions that take them: {left}"
                )
            for part in left:
                producer.produce(self._topic.name, b"", b"", part, answered, headers=GAP)
            producer.flush(self._client.options.timeout_s)

    def _compare(
        self, target: Fetcher, after: Offsets, ends: Offsets, copied: "_Copied", verified: "_Copied", name: str
    ) -> None:
        """Read what was copied; raises `StoreUnavailable` where it differs."""
        reached = self._ends(name)
        if reached == ends:
            for fetched in self._fetched(target, after, ends):
                for _ in verified.messages(fetched):
                    pass
        if reached != ends or verified.digests != copied.digests:
            raise StoreUnavailable(
                f"topic {name} of {self._client.options.shown} must hold what was copied to it up to {ends}, got "
                f"something else, up to {reached}, which was given up: run the command again"
            )
        self._on_step("compared what was copied")

    def _fill(self, writer: Writer, firsts: Offsets) -> None:
        """Write a message at every offset before the first that is still there."""
        for part, first in enumerate(firsts):
            for start in range(0, first, _AT_ONCE):
                gaps = [Message(part, b"", b"", GAP, 1)] * min(_AT_ONCE, first - start)
                writer.write(gaps)

    def _forget(self, name: str, firsts: Offsets) -> None:
        """Remove the messages before the first offsets, as they are removed from the topic."""
        positions = [TopicPartition(name, part, first) for part, first in enumerate(firsts) if first]
        if positions:
            self._client.call(lambda admin, timeout_s: admin.delete_records(positions, request_timeout=timeout_s))

    def _firsts(self) -> Offsets:
        return self._client.first_offsets(self._topic.name, self._topic.partitions)

    def _ends(self, name: str) -> Offsets:
        return self._client.offsets(name, self._topic.partitions)

    def _fetched(self, fetcher: Fetcher, after: Offsets, ends: Offsets) -> Iterator[Fetched]:
        """The messages in offsets [after, ends), in order within a partition."""
        at = list(after)
        while ranges := {
            part: (start, min(end, start + _AT_ONCE))
            for part, (start, end) in enumerate(zip(at, ends, strict=True))
            if start < end
        }:
            for fetched in fetcher.fetch(ranges, dict(enumerate(ends))):
                part, start, end, messages = fetched
                reached = min(end, ends[part])
                if start <= at[part] < reached:
                    kept = [message for message in messages if at[part] <= message.offset() < reached]
                    yield Fetched(part, at[part], reached, kept)
                    at[part] = reached


class _Copied:
    """Turns messages into those of the copy, counts what is removed, and adds up digests by partition."""

    def __init__(self, topic: Topic, offsets: Mapping[int, Sequence[int]], duplicates: Duplicates) -> None:
        self._topic, self._duplicates = topic, duplicates
        self._offsets = {part: frozenset(numbers) for part, numbers in offsets.items()}
        self.digests = [b""] * topic.partitions
        self.removed = 0

    def messages(self, fetched: Fetched) -> Iterator[Message]:
        """A message for each offset of what was fetched."""
        part, at, end, messages = fetched
        removed, duplicates = self._offsets.get(part, frozenset()), self._duplicates(fetched)
        timestamp_ms = 1
        for message in messages:
            while at < message.offset():
                yield self._added(Message(part, b"", b"", GAP, timestamp_ms))
                at += 1
            timestamp_ms = max(message.timestamp()[1], 1)
            is_removed = at in removed
            if is_removed or at in duplicates or is_gap(message):
                self.removed += is_removed and not is_gap(message)
                yield self._added(Message(part, b"", b"", GAP, timestamp_ms))
            else:
                yield self._added(self._own(message, part, timestamp_ms))
            at += 1
        while at < end:
            yield self._added(Message(part, b"", b"", GAP, timestamp_ms))
            at += 1

    def _own(self, message: Any, part: int, timestamp_ms: int) -> Message:
        if record_of(message) is None:
            raise Refused(
                f"topic {self._topic.name} must hold only what Flyball wrote, to be written again without some "
                f"records, got a message of something else at partition {part}, offset {message.offset()}, which would "
                "be lost: the topic is somebody else's, too. Ask its owner to remove the records, or move the home to "
                "a log of its own (flyball migrate) and take the other messages in by flyball ingest APP kafka://... "
                "--follow"
            )
        return Message(part, message.key(), message.value(), message.headers(), timestamp_ms)

    def _added(self, message: Message) -> Message:
        part, key, value, headers, timestamp_ms = message
        of_message = blake2b(self.digests[part], digest_size=16)
        for content in (key, value, headers[0][1] or b"", b"%d" % timestamp_ms):
            of_message.update(b"%d:" % len(content) + content)
        self.digests[part] = of_message.digest()
        return message


def discard_former(client: KafkaClient, note: TopicNote) -> None:
    """Delete the topics that the records were in before. The brokers delete their files within a minute, or what they
    are configured to wait."""
    for name, topic_id in note.former:
        present = find_topic(client, name)
        if present is not None and present[0] == topic_id:
            delete_topic(client, name)


def _digest(offsets: Mapping[int, Sequence[int]]) -> str:
    numbers = {str(part): sorted(set(numbers)) for part, numbers in sorted(offsets.items()) if numbers}
    return blake2b(msgspec.json.encode(numbers), digest_size=16).hexdigest()
