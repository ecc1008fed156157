"""Outcomes and moved intervals on a real PostgreSQL server equal those in SQLite, whatever the order and the faults."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.live.postgres import GIVEN, HERE, MISSING, Server, execute, new_schema
from tests.outcomes.joins import (
    ABOUT,
    LATER_US,
    SCHEMA,
    START_US,
    deliver,
    delivered,
    found_by,
    happenings,
    naive,
    predicted,
    shown,
    watch,
)

from flyball.core import LeaseLost, Refused, StoreUnavailable
from flyball.events import Slice
from flyball.outcomes import (
    Location,
    OutcomeConsumer,
    Prediction,
    followed,
    location_of,
    outcomes_by_version,
    outcomes_frame,
    prediction_record,
)
from flyball.outcomes.frames import followed_labels
from flyball.outcomes.store import OutcomeStore
from flyball.outcomes.views import first_response_us

pytestmark = [pytest.mark.live, pytest.mark.skipif(not GIVEN and not HERE, reason=MISSING)]


@pytest.fixture
def location(url: str) -> Location:
    return url


def views_of(location: Location, predictions: list[Prediction]) -> list[Any]:
    return [
        outcomes_by_version(location, LATER_US),
        [followed(location, prediction) for prediction in predictions],
        outcomes_frame(location).rows(),
        sorted(map(repr, followed_labels(location, "adopted"))),
        [first_response_us(location, version) for version in ("", "v1", "v2", "v9")],
    ]


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(happenings, max_size=30), st.lists(shown, max_size=10), st.integers(0, 1_000))
def test_outcomes_equal_the_naive_join_and_those_in_sqlite(
    server: str,
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Any],
    requests: list[tuple[int, list[str], int, str]],
    seed: int,
) -> None:
    rng = random.Random(seed)
    log, predictions, order = delivered(events, requests, rng)
    file = tmp_path_factory.mktemp("outcomes") / "outcomes.db"
    with new_schema(server) as location:
        for target in (location, file):
            consumer = OutcomeConsumer(SCHEMA, ABOUT, target)
            deliver(consumer, order)
            deliver(consumer, rng.sample(order, len(order)))  # all of it again, in no order
            consumer.settle(LATER_US)
            consumer.close()
        assert found_by(location, predictions) == naive(predictions, log)
        assert views_of(location, predictions) == views_of(file, predictions)


def test_outcomes_lie_in_a_schema_beside_that_of_the_application() -> None:
    url = "postgresql://ann@db/flyball?schema=shop&pool=2"
    assert location_of(url, "outcomes") == "postgresql://ann@db/flyball?schema=shop_outcomes&pool=2"
    assert location_of(url, "intervals_0.8") == "postgresql://ann@db/flyball?schema=shop_intervals_0.8&pool=2"


def test_without_outcomes_views_are_empty(location: Location) -> None:
    assert views_of(location, [predicted(1, ["a"], START_US, "v1", 1)]) == [{}, [[]], [], [], [None] * 4]


def test_keys_and_items_may_be_any_text(location: Location) -> None:
    consumer = OutcomeConsumer(SCHEMA, ABOUT, location)
    films = ["a\0b", "\x1a", "\x1a0", "ü", "%s", "'", "?", " "]
    consumer.apply_predictions([Slice(0, 0, [prediction_record(predicted(1, films, START_US, "v1", 1))])])
    store = OutcomeStore(location)
    numbers = [store.number(film) for film in films]
    assert len(set(numbers)) == len(films)
    assert [store._tables.execute("SELECT name FROM items WHERE number = ?", (n,)).fetchone() for n in numbers] == [
        (film,) for film in films
    ]


def test_tables_of_a_newer_format_are_refused(location: Location) -> None:
    consumer = OutcomeConsumer(SCHEMA, ABOUT, location)
    consumer.apply_events([Slice(0, 0, [watch("a", START_US)])])
    execute(str(location), "UPDATE store_formats SET format = 99")
    with pytest.raises(Refused, match="must be of format 5, got format 99 of another release") as caught:
        OutcomeConsumer(SCHEMA, ABOUT, str(location).replace("flyball@", "flyball:s3cret@")).offsets("events", 1)
    assert "s3cret" not in str(caught.value)


def test_a_consumer_that_was_paused_while_another_took_over_writes_nothing(location: Location) -> None:
    woken, other = (OutcomeConsumer(SCHEMA, ABOUT, location, token=token) for token in (5, 7))
    woken.apply_events([Slice(0, 0, [watch("a", START_US)])])
    other.apply_events([Slice(0, 1, [watch("b", START_US)])])
    with pytest.raises(LeaseLost, match="lease of outcomes postgresql.* must be held with token 5, got 7"):
        woken.apply_events([Slice(0, 2, [watch("a", START_US + 1)])])
    assert other.offsets("events", 1) == (2,)


def test_other_labels_empty_the_tables_and_leave_the_schema(location: Location, server: str) -> None:
    deliver(OutcomeConsumer(SCHEMA, ABOUT, location), [("events", Slice(0, 0, [watch("a", START_US)]))])
    execute(str(location), "CREATE TABLE requested_before(n INTEGER)")
    import msgspec

    fewer = OutcomeConsumer(SCHEMA, msgspec.structs.replace(ABOUT, labels=ABOUT.labels[:2]), location)
    assert fewer.offsets("events", 1) == (0,)
    deliver(fewer, [("events", Slice(0, 0, [watch("a", START_US)]))])
    assert fewer.offsets("events", 1) == (1,)


def test_what_a_killed_server_did_not_commit_is_applied_when_it_is_back(fragile: Server, tmp_path: Path) -> None:
    location = f"{fragile.url}?schema=killed"
    consumer, prediction = OutcomeConsumer(SCHEMA, ABOUT, location), predicted(1, ["a"], START_US, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(prediction)])])
    pieces = [Slice(0, 0, [watch("a", START_US + 1)])]
    fragile.signal(signal.SIGKILL)
    with pytest.raises(StoreUnavailable, match="outcomes postgresql://.* must accept connections"):
        consumer.apply_events(pieces)
    with pytest.raises(StoreUnavailable):
        outcomes_by_version(location, LATER_US)
    fragile.start()
    consumer.apply_events(pieces)
    consumer.apply_events(pieces)
    (outcome,) = followed(location, prediction)
    assert (outcome.item, outcome.events) == ("a", {"watch": 1})


def test_a_server_killed_within_a_transaction_leaves_offsets_and_outcomes_together(fragile: Server) -> None:
    location = f"{fragile.url}?schema=within"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, location)
    consumer.apply_events([Slice(0, 0, [watch("a", START_US)])])
    store = OutcomeStore(location)

    def interrupted() -> None:
        with store.transaction():
            store.put_offsets("events", (7,))
            fragile.signal(signal.SIGKILL)
            store.put_mark("closed", 1)

    with pytest.raises(StoreUnavailable):
        interrupted()
    fragile.start()
    assert (consumer.offsets("events", 1), store.mark("closed")) == ((1,), None)
    with store.transaction():
        store.put_mark("closed", 2)
    assert store.mark("closed") == 2
