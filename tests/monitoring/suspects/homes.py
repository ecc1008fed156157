"""A home whose history holds the events of honest accounts and of attackers."""

import json
from pathlib import Path

import polars as pl
from tests.monitoring.suspects.population import DAY_US, START_US, attackers, honest

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.operations import catch_up
from flyball.runtime import Runtime
from flyball.settings import load_settings
from flyball.simulation.past import ingest_pieces, pieces_of

END_US = START_US + 21 * DAY_US
APP = """
from typing import Annotated

import flyball as fb


class Rate(fb.Event):
    reader: Annotated[str, fb.Ref("reader")]
    book: Annotated[str, fb.Ref("book")]
    stars: float


app = fb.App(
    "books",
    events=[Rate],
    task=fb.Recommend(
        fb.Entity("reader"),
        fb.Entity("book"),
        positive=fb.outcome(Rate, where=lambda r: r.stars >= 4, within="1d"),
        rating=fb.value(Rate, lambda r: r.stars),
        k=5,
        cold_start_slots=0,
    ),
    candidates={"popular": fb.Popular()},
    gates=fb.gates(min_examples=5, max_answer="10s"),
    suspects=fb.suspects("ACTION"),
)
"""


def books(folder: Path, count: int = 12, action: str = "report", readers: int = 300) -> Runtime:
    """Some hundred readers, and `count` copies of an account that appeared on one day."""
    (folder / "books.py").write_text(APP.replace("ACTION", action))
    parts = [honest(2, readers), *([attackers("copies", count, 2)] if count else [])]
    rows = pl.concat(parts).sort("at")
    lines = [
        json.dumps({"type": "rate", "at": at, "reader": reader, "book": book, "stars": stars}).encode()
        for reader, book, _, at, stars in rows.iter_rows()
    ]
    runtime = Runtime(load_app(str(folder / "books.py")), load_settings(folder / "home"), ManualClock(END_US))
    ingest_pieces(runtime, "jsonl", pieces_of(lines), "books", "history")
    catch_up(runtime)
    return runtime
