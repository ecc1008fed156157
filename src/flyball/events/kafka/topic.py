"""The topics of a log: created when missing, and checked."""

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewTopic

from flyball.core import BadSetting, StoreUnavailable
from flyball.events.kafka.client import WATCH, KafkaClient

_MADE = {
    "message.timestamp.type": "LogAppendTime",
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
}
"""What a topic is created with: nothing is removed unless its owner changes this."""


_PAUSE_S = 0.05

_FOR_FILES = str.maketrans("+/", "-_")
"""Ids are in base64."""


_KEPT = (*_MADE, "max.message.bytes")
"""What a topic that takes the place of another must have as that one, whether it was set or is the brokers' default."""


class Topic(msgspec.Struct, frozen=True):
    """A topic; one that is created later under the same name has another id."""

    name: str
    id: str
    partitions: int
    message_bytes: int


def schemas_topic(topic: str) -> str:
    """The topic of the declarations that the records of `topic` were written with."""
    return f"{topic}.schemas"


def find_topic(client: KafkaClient, name: str) -> tuple[str, int] | None:
    """The id and the number of partitions of a topic, None where there is none; creates nothing."""
    try:
        (description,) = client.call(
            lambda admin, timeout_s: admin.describe_topics(TopicCollection([name]), request_timeout=timeout_s)
        )
    except StoreUnavailable as error:
        if _is(error, KafkaError.UNKNOWN_TOPIC_OR_PART):
            client.answered()
            return None
        raise
    return str(description.topic_id).translate(_FOR_FILES), len(description.partitions)


def open_topic(client: KafkaClient, name: str, settings: Mapping[str, str] = MappingProxyType({})) -> Topic:
    """Create the topic of the log's records where it is missing, and check it; raises `BadSetting`.

    `settings`: what it has apart from the time in which nobody may write to it.
    """
    options = client.options
    own = find_topic(client, name)
    if own is None:
        _create(client, name, options.partitions or 4)
        own = _created(client, name)
    topic_id, partitions = own
    if options.partitions not in (None, partitions):
        raise BadSetting(
            f"option partitions of {options.shown} must be {partitions}, as when it was made, got "
            f"{options.partitions}: leave the option out, or choose another topic"
        )
    config = {**_config(client, name), **settings}
    _check(client, name, config)
    return Topic(name, topic_id, partitions, int(config["max.message.bytes"]))


def has_schemas(client: KafkaClient) -> bool:
    """Whether there is the topic of the declarations."""
    return find_topic(client, schemas_topic(client.options.topic)) is not None


def make_schemas(client: KafkaClient) -> None:
    """Create the topic of the declarations."""
    _create(client, schemas_topic(client.options.topic), 1)
    _created(client, schemas_topic(client.options.topic))


def topic_settings(client: KafkaClient, name: str) -> dict[str, str]:
    """What a topic that takes the place of this one must be set to."""
    entries = _entries(client, name)
    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {key: entry.value for key, entry in entries.items() if entry.source == own or key in _KEPT}


def set_config(client: KafkaClient, name: str, settings: Mapping[str, str]) -> None:
    """Set options of a topic."""
    changes = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in settings.items()]
    resource = ConfigResource("topic", name, incremental_configs=changes)
    client.call(lambda admin, timeout_s: admin.incremental_alter_configs([resource], request_timeout=timeout_s))


def make_target(client: KafkaClient, name: str, of: Topic) -> None:
    """Create the topic that messages of another one are copied to, with their own times, of which none is removed."""
    (description,) = client.call(
        lambda admin, timeout_s: admin.describe_topics(TopicCollection([of.name]), request_timeout=timeout_s)
    )
    replication = len(description.partitions[0].replicas)
    copied = {**_MADE, "message.timestamp.type": "CreateTime", "max.message.bytes": str(of.message_bytes)}
    new = NewTopic(name, of.partitions, replication, config=copied)
    client.call(lambda admin, timeout_s: admin.create_topics([new], request_timeout=timeout_s))
    _created(client, name)


def delete_topic(client: KafkaClient, name: str) -> None:
    """Delete a topic where it is there, and wait until it has no name any more; its files go later."""
    try:
        client.call(lambda admin, timeout_s: admin.delete_topics([name], request_timeout=timeout_s))
    except StoreUnavailable as error:
        if not _is(error, KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise
        client.answered()
    deadline_s = WATCH.read_s() + client.options.timeout_s
    while find_topic(client, name) is not None:
        if WATCH.read_s() > deadline_s:
            raise StoreUnavailable(
                f"topic {name} of {client.options.shown} must be gone after it was deleted, got one that is there: "
                "run the command again"
            )
        threading.Event().wait(_PAUSE_S)


def _check(client: KafkaClient, topic: str, config: Mapping[str, str]) -> None:
    options = client.options
    if options.known_at != "writer":
        _must_be(client, topic, config, "message.timestamp.type", ("LogAppendTime",))
    if options.removed != "skip":
        _must_be(client, topic, config, "cleanup.policy", ("delete",))


def _must_be(client: KafkaClient, topic: str, config: Mapping[str, str], name: str, values: Sequence[str]) -> None:
    if config[name] in values:
        return
    servers = client.options.servers
    raise BadSetting(
        f"{name} of topic {topic} must be {values[0]}, got {config[name]}: kafka-configs.sh "
        f"--bootstrap-server {servers} --alter --entity-type topics --entity-name {topic} "
        f"--add-config {name}={values[0]}"
    )


def _create(client: KafkaClient, name: str, partitions: int) -> None:
    new = NewTopic(name, partitions, client.options.replication, config=_MADE)
    try:
        client.call(lambda admin, timeout_s: admin.create_topics([new], request_timeout=timeout_s))
    except StoreUnavailable as error:
        if not _is(error, KafkaError.TOPIC_ALREADY_EXISTS):  # another process was first
            raise


def _created(client: KafkaClient, name: str) -> tuple[str, int]:
    """The new topic, once its partitions have leaders; a broker that has just started takes seconds for that."""
    deadline_s = WATCH.read_s() + client.options.timeout_s
    while WATCH.read_s() < deadline_s:
        made = find_topic(client, name)
        if made is not None:
            client.offsets(name, made[1])
            return made
        threading.Event().wait(_PAUSE_S)
    raise StoreUnavailable(
        f"{client.options.shown} must have topic {name}, which was created just now, got none: run the command again"
    )


def _config(client: KafkaClient, name: str) -> dict[str, str]:
    return {key: entry.value for key, entry in _entries(client, name).items()}


def _entries(client: KafkaClient, name: str) -> dict[str, Any]:
    resource = ConfigResource("topic", name)
    (config,) = client.call(lambda admin, timeout_s: admin.describe_configs([resource], request_timeout=timeout_s))
    return dict(config)


def _is(error: Exception, code: Any) -> bool:
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() == code
