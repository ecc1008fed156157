"""Killed with -9 at any time and started again, `flyball ingest` neither loses nor doubles an event."""

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flyball.events import DeclaredLog, Event, EventLog, open_log, open_quarantine
from flyball.testing.movie_events import movie_schema

LINES = 60_000
DEADLINE_S = 120.0


def write_log(path: Path) -> tuple[int, int]:
    """A log with repeated and corrupt lines; returns (different events, corrupt lines)."""
    rng = random.Random(7)
    events: set[str] = set()
    corrupt = 0
    with path.open("w") as file:
        for number in range(LINES):
            second = number // 300
            line = f"2024-03-01T10:{second // 60:02d}:{second % 60:02d},{rng.randint(1, 300)},"
            line += f"GET /data/m/film+{rng.randint(1, 40)}/{rng.randint(0, 2)}.mpg"
            if rng.random() < 0.002:
                line, corrupt = line.replace("GET", "G ET"), corrupt + 1
            else:
                events.add(line)
            file.write(line + "\n")
    return len(events), corrupt


def start(log: Path, home: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "flyball", "ingest", "movies", str(log), "--format", "movielog"]
    return subprocess.Popen([*command, "--home", str(home), "--json"], stdout=subprocess.PIPE, text=True)


def kill_when(process: "subprocess.Popen[str]", log: EventLog, records: int) -> bool:
    """Kill once the log holds so many records; False when the process ended before."""
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while sum(log.ends()) < records and process.poll() is None:
        assert time.monotonic() < deadline, "the log must grow"
        pause.wait(0.002)
    ended = process.poll() is not None
    process.kill()
    process.communicate()
    return not ended


def decoded(log: EventLog) -> list[Event]:
    schema = movie_schema()
    slices = log.read((0,) * len(log.ends()), 10 * LINES)
    return schema.decode_many([record for piece in slices for record in piece.records])


@pytest.mark.live
def test_every_event_is_there_once_whenever_it_was_killed(tmp_path: Path) -> None:
    path, home = tmp_path / "a.log", tmp_path / "home"
    events, corrupt = write_log(path)
    home.mkdir()
    log = DeclaredLog(open_log(f"sqlite://{home}/events.db?partitions=4"), movie_schema())
    rng = random.Random(11)
    killed = 0
    for share in (0.0, 0.1, 0.3, 0.6, 0.9):
        before = sum(log.ends())
        wanted = max(before + 1, round(events * (share + 0.1 * rng.random())))
        killed += kill_when(start(path, home), log, wanted if share else before)
    assert killed >= 3, "most runs must have been killed before their end"

    process = start(path, home)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    report = json.loads(output.splitlines()[-1])
    held = decoded(log)
    assert (report["read"], sum(report["quarantined"].values())) == (LINES, corrupt)
    assert len(held) == len({(e.at, e.user, e.film, e.minute) for e in held}) == events  # type: ignore[attr-defined]
    entries = open_quarantine(f"sqlite://{home}/quarantine.db").list(limit=LINES)
    assert len(entries) == len({entry.position for entry in entries}) == corrupt
    log.close()  # type: ignore[attr-defined]
