"""What is read a day at a time is what the history gives, and stays up to date when the history has more."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
from polars.testing import assert_frame_equal
from tests.monitoring.watch.shops import DAY_US, HOUR_US, START_US, shop

from flyball.monitoring.watch.known_rows import KnownRows
from flyball.operations import catch_up
from flyball.runtime import Runtime
from flyball.simulation.past import ingest_pieces, pieces_of


def test_rows_of_any_window_are_those_of_the_history(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 3)
    known = KnownRows(runtime)
    windows = [(0, 1), (5, 6), (20, 30), (24, 48), (47, 49), (71, 80), (90, 91)]
    for first, end in windows:
        since_us, until_us = START_US + first * HOUR_US, START_US + end * HOUR_US
        expected = runtime.history.events("buy", as_of_us=until_us - 1, known_since_us=since_us)
        assert_frame_equal(known.rows("buy", since_us, until_us), expected)
    line = {"type": "buy", "at": START_US + 5 * HOUR_US, "visitor": "v", "item": "late", "price": 1.0}
    ingest_pieces(runtime, "jsonl", pieces_of([json.dumps(line).encode()]), "late purchases", "history")
    catch_up(runtime)
    assert "late" in known.rows("buy", START_US + 5 * HOUR_US, START_US + 6 * HOUR_US)["item"].to_list()


def test_days_are_read_once_and_only_so_many_rows_are_kept() -> None:
    reads: list[int] = []

    def events(name: str, as_of_us: int, known_since_us: int) -> pl.DataFrame:
        reads.append(known_since_us // DAY_US)
        return pl.DataFrame({"at": [known_since_us], "known_at": [known_since_us]})

    history: Any = SimpleNamespace(events=events, offsets=lambda: (1,))
    known = KnownRows(cast(Runtime, SimpleNamespace(history=history)), most_rows=2)
    for hour in range(48):
        known.rows("buy", hour * HOUR_US, (hour + 1) * HOUR_US)
    assert reads == [0, 1]
    known.rows("buy", 2 * DAY_US, 3 * DAY_US)
    known.rows("buy", 0, HOUR_US)
    assert reads == [0, 1, 2, 0]
