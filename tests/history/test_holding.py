"""A held history stays as it was: over later events, over merges, and with fields that came later."""

from pathlib import Path
from typing import Annotated

import polars as pl
import pytest

from flyball.core import NotFound
from flyball.events import Event, Record, Ref, Schema, Slice, integer
from flyball.history import History, HistoryConsumer, hold_events


def declared(newer: bool) -> Schema:
    class Play(Event):
        user: Annotated[int, Ref("user")]

    if newer:

        class Play(Event):  # type: ignore[no-redef]
            user: Annotated[int, Ref("user")]
            minutes: Annotated[int, integer(0, 90)] = 5

    return Schema([Play])


def records(schema: Schema, numbers: range) -> list[Record]:
    return [schema.check("play", {"user": number}, 1_000 + number, 2_000 + number) for number in numbers]


def read(files: list[Path]) -> pl.DataFrame:
    return pl.read_parquet(files).sort("offset")


def test_it_stays_as_it_was_and_fits_what_is_declared_now(tmp_path: Path) -> None:
    older, newer = declared(newer=False), declared(newer=True)
    writer = HistoryConsumer(older, tmp_path / "history", partitions=1, flush_rows=10)
    writer.apply([Slice(0, 0, records(older, range(10)))])
    writer = HistoryConsumer(newer, tmp_path / "history", partitions=1, flush_rows=10, fan_in=2)
    writer.apply([Slice(0, 10, records(newer, range(10, 20)))])
    history = History(tmp_path / "history", newer)
    held = hold_events(history, ["play"], tmp_path / "held")
    before = history.events("play")
    assert read(held["play"]).equals(before)
    assert before["minutes"].to_list() == [5] * 20
    for first in range(20, 60, 10):  # merged on the way
        writer.apply([Slice(0, first, records(newer, range(first, first + 10)))])
    assert history.events("play").height == 60
    again = hold_events(history, ["play"], tmp_path / "held")
    assert again == held
    assert read(again["play"]).equals(before)


def test_a_folder_that_was_not_filled_is_filled_again(tmp_path: Path) -> None:
    schema = declared(newer=True)
    HistoryConsumer(schema, tmp_path / "history", partitions=1, flush_rows=1).apply(
        [Slice(0, 0, records(schema, range(3)))]
    )
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "play-00000.parquet").write_bytes(b"half of a file")
    held = hold_events(History(tmp_path / "history", schema), ["play"], tmp_path / "held")
    assert read(held["play"])["user"].to_list() == [0, 1, 2]


def test_a_type_without_events_has_no_files_and_another_is_refused(tmp_path: Path) -> None:
    history = History(tmp_path / "history", declared(newer=True))
    assert hold_events(history, ["play"], tmp_path / "held") == {"play": []}
    with pytest.raises(NotFound, match="event type"):
        hold_events(history, ["watch"], tmp_path / "other")
