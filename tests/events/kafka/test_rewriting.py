"""Records are removed from a log on Kafka by a copy of its topic, on a real broker."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import kafka_broker as kafka

from flyball.core import Refused, StoreUnavailable
from flyball.events import EventLog, Record, log_exists, open_log
from flyball.events.kafka.log import KafkaLog
from flyball.events.kafka.rewriting import TopicRewrite
from flyball.testing.log_contract import as_written, record, written

pytestmark = kafka.needs_kafka


class Killed(BaseException):
    """The process ends here."""


def at(log: EventLog, part: int = 0) -> dict[int, Record]:
    """{offset: record} of a partition."""
    records: dict[int, Record] = {}
    after = [*log.ends()]
    end, after[part] = after[part], 0
    while after[part] < end:
        for piece in log.read(tuple(after), 1_000):
            records |= dict(enumerate(piece.records, piece.first))
            after[part] = piece.end
    return records


def live(number: int) -> Record:
    return Record("thing", "a", number, number, number.to_bytes(16), b"\x90")


def opened(folder: Path, topic: str, options: str = "partitions=1") -> KafkaLog:
    log = open_log(kafka.log_url(folder, options, topic))
    assert isinstance(log, KafkaLog)
    return log


def killed_at(log: KafkaLog, step: int, monkeypatch: pytest.MonkeyPatch) -> TopicRewrite:
    """A rewrite of the log by a process that is killed at a step, and can clean up nothing."""
    left = [step]

    def on_step(words: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed(words)

    rewrite = log._rewriting()
    monkeypatch.setattr(rewrite, "_on_step", on_step)
    monkeypatch.setattr(rewrite, "_give_up", lambda note: None)
    return rewrite


def test_the_other_records_keep_their_offsets_times_and_declarations(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = opened(tmp_path, topic, "partitions=2")
    declared = written("thing")
    log.schemas.offer([declared])
    log.append([as_written(record(number), declared) for number in range(50)])
    log.append([msgspec.structs.replace(live(number), key=str(number)) for number in range(50, 90)])
    before, ends = [at(log, part) for part in range(2)], log.ends()
    gone = {0: [0, 3, 4], 1: [1, ends[1] - 1]}
    assert log.remove(gone) == 5
    log.rewrite()
    assert log.remove(gone) == 0
    left = [{offset: one for offset, one in before[part].items() if offset not in gone[part]} for part in range(2)]
    for other in (log, opened(tmp_path / "other", topic, "")):
        assert [at(other, part) for part in range(2)] == left
        assert other.ends() == ends
        assert other.schemas.stored() == [declared]
        assert not log_exists(kafka.log_url(tmp_path, "", f"{topic}.gen3"))
    assert log_exists(kafka.log_url(tmp_path, "", topic))
    whole = [one for part in before for one in part.values()]
    assert log.append(whole).written == 5


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_any_records_are_removed_as_from_a_dict(
    tmp_path: Path, appends: list[int], first: set[int], second: set[int]
) -> None:
    log, number = opened(tmp_path, kafka.new_topic(), "partitions=2"), 0
    for count in appends:
        log.append([record(number + index) for index in range(count)])
        number += count
    expected = [at(log, part) for part in range(2)]
    for gone in (first, second):
        held = [gone & part.keys() for part in expected]
        assert log.remove({part: sorted(gone) for part in range(2)}) == sum(map(len, held))
        log.rewrite()
        expected = [{offset: one for offset, one in part.items() if offset not in gone} for part in expected]
        assert [at(log, part) for part in range(2)] == expected


def test_a_duplicate_of_a_removed_record_does_not_become_an_event(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = opened(tmp_path, topic)
    log.append([record(number, "a") for number in range(3)])
    (message, *_) = kafka.messages_of(topic)
    kafka.produce(topic, (message.key(), message.value(), message.headers()))
    assert log.remove({0: [0]}) == 1
    log.rewrite()
    assert sorted(at(log)) == [1, 2]
    assert log.ends() == (4,)
    assert [len(message.value()) for message in kafka.messages_of(f"{topic}.gen2")] == [0, 1, 1, 0]


def test_processes_that_had_it_open_go_on(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log, reader, writer = (opened(tmp_path / name, topic) for name in ("a", "b", "c"))
    plain = opened(tmp_path, topic, "partitions=1&unique=0&timeout_ms=1500")
    log.append([record(number, "a") for number in range(10)])
    assert len(at(reader)) == len(at(plain)) == 10
    reader.groups.commit("readers", (4,))
    writer.append([record(10, "a")])
    log.remove({0: [2, 5]})
    assert writer.append([record(number, "a") for number in range(9, 12)]).duplicates == [0, 1]  # the old one is there
    log.rewrite()
    assert plain.append([record(12, "a")]).written == 1
    assert sorted(at(reader)) == sorted({*range(13)} - {2, 5})
    assert reader.groups.committed("readers") == (0,)
    reader.groups.commit("readers", (5,))
    assert reader.groups.committed("readers") == (5,)
    indexes = {path.name for path in tmp_path.glob("*/index/*.db")}
    assert len(indexes) == 1
    assert indexes.pop().startswith(f"{topic}.gen2-")


def test_nothing_that_is_appended_meanwhile_is_lost_or_doubled(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log, writer = opened(tmp_path / "a", topic, "partitions=2"), opened(tmp_path / "b", topic, "partitions=2")
    log.append([record(number) for number in range(3_000)])
    accepted, stop, refused = list(range(3_000)), threading.Event(), list[StoreUnavailable]()

    def write() -> None:
        while not stop.is_set():
            number = len(accepted)
            try:
                writer.append([record(number), record(number + 1)])
            except StoreUnavailable as error:  # on a slow machine: it is sent again, as a client does
                refused.append(error)
            else:
                accepted.extend((number, number + 1))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for gone in range(3):
            log.remove({0: [gone], 1: [gone]})
            log.rewrite()
    finally:
        stop.set()
        thread.join()
    assert len(accepted) > 3_010, refused
    ids = [int.from_bytes(one.id) for part in range(2) for one in at(log, part).values()]
    assert len(ids) == len(set(ids)) == len(accepted) - 6


def test_killed_at_each_step_and_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topic, steps = kafka.new_topic(), list[str]()
    log = opened(tmp_path, topic)
    log.append([record(number, "a") for number in range(12)])
    rewrite = log._rewriting()
    monkeypatch.setattr(rewrite, "_on_step", steps.append)
    rewrite.run({0: [5]})
    closed = steps.index("writers are kept out") + 1
    removed = {5}
    for step in (1, 3, closed, len(steps)):
        with pytest.raises(Killed):
            killed_at(log, step, monkeypatch).run({0: [step]})
        again = opened(tmp_path / str(step), topic)
        if step == closed:
            hasty = opened(tmp_path / "hasty", topic, "partitions=1&timeout_ms=2000")
            with pytest.raises(StoreUnavailable, match="flyball erase APP --continue"):
                hasty.append([record(100, "a")])
        again.remove({0: [step]})
        again.rewrite()
        removed |= {step}
        log.append([record(100 + step, "a")])
        assert sorted(at(again)) == sorted({*range(log.ends()[0])} - removed)
    names = kafka_topics(topic)
    assert names == {f"{topic}.schemas", log._topic.name}


def kafka_topics(prefix: str) -> set[str]:
    from confluent_kafka.admin import AdminClient

    topics = AdminClient({"bootstrap.servers": kafka.SERVERS}).list_topics(timeout=10).topics
    return {name for name in topics if name.startswith(prefix)}


def test_one_that_fails_opens_the_topic_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = kafka.new_topic()
    log, writer = opened(tmp_path, topic), opened(tmp_path / "other", topic)
    log.append([record(number, "a") for number in range(6)])
    rewrite = log._rewriting()

    def fail(words: str) -> None:
        if words == "writers are kept out":
            raise KeyboardInterrupt

    monkeypatch.setattr(rewrite, "_on_step", fail)
    with pytest.raises(KeyboardInterrupt):
        rewrite.run({0: [1]})
    assert writer.append([record(6, "a")]).written == 1
    assert sorted(at(log)) == [*range(7)]
    assert kafka_topics(topic) == {topic, f"{topic}.schemas"}
    assert log.remove({0: [1]}) == 1
    log.rewrite()
    assert kafka_topics(topic) == {f"{topic}.gen3", f"{topic}.schemas"}


def test_a_topic_with_messages_of_others_is_left_as_it_is(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = opened(tmp_path, topic)
    log.append([record(0, "a")])
    log.check_removal()
    kafka.produce(topic, (b"key", b"theirs", None))
    with pytest.raises(Refused, match=r"got a message of something else at partition 0, offset 1, .*flyball migrate"):
        log.check_removal()
    with pytest.raises(Refused, match="Ask its owner"):
        log.remove({0: [0]})
    assert kafka_topics(topic) == {topic, f"{topic}.schemas"}
    assert log.append([record(1, "a")]).written == 1


def test_what_retention_has_removed_stays_removed(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = opened(tmp_path, topic, "partitions=2&removed=skip")
    log.append([record(number, "a") for number in range(9)])
    (part,) = (part for part, end in enumerate(log.ends()) if end)
    kafka.remove_before(topic, 4, part)
    log.remove({part: [6]})
    log.rewrite()
    other = opened(tmp_path / "other", topic, "partitions=2&removed=skip")
    assert sorted(at(other, part)) == [4, 5, 7, 8]
    assert kafka.messages_of(f"{topic}.gen2", part)[0].offset() == 4


def test_a_copy_has_the_options_and_the_times_of_the_topic(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    options: dict[str, Any] = {"message.timestamp.type": "LogAppendTime", "retention.ms": "86400000"}
    kafka.make_topic(topic, 1, **options, **{"max.message.bytes": "2000000"})
    log = opened(tmp_path, topic)
    log.append([live(1), live(2)])
    times = [message.timestamp()[1] for message in kafka.messages_of(topic)]
    log.remove({0: [0]})
    log.rewrite()
    log.append([live(3)])
    copied = [message.timestamp() for message in kafka.messages_of(f"{topic}.gen2")]
    assert [time_ms for _, time_ms in copied[:2]] == times
    assert copied[2][0] == 2  # by the broker's clock again
    from flyball.events.kafka.topic import topic_settings

    kept = topic_settings(log._client, f"{topic}.gen2")
    assert {**kept, **options, "max.message.bytes": "2000000"} == kept
