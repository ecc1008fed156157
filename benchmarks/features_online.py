"""Online features: reading 1, 100 and 500 keys with 20 windowed features, events folded a second, and how cost grows.

Run: python benchmarks/features_online.py [--events 100000] [--keys 5000] [--redis redis://host:port/0]
Beside it Feast's online read of 20 stored values from SQLite, where `import feast` works here or in the interpreter
that PEERS_PYTHON names. Feast keeps no windows online: it reads numbers that something else has computed.
Times are medians and 99th percentiles; "cpu" is the time of this thread alone, for a busy machine.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from flyball.events import Event, Record, Ref, Schema, Slice, integer, real
from flyball.features import Entity, FeatureConsumer, FeatureReader, count, decayed, last, max, mean, min, std, sum
from flyball.stores import StateStore, open_state

DAY = 86_400_000_000
START = 20_000 * DAY
SPAN = 40 * DAY
BATCH = 2_000


class Watch(Event):
    user: Annotated[int, Ref("user")]
    film: Annotated[str, Ref("film")]
    minutes: Annotated[int, integer(0, 600)]
    price: Annotated[float, real(0, 100, scale=0.01)]


SCHEMA = Schema([Watch])


def twenty(windows: tuple[str, ...] = ("1d", "7d", "30d")) -> Entity:
    """A user with six aggregates in each of three windows, the last value and a decayed count."""
    features = {}
    for window in windows:
        features |= {
            f"count_{window}": count(Watch, window),
            f"minutes_{window}": sum(Watch, lambda w: w.minutes, window),
            f"price_{window}": mean(Watch, lambda w: w.price, window),
            f"longest_{window}": max(Watch, lambda w: w.minutes, window),
            f"cheapest_{window}": min(Watch, lambda w: w.price, window),
            f"spread_{window}": std(Watch, lambda w: w.minutes, window),
        }
    return Entity("user", **features, latest=last(Watch, lambda w: w.minutes, "30d"), heat=decayed(Watch, "1d"))


def records(events: int, keys: int, rng: random.Random, late_us: int = 0) -> list[Record]:
    """Events over 40 days, each up to `late_us` late."""
    found = []
    for number in range(events):
        known = START + number * SPAN // events
        at = known - (rng.randrange(late_us) if late_us else 0)
        user = rng.randrange(keys)
        body = msgspec.msgpack.encode(
            [user, f"film{rng.randrange(3000)}", rng.randrange(600), rng.randrange(10_000) / 100]
        )
        found.append(Record("watch", str(user), at, known, number.to_bytes(16, "big"), body))
    return found


def fold(entity: Entity, store: StateStore, some: list[Record]) -> tuple[float, float]:
    """Events a second, after a first batch: by the wall's clock and by the CPU's."""
    consumer = FeatureConsumer(SCHEMA, [entity], store, partitions=1)
    consumer.apply([Slice(0, 0, some[:BATCH])])
    begun, begun_cpu = time.perf_counter(), time.process_time()
    for low in range(BATCH, len(some), BATCH):
        consumer.apply([Slice(0, low, some[low : low + BATCH])])
    folded = len(some) - BATCH
    return folded / (time.perf_counter() - begun), folded / (time.process_time() - begun_cpu)


class Timed(msgspec.Struct):
    """Microseconds."""

    median: float
    p99: float
    cpu: float


def timed(work: Callable[[], object], times: int) -> Timed:
    work()
    wall, cpu = [], []
    for _ in range(times):
        begun, begun_cpu = time.perf_counter_ns(), time.thread_time_ns()
        work()
        cpu.append(time.thread_time_ns() - begun_cpu)
        wall.append(time.perf_counter_ns() - begun)
    wall.sort()
    cpu.sort()
    return Timed(wall[times // 2] / 1e3, wall[times * 99 // 100] / 1e3, cpu[times // 2] / 1e3)


def reads(entity: Entity, store: StateStore, keys: int, rng: random.Random) -> dict[int, Timed]:
    reader = FeatureReader([entity], store)
    at_us = START + SPAN + 1
    found = {}
    for n, times in ((1, 3_000), (100, 200), (500, 100)):
        found[n] = timed(lambda n=n: reader.read({"user": [str(rng.randrange(keys)) for _ in range(n)]}, at_us), times)
    return found


FEAST = """
import sys, time, random, os, warnings, logging
warnings.filterwarnings("ignore"); logging.disable(logging.CRITICAL)
from datetime import datetime, timedelta, timezone
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType
folder, keys = sys.argv[1], int(sys.argv[2])
now = datetime.now(timezone.utc)
frame = pd.DataFrame({"user": range(keys), "ts": [now - timedelta(minutes=5)] * keys})
for number in range(20): frame[f"f{number}"] = [random.random() for _ in range(keys)]
frame.to_parquet(folder + "/rows.parquet")
store = FeatureStore(config=RepoConfig(project="bench", provider="local", registry=folder + "/registry.db",
    online_store={"type": "sqlite", "path": folder + "/online.db"}, entity_key_serialization_version=3))
user = Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)
source = FileSource(path=folder + "/rows.parquet", timestamp_field="ts")
view = FeatureView(name="v", entities=[user], ttl=timedelta(days=1), online=True, source=source,
    schema=[Field(name=f"f{number}", dtype=Float64) for number in range(20)])
store.apply([user, view])
store.materialize(now - timedelta(days=1), now)
names = [f"v:f{number}" for number in range(20)]
for n, times in ((1, 300), (100, 40), (500, 15)):
    taken = []
    for turn in range(times + 3):
        rows = [{"user": random.randrange(keys)} for _ in range(n)]
        begun, cpu = time.perf_counter_ns(), time.thread_time_ns()
        store.get_online_features(features=names, entity_rows=rows)
        taken.append((time.perf_counter_ns() - begun, time.thread_time_ns() - cpu))
    wall = sorted(one for one, _ in taken[3:]); cpu = sorted(two for _, two in taken[3:])
    print("FEAST", n, wall[times // 2] / 1e3, wall[times * 99 // 100] / 1e3, cpu[times // 2] / 1e3)
"""


def feast_reads(keys: int) -> dict[int, Timed]:
    """Feast's reads of 20 stored values, in its own interpreter; empty where it is not installed."""
    python = os.environ.get("PEERS_PYTHON", sys.executable)
    if shutil.which(python) is None or subprocess.run([python, "-c", "import feast"], capture_output=True).returncode:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([python, "-c", FEAST, folder, str(keys)], capture_output=True, text=True, timeout=300)
    if done.returncode:
        print(f"Feast failed: {done.stderr.strip().splitlines()[-1]}")
        return {}
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("FEAST")]
    return {int(row[1]): Timed(*map(float, row[2:])) for row in rows}


def growth(rng: random.Random, most_keys: int) -> None:
    """How the cost of an event and of a read grows, one cause at a time."""
    print("\ncost growth (memory://): events/s folded, µs CPU a read of one key, bytes a key")

    def line(label: str, entity: Entity, keys: int, some: list[Record], seconds: float = 20.0) -> None:
        store = open_state("memory://")
        begun, consumer, done = time.perf_counter(), FeatureConsumer(SCHEMA, [entity], store, partitions=1), 0
        while done < len(some) and time.perf_counter() - begun < seconds:
            consumer.apply([Slice(0, done, some[done : done + BATCH])])
            done += BATCH
        rate = done / (time.perf_counter() - begun)
        reader, at_us = FeatureReader([entity], store), START + SPAN + 1
        one = timed(lambda: reader.read({"user": [str(rng.randrange(keys))]}, at_us), 1_000)
        sizes = [len(value) for _, value in store.scan(b"f/")]
        mean_size = int(statistics.fmean(sizes))
        cut = "" if done >= len(some) else f" (cut after {seconds:.0f} s at {done:,} events)"
        print(f"  {label:36} {rate:10,.0f}/s {one.cpu:8.1f} µs {mean_size:9,} B{cut}")

    some = records(40_000, 1_000, rng)
    for windows in (("1h",), ("1d",), ("7d",), ("30d",), ("90d",)):
        line(f"window {windows[0]}", twenty(windows), 1_000, some)
    entity = twenty()
    for keys in (1_000, 100_000, most_keys):
        line(f"{keys:,} keys", entity, keys, records(max_of(40_000, keys), keys, rng))
    for events in (1_000, 100_000, 1_000_000):
        line(f"{events:,} events of one key", entity, 1, records(events, 1, rng))
    for late in (0, DAY // 24, DAY, 20 * DAY):
        line(f"events up to {late / DAY * 24:.0f} h late", entity, 1_000, records(40_000, 1_000, rng, late))


def max_of(one: int, other: int) -> int:
    return one if one > other else other


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=5_000)
    parser.add_argument("--most-keys", type=int, default=1_000_000)
    parser.add_argument("--redis", default="", help="a Redis server to measure too")
    parser.add_argument("--no-growth", action="store_true")
    options = parser.parse_args()
    rng = random.Random(7)
    some, entity = records(options.events, options.keys, rng), twenty()
    print(f"{options.events:,} events of {options.keys:,} keys over 40 days, 20 features over 1, 7 and 30 days")
    feast = feast_reads(options.keys)
    if not feast:
        print("Feast is not installed here (PEERS_PYTHON names an interpreter that has it): left out")
    with tempfile.TemporaryDirectory() as folder:
        places = {"memory": "memory://", "lmdb": f"lmdb://{Path(folder)}/state?map_mb=512"}
        if options.redis:
            places["redis"] = f"{options.redis}?name=bench{os.getpid()}"
        for name, url in places.items():
            store = open_state(url)
            wall, cpu = fold(entity, store, some)
            print(f"\n{name}: {wall:,.0f} events/s folded, {cpu:,.0f} for a second of CPU")
            for n, found in reads(entity, store, options.keys, rng).items():
                beside = (
                    f"   Feast/SQLite {feast[n].median:10.1f} µs, {feast[n].median / found.median:6.1f}x"
                    if feast
                    else ""
                )
                print(f"  read {n:4}: {found.median:9.1f} µs, p99 {found.p99:9.1f}, cpu {found.cpu:9.1f}{beside}")
            store.close()
    if not options.no_growth:
        growth(rng, options.most_keys)


if __name__ == "__main__":
    main()
