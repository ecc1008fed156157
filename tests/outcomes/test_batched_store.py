"""The store that reads and writes a batch at once holds what the plain one does, row by row, in any delivery."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.outcomes.joins import (
    ABOUT,
    LATER_US,
    SCHEMA,
    START_US,
    Happened,
    deliver,
    delivered,
    found_by,
    happenings,
    naive,
    predicted,
    shown,
    watch,
)

from flyball.events import Slice
from flyball.outcomes import OutcomeConsumer, prediction_record
from flyball.outcomes.batched_store import BatchedOutcomeStore
from flyball.outcomes.tables import open_tables

TABLES = ("offsets", "marks", "requested", "label_events", "attributions", "counts")


def batched(path: Path) -> OutcomeConsumer:
    """A consumer that writes to a file as one writes to a server."""
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    consumer.__dict__["_store"] = BatchedOutcomeStore(path)
    return consumer


def rows_in(path: Path) -> dict[str, object]:
    """What is stored, with the names of items in place of their numbers, which depend on the order within a batch."""
    tables = open_tables(path, "outcomes")
    names = dict(tables.execute("SELECT number, name FROM items").fetchall())
    rows: dict[str, object] = {name: sorted(tables.execute(f"SELECT * FROM {name}").fetchall()) for name in TABLES}
    for table, column in (("label_events", 2), ("attributions", 4)):
        listed = tables.execute(f"SELECT * FROM {table}").fetchall()
        rows[table] = sorted((*row[:column], names.get(row[column], ""), *row[column + 1 :]) for row in listed)
    listed = tables.execute("SELECT grp, key, at, id, version, items, decision FROM requested").fetchall()
    rows["requested"] = sorted((*row[:5], [names[number] for number in memoryview(row[5]).cast("I")]) for row in listed)
    tables.close()
    return rows


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(happenings, max_size=30), st.lists(shown, max_size=10), st.integers(0, 1_000))
def test_rows_equal_those_of_the_plain_store_and_the_naive_join(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Happened],
    requests: list[tuple[int, list[str], int, str]],
    seed: int,
) -> None:
    log, predictions, order = delivered(events, requests, random.Random(seed))
    folder = tmp_path_factory.mktemp("outcomes")
    stored = []
    for name, consumer in (
        ("plain", OutcomeConsumer(SCHEMA, ABOUT, folder / "plain.db")),
        ("batched", batched(folder / "batched.db")),
    ):
        deliver(consumer, order)
        consumer.settle(LATER_US)
        deliver(consumer, order)  # all of it again
        consumer.close()
        stored.append(rows_in(folder / f"{name}.db"))
    assert stored[0] == stored[1]
    assert found_by(folder / "batched.db", predictions) == naive(predictions, log)


def test_a_batch_that_fails_leaves_nothing_for_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer, plain = batched(tmp_path / "batched.db"), OutcomeConsumer(SCHEMA, ABOUT, tmp_path / "plain.db")
    prediction = Slice(0, 0, [prediction_record(predicted(1, ["a", "b"], START_US, "v1", 1))])
    with monkeypatch.context() as patch:
        patch.setattr(BatchedOutcomeStore, "_write", lambda store: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            consumer.apply_predictions([prediction])
    for each in (consumer, plain):
        each.apply_predictions([prediction])
        each.apply_events([Slice(0, 0, [watch("b", START_US + 1)])])
    assert rows_in(tmp_path / "batched.db") == rows_in(tmp_path / "plain.db")


def test_more_rows_than_a_statement_names_are_written_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flyball.outcomes.batched_store._AT_ONCE", 3)
    consumer, plain = batched(tmp_path / "batched.db"), OutcomeConsumer(SCHEMA, ABOUT, tmp_path / "plain.db")
    answers = [predicted(user, [f"f{user}", f"f{user + 1}"], START_US, "v1", user) for user in range(1, 9)]
    for each in (consumer, plain):
        each.apply_predictions([Slice(0, 0, [prediction_record(answer) for answer in answers])])
        each.apply_events([Slice(0, 0, [watch(f"f{user}", START_US + user) for user in range(1, 9)])])
    assert rows_in(tmp_path / "batched.db") == rows_in(tmp_path / "plain.db")
