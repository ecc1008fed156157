"""The event log on Kafka (see `flyball.events.kafka`)."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from flyball.core import BadInput, Refused, StoreUnavailable, Url
from flyball.events.kafka.client import WATCH, KafkaClient, logger
from flyball.events.kafka.fetcher import Fetched, Fetcher, RemovedFromLog
from flyball.events.kafka.groups import KafkaGroups
from flyball.events.kafka.local_index import IndexChange, LocalIndex, discard_index
from flyball.events.kafka.messages import GAP, header_of, is_gap, record_of
from flyball.events.kafka.options import read_options
from flyball.events.kafka.rewriting import TopicRewrite, discard_former
from flyball.events.kafka.schemas import KafkaSchemas, TopicNote
from flyball.events.kafka.topic import Topic, find_topic, has_schemas, make_schemas, open_topic, schemas_topic
from flyball.events.kafka.writer import Message, Writer
from flyball.events.log import Appended, Offsets, Record, Slice, check_restored, partition
from flyball.events.reading import after_slices, check_offsets
from flyball.events.written import WrittenType

_CACHED = 50_000
"""Records that a handle keeps, so that consumers at about the same place read a message once."""

_INDEXED_AT_ONCE = 50_000
_LOOKED_AT_S = 0.05
_COPY_S = 30.0
"""How long a call of the copy of a topic may wait at least: nobody waits for its answer, and what it gives up begins
again."""


class _Block(msgspec.Struct, frozen=True):
    """The records in offsets [start, end) of a partition. `offsets`: where they are, None where at every one."""

    partition: int
    start: int
    end: int
    records: list[Record]
    offsets: list[int] | None

    def slices(self, after: int, until: int) -> Iterator[Slice]:
        """The block in offsets [after, until), as slices without gaps between them."""
        until = min(until, self.end)
        if self.offsets is None:
            yield Slice(self.partition, after, self.records[after - self.start : until - self.start])
            return
        low, high = bisect_left(self.offsets, after), bisect_left(self.offsets, until)
        while low < high:
            first, size = self.offsets[low], 1
            while low + size < high and self.offsets[low + size] == first + size:
                size += 1
            yield Slice(self.partition, first, self.records[low : low + size], skipped=first - after)
            low, after = low + size, first + size
        if after < until:
            yield Slice(self.partition, until, [], skipped=until - after)


class KafkaLog:
    """`kafka://host:port/topic?partitions=4&unique=1`; `unique=0` does not look for duplicates.

    The records are in that topic, or, after some were removed, in the one that the note beside it names.
    """

    _topic: Topic
    _fetcher: Fetcher
    _writer: Writer
    _index: LocalIndex | None

    def __init__(self, url: Url) -> None:
        self.options = read_options(url)
        self._client = KafkaClient(self.options)
        patient = msgspec.structs.replace(self.options, timeout_s=max(self.options.timeout_s, _COPY_S))
        self._copying = KafkaClient(patient)
        self.schemas = KafkaSchemas(self._client)
        self._cached: list[_Block] = []
        self._reading = threading.RLock()
        if has_schemas(self._client):
            self._open(self.schemas.note())
        else:
            self._open(TopicNote(self.options.topic))
            make_schemas(self._client)
        self.partitions, self.unique = self._topic.partitions, self.options.unique
        self.groups = KafkaGroups(self._client, self._topic.name, self.partitions)

    @staticmethod
    def exists(url: Url) -> bool:
        """Whether the topic exists."""
        options = read_options(url)
        client = KafkaClient(options)
        return find_topic(client, options.topic) is not None or (
            has_schemas(client) and find_topic(client, KafkaSchemas(client).note().topic) is not None
        )

    def append(self, records: Sequence[Record]) -> Appended:
        """Write the records whose id is new. When it raises, some may be written: append the same again."""
        if not records:
            return Appended(0, [])
        parts = [partition(record.key, self.partitions) for record in records]
        while True:
            topic = self._topic
            try:
                return self._append(records, parts)
            except StoreUnavailable as error:
                if not self._has_moved(topic, error):
                    raise

    def _append(self, records: Sequence[Record], parts: Sequence[int]) -> Appended:
        if self._index is not None:
            return self._append_unique(self._index, records, parts)
        self.schemas.use(records)
        self._writer.write([self._message(record, part) for record, part in zip(records, parts, strict=True)])
        return Appended(len(records), [])

    def _open(self, note: TopicNote) -> None:
        """Turn to the topic that the records are in."""
        self._topic = topic = open_topic(self._client, note.topic, note.settings)
        self._fetcher = Fetcher(self._client, topic.name)
        self._writer = Writer(self._client, topic.name, topic.message_bytes, keeps_unanswered=not self.options.unique)
        self._index = None
        if self.options.unique:
            busy_s = 2 * self.options.timeout_s
            self._index = LocalIndex(self.options.index, f"{topic.name}-{topic.id}", busy_s)
        for name, topic_id in note.former:
            discard_index(self.options.index, f"{name}-{topic_id}")

    def _follow(self, topic: Topic) -> bool:
        """Turn to the topic that the records are in by now; whether it is another one than `topic`."""
        note = self.schemas.note()
        with self._reading:
            if note.topic != self._topic.name:
                self._cached.clear()
                self._fetcher.close()
                self._open(note)
                self.groups.topic = note.topic
            return self._topic is not topic

    def _has_moved(self, topic: Topic, error: StoreUnavailable) -> bool:
        """Whether the records are in another topic, after an append to `topic` has failed; waits for it while that is
        closed to writers."""
        deadline_s = WATCH.read_s() + self.options.timeout_s
        while not self._follow(topic):
            if not (rewriting := self.schemas.note().rewriting):
                return False
            if WATCH.read_s() > deadline_s:
                raise StoreUnavailable(
                    f"{self.options.shown} must be open to writers, got a removal of records that writes it again, to "
                    f"topic {rewriting}: append them again in a moment; one that was interrupted is completed by "
                    "flyball erase APP --continue"
                ) from error
            threading.Event().wait(_LOOKED_AT_S)
        return True

    def check_removal(self) -> None:
        """Raise `Refused` where the topic holds messages of others."""
        self._rewriting().check()

    def remove(self, offsets: Mapping[int, Sequence[int]]) -> int:
        """Copy the log to another topic without the records at these offsets; see `ErasableLog`."""
        removed = self._rewriting().run(offsets) if any(offsets.values()) else 0
        self._follow(self._topic)
        return removed

    def rewrite(self) -> None:
        """Delete the topics that the records were in before."""
        discard_former(self._client, self.schemas.note())

    def _rewriting(self) -> TopicRewrite:
        self._follow(self._topic)
        return TopicRewrite(self._copying, self.schemas, self._topic, self._duplicates)

    def restore(self, slices: Sequence[Slice], written: Sequence[WrittenType]) -> None:
        """Store slices of another log at their offsets; see `RestorableLog`. Offsets without a record are messages that
        readers leave out."""
        ends = self.ends()
        check_restored(self.options.shown, slices, ends)
        self.schemas.restore(written)
        self._writer.write([message for piece in slices for message in self._restored(piece)])
        expected = after_slices(ends, slices)
        if (reached := self.ends()) != expected:
            raise Refused(
                f"{self.options.shown} must end at {expected} after what was copied to it, got {reached}: something "
                "else writes to it; delete the topic, or name another one"
            )

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        """Up to about `limit` records from `after` on, evenly from the partitions that have some.

        Raises `Refused` for records that were removed from the topic, unless the URL says to skip them.
        """
        check_offsets(after, self.partitions)
        with self._reading:
            ends = self.ends()
            ready = [part for part in range(self.partitions) if after[part] < ends[part]]
            share = max(1, max(limit, 1) // max(len(ready), 1))
            goals = {part: min(ends[part], after[part] + share) for part in ready}
            slices: list[Slice] = []
            for block in self._blocks(after, goals, ends):
                slices += block.slices(after[block.partition], after[block.partition] + share)
            return slices

    def ends(self) -> Offsets:
        while True:
            topic = self._topic
            try:
                ends, of_schemas = self._client.ends_beside(
                    topic.name, topic.partitions, schemas_topic(self.options.topic)
                )
            except StoreUnavailable:
                if self._follow(topic):
                    continue
                raise
            if of_schemas <= self.schemas.position or not self._follow(topic):
                return ends

    def close(self) -> None:
        """End this process's connections; they are opened again when the log is used again."""
        self._fetcher.close()
        self._writer.close()
        self.schemas.close()
        self._client.close()
        self._copying.close()
        if self._index is not None:
            self._index.close()

    def _message(self, record: Record, part: int) -> Message:
        return Message(part, record.key.encode(), record.body, header_of(record, self.options.known_at == "writer"))

    def _restored(self, piece: Slice) -> Iterator[Message]:
        for _ in range(piece.skipped):
            yield Message(piece.partition, b"", b"", GAP)
        for record in piece.records:
            yield Message(piece.partition, record.key.encode(), record.body, header_of(record, True))

    def _append_unique(self, index: LocalIndex, records: Sequence[Record], parts: Sequence[int]) -> Appended:
        ids = [record.id for record in records]
        if set(map(len, ids)) != {16}:
            raise BadInput("id of a record", "16 bytes", sorted(set(map(len, ids))))
        with self._reading:  # before the transaction, so that other writers need not wait for all of it
            self._bring_up(index, dict(enumerate(self.ends())))
        with index.changing() as change:
            self.schemas.use(records)
            with self._reading:
                ends = self.ends()
                self._take_all(change, dict(enumerate(ends)))
            duplicates, conflicts = change.repeats(records, parts)
            again = {*duplicates, *conflicts}
            fresh = [number for number in range(len(records)) if number not in again]
            self._writer.write([self._message(records[number], parts[number]) for number in fresh])
            expected = list(ends)
            for number in fresh:
                expected[parts[number]] += 1
            if self._ends_now() == tuple(expected):  # else others wrote too, and it is read who was first
                own = [parts[number] for number in fresh]
                change.add([records[number] for number in fresh], dict(enumerate(expected)), own)
        return Appended(len(fresh), duplicates, conflicts)

    def _ends_now(self) -> Offsets:
        """The ends after an append; () where the brokers do not answer any more: what was appended is durable."""
        try:
            return self.ends()
        except StoreUnavailable:
            return ()

    def _bring_up(self, index: LocalIndex, goals: dict[int, int]) -> None:
        """Index all messages before `goals`, some ten thousand in a transaction."""
        while True:
            positions = index.positions()
            behind = {part: goal for part, goal in goals.items() if positions.get(part, 0) < goal}
            if not behind:
                return
            near = {part: min(goal, positions.get(part, 0) + _INDEXED_AT_ONCE) for part, goal in behind.items()}
            with index.changing() as change:
                self._take_all(change, near)

    def _take_all(self, change: IndexChange, goals: dict[int, int]) -> None:
        positions = change.positions()
        ends = self.ends()
        if any(position > ends[part] for part, position in positions.items()):
            logger.warning("%s ends before its index on this machine, which is built again", self.options.shown)
            change.forget()
            positions = {}
        ranges = {part: (positions.get(part, 0), goal) for part, goal in goals.items() if positions.get(part, 0) < goal}
        while ranges:
            for fetched in self._fetch(ranges, ends, skip=True):
                position = positions.get(fetched.partition, 0)
                if not fetched.start <= position < fetched.end:
                    continue
                block = self._block(fetched, frozenset())
                offsets = range(block.start, block.end) if block.offsets is None else block.offsets
                pairs = zip(offsets, block.records, strict=True)
                new = [(offset, record) for offset, record in pairs if offset >= position]
                change.take(fetched.partition, new, fetched.end)
                positions[fetched.partition] = fetched.end
            ranges = {part: (positions.get(part, 0), goal) for part, (_, goal) in ranges.items()}
            ranges = {part: (position, goal) for part, (position, goal) in ranges.items() if position < goal}

    def _blocks(self, after: Offsets, goals: dict[int, int], ends: Offsets) -> list[_Block]:
        """A block for each partition in `goals` that holds its offset in `after`, fetched where it is not cached."""
        blocks = {part: block for part in goals if (block := self._cached_at(part, after[part])) is not None}
        ranges = {part: (after[part], goal) for part, goal in goals.items() if part not in blocks}
        if ranges:
            for fetched in self._fetch(ranges, ends, skip=self.options.removed == "skip"):
                block = self._block(fetched, self._duplicates(fetched))
                self._cached.append(block)
                if fetched.partition in ranges:
                    blocks[fetched.partition] = block
            self._trim()
        return list(blocks.values())

    def _cached_at(self, part: int, offset: int) -> _Block | None:
        for block in self._cached:
            if block.partition == part and block.start <= offset < block.end:
                return block
        return None

    def _trim(self) -> None:
        count = sum(len(block.records) for block in self._cached)
        while count > _CACHED and len(self._cached) > self.partitions:
            count -= len(self._cached.pop(0).records)

    def _duplicates(self, fetched: Fetched) -> frozenset[int]:
        if self._index is None:
            return frozenset()
        if self._index.positions().get(fetched.partition, 0) < fetched.end:
            self._bring_up(self._index, {fetched.partition: fetched.end})
        return self._index.duplicates(fetched.partition, fetched.start, fetched.end)

    def _block(self, fetched: Fetched, duplicates: frozenset[int]) -> _Block:
        part, start, end, messages = fetched
        records = list(map(record_of, messages))
        if not duplicates and len(records) == end - start and None not in records:
            return _Block(part, start, end, records, None)  # type: ignore[arg-type]
        kept: list[Record] = []
        offsets: list[int] = []
        for message, record in zip(messages, records, strict=True):
            offset = message.offset()
            if record is None and is_gap(message):
                continue
            if record is None:
                where = self.options.shown, part, offset
                logger.warning("%s, partition %d, offset %d: a message that is no record is left out", *where)
            elif offset not in duplicates:
                kept.append(record)
                offsets.append(offset)
        return _Block(part, start, end, kept, offsets)

    def _fetch(self, ranges: dict[int, tuple[int, int]], ends: Offsets, skip: bool) -> list[Fetched]:
        try:
            return self._fetcher.fetch(ranges, dict(enumerate(ends)))
        except RemovedFromLog:
            firsts = self._client.first_offsets(self._topic.name, self.partitions)
        removed = {part: firsts[part] for part, (start, _) in ranges.items() if start < firsts[part]}
        if not skip:
            part, first = next(iter(removed.items()))
            raise Refused(
                f"{self.options.shown} must hold all records from offset {ranges[part][0]} of partition {part} on, got "
                f"those from {first} on: retention removed the others. To read what is left, add removed=skip to the "
                "URL; to keep all of what comes, set retention.ms=-1 and retention.bytes=-1 of the topic"
            )
        gone = [Fetched(part, ranges[part][0], first, []) for part, first in removed.items()]
        left = {part: goal for part, goal in ranges.items() if part not in removed}
        return [*gone, *(self._fetch(left, ends, skip) if left else [])]
