"""The memory of a backfill beside the size of its data: computed at once, and by ranges of keys.

Run: python benchmarks/backfill_memory.py [--events 6000000] [--memory 100MB]
Each runs in a process of its own; the peak is that of the process, of which Python and its packages take about 150 MB.
Rows are read and returned as a whole, so they are few: a row for every 100 events.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

import flyball as fb
from flyball.core import parse_size
from flyball.features import backfill, point_in_time

FILE_ROWS = 1_000_000
USERS_PER_EVENT = 1 / 40
DAY_US = 86_400_000_000


class Watch(fb.Event):
    user: Annotated[int, fb.Ref("user")]
    film: Annotated[int, fb.Ref("film")]
    minute: Annotated[int, fb.integer(0, 10**6)]


USER = fb.Entity(
    "user",
    watched=fb.distinct(Watch, lambda w: w.film, "30d", max_events=1_000),
    minutes=fb.sum(Watch, lambda w: w.minute, "7d"),
    events=fb.count(Watch, "7d"),
)


def write_events(folder: Path, events: int) -> None:
    rng = np.random.default_rng(1)
    for start in range(0, events, FILE_ROWS):
        rows = min(FILE_ROWS, events - start)
        at = np.sort(rng.integers(0, 60 * DAY_US, rows))
        frame = pl.DataFrame(
            {
                "user": rng.integers(0, int(events * USERS_PER_EVENT), rows),
                "film": rng.integers(0, 20_000, rows),
                "minute": rng.integers(0, 180, rows),
                "at": at,
                "known_at": at,
                "partition": np.zeros(rows, np.int64),
                "offset": np.arange(start, start + rows),
                "flags": np.zeros(rows, np.int64),
            }
        )
        frame.write_parquet(folder / f"watch-{start:012}.parquet")


def compute(folder: Path, events: int, memory: int) -> None:
    """In this process: at once with no `memory`, else by ranges; prints seconds, peak MB and a digest."""
    rng = np.random.default_rng(2)
    asked = events // 100
    users = rng.integers(0, int(events * USERS_PER_EVENT), asked)
    rows = pl.DataFrame({"user": users, "at": rng.integers(0, 60 * DAY_US, asked)})
    files = sorted(folder.glob("watch-*.parquet"))
    start = time.perf_counter()
    if memory:
        result = backfill([USER], {"watch": files}, rows, folder / "out", memory_bytes=memory)
    else:
        result = point_in_time([USER], {"watch": pl.read_parquet(files)}, rows)
    seconds = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    print(f"{seconds:.1f} {peak_mb:.0f} {result.hash_rows(1).sum()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=6_000_000)
    parser.add_argument("--memory", default="100MB")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bytes", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.folder is not None:
        compute(chosen.folder, chosen.events, chosen.bytes)
        return
    print(f"{'events':>12} {'data MB':>8} {'how':>22} {'seconds':>8} {'peak MB':>8}")
    for events in (chosen.events // 3, chosen.events):
        with tempfile.TemporaryDirectory() as name:
            folder, digests = Path(name), []
            write_events(folder, events)
            data_mb = sum(
                8 * 8 * pl.scan_parquet(p).select(pl.len()).collect().item() for p in folder.glob("*.parquet")
            )
            for how, memory in (("at once", 0), (f"ranges, {chosen.memory}", parse_size(chosen.memory))):
                command = [sys.executable, __file__, f"--folder={folder}", f"--events={events}", f"--bytes={memory}"]
                done = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                digests.append(done[2])
                print(f"{events:>12,} {data_mb / 1e6:>8,.0f} {how:>22} {done[0]:>8} {done[1]:>8}")
            print("equal" if len(set(digests)) == 1 else f"DIFFERENT: {digests}")


if __name__ == "__main__":
    main()
