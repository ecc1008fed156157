"""Fills the disk of a store and says what came of it; started by `test_full_disk.py` on a disk of its own.

`python -m tests.live.full_disk KIND FOLDER`: writes until the store refuses, makes room, writes again, and prints the
number of refusals, and what was acknowledged but is missing or there twice.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from flyball.core import StoreUnavailable
from flyball.events import Quarantined, open_log, open_quarantine
from flyball.files import open_files
from flyball.registry import Registry, begin_run
from flyball.stores import open_state
from flyball.testing.log_contract import read_all, record

BODY = b"x" * 4_000
AT_ONCE = 20

Write = Callable[[int], object]
Stored = Callable[[], list[int]]


class Outcome(msgspec.Struct):
    """`missing`: acknowledged and not there. `twice`: there more than once."""

    refused: int
    acknowledged: int
    missing: int
    twice: int


def of_log(folder: Path) -> tuple[Write, Stored]:
    log = open_log(f"sqlite://{folder}/events.db?partitions=1")

    def write(number: int) -> object:
        return log.append([msgspec.structs.replace(record(number, "a"), body=BODY)])

    return write, lambda: [kept.known_at for kept in read_all(log, (0,), 100)[0]]


def of_quarantine(folder: Path) -> tuple[Write, Stored]:
    quarantine = open_quarantine(f"sqlite://{folder}/quarantine.db")

    def write(number: int) -> object:
        return quarantine.put([Quarantined(1, "r", "d", BODY, "s", number, "csv")])

    return write, lambda: [entry.position for entry in quarantine.list(limit=100_000)]


def of_registry(folder: Path) -> tuple[Write, Stored]:
    registry = Registry(f"sqlite://{folder}/registry.db")
    return (
        lambda number: begin_run(registry, BODY.decode(), number, number),
        lambda: [run.as_of_us for run in registry.runs()],
    )


def of_state(folder: Path) -> tuple[Write, Stored]:
    store = open_state(f"lmdb://{folder}/state")

    def write(number: int) -> object:
        return store.write({b"%09d" % number: BODY}, (number,))

    return write, lambda: [int(key) for key, _ in store.scan(b"0")]


def of_files(folder: Path) -> tuple[Write, Stored]:
    files = open_files("history", f"file://{folder}/history", folder / "cache")
    return (
        lambda number: files.write(f"parts/{number}", BODY),
        lambda: [int(info.name.rpartition("/")[2]) for info in files.names()],
    )


KINDS = {"log": of_log, "quarantine": of_quarantine, "registry": of_registry, "state": of_state, "files": of_files}


def fill(kind: str, folder: Path) -> Outcome:
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 4_000_000)
    write, stored = KINDS[kind](folder)
    acknowledged, refused, number = list[int](), 0, 0
    while refused < 3:
        number += 1
        try:
            write(number)
            acknowledged.append(number)
        except StoreUnavailable:
            refused += 1
    ballast.unlink()
    for again in range(number + 1, number + AT_ONCE):  # it recovers by itself, in the process that had it open
        write(again)
        acknowledged.append(again)
    counts = Counter(stored())
    missing = sum(counts[number] == 0 for number in acknowledged)
    return Outcome(refused, len(acknowledged), missing, sum(count > 1 for count in counts.values()))


if __name__ == "__main__":
    print(msgspec.json.encode(fill(sys.argv[1], Path(sys.argv[2]))).decode())
