"""Events per second into and out of one Kafka broker: Flyball's log beside the client library alone, in the same run.

The library alone (confluent-kafka) writes the same keys, values and headers with the same settings and reads every
field of a message; it looks for no duplicates and makes no records. `new machine` builds the index of identities from
the topic first. Run: `python benchmarks/kafka_log.py [kafka://HOST:PORT] [--events N] [--json]`; without an address it
starts a broker by `.ci/engines/kafka`.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from flyball.events import Record, after_slices, open_log
from flyball.events.kafka.messages import header_of

BATCH = 4_096
READ = 10_000
PARTITIONS = 4


def events(count: int) -> list[Record]:
    """Events as the movie service has them, of 100,000 users."""
    body = b"\x93\xce\x00\x01\x86\xa0\xb5the+film+of+them+2010\x0c"
    now_us = time.time_ns() // 1_000
    return [
        Record(
            "watch",
            str(number * 7_919 % 100_000),
            now_us + number,
            now_us + number,
            (now_us + number).to_bytes(8) + blake2b(number.to_bytes(8), digest_size=8).digest(),
            body,
        )
        for number in range(count)
    ]


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Events and CPU seconds of this process a second."""
    began_s, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    count = work()
    seconds, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"events_per_s": count / seconds, "cpu_us": cpu_s / count * 1e6}


def write(url: str, records: Sequence[Record]) -> int:
    log = open_log(url)
    written = sum(log.append(records[start : start + BATCH]).written for start in range(0, len(records), BATCH))
    assert written == len(records)
    return written


def read(url: str, expected: int) -> int:
    log = open_log(url)
    offsets, count = (0,) * PARTITIONS, 0
    while slices := log.read(offsets, READ):
        count += sum(len(piece.records) for piece in slices)
        offsets = after_slices(offsets, slices)
    assert count == expected
    return count


def write_alone(servers: str, topic: str, records: Sequence[Record]) -> int:
    from flyball.events import partition

    config = {"enable.idempotence": True, "acks": "all", "linger.ms": 5, "delivery.report.only.error": True}
    producer = Producer({"bootstrap.servers": servers, **config})

    def failed(error: Any, message: Any) -> None:
        raise RuntimeError(error)

    for start in range(0, len(records), BATCH):
        for record in records[start : start + BATCH]:
            key = record.key
            headers = header_of(record, False)
            part = partition(key, PARTITIONS)
            producer.produce(topic, record.body, key.encode(), part, failed, headers=headers)
        assert producer.flush(30) == 0
    return len(records)


def read_alone(servers: str, topic: str, expected: int) -> int:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "alone", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, part, 0) for part in range(PARTITIONS)])
    count = 0
    while count < expected:
        for message in consumer.consume(READ, 0) or consumer.consume(1, 1.0):
            fields = message.offset(), message.key(), message.value(), message.headers(), message.timestamp()
            count += fields[0] >= 0
    consumer.close()
    return count


def run(base: str, count: int) -> dict[str, dict[str, float]]:
    records = events(count)
    servers = base.removeprefix("kafka://")
    with tempfile.TemporaryDirectory() as folder:
        topic, alone = f"bench-{os.urandom(6).hex()}", f"bench-{os.urandom(6).hex()}"
        url = f"{base}/{topic}?partitions={PARTITIONS}&index={folder}/a"
        open_log(f"{base}/{alone}?partitions={PARTITIONS}&unique=0")
        write(url.replace(topic, f"{topic}-w"), records[: len(records) // 4])  # the broker's compiler warms up
        return {
            "write": measured(lambda: write(url, records)),
            "write, library alone": measured(lambda: write_alone(servers, alone, records)),
            "write, unique=0": measured(lambda: write(url.replace(topic, f"{topic}-u") + "&unique=0", records)),
            "write again": measured(lambda: again(url, records)),
            "read": measured(lambda: read(url, count)),
            "read, library alone": measured(lambda: read_alone(servers, alone, count)),
            "read, new machine": measured(lambda: read(url.replace("/a", "/b"), count)),
        }


def again(url: str, records: Sequence[Record]) -> int:
    """Everything a second time: all are duplicates."""
    log = open_log(url)
    repeats = [log.append(records[start : start + BATCH]).duplicates for start in range(0, len(records), BATCH)]
    assert sum(map(len, repeats)) == len(records)
    return len(records)


@contextmanager
def a_broker(url: str | None) -> Iterator[str]:
    """The address that was given, or that of a broker of our own."""
    if url:
        yield url
        return
    engine = str(Path(__file__).parents[1] / ".ci" / "engines" / "kafka")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([engine, "start", folder], check=True, stdout=subprocess.DEVNULL)
        try:
            yield f"kafka://{(Path(folder) / 'address').read_text().strip()}"
        finally:
            subprocess.run([engine, "stop", folder], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("url", nargs="?", help="kafka://HOST:PORT of a broker that may be written to")
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with a_broker(asked.url) as url:
        results = run(url, asked.events)
    if asked.json:
        print(json.dumps(results))
        return
    print(f"{asked.events:,} events, {PARTITIONS} partitions, one broker on the same machine")
    for name, result in results.items():
        alone = results[f"{name.split(',')[0].split(' ')[0]}, library alone"]
        ratio = result["events_per_s"] / alone["events_per_s"]
        print(f"{name:24} {result['events_per_s']:>10,.0f} events/s  {ratio:5.2f}x  {result['cpu_us']:5.1f} µs CPU")


if __name__ == "__main__":
    main()
