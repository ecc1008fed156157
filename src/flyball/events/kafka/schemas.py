"""What is known of a log, in a topic of one partition beside it: the declarations that its records were written with,
and which topic they are in."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from flyball.core import StoreCorrupt
from flyball.events.kafka.client import KafkaClient
from flyball.events.kafka.fetcher import Fetcher
from flyball.events.kafka.topic import schemas_topic
from flyball.events.kafka.writer import Message, Writer
from flyball.events.log import Record, WrittenSchemas, missing_schemas
from flyball.events.schemas_in_use import SchemasInUse
from flyball.events.written import WrittenType

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(WrittenType).decode
_NOTE = "flyball-topic"
"""The header of a `TopicNote`; the last one counts."""


class TopicNote(msgspec.Struct, frozen=True):
    """Which topic the records of a log are in, after `generation` - 1 attempts to write it again.

    `rewriting`: the topic that a removal copies them to, "" for none; meanwhile `settings` are those of the topic that
    they are in, which may be closed to writers. `former`: (name, id) of the topics that they were in before, of which
    nothing may stay. `removed`: the digest of what was removed last.
    """

    topic: str
    generation: int = 1
    rewriting: str = ""
    settings: dict[str, str] = {}
    former: tuple[tuple[str, str], ...] = ()
    removed: str = ""


_decode_note = msgspec.msgpack.Decoder(TopicNote).decode


class KafkaSchemas(WrittenSchemas):
    """The topic `<topic>.schemas`, of one partition. Where two writers stored the same at once, the first counts."""

    def __init__(self, client: KafkaClient) -> None:
        self._client, self._topic = client, schemas_topic(client.options.topic)
        self._fetcher = Fetcher(client, self._topic)
        self._writer = Writer(client, self._topic, 1_000_000)
        self._lock = threading.RLock()
        self._use, self._rows = SchemasInUse(), list[WrittenType]()
        self._note = TopicNote(client.options.topic)
        self.position = 0

    def stored(self) -> list[WrittenType]:
        with self._lock:
            self._catch_up()
            return list(self._rows)

    def offer(self, types: Sequence[WrittenType]) -> None:
        with self._lock:
            self._catch_up()
            self._use.offer(types)

    def use(self, records: Iterable[Record]) -> None:
        """Store the declarations that `records` are the first to have; raises `Refused`."""
        schemas = {record.schema for record in records}
        if schemas == {0}:
            return
        with self._lock:
            self._catch_up()
            needed = self._use.to_store(schemas)
            if needed:
                self._write(needed)

    def restore(self, written: Sequence[WrittenType]) -> None:
        """Store the declarations of a copied log that are missing; raises `Refused` where others are stored."""
        with self._lock:
            self._catch_up()
            missing = missing_schemas(f"topic {self._topic}", self._rows, written)
            if missing:
                self._write(missing)

    def note(self) -> TopicNote:
        """Which topic the records are in now."""
        with self._lock:
            self._catch_up()
            return self._note

    def write_note(self, note: TopicNote) -> None:
        """Say which topic the records are in."""
        with self._lock:
            self._writer.write([Message(0, b"", _encode(note), [(_NOTE, b"")])])
            self._catch_up()

    def close(self) -> None:
        self._fetcher.close()
        self._writer.close()

    def _write(self, types: Sequence[WrittenType]) -> None:
        rows = [(written.name.encode(), _encode(written)) for written in types]
        self._writer.write([Message(0, key, value, [("flyball", b"")]) for key, value in rows])
        self._catch_up()

    def _catch_up(self) -> None:
        (end,) = self._client.offsets(self._topic, 1)
        if end <= self.position:
            return
        for fetched in self._fetcher.fetch({0: (self.position, end)}, {0: end}):
            for message in fetched.messages:
                self._take(message)
            self.position = fetched.end

    def _take(self, message: Any) -> None:
        headers = message.headers()
        is_note = bool(headers) and headers[0][0] == _NOTE
        try:
            read = _decode_note(message.value()) if is_note else _decode(message.value())
        except (msgspec.MsgspecError, TypeError) as error:
            where = f"topic {self._topic}, offset {message.offset()},"
            raise StoreCorrupt(where, "a declaration", str(error)) from None
        if isinstance(read, TopicNote):
            self._note = read
        elif self._use.is_new(read):
            self._rows.append(read)
            self._use.learn([read])
