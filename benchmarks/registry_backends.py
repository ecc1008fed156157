"""Registry, catalog, quarantine and outcomes on SQLite and on PostgreSQL: commits and reads a second, in turns on this
machine.

Run: python benchmarks/registry_backends.py [--rounds 7] [--calls 100]
Both keep what they committed when the machine crashes (SQLite synchronous=FULL, PostgreSQL fsync=on); outcomes in
SQLite may lose the last commits then, and are rebuilt. The server is one of its own on this machine, started by
.ci/engines/postgres; a network adds its round trips to each call. Medians over rounds; `cpu` is the time of this
process alone, for a busy machine; the ratio is of these medians.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Annotated

from flyball.core import new_id
from flyball.events import Event, Quarantined, Ref, Schema, Slice, integer, open_known_entities, open_quarantine
from flyball.outcomes import OutcomeConsumer, Prediction, location_of, prediction_record
from flyball.registry import AuditEntry, Registry, add_entry, incident_documents, replace_release
from flyball.tasks import About, Label

ENGINE = Path(__file__).parents[1] / ".ci" / "engines" / "postgres"
BATCH = 1_000

ANSWERS, SHOWN, SECOND = 200, 10, 1_000_000


class Visit(Event):
    user: Annotated[int, Ref("user")]


class Watch(Event):
    user: Annotated[int, Ref("user")]
    film: Annotated[str, Ref("film")]
    minute: Annotated[int, integer(0, 10**9)]


SCHEMA = Schema([Visit, Watch])
LABEL = Label(name="watched", event=Watch, by=("user", "film"), within_us=3_600 * SECOND)
ABOUT = About(kind="recommend", request=Visit, items="film", labels=(LABEL,))

Work = Callable[[], int]
"""Does one call; returns how many things it stored or read."""


class Outcomes:
    """Lists of 10 films of 500, each followed by one event about a film of it."""

    def __init__(self, url: str) -> None:
        self._consumer = OutcomeConsumer(SCHEMA, ABOUT, location_of(url, "outcomes"))
        self._rng, self._lists, self._at_us = random.Random(7), 0, 1_700_000_000 * SECOND
        self._shown: list[Prediction] = []
        self._joined = 0

    def answers(self) -> int:
        """Apply a batch of answers."""
        self._shown = [self._answer() for _ in range(ANSWERS)]
        records = [prediction_record(answer) for answer in self._shown]
        self._consumer.apply_predictions([Slice(0, self._lists, records)])
        self._lists += ANSWERS
        return ANSWERS

    def events(self) -> int:
        """Apply the events that follow the last batch of answers."""
        if not self._shown:
            self.answers()
        records = []
        for answer in self._shown:
            fields = {"user": int(answer.key), "film": self._rng.choice(answer.items), "minute": self._joined}
            records.append(SCHEMA.check("watch", fields, answer.at_us + SECOND, answer.at_us + SECOND))
            self._joined += 1
        self._consumer.apply_events([Slice(0, self._joined - ANSWERS, records)])
        return ANSWERS

    def _answer(self) -> Prediction:
        self._at_us += SECOND
        films = [f"f{film}" for film in self._rng.sample(range(500), SHOWN)]
        return Prediction(
            id=new_id(self._at_us, self._rng),
            at_us=self._at_us,
            key=str(self._rng.randrange(1, 400)),
            request_type="visit",
            request={},
            items=films,
            scores=[0.0] * SHOWN,
            sources=["model"] * SHOWN,
            version="v1",
            arm="champion",
            propensity=1.0,
            level="champion",
            offsets=(0,),
            took_us=1_000,
        )


def works(urls: dict[str, str]) -> dict[str, Work]:
    """What is measured of one engine."""
    registry, numbers = Registry(urls["registry"]), count(1)
    entities, quarantine = open_known_entities(urls["catalog"]), open_quarantine(urls["quarantine"])
    entry = AuditEntry(at_us=1, by="ann", action="note", subject="v1", reason="because", after={"champion": "v1"})
    outcomes = Outcomes(urls["outcomes"])
    serial = iter(count())
    replace_release(registry, next(serial), {"champion": None, "note": "x" * 2_000}, {}, entry)

    def release() -> int:
        replace_release(registry, next(serial), {"champion": None, "note": "x" * 2_000}, {}, entry)
        return 1

    def note() -> int:
        add_entry(registry, entry)
        return 1

    def released() -> int:
        return int(registry.released() is not None)

    def no_alerts() -> int:
        return len(incident_documents(registry, "alerts")) + 1

    def add() -> int:
        first = next(numbers) * BATCH
        entities.add({("user", str(number)): True for number in range(first, first + BATCH)}, (first,))
        return BATCH

    def put() -> int:
        first = next(numbers) * BATCH
        lines = [
            Quarantined(1, "decode", "d", b'{"user": 7, "item": ', "http", number, "jsonl")
            for number in range(first, first + BATCH)
        ]
        return quarantine.put(lines)

    return {
        "audit entries committed": note,
        "releases replaced": release,
        "release state read": released,
        "alerts read": no_alerts,
        f"entities added, {BATCH:,} a commit": add,
        f"lines quarantined, {BATCH:,} a commit": put,
        f"answers applied, {ANSWERS} a commit": outcomes.answers,
        f"events joined, {ANSWERS} a commit": outcomes.events,
    }


def measured(work: Work, calls: int) -> tuple[float, float]:
    """(things a second, things a second of this process's CPU)."""
    began, cpu = time.perf_counter(), time.process_time()
    done = sum(work() for _ in range(calls))
    return done / (time.perf_counter() - began), done / max(time.process_time() - cpu, 1e-9)


def compare(engines: dict[str, dict[str, Work]], rounds: int, calls: int) -> None:
    """Measure all engines in turns and print the medians."""
    for name in next(iter(engines.values())):
        rates: dict[str, list[tuple[float, float]]] = {engine: [] for engine in engines}
        own_calls = max(2, calls // 20) if "a commit" in name else calls
        for _ in range(rounds):
            for engine, own in engines.items():
                rates[engine].append(measured(own[name], own_calls))
        walls = {engine: statistics.median(wall for wall, _ in of_engine) for engine, of_engine in rates.items()}
        cpus = {engine: statistics.median(cpu for _, cpu in of_engine) for engine, of_engine in rates.items()}
        shown = "   ".join(f"{engine} {walls[engine]:>9,.0f}/s (cpu {cpus[engine]:>9,.0f}/s)" for engine in engines)
        print(f"{name:<36} {shown}   ratio {walls['PostgreSQL'] / walls['SQLite']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)  # the server is not root's
    server = folder / "server"
    subprocess.run([ENGINE, "start", server], check=True, env={**os.environ, "DURABLE": "1"}, stdout=subprocess.DEVNULL)
    try:
        url = f"{(server / 'url').read_text().strip()}?schema=bench"
        stores = ("registry", "catalog", "quarantine", "outcomes")
        engines = {
            "SQLite": works({store: f"sqlite://{folder}/{store}.db" for store in stores}),
            "PostgreSQL": works(dict.fromkeys(stores, url)),
        }
        compare(engines, options.rounds, options.calls)
    finally:
        subprocess.run([ENGINE, "stop", server], check=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
