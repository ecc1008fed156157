"""Lines of the movie service's log ingested per second, end to end, on one core.

Each line is parsed, checked against its declaration, looked up in the catalog, looked up among all identities and
durably appended (SQLite, WAL, synchronous=FULL). Run: `python benchmarks/ingest.py [--lines N] [--json]`.
A fifth as many lines that are all bad tell what one costs.
With TEST_DATA naming the folder of real data, the real log of 50,000 lines is measured too.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flyball.apps.movielog import MovieLog
from flyball.core import SystemClock
from flyball.events import DeclaredLog, EntityCatalog, Inlet, LineSource, ingest, open_log, open_quarantine
from flyball.testing.movie_events import Joined, movie_schema


def made_up_lines(count: int, films: list[str], seed: int = 1) -> Iterator[bytes]:
    """About 99 % watches, 0.5 % ratings, 0.4 % requests, 0.1 % lines with an injected character."""
    rng = random.Random(seed)
    for number in range(count):
        second = number // 500
        stamp = f"2024-03-{1 + second // 86_400:02d}T{second // 3_600 % 24:02d}:{second // 60 % 60:02d}"
        stamp += f":{second % 60:02d}" if second % 60 else ""
        user, film = rng.randint(1, 1_000_000), films[int(len(films) * rng.random() ** 3)]
        kind = rng.random()
        if kind < 0.99:
            line = f"{stamp},{user},GET /data/m/{film}/{rng.randint(0, 180)}.mpg"
        elif kind < 0.995:
            line = f"{stamp},{user},GET /rate/{film}={rng.randint(1, 5)}"
        else:
            shown = ", ".join(rng.choice(films) for _ in range(20))
            took_ms = rng.randint(5, 400)
            line = f"{stamp},{user},recommendation request host:8082, status 200, result: {shown}, {took_ms} ms"
        if rng.random() < 0.001:
            place = rng.randrange(len(line))
            line = f"{line[:place]}{rng.choice(' xQ7')}{line[place:]}"
        yield line.encode()


def bad_lines(count: int, films: list[str], seed: int = 1) -> Iterator[bytes]:
    """Watches of users that are no numbers."""
    for line in made_up_lines(count, films, seed):
        stamp, after = line.split(b",", 1)
        yield b"%s,x%s" % (stamp, after)


def made_up_films(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    words = ["the", "a", "red", "last", "night", "of", "river", "house", "lost", "king", "summer", "blue"]
    return [f"{'+'.join(rng.choices(words, k=rng.randint(1, 5)))}+{n}+{rng.randint(1920, 2024)}" for n in range(count)]


def measure(path: Path, films: list[str], repeat: bool) -> dict[str, Any]:
    """Take the file in with a catalog of `films` and a million users; with `repeat`, once more: all duplicates."""
    schema = movie_schema()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        home = Path(folder)
        log = DeclaredLog(open_log(f"sqlite://{home}/events.db?partitions=4"), schema)
        quarantine = open_quarantine(f"sqlite://{home}/quarantine.db")
        catalog = EntityCatalog(f"sqlite://{home}/catalog.db", schema, {"user": (Joined,)})
        inlet = Inlet(schema, log, quarantine, catalog, SystemClock())
        source = LineSource(path.name, MovieLog(), "movielog", "history")
        log.append([schema.check("filmcard", {"film": film}, 0, 0) for film in films])
        shown = {}
        for name in ("first", "again") if repeat else ("first",):
            cpu, wall = time.process_time(), time.perf_counter()
            with path.open("rb") as stream:
                report = ingest(MovieLog().lines(stream), source, inlet)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            shown[name] = {
                "lines": report.read,
                "accepted": sum(report.accepted.values()),
                "quarantined": sum(report.quarantined.values()),
                "duplicates": report.duplicates,
                "lines_per_s": round(report.read / wall),
                "lines_per_cpu_s": round(report.read / cpu),
            }
        return shown


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=500_000)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    films = made_up_films(27_000)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made_up.log"
        path.write_bytes(b"\n".join(made_up_lines(chosen.lines, films)) + b"\n")
        results["made_up"] = measure(path, films, repeat=True)
        path.write_bytes(b"\n".join(bad_lines(chosen.lines // 5, films)) + b"\n")
        results["all_bad"] = measure(path, films, repeat=False)
        real = Path(os.environ.get("TEST_DATA", "../shared/data")) / "movielog/raw_mcgill_f22_team4_50k.log"
        if real.exists():
            copy = Path(folder) / real.name
            copy.write_bytes(real.read_bytes())
            results["real"] = measure(copy, films, repeat=True)
    if chosen.json:
        json.dump(results, sys.stdout)
        return
    for name, runs in results.items():
        for run, row in runs.items():
            print(name, run, ", ".join(f"{key} {value:,}" for key, value in row.items()))


if __name__ == "__main__":
    main()
