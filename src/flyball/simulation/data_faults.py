"""Faults of data on their way to the log: lines get lost, come late, or hold other values than were meant."""

import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import numpy as np
from msgspec import Struct

HOUR_US = 3_600_000_000
LOST, LATE_US = 0.5, 12 * HOUR_US
_MOVED_US = -3 * HOUR_US
_AGAIN_US, _NEW_IDS = 1_000_000, 2**40
"""How much later a line is sent again, and what is added to the id in it."""
_STARS = re.compile(rb"=\d$")
_TIME = re.compile(rb"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d(:[0-5]\d(\.\d{1,6})?)?")

WireLines = Sequence[bytes]


class DataFault(Struct, frozen=True):
    """What happens to the lines of a format. `words`: a description.

    `strike(lines, rng)`: what becomes of each line, None for one that is lost. `late_us`: how much later they come.
    `within_us`: how soon it must be found. `lasts_us`: how long it lasts, None for to the end. `fractions`: how many
    numbers with a fraction a line must have. `live`: whether only the times when lines arrive show it. `divided`:
    whether lines come from two sources, in the past too.
    """

    words: str
    strike: Callable[[WireLines, np.random.Generator], list[bytes | None]]
    within_us: int
    late_us: int = 0
    lasts_us: int | None = None
    fractions: int = 0
    live: bool = False
    divided: bool = False


SOURCES = ("north", "south")
"""The two sources of a drill of sources; each line is of one of them by its hash."""


def by_source(lines: WireLines) -> dict[str, list[bytes]]:
    """The lines of each of `SOURCES`, in their order.

    >>> lines = [b"a", b"b", b"c", b"d"]
    >>> sorted(line for part in by_source(lines).values() for line in part) == lines
    True
    """
    return {source: [line for line in lines if _is_of(line, source)] for source in SOURCES}


def _is_of(line: bytes, source: str) -> bool:
    return SOURCES[crc32(line) % len(SOURCES)] == source


def _kept(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    return list(lines)


def _lost(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    return [None if lost else line for line, lost in zip(lines, rng.random(len(lines)) < LOST, strict=True)]


def _all_lost(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    return [None] * len(lines)


def _silent(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    """The lines of the second source are lost."""
    return [None if _is_of(line, SOURCES[1]) else line for line in lines]


def _cents(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    """Numbers with a fraction a hundred times as large; in lines that are no JSON, every rating 1."""
    return [_with_values(line, lambda value: value * 100 if isinstance(value, float) else value) for line in lines]


def _empty(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    """In half of the lines every value but the type, the time and keys is missing."""
    struck = rng.random(len(lines)) < LOST
    return [
        _with_values(line, lambda value: None if isinstance(value, float) else value) if hit else line
        for line, hit in zip(lines, struck, strict=True)
    ]


def _with_values(line: bytes, change: Callable[[Any], Any]) -> bytes:
    """A line of JSON with changed values; of another line the rating is set to 1."""
    if not line.startswith(b"{"):
        return _STARS.sub(b"=1", line)
    return json.dumps({name: change(value) for name, value in json.loads(line).items()}).encode()


def _moved(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    """In half of the lines, as of one of two sources, the time is three hours earlier."""
    struck = rng.random(len(lines)) < LOST
    return [_at_another_time(line, _MOVED_US) if hit else line for line, hit in zip(lines, struck, strict=True)]


def _twice(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    """Half of the lines come once more: of JSON with another first whole number, the id, else a second later."""
    sent: list[bytes | None] = []
    for line, hit in zip(lines, rng.random(len(lines)) < LOST, strict=True):
        sent += [line, _with_new_id(line)] if hit else [line]
    return sent


def _exchanged(lines: WireLines, rng: np.random.Generator) -> list[bytes | None]:
    """The first two fractions of each line of JSON in each other's place."""
    return [_with_fractions_exchanged(line) for line in lines]


def _at_another_time(line: bytes, moved_us: int) -> bytes:
    if line.startswith(b"{"):
        fields = json.loads(line)
        return json.dumps({**fields, "at": fields["at"] + moved_us}).encode()
    time, comma, others = line.partition(b",")
    if not _TIME.fullmatch(time):  # corrupted on its way, as some are
        return line
    moved = datetime.fromisoformat(time.decode()).replace(tzinfo=UTC) + timedelta(microseconds=moved_us)
    return moved.strftime("%Y-%m-%dT%H:%M:%S").encode() + comma + others


def _with_new_id(line: bytes) -> bytes:
    if not line.startswith(b"{"):
        return _at_another_time(line, _AGAIN_US)
    fields = json.loads(line)
    id = next((name for name, value in fields.items() if name != "at" and type(value) is int), None)
    return json.dumps(fields if id is None else {**fields, id: fields[id] + _NEW_IDS}).encode()


def _with_fractions_exchanged(line: bytes) -> bytes:
    fields = json.loads(line) if line.startswith(b"{") else {}
    names = [name for name, value in fields.items() if isinstance(value, float)][:2]
    if len(names) < 2:
        return line
    first, second = names
    return json.dumps({**fields, first: fields[second], second: fields[first]}).encode()


FAULTS = {
    "data-loss": DataFault("half of the lines are lost", _lost, 24 * HOUR_US),
    "outage": DataFault("no line comes for twelve hours", _all_lost, 6 * HOUR_US, lasts_us=12 * HOUR_US),
    "silent-source": DataFault("one of two sources sends nothing", _silent, 24 * HOUR_US, divided=True),
    "slow-source": DataFault("lines come twelve hours late", _kept, 6 * HOUR_US, late_us=LATE_US),
    "unit-change": DataFault("numbers are a hundred times as large, ratings all 1", _cents, 24 * HOUR_US),
    "missing-values": DataFault("in half of the lines numbers are missing, ratings all 1", _empty, 24 * HOUR_US),
    "moved-times": DataFault("in half of the lines the time is three hours earlier", _moved, 24 * HOUR_US, live=True),
    "sent-twice": DataFault("half of the lines are sent twice, under new ids", _twice, 24 * HOUR_US),
    "exchanged-columns": DataFault(
        "two numbers of each line are in each other's place", _exchanged, 24 * HOUR_US, fractions=2
    ),
}
"""The faults of data, by the name of their drill."""


def faults_of(fractions: int) -> dict[str, DataFault]:
    """The faults that can be planted in lines with so many numbers with a fraction."""
    return {name: fault for name, fault in FAULTS.items() if fault.fractions <= fractions}


class FaultyWire:
    """Passes lines on, and from `begin_us` on what `fault` makes of them; `None` passes all on as they are."""

    def __init__(self, fault: DataFault | None, begin_us: int, rng: np.random.Generator) -> None:
        self._fault, self._begin_us, self._rng = fault, begin_us, rng
        self._waiting: deque[tuple[int, str, bytes]] = deque()
        self.struck = 0

    def passed(self, format: str, lines: WireLines, now_us: int) -> list[bytes]:
        """The lines of a format that arrive by `now_us`, in order."""
        arriving = [line for due_us, of_format, line in self._waiting if of_format == format and due_us <= now_us]
        self._waiting = deque(item for item in self._waiting if item[1] != format or item[0] > now_us)
        fault = self._fault
        over_us = None if fault is None or fault.lasts_us is None else self._begin_us + fault.lasts_us
        if fault is None or now_us <= self._begin_us or (over_us is not None and now_us > over_us):
            return [*arriving, *lines]
        self.struck += len(lines)
        changed = [line for line in fault.strike(lines, self._rng) if line is not None]
        if fault.late_us:
            self._waiting.extend((now_us + fault.late_us, format, line) for line in changed)
            return arriving
        return [*arriving, *changed]
