"""How fast workers apply a log to state in Redis when they share its partitions, and what part of it they do by turns.

    scripts/with-redis python benchmarks/shared_state.py [--events 40000] [--workers 1,2,4]

Events are watches of 5,000 users, of films of which few are watched much. Each worker is a process with its partitions;
batches have 2,000 events, as those of the log worker. Every run ends with the bytes that one worker writes.
"""

import argparse
import os
import random
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from flyball.core import new_id
from flyball.events import Record, Slice
from flyball.state import StateConsumer
from flyball.stores import StateStore, open_state
from flyball.testing.state_logs import APPLICATION, START

BATCH, PARTITIONS, USERS, FILMS = 2_000, 8, 5_000, 3_000


def partitioned(events: int) -> list[list[Record]]:
    rng, log = random.Random(1), [list[Record]() for _ in range(PARTITIONS)]
    for number in range(events):
        fields = {"user": rng.randrange(USERS), "film": f"f{int(rng.paretovariate(0.7)) % FILMS}", "minute": 30}
        record = APPLICATION.record("watch", START + number, **fields)
        log[zlib.crc32(record.key.encode()) % PARTITIONS].append(record)
    return log


class Timed(StateConsumer):
    """Notes the CPU seconds of what is folded before a transaction begins."""

    ahead_s = 0.0

    def _ahead(self, slices, ready):  # type: ignore[no-untyped-def]
        began_s = time.process_time()
        folded = super()._ahead(slices, ready)
        self.ahead_s += time.process_time() - began_s
        return folded


def follow(url: str, assigned: list[int], events: int) -> tuple[float, float, float, float]:
    """Apply these partitions; returns when it began and ended, CPU seconds, and those before transactions."""
    log, store = partitioned(events), open_state(url)
    one = Timed(APPLICATION.views, store, partitions=PARTITIONS, beside=True, assigned=assigned)
    began_s, before_s = time.monotonic(), time.process_time()
    for first in range(0, max(len(log[partition]) for partition in assigned), BATCH // len(assigned)):
        end = first + BATCH // len(assigned)
        one.apply(
            [Slice(partition, first, log[partition][first:end]) for partition in assigned if log[partition][first:]]
        )
    return began_s, time.monotonic(), time.process_time() - before_s, one.ahead_s


def written(store: StateStore) -> list[tuple[bytes, bytes]]:
    return list(store.scan(b""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--workers", default="1,2,4")
    given = parser.parse_args()
    first = None
    for workers in map(int, given.workers.split(",")):
        url = f"{os.environ['TEST_REDIS_URL']}?name=shared-{new_id(1, random.Random())}"
        shares = [list(range(PARTITIONS))[index::workers] for index in range(workers)]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            runs = list(pool.map(follow, [url] * workers, shares, [given.events] * workers))
        took_s = max(run[1] for run in runs) - min(run[0] for run in runs)
        cpu_s, ahead_s = sum(run[2] for run in runs), sum(run[3] for run in runs)
        state = written(open_state(url))
        first = first or state
        rate, each_us = given.events / took_s, cpu_s / given.events * 1e6
        print(
            f"{workers} workers: {rate:,.0f} events/s, {each_us:.1f} us of CPU each, "
            f"{ahead_s / cpu_s:.0%} of it before transactions; "
            f"{'equal to' if state == first else 'NOT equal to'} what one wrote",
            flush=True,
        )


if __name__ == "__main__":
    main()
