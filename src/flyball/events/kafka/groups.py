"""The offsets of reader groups: Kafka's own, which its tools show."""

from confluent_kafka import TopicPartition

from flyball.events.kafka.client import KafkaClient
from flyball.events.log import Offsets
from flyball.events.reading import check_offsets


class KafkaGroups:
    """Offsets of `topic` by group. Brokers forget a group after `offsets.retention.minutes` without a commit, and what
    groups committed of a topic that is deleted: of a log that was written again nothing is committed."""

    def __init__(self, client: KafkaClient, topic: str, partitions: int) -> None:
        self._client, self.topic, self._partitions = client, topic, partitions

    def commit(self, group: str, offsets: Offsets) -> None:
        check_offsets(offsets, self._partitions)
        positions = [TopicPartition(self.topic, part, offset) for part, offset in enumerate(offsets)]
        self._client.commit(group, positions)

    def committed(self, group: str) -> Offsets:
        positions = [TopicPartition(self.topic, part) for part in range(self._partitions)]
        stored = {position.partition: position.offset for position in self._client.committed(group, positions)}
        return tuple(max(stored.get(part, 0), 0) for part in range(self._partitions))
