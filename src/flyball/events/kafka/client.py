"""Clients of one Kafka cluster, made when first used and again after a fork; errors of Flyball's tree.

Waits are bounded: by `timeout_s`, and while the brokers are known not to answer by a second, so that a process with
many consumers does not wait for each of them. What the library has to say goes to the logger `flyball.kafka`.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from flyball.core import BadSetting, MissingExtra, StoreUnavailable, SystemStopwatch
from flyball.events.kafka.options import KafkaOptions

try:
    from confluent_kafka import (
        OFFSET_BEGINNING,
        OFFSET_END,
        Consumer,
        KafkaError,
        KafkaException,
        Producer,
        TopicPartition,
    )
    from confluent_kafka.admin import AdminClient
except ImportError:
    raise MissingExtra("kafka://", "kafka") from None

logger = logging.getLogger("flyball.kafka")
logger.addHandler(logging.NullHandler())  # without a handler Python would write warnings to stderr
_NO_NEWS = "CONFWARN", "Message size too large"
"""What says of our options that they are new; what a writer finds at a closed topic, which is followed or raised."""
logger.addFilter(lambda record: not any(words in record.getMessage() for words in _NO_NEWS))

Result = TypeVar("Result")

_DOWN_S, _PAUSE_S = 1.0, 0.02
WATCH = SystemStopwatch()
"""Measures how long brokers take to answer."""

_PASSING = frozenset(
    (
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError._UNKNOWN_PARTITION,
    )
)
"""Errors that pass within a moment, as when a topic was just created."""

_DENIED = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )
)

_PARENTS: list[Any] = []
"""Clients of a parent process: their threads do not exist here, so they must not even be collected."""


class Forks(Protocol):
    """Something that holds clients and sets them aside in a child process."""

    def after_fork(self) -> None: ...


_HOLDERS: "WeakSet[Forks]" = WeakSet()


def holds_clients(holder: Forks) -> None:
    """Have `holder.after_fork()` called in child processes."""
    _HOLDERS.add(holder)


def set_aside(client: object) -> None:
    """Keep a client that must neither be used nor collected in this process."""
    _PARENTS.append(client)


def _after_fork() -> None:
    for holder in list(_HOLDERS):
        holder.after_fork()


os.register_at_fork(after_in_child=_after_fork)


class KafkaClient:
    """The clients of one log. Any number of threads may call it."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self._guard = threading.Lock()
        self._admin: Any = None
        self._asker: Any = None
        self._down = False
        self._complaint = ""
        holds_clients(self)

    def after_fork(self) -> None:
        """Set aside the parent's connections."""
        set_aside((self._admin, self._asker))
        self._admin, self._asker, self._guard = None, None, threading.Lock()

    @property
    def timeout_s(self) -> float:
        """How long a call may wait now."""
        return min(self.options.timeout_s, _DOWN_S) if self._down else self.options.timeout_s

    def call(self, work: Callable[[Any, float], Mapping[Any, Any]]) -> list[Any]:
        """The results of the futures that `work(admin, timeout_s)` returns; raises `StoreUnavailable`."""

        def results(left_s: float) -> list[Any]:
            admin = self._own_admin()
            try:
                return [future.result(left_s + 0.5) for future in work(admin, left_s).values()]
            finally:
                admin.poll(0)  # collects its errors

        return self._until_deadline(results)

    def offsets(self, topic: str, partitions: int, of: int = OFFSET_END) -> tuple[int, ...]:
        """The end of each partition; `of` OFFSET_BEGINNING, its first offset."""
        return self._offsets([TopicPartition(topic, part, of) for part in range(partitions)])

    def ends_beside(self, topic: str, partitions: int, other: str) -> tuple[tuple[int, ...], int]:
        """The end of each partition, and that of another topic of one partition, by one question."""
        positions = [TopicPartition(topic, part, OFFSET_END) for part in range(partitions)]
        ends = self._offsets([*positions, TopicPartition(other, 0, OFFSET_END)])
        return ends[:-1], ends[-1]

    def _offsets(self, positions: Sequence[Any]) -> tuple[int, ...]:
        def results(left_s: float) -> tuple[int, ...]:
            answers = self._own_asker().offsets_for_times(list(positions), timeout=left_s)
            for position in answers:
                if position.error is not None:
                    raise KafkaException(position.error)
            return tuple(position.offset for position in answers)

        return self._until_deadline(results)

    def first_offsets(self, topic: str, partitions: int) -> tuple[int, ...]:
        """The first offset of each partition that is still there."""
        return self.offsets(topic, partitions, OFFSET_BEGINNING)

    def committed(self, group: str, positions: Sequence[Any]) -> list[Any]:
        """What a group committed for `positions`.

        Asked for by a consumer: an administration client that has waited in vain for the coordinator of a group ends
        the process once the broker is back (librdkafka 2.16, an assertion in rdkafka_queue.h).
        """
        consumer = self.consumer(group)
        return self._until_deadline(lambda left_s: consumer.committed(list(positions), timeout=left_s))

    def commit(self, group: str, positions: Sequence[Any]) -> None:
        """Commit `positions` for a group; see `committed`, which is asked first whether the coordinator is there: a
        consumer cannot be given up while a commit waits for it."""
        answers: list[Any] = []

        def commit(left_s: float) -> None:
            deadline = WATCH.read_s() + left_s
            consumer.committed(list(positions), timeout=left_s)
            answers.clear()
            consumer.commit(offsets=list(positions), asynchronous=True)
            while not answers and WATCH.read_s() < deadline:
                consumer.poll(0.02)
            if not answers:
                raise TimeoutError("no answer of the group's coordinator")
            error, committed = answers[0]
            for failure in (error, *(position.error for position in committed)):
                if failure is not None:
                    raise KafkaException(failure)

        consumer = self.consumer(group, on_commit=lambda error, committed: answers.append((error, committed)))
        self._until_deadline(commit)

    def _until_deadline(self, work: Callable[[float], Result]) -> Result:
        """The result of `work(seconds left)`, tried again while its error is one that passes."""
        deadline = WATCH.read_s() + self.timeout_s
        while True:
            try:
                result = work(max(deadline - WATCH.read_s(), 0.05))
            except (KafkaException, TimeoutError) as error:
                if _code(error) in _PASSING and WATCH.read_s() + _PAUSE_S < deadline:
                    threading.Event().wait(_PAUSE_S)
                    continue
                raise self.unavailable(error) from error
            self.answered()
            return result

    def consumer(self, group: str = "flyball", **more: Any) -> Any:
        """A new consumer; it belongs to no group that shares partitions."""
        return Consumer(
            {
                **self._common(),
                **more,
                "group.id": group,
                "session.timeout.ms": 1_000,  # how long a commit without an answer keeps it from ending
                "heartbeat.interval.ms": 300,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # a change of position waits for the request that is under way
                "fetch.queue.backoff.ms": 5,  # the default of 1,000 is what such a change would take
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 16_384,
                "fetch.message.max.bytes": 262_144,
            },
            logger=logger,
        )

    def producer(self, message_bytes: int) -> Any:
        """A new producer: no message is lost, doubled or reordered by its retries; it reports only failed ones."""
        producer = Producer(
            {
                **self._common(),
                "enable.idempotence": True,
                "acks": "all",
                "enable.gapless.guarantee": True,
                "delivery.report.only.error": True,
                "message.timeout.ms": 0,  # the writer gives up all at once: messages that expired would leave gaps
                "message.max.bytes": message_bytes,
                "linger.ms": 5,  # while a batch is produced; a flush does not wait
                "compression.type": self.options.compression,
                "queue.buffering.max.messages": 100_000,
            },
            logger=logger,
        )
        producer.poll(0.05)  # messages that come before it has its id wait for half a second
        return producer

    def prober(self) -> Any:
        """A new producer that finds out whether a topic takes messages."""
        more = {"acks": "all", "message.timeout.ms": int(self.options.timeout_s * 1_000)}
        return Producer({**self._common(), **more}, logger=logger)

    def unavailable(self, error: object) -> Exception:
        """The error to raise for `error`, and shorter waits from now on."""
        self._down = True
        code = _code(error)
        why = error.args[0].str() if isinstance(error, KafkaException) else str(error) or "no answer"
        if self._complaint and self._complaint not in why:
            why = f"{why} ({self._complaint})"
        if code in _DENIED:
            return BadSetting(f"{self.options.shown} must allow this user what a log needs, got: {why}")
        return StoreUnavailable(f"{self.options.shown} must answer within {self.options.timeout_s:g} s, got: {why}")

    def answered(self) -> None:
        """Note that the brokers answer."""
        self._down, self._complaint = False, ""

    def close(self) -> None:
        """End the connections; the next use opens new ones."""
        with self._guard:
            self._admin = self._asker = None

    def _common(self) -> dict[str, Any]:
        return {
            **self.options.client,
            "client.id": "flyball",
            "socket.timeout.ms": max(1_000, int(self.options.timeout_s * 1_000)),
            "socket.connection.setup.timeout.ms": max(1_000, int(self.options.timeout_s * 1_000)),
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": self._complain,
        }

    def _complain(self, error: Any) -> None:
        if not self._complaint or error.code() != KafkaError._ALL_BROKERS_DOWN:  # which follows the reason
            self._complaint = error.str()
        logger.warning("%s: %s", self.options.shown, error.str())

    def _own_admin(self) -> Any:
        with self._guard:
            if self._admin is None:
                self._admin = AdminClient(self._common(), logger=logger)
            return self._admin

    def _own_asker(self) -> Any:
        """A consumer that only asks."""
        with self._guard:
            if self._asker is None:
                self._asker = self.consumer()
            return self._asker


def _code(error: object) -> int | None:
    code: int | None = error.args[0].code() if isinstance(error, KafkaException) else None
    return code
