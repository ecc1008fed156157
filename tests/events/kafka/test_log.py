"""The event log on Kafka beyond the contract of all logs (tests/events/test_log.py), on a real broker."""

import os
import threading
import time
from pathlib import Path

import pytest
from tests import kafka_broker as kafka
from tests.processes import until

from flyball.core import BadInput, BadSetting, Refused, StoreUnavailable
from flyball.events import Appended, EventLog, Record, after_slices, fresh, log_exists, open_log, read_until
from flyball.testing.log_contract import read_all, record

pytestmark = kafka.needs_kafka


def live(number: int) -> Record:
    return Record("thing", "a", number, number, number.to_bytes(16), b"\x90")


def ids_of(log: EventLog, partitions: int = 1) -> list[int]:
    records = read_all(log, (0,) * partitions, 100)
    return [int.from_bytes(kept.id) for part in records for kept in part]


def again(topic: str, *offsets: int) -> None:
    """Write messages of partition 0 a second time, as a writer does that appended the same at the same time."""
    messages = kafka.messages_of(topic)
    kafka.produce(topic, *[(messages[at].key(), messages[at].value(), messages[at].headers()) for at in offsets])


def test_a_message_is_readable_without_flyball(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    open_log(kafka.log_url(tmp_path, "partitions=1", topic)).append([record(7, "ann")])
    (message,) = kafka.messages_of(topic)
    assert (message.key(), message.value()) == (b"ann", b"\x90")


def test_a_live_event_becomes_known_when_the_broker_takes_it(tmp_path: Path) -> None:
    log = open_log(kafka.log_url(tmp_path, "partitions=1"))
    before_us = time.time_ns() // 1_000 - 1_000
    log.append([live(1), record(2)])
    after_us = time.time_ns() // 1_000 + 1_000
    known = [kept.known_at for kept in read_all(log, (0,), 10)[0]]
    assert before_us <= known[0] <= after_us
    assert known[1] == 2  # declared: it was ingested as history


def test_the_time_of_the_writer_is_kept_where_the_url_says_so(tmp_path: Path) -> None:
    log = open_log(kafka.log_url(tmp_path, "partitions=1&known_at=writer"))
    log.append([live(1)])
    assert read_all(log, (0,), 10) == [[live(1)]]


def test_the_first_message_with_an_id_counts_on_every_machine(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = open_log(kafka.log_url(tmp_path / "a", "partitions=1", topic))
    log.append([record(number, "a") for number in range(5)])
    again(topic, 1, 3)
    assert log.append([record(number, "a") for number in (3, 4, 5)]) == Appended(1, [0, 1])
    again(topic, 0, 7)
    for machine in ("a", "b"):
        other = open_log(kafka.log_url(tmp_path / machine, "partitions=1", topic))
        assert other.ends() == (10,)
        assert ids_of(other) == [0, 1, 2, 3, 4, 5]
        assert [(piece.start, piece.first, len(piece.records)) for piece in other.read((4,), 100)] == [
            (4, 4, 1),
            (5, 7, 1),
            (8, 10, 0),
        ]
        assert [piece.end for slices in read_until(other, (0,), (6,), 2) for piece in slices][-1] == 6
        assert fresh(other.read((0,), 100), (6,))[1] == (10,)


def test_writers_on_two_machines_that_append_the_same_at_once_keep_each_once(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    open_log(kafka.log_url(tmp_path, "partitions=2", topic))

    def run(machine: int) -> None:
        log = open_log(kafka.log_url(tmp_path / str(machine % 2), "", topic))
        for first in range(0, 300, 30):
            log.append([record(number) for number in range(first, first + 60)])

    threads = [threading.Thread(target=run, args=(machine,)) for machine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [ids_of(open_log(kafka.log_url(tmp_path / machine, "", topic)), 2) for machine in ("0", "1", "new")]
    assert sorted(kept[0]) == list(range(330))
    assert kept[0] == kept[1] == kept[2]


def test_transaction_markers_and_foreign_messages_are_no_events(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = open_log(kafka.log_url(tmp_path, "partitions=1", topic))
    log.append([record(1, "a")])
    (message,) = kafka.messages_of(topic)
    kafka.produce(topic, (b"x", b"not ours", None), (b"x", b"y", [("flyball", b"\xff")]), transaction=True)
    assert log.append([record(1, "a"), record(2, "a")]) == Appended(1, [0])
    kafka.produce(topic, (message.key(), message.value(), message.headers()), transaction=True)
    until(lambda: log.ends() == (7,))  # markers are written some time after a commit returns
    assert ids_of(log) == [1, 2]
    assert ids_of(open_log(kafka.log_url(tmp_path / "b", "", topic))) == [1, 2]


def test_removed_records_are_refused_or_skipped(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    log = open_log(kafka.log_url(tmp_path, "partitions=1", topic))
    log.append([record(number, "a") for number in range(10)])
    kafka.remove_before(topic, 4)
    again = open_log(kafka.log_url(tmp_path, "", topic))
    with pytest.raises(Refused, match="from offset 0 of partition 0 on, got those from 4 on.*removed=skip"):
        again.read((0,), 100)
    assert [piece.first for piece in again.read((4,), 100)] == [4]
    skipping = open_log(kafka.log_url(tmp_path / "new", "removed=skip", topic))
    assert ids_of(skipping) == [4, 5, 6, 7, 8, 9]
    assert skipping.append([record(9, "a"), record(10, "a")]) == Appended(1, [0])


def test_a_topic_that_was_deleted_and_created_is_another_log(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    open_log(kafka.log_url(tmp_path, "partitions=1", topic)).append([record(1, "a")])
    kafka.delete_topics(topic, f"{topic}.schemas")
    log = open_log(kafka.log_url(tmp_path, "partitions=1", topic))
    assert log.append([record(1, "a")]) == Appended(1, [])
    assert ids_of(log) == [1]


def test_without_unique_equal_ids_are_kept(tmp_path: Path) -> None:
    log = open_log(kafka.log_url(tmp_path, "partitions=1&unique=0"))
    assert log.append([record(1), record(1)]) == Appended(2, [])
    assert ids_of(log) == [1, 1]
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "message.timestamp.type of topic .* must be LogAppendTime, got CreateTime: kafka-configs.sh .*--alter"),
        (
            {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"},
            "cleanup.policy of topic .* must be delete, got compact",
        ),
    ],
)
def test_a_topic_that_would_lose_events_or_times_is_refused(
    config: dict[str, str], message: str, tmp_path: Path
) -> None:
    topic = kafka.new_topic()
    kafka.make_topic(topic, **config)
    with pytest.raises(BadSetting, match=message):
        open_log(kafka.log_url(tmp_path, "", topic))
    if not config:
        assert open_log(kafka.log_url(tmp_path, "known_at=writer", topic)).ends() == (0,)


def test_the_partitions_are_those_of_the_topic(tmp_path: Path) -> None:
    topic = kafka.new_topic()
    assert len(open_log(kafka.log_url(tmp_path, "", topic)).ends()) == 4
    with pytest.raises(BadSetting, match="option partitions of kafka://.* must be 4, as when it was made, got 5"):
        open_log(kafka.log_url(tmp_path, "partitions=5", topic))


def test_asking_whether_a_log_exists_makes_none(tmp_path: Path) -> None:
    url = kafka.log_url(tmp_path)
    assert not log_exists(url)
    assert not log_exists(url)
    open_log(url)
    assert log_exists(url)


def test_a_record_that_the_topic_does_not_allow_is_refused_before_any_is_written(tmp_path: Path) -> None:
    log = open_log(kafka.log_url(tmp_path, "partitions=1"))
    large = Record("thing", "a", 1, 1, bytes(16), bytes(2_000_000))
    with pytest.raises(BadInput, match="at most its max.message.bytes, 1,048,588"):
        log.append([record(1), large])
    assert log.ends() == (0,)


def test_a_log_opened_before_a_fork_serves_both_sides(tmp_path: Path) -> None:
    log = open_log(kafka.log_url(tmp_path, "partitions=1"))
    log.append([record(1)])
    assert ids_of(log) == [1]
    child = os.fork()
    if child == 0:
        right = False
        try:
            right = ids_of(log) == [1] and log.append([record(1), record(2)]) == Appended(1, [0])
        finally:
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert log.append([record(2), record(3)]) == Appended(1, [0])
    assert ids_of(log) == [1, 2, 3]


def test_readers_at_different_places_get_what_they_ask_for(tmp_path: Path) -> None:
    log = open_log(kafka.log_url(tmp_path, "partitions=2"))
    log.append([record(number) for number in range(3_000)])
    expected = read_all(log, (0, 0), 3_000)
    readers = [(0, 0), (500, 7), (0, 900), (600, 0), (3, 3), (300, 800)]
    reached = list(readers)
    for _ in range(40):
        for number, offsets in enumerate(reached):
            slices = log.read(offsets, 150)
            for piece in slices:
                kept = expected[piece.partition][piece.first : piece.end]
                assert piece.records == kept
            reached[number] = after_slices(offsets, slices)
    assert reached == [log.ends()] * len(readers)


@pytest.mark.skipif(not kafka.GIVEN_BY_TLS, reason="no Kafka broker on this machine")
def test_tls_and_a_password_open_the_same_log(tmp_path: Path) -> None:
    base, _, options = kafka.GIVEN_BY_TLS.partition("?")
    topic = kafka.new_topic()
    log = open_log(kafka.log_url(tmp_path, f"partitions=1&{options}", topic, base))
    log.append([record(1)])
    assert ids_of(open_log(kafka.log_url(tmp_path / "b", "", topic))) == [1]
    user, secret = base.removeprefix("kafka://").split("@")[0].split(":")
    (tmp_path / "password").write_text(secret + "\n")
    by_file = base.replace(f":{secret}@", "@")
    assert ids_of(
        open_log(kafka.log_url(tmp_path, f"{options}&password_file={tmp_path}/password", topic, by_file))
    ) == [1]
    with pytest.raises(StoreUnavailable, match="(?i)authentication") as refused:
        open_log(kafka.log_url(tmp_path, f"{options}&timeout_ms=1500", topic, base.replace(secret, "wrong-word")))
    assert "wrong-word" not in str(refused.value)
    assert user == "flyball"
