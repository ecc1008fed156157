"""Real Kafka brokers for tests: the one that `TEST_KAFKA_URL` names (CI sets it, see `scripts/with-kafka`), and others
that may be killed or frozen."""

import os
import signal
import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.processes import freeze

GIVEN = os.environ.get("TEST_KAFKA_URL", "")
GIVEN_BY_TLS = os.environ.get("TEST_KAFKA_TLS_URL", "")
SERVERS = GIVEN.removeprefix("kafka://")
ENGINE = Path(__file__).parents[1] / ".ci" / "engines" / "kafka"

needs_kafka = pytest.mark.skipif(not GIVEN, reason="no Kafka broker on this machine")

_topics = (f"test-{os.urandom(6).hex()}-{number}" for number in count())


def new_topic() -> str:
    """The name of a topic that nobody else uses."""
    return next(_topics)


def log_url(folder: Path, options: str = "", topic: str = "", base: str = GIVEN) -> str:
    """The URL of a log whose index is in `folder`, as on a machine of its own."""
    return f"{base}/{topic or new_topic()}?index={folder}/index{options and '&' + options}"


def make_topic(topic: str, partitions: int = 1, **config: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": SERVERS})
    admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(10)


def delete_topics(*topics: str) -> None:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": SERVERS})
    for future in admin.delete_topics(list(topics)).values():
        future.result(10)


def remove_before(topic: str, offset: int, partition: int = 0) -> None:
    """Remove the first records of a partition, as retention does."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": SERVERS})
    for future in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
        future.result(10)


def messages_of(topic: str, partition: int = 0, servers: str = SERVERS) -> list[Any]:
    """All messages of a partition, read without Flyball."""
    from confluent_kafka import Consumer, TopicPartition

    config = {
        "bootstrap.servers": servers,
        "group.id": "test",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    consumer = Consumer({**config, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0)])
    messages = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        messages.append(message)
    consumer.close()
    return messages


def produce(
    topic: str, *values: tuple[bytes | None, bytes, Any], partition: int = 0, transaction: bool = False
) -> None:
    """Write (key, value, headers) without Flyball."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": SERVERS, **({"transactional.id": topic} if transaction else {})})
    if transaction:
        producer.init_transactions(10)
        producer.begin_transaction()
    for key, value, headers in values:
        producer.produce(topic, value, key, partition, headers=headers)
    if transaction:
        producer.commit_transaction(10)
    assert producer.flush(10) == 0


class Broker:
    """A broker of a test's own in `folder`; started again it has the same address and data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"kafka://{(self.folder / 'address').read_text().strip()}"

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def start(self) -> None:
        subprocess.run([str(ENGINE), "start", str(self.folder)], check=True, timeout=120, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        freeze(self.pid)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
