"""Writes messages durably, within a deadline.

The idempotent producer neither doubles nor reorders messages of a partition, and with `enable.gapless.guarantee` it
stops rather than leave one out and write later ones. Failed messages are reported one by one, written ones are not (a
call for each costs most of the time); a batch is durable when the producer is empty and reported nothing. After a
failure the producer is given up together with what it still held.

A batch that the brokers have not answered in time may be written or not. Where nothing looks for duplicates, the
producer keeps it under way instead, and the same records, appended again, are not sent a second time: they are waited
for. So a broker that wrote a batch and was killed before it could say so has each record once.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from confluent_kafka import KafkaException

from flyball.core import BadInput, StoreUnavailable
from flyball.events.kafka.client import WATCH, KafkaClient, holds_clients, set_aside
from flyball.events.kafka.messages import id_in

_AT_ONCE = 20_000
_OVERHEAD = 200
"""Bytes of a batch that are no record's."""
_MOST_UNANSWERED = 50_000
"""How many messages may be under way after their append has failed; with more they are given up."""


class Message(NamedTuple):
    """What is written of one record. `timestamp_ms`: its time where the topic keeps that of writers; 0: now."""

    partition: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    timestamp_ms: int = 0


class Writer:
    """Writes to one topic; threads take turns. `keeps_unanswered`: keep what was not answered in time under way."""

    def __init__(self, client: KafkaClient, topic: str, message_bytes: int, keeps_unanswered: bool = False) -> None:
        self._client, self._topic, self._message_bytes = client, topic, message_bytes
        self._keeps_unanswered = keeps_unanswered
        self._lock = threading.Lock()
        self._producer: Any = None
        self._failures: list[Any] = []
        self._unanswered: set[tuple[int, bytes]] = set()
        holds_clients(self)

    def after_fork(self) -> None:
        """Set aside the parent's producer."""
        set_aside(self._producer)
        self._lock = threading.Lock()
        self._forget()

    def write(self, messages: Sequence[Message]) -> None:
        """Write all messages, in this order within a partition.

        Raises `StoreUnavailable`, after which some of them may be in the topic or still get there, and `BadInput` for
        one that the topic does not allow, before anything is written.
        """
        self._check_sizes(messages)
        if not self._lock.acquire(timeout=self._client.options.timeout_s):
            raise StoreUnavailable(
                f"{self._client.options.shown} must be free, got another thread that writes to it: append them again"
            )
        try:
            for start in range(0, len(messages), _AT_ONCE):
                self._write(messages[start : start + _AT_ONCE])
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the producer; the next use makes a new one."""
        with self._lock:
            self._forget()

    def _write(self, messages: Sequence[Message]) -> None:
        producer, failures = self._own_producer(), self._failures

        def failed(error: Any, _: Any) -> None:
            failures.append(error)

        deadline = WATCH.read_s() + self._client.timeout_s
        try:
            for partition, key, value, headers, timestamp_ms in self._not_under_way(messages):
                producer.produce(self._topic, value, key, partition, failed, timestamp=timestamp_ms, headers=headers)
            left = 1
            while left and not failures and WATCH.read_s() < deadline:
                left = producer.flush(min(0.5, max(deadline - WATCH.read_s(), 0.01)))
        except (KafkaException, BufferError) as error:
            self._give_up()
            raise self._client.unavailable(error) from error
        except SystemError as error:  # a fatal error that came while failures were reported
            if not isinstance(error.__cause__, KafkaException):
                raise
            self._give_up()
            raise self._client.unavailable(error.__cause__) from error
        except BaseException:
            self._give_up()
            raise
        if failures:
            cause = KafkaException(failures[0])
            self._give_up()
            raise self._client.unavailable(cause) from cause
        if left:
            self._keep(messages)
            raise self._client.unavailable("no acknowledgement")
        if self._unanswered:
            self._unanswered -= _identities(messages)
        self._client.answered()

    def _not_under_way(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Those that this producer was not given before."""
        if not self._unanswered:
            return messages
        return [message for message in messages if _identity(message) not in self._unanswered]

    def _keep(self, messages: Sequence[Message]) -> None:
        """Keep messages without an answer under way, or give them up."""
        unanswered = self._unanswered | _identities(messages) if self._keeps_unanswered else set()
        if 0 < len(unanswered) <= _MOST_UNANSWERED:
            self._unanswered = unanswered
        else:
            self._give_up()

    def _check_sizes(self, messages: Sequence[Message]) -> None:
        for _, key, value, headers, _ in messages:
            size = len(key) + len(value) + len(headers[0][1]) + _OVERHEAD
            if size > self._message_bytes:
                raise BadInput(
                    f"size of a record for topic {self._topic}",
                    f"at most its max.message.bytes, {self._message_bytes:,}",
                    size,
                )

    def _own_producer(self) -> Any:
        if self._producer is None:
            self._producer = self._client.producer(self._message_bytes)
        return self._producer

    def _give_up(self) -> None:
        """Drop what was not written yet, so that nothing is written after its append has failed, as far as it has not
        left this process."""
        producer = self._producer
        self._forget()
        with suppress(KafkaException, SystemError):  # see `_write`
            producer.purge(in_queue=True, in_flight=True)
            producer.flush(0.2)

    def _forget(self) -> None:
        self._producer, self._failures, self._unanswered = None, [], set()


def _identity(message: Message) -> tuple[int, bytes]:
    return message.partition, id_in(message.headers)


def _identities(messages: Sequence[Message]) -> set[tuple[int, bytes]]:
    return set(map(_identity, messages))
