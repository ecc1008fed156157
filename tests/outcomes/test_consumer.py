"""The outcome consumer against a naive join, in any order of delivery, with crashes and re-delivery."""

import random
import sqlite3
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.outcomes.joins import (
    ABOUT,
    BY,
    ITEMS_ONLY,
    LABELS,
    LATER_US,
    SCHEMA,
    SPAN_US,
    START_US,
    WINDOW_US,
    Film,
    Happened,
    Left,
    User,
    Watch,
    deliver,
    delivered,
    expression,
    found_by,
    happenings,
    naive,
    predicted,
    shown,
    watch,
)

from flyball.core import BadDeclaration, BadInput, LeaseLost, Refused, StoreUnavailable
from flyball.events import Event, Record, Ref, Schema, Slice
from flyball.outcomes import (
    LabelMetric,
    OutcomeConsumer,
    Prediction,
    followed,
    outcomes_by_version,
    prediction_record,
)
from flyball.outcomes.counts import MINUTE_US
from flyball.outcomes.tables import Location, open_tables
from flyball.tasks import About, Label


@settings(max_examples=100, deadline=None)
@given(st.lists(happenings, max_size=30), st.lists(shown, max_size=10), st.integers(0, 1_000))
def test_equals_the_naive_join_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Happened],
    asked: list[tuple[int, list[str], int, str]],
    seed: int,
) -> None:
    rng = random.Random(seed)
    log, predictions, order = delivered(events, asked, rng)
    path = tmp_path_factory.mktemp("outcomes") / "outcomes.db"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    deliver(consumer, order)
    before = outcomes_by_version(path, LATER_US)
    deliver(consumer, order)  # all of it again
    consumer.close()
    reopened = OutcomeConsumer(SCHEMA, ABOUT, path)
    deliver(reopened, rng.sample(order, len(order)))  # and again, in no order
    assert outcomes_by_version(path, LATER_US) == before
    expected = naive(predictions, log)
    assert found_by(path, predictions) == expected
    assert all(p.items[one.position] == one.item for p in predictions for one in followed(path, p) if one.item)
    for version, outcomes in before.items():
        responses = [p for p in predictions if p.version == version]
        assert outcomes.responses == len(responses)
        assert outcomes.availability == sum(bool(p.items) for p in responses) / len(responses)
        assert sum(outcomes.levels.values()) == len(responses)
        for name in ("positive", "adopted", "visited"):
            assert_share(outcomes.labels[name], [expected.get(p.id, {}) for p in responses], name)
        for name, otherwise in (("rating", None), ("left", 0.0)):
            assert_mean(outcomes.labels[name], [expected.get(p.id, {}) for p in responses], name, otherwise)


def assert_share(metric: LabelMetric, found: list[dict[str, dict[str, object]]], name: str) -> None:
    values = [[labels.get(name) for labels in items.values()] for items in found]
    holding = sum(1.0 in some for some in values)
    censored = sum("censored" in some and 1.0 not in some for some in values)
    assert metric.censored == censored
    assert metric.n == sum(some.count(1.0) for some in values)
    assert (metric.mature, metric.open) == (len(found), 0)
    assert metric.value == metric.so_far == (holding / (len(found) - censored) if len(found) > censored else None)


def assert_mean(
    metric: LabelMetric, found: list[dict[str, dict[str, object]]], name: str, otherwise: float | None
) -> None:
    values = [[labels[name] for labels in items.values() if name in labels] for items in found]
    numbers = [number for some in values for number in some] + (
        [] if otherwise is None else [otherwise for some in values if not some]
    )
    mean = None if not numbers else pytest.approx(sum(numbers) / len(numbers))  # type: ignore[arg-type]
    assert metric.value == metric.so_far == mean
    if len(numbers) > 1:
        deviation = statistics.stdev(numbers) / len(numbers) ** 0.5  # type: ignore[type-var, operator]
        assert metric.high - metric.low == pytest.approx(2 * 1.959964 * deviation, abs=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("label", "within_us", "make"),
    [
        ("adopted", WINDOW_US, lambda at: [watch("a", at)]),
        ("rating", SPAN_US, lambda at: [Happened("rate", 1, "a", at, 3).record()]),
        (
            "positive",
            SPAN_US,
            lambda at: [
                watch("a", START_US),
                Happened("watch", 1, "a", at, 2).record(),
                Happened("watch", 1, "a", at, 3).record(),
            ],
        ),
        ("left", SPAN_US, lambda at: [Happened("left", 1, "", at, 7).record()]),
    ],
)
def test_each_label_has_its_own_window_closed_at_both_ends(
    tmp_path: Path, label: str, within_us: int, make: Callable[[int], list[Record]]
) -> None:
    for after, counted in ((0, True), (within_us - 1, True), (within_us, True), (within_us + 1, False), (-1, False)):
        path = tmp_path / f"{label}{after}.db"
        consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
        prediction = predicted(1, ["a"], START_US, "v1", 1)
        consumer.apply_predictions([Slice(0, 0, [prediction_record(prediction)])])
        consumer.apply_events([Slice(0, 0, make(START_US + after))])
        assert (label in [name for one in followed(path, prediction) for name in one.labels]) is counted, after


def test_a_request_is_counted_by_every_response_to_it_an_item_by_the_first(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    first, second = predicted(1, ["a"], START_US, "v1", 1), predicted(1, ["a"], START_US + 1, "v1", 2)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(first), prediction_record(second)])])
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 2), Happened("left", 1, "", START_US + 2, 7).record()])])
    assert found_by(path, [first, second]) == {
        first.id: {"": {"left": 7.0}, "a": {"adopted": 1.0}},
        second.id: {"": {"left": 7.0}},
    }


def test_what_is_done_across_the_end_of_the_first_window_counts_for_the_second_response(tmp_path: Path) -> None:
    """Three minutes, the first of them in the windows of both responses, the last only in that of the second."""
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    first, second = predicted(1, ["a"], START_US, "v1", 1), predicted(1, ["a"], START_US + SPAN_US - 9, "v1", 2)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(first), prediction_record(second)])])
    ats = [START_US + SPAN_US - 5, START_US + SPAN_US, START_US + SPAN_US + 5]
    consumer.apply_events([Slice(0, 0, [watch("a", at) for at in ats])])
    assert found_by(path, [first, second]) == {first.id: {"a": {"adopted": 1.0}}, second.id: {"a": {"positive": 1.0}}}
    minutes = [one.events["watch"] for each in (first, second) for one in followed(path, each)]
    assert minutes == [3, 3], "the longest window of both holds all three"


def test_each_response_that_was_followed_by_its_own_completion_counts(tmp_path: Path) -> None:
    """Taken again after the second response; what completed the first before that does not complete the second."""
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    shown = [predicted(1, ["a"], START_US + after, "v1", after) for after in (0, 1, 10)]
    consumer.apply_predictions([Slice(0, 0, [prediction_record(each) for each in shown])])
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 5), watch("a", START_US + 15)])])
    assert [adopted_by(path, each) for each in shown] == [["a"], [], ["a"]]


def test_a_response_that_is_closed_keeps_what_completed_its_labels(tmp_path: Path) -> None:
    """Of a closed response events may be forgotten; what completed it does not move to those left."""
    path, minute = tmp_path / "o.db", 60_000_000
    label = Label(name="positive", event=Watch, by=BY, at_least=2, within_us=100 * minute)
    about = msgspec.structs.replace(ABOUT, labels=(label,))
    consumer = OutcomeConsumer(SCHEMA, about, path, keep_us=10_000 * minute, late_us=0)
    first, second = predicted(1, ["a"], START_US, "v1", 1), predicted(1, ["a"], START_US + 50 * minute, "v1", 2)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(first), prediction_record(second)])])
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + after * minute) for after in (10, 30, 55)])])
    assert consumer.settle(START_US + 10_140 * minute) == 2, "those before the fortieth minute"
    consumer.apply_events([Slice(0, 3, [watch("a", START_US + 58 * minute)])])
    assert [[one.labels for one in followed(path, each)] for each in (first, second)] == [[{"positive": 1.0}]] * 2


def test_other_labels_fill_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    shown_at = predicted(1, ["a"], START_US, "v1", 1)
    pieces: list[tuple[str, Slice]] = [
        ("predictions", Slice(0, 0, [prediction_record(shown_at)])),
        ("events", Slice(0, 0, [watch("a", START_US + SPAN_US + 1)])),
    ]
    deliver(OutcomeConsumer(SCHEMA, ABOUT, path), pieces)
    assert found_by(path, [shown_at]) == {shown_at.id: {"a": {"adopted": 1.0}}}
    shorter = msgspec.structs.replace(LABELS[2], within_us=SPAN_US)
    consumer = OutcomeConsumer(SCHEMA, msgspec.structs.replace(ABOUT, labels=(shorter,)), path)
    assert consumer.offsets("events", 1) == consumer.offsets("predictions", 1) == (0,)
    deliver(consumer, pieces)
    assert found_by(path, [shown_at]) == {}
    assert outcomes_by_version(path, LATER_US)["v1"].labels.keys() == {"adopted"}


@pytest.mark.parametrize("read", ["where", "value", "by", "censored_by"])
def test_another_default_of_past_events_fills_the_file_again(read: str, tmp_path: Path) -> None:
    """Only of the fields that a label reads: another field's default changes nothing."""

    def expected(default: int, unread: int) -> tuple[int, ...]:
        class Rated(Event):
            user: User
            film: Film
            stars: int = default
            other: int = unread
            shop: Annotated[int, Ref("shop")] = default

        class Asked(Event):
            user: User
            shop: Annotated[int, Ref("shop")]

        class Closed(Event):
            user: User
            shop: Annotated[int, Ref("shop")] = default

        class Paid(Event):
            user: User
            shop: Annotated[int, Ref("shop")]

        shop = ("user", "shop")
        label = {
            "where": Label(name="x", event=Rated, by=("user",), where=expression(lambda r: r.stars > 3), within_us=9),
            "value": Label(name="x", event=Rated, by=("user",), value=expression(lambda r: r.stars), within_us=9),
            "by": Label(name="x", event=Rated, by=shop, within_us=9),
            "censored_by": Label(name="x", event=Paid, by=shop, within_us=9, censored_by=(Closed,)),
        }[read]
        about = About(kind="recommend", request=Asked, items="", labels=(label,))
        consumer = OutcomeConsumer(Schema([Rated, Asked, Closed, Paid]), about, tmp_path / "o.db")
        offsets = consumer.offsets("events", 1)
        fields = {"rated": {"user": 1, "film": "a"}, "paid": {"user": 1, "shop": 2}}
        type_ = "paid" if read == "censored_by" else "rated"
        record = Schema([Rated, Asked, Closed, Paid]).check(type_, fields[type_], START_US, START_US)
        consumer.apply_events([Slice(0, offsets[0], [record])])
        consumer.close()
        return offsets

    assert [expected(5, 0), expected(5, 1), expected(1, 1), expected(1, 1)] == [(0,), (1,), (0,), (1,)]


def test_a_file_of_a_later_format_is_refused_one_of_an_earlier_format_is_filled_again(tmp_path: Path) -> None:
    later, older, former = tmp_path / "later.db", tmp_path / "older.db", tmp_path / "former.db"
    for path, version in ((later, 99), (older, 0), (former, 4)):
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE offsets(stream TEXT, partition INTEGER, next INTEGER)")
            connection.execute("INSERT INTO offsets VALUES ('events', 0, 7)")
            connection.execute(f"PRAGMA user_version={version}")
    with pytest.raises(Refused, match="must be of format 5, got format 99 .* delete the file"):
        OutcomeConsumer(SCHEMA, ABOUT, later).offsets("events", 1)
    for path in (older, former):
        assert OutcomeConsumer(SCHEMA, ABOUT, path).offsets("events", 1) == (0,)


def test_only_responses_whose_window_has_closed_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    old = [predicted(user, ["a"], START_US, "v1", user) for user in range(1, 5)]
    young = [predicted(user, ["a"], START_US + 100 * MINUTE_US, "v1", 100 + user) for user in range(5, 11)]
    consumer.apply_predictions([Slice(0, 0, [prediction_record(p) for p in (*old, *young)])])
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 1)])])
    adopted = outcomes_by_version(path, START_US + 100 * MINUTE_US)["v1"].labels["adopted"]
    assert (adopted.value, adopted.mature, adopted.open, adopted.so_far) == (0.25, 4, 6, 0.1)
    assert (adopted.low, adopted.high) == (pytest.approx(0.0456, abs=1e-4), pytest.approx(0.6994, abs=1e-4))


def test_labels_that_a_request_cannot_be_joined_by_are_refused(tmp_path: Path) -> None:
    by_film = msgspec.structs.replace(ABOUT, items="", labels=LABELS)
    with pytest.raises(BadDeclaration, match="naming a film"):
        OutcomeConsumer(SCHEMA, by_film, tmp_path / "o.db")
    unlike = (LABELS[0], Label(name="positive", event=Left, by=("user",), within_us=1))
    with pytest.raises(BadDeclaration, match="joined by the same names"):
        OutcomeConsumer(SCHEMA, msgspec.structs.replace(ABOUT, labels=unlike), tmp_path / "o.db")


def test_a_gap_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    consumer = OutcomeConsumer(SCHEMA, ABOUT, tmp_path / "o.db")
    with pytest.raises(BadInput, match="must be at most 0, got 3"):
        consumer.apply_events([Slice(0, 3, [watch("a", START_US)])])
    assert consumer.offsets("events", 2) == (0, 0)


def test_of_a_slice_that_begins_before_the_offset_only_the_rest_is_read(tmp_path: Path) -> None:
    """Events by their offset; responses also where no label joins anything to them."""
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    shown = predicted(1, ["a"], START_US, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown)])])
    records = [watch("a", START_US + 1), watch("a", START_US + 2), watch("a", START_US + 3)]
    for first, last in ((0, 2), (1, 3), (0, 3), (2, 3)):
        consumer.apply_events([Slice(0, first, records[first:last])])
    assert [one.events for one in followed(path, shown)] == [{"watch": 3}]
    assert consumer.offsets("events", 1) == (3,)
    plain = OutcomeConsumer(SCHEMA, msgspec.structs.replace(ABOUT, labels=()), tmp_path / "plain.db")
    responses = [prediction_record(predicted(1, ["a"], START_US + n, "v1", n)) for n in range(3)]
    for first, last in ((0, 2), (1, 3), (0, 3)):
        plain.apply_predictions([Slice(0, first, responses[first:last])])
    assert outcomes_by_version(tmp_path / "plain.db", LATER_US)["v1"].responses == 3


def test_a_response_that_was_appended_twice_is_one(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    shown = predicted(1, ["a"], START_US, "v1", 1)
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 1)])])
    for offset in range(2):
        consumer.apply_predictions([Slice(0, offset, [prediction_record(shown)])])
    outcomes = outcomes_by_version(path, LATER_US)["v1"]
    assert (outcomes.responses, outcomes.labels["adopted"].mature, outcomes.labels["adopted"].n) == (1, 1, 1)


def test_a_response_is_counted_once_with_the_label_of_any_of_its_items_or_else_as_censored(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    responses = [predicted(user, ["a", "b"], START_US, "v1", user) for user in (1, 2, 3)]
    consumer.apply_predictions([Slice(0, 0, [prediction_record(each) for each in responses])])
    refunds = [Happened("refund", user, "b", START_US + 1, 1).record() for user in (1, 2)]
    both = Happened("watch", 3, "a", START_US + 2, 1).record(), Happened("watch", 3, "b", START_US + 2, 1).record()
    consumer.apply_events([Slice(0, 0, [*refunds, watch("a", START_US + 2), *both])])
    adopted = outcomes_by_version(path, LATER_US)["v1"].labels["adopted"]
    assert (adopted.mature, adopted.n, adopted.censored, adopted.value) == (3, 3, 1, 1.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["approve", "decline"]),
            st.sampled_from([(), ("refund",), ("watch",), ("watch", "refund"), ("refund", "watch")]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_a_response_whose_decision_prevents_a_label_counts_as_that_only_whatever_followed(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, tuple[str, ...]]], events_first: bool
) -> None:
    """A declined payment is declined once: that an event said so too, and ended the wait, takes nothing off again."""
    path = tmp_path_factory.mktemp("outcomes") / "o.db"
    label = msgspec.structs.replace(LABELS[2], impossible_after=("decline",))
    consumer = OutcomeConsumer(SCHEMA, msgspec.structs.replace(ABOUT, labels=(label,)), path)
    shown = [
        msgspec.structs.replace(predicted(user, ["a"], START_US, "v1", user), decision=decision)
        for user, (decision, _) in enumerate(asked, 1)
    ]
    events = [
        Happened(kind, user, "a", START_US + 1 + step, 1).record()
        for user, (_, kinds) in enumerate(asked, 1)
        for step, kind in enumerate(kinds)
    ]
    deliveries = [
        lambda: consumer.apply_events([Slice(0, 0, events)]),
        lambda: consumer.apply_predictions([Slice(0, 0, [prediction_record(response) for response in shown])]),
    ]
    for deliver_one in deliveries if events_first else reversed(deliveries):
        deliver_one()
    metric = outcomes_by_version(path, LATER_US)["v1"].labels["adopted"]
    firsts = [kinds[0] if kinds else "" for decision, kinds in asked if decision == "approve"]
    known = [first == "watch" for first in firsts if first != "refund"]
    assert (metric.impossible, metric.censored) == (len(asked) - len(firsts), firsts.count("refund"))
    assert metric.n == sum(known)
    assert metric.value == metric.so_far == (sum(known) / len(known) if known else None)


def test_the_interval_of_a_mean_is_that_of_the_values_that_came(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    responses = [predicted(user, ["a"], START_US, "v1", user) for user in (1, 2, 3)]
    consumer.apply_predictions([Slice(0, 0, [prediction_record(response) for response in responses])])
    ratings = [Happened("rate", user, "a", START_US + 1, stars).record() for user, stars in ((1, 2), (2, 3), (3, 5))]
    consumer.apply_events([Slice(0, 0, ratings)])
    rating = outcomes_by_version(path, LATER_US)["v1"].labels["rating"]
    half = 1.959964 * statistics.stdev([2, 3, 5]) / 3**0.5
    assert rating.value == pytest.approx(10 / 3)
    assert (rating.low, rating.high) == (pytest.approx(10 / 3 - half), pytest.approx(10 / 3 + half))


def test_a_label_of_several_clauses_is_mature_once_the_longest_window_has_closed(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(predicted(1, ["a"], START_US, "v1", 1))])])
    minute_us = START_US // MINUTE_US * MINUTE_US
    for now_us, mature in ((SPAN_US, 0), (WINDOW_US - 1, 0), (WINDOW_US, 1)):
        labels = outcomes_by_version(path, minute_us + MINUTE_US + now_us)["v1"].labels
        assert (labels["positive"].mature, labels["rating"].mature) == (mature, 1)


def test_events_at_one_time_and_offset_of_two_partitions_are_two(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    shown = predicted(1, ["a"], START_US, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown)])])
    consumer.apply_events([Slice(part, 0, [watch("a", START_US + 1)]) for part in (0, 1)])
    assert [one.events for one in followed(path, shown)] == [{"watch": 2}]


def test_an_event_at_the_time_of_the_first_response_counts_after_settling(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path)
    shown = predicted(1, ["a"], START_US, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown)])])
    consumer.settle(START_US + 10 * WINDOW_US)
    consumer.apply_events([Slice(0, 0, [watch("a", START_US - 1), watch("a", START_US)])])
    assert [one.events for one in followed(path, shown)] == [{"watch": 1}]


def adopted_by(path: Path, prediction: Prediction) -> list[str]:
    return [one.item for one in followed(path, prediction) if "adopted" in one.labels]


def test_settling_keeps_what_was_joined_and_what_can_still_be(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path, keep_us=WINDOW_US, late_us=WINDOW_US)
    first, later = predicted(1, ["a"], START_US, "v1", 1), predicted(1, ["a", "b"], START_US + 10, "v2", 2)
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 20)])])
    consumer.apply_events([Slice(0, 1, [watch("b", START_US + 20)])])
    consumer.apply_predictions([Slice(0, 0, [prediction_record(later)])])
    consumer.settle(START_US + 30)
    consumer.apply_predictions([Slice(0, 1, [prediction_record(first)])])  # late, but not too late
    assert adopted_by(path, first) == ["a"]
    assert adopted_by(path, later) == ["b"]
    assert sum(consumer.settle(START_US + 10 * WINDOW_US) for _ in range(2_000)) == 4
    before = outcomes_by_version(path, LATER_US)
    consumer.apply_events([Slice(0, 2, [Happened("rate", 1, "a", START_US + 21, 5).record()])])  # far too late
    assert outcomes_by_version(path, LATER_US) == before
    assert adopted_by(path, first) == ["a"]


def test_what_followed_a_response_stays_when_the_response_is_forgotten(tmp_path: Path) -> None:
    """The item is shown and taken again later, joined again without the first response."""
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path, keep_us=WINDOW_US)
    first = predicted(1, ["a"], START_US, "v1", 1)
    later = predicted(1, ["a"], START_US + 3 * WINDOW_US, "v2", 2)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(first)])])
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 1)])])
    assert consumer.settle(START_US + 3 * WINDOW_US + 10) == 2
    consumer.apply_predictions([Slice(0, 1, [prediction_record(later)])])
    for offset in (1, 2):
        consumer.apply_events([Slice(0, offset, [watch("a", later.at_us + offset)])])
    assert [adopted_by(path, each) for each in (first, later)] == [["a"], ["a"]]
    outcomes = outcomes_by_version(path, LATER_US)
    assert [outcomes[version].labels["adopted"].n for version in ("v1", "v2")] == [1, 1]


def test_an_event_is_forgotten_once_all_of_its_windows_are_closed_not_before(tmp_path: Path) -> None:
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, tmp_path / "o.db", keep_us=WINDOW_US)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(predicted(1, ["a"], START_US, "v1", 1))])])
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 5)])])
    assert [consumer.settle(START_US + 2 * WINDOW_US + after) for after in (5, 6)] == [0, 1]


def test_what_followed_is_reported_of_the_request_first_then_from_the_top_of_the_list(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    shown = predicted(1, ["c", "a", "b"], START_US, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown)])])
    events = [*(watch(film, START_US + 1) for film in "abc"), Happened("left", 1, "", START_US + 1, 7).record()]
    consumer.apply_events([Slice(0, 0, events)])
    assert [(one.item, one.position) for one in followed(path, shown)] == [("", 0), ("c", 0), ("a", 1), ("b", 2)]


def test_a_clock_set_back_does_not_open_what_was_closed(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path, keep_us=WINDOW_US)
    shown = predicted(1, ["a"], START_US, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown)])])
    consumer.settle(START_US + 2 * WINDOW_US + 1)  # closed until a microsecond after the response
    consumer.settle(START_US)
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 1)])])
    assert adopted_by(path, shown) == []


def test_nothing_is_closed_while_events_are_still_to_be_read(tmp_path: Path) -> None:
    """After a change of labels the file is filled again, predictions faster than events."""
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ITEMS_ONLY, path, keep_us=WINDOW_US)
    shown_at = predicted(1, ["a"], START_US, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown_at)])])
    for _ in range(2_000):
        consumer.settle(START_US + 100 * WINDOW_US, all_events=False)
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 1)])])
    assert adopted_by(path, shown_at) == ["a"]


def test_a_clock_ahead_for_some_minutes_closes_nothing_that_is_still_to_come(tmp_path: Path) -> None:
    """A mark set a year ahead would keep every outcome of that year out of the metrics."""
    path = tmp_path / "o.db"
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    consumer.settle(START_US)
    for _ in range(10):  # ten minutes of looks, once a minute, by a clock a year ahead
        consumer.settle(START_US + 365 * 86_400_000_000)
    shown = predicted(1, ["a"], START_US + 700_000_000, "v1", 1)
    consumer.apply_predictions([Slice(0, 0, [prediction_record(shown)])])
    consumer.apply_events([Slice(0, 0, [watch("a", START_US + 700_000_010)])])
    assert adopted_by(path, shown) == ["a"]
    assert outcomes_by_version(path, LATER_US)["v1"].labels["adopted"].value == 1.0


def test_bulk_history_before_all_predictions_is_not_kept(tmp_path: Path) -> None:
    consumer = OutcomeConsumer(SCHEMA, ABOUT, tmp_path / "o.db")
    consumer.settle(START_US + 10 * WINDOW_US, all_events=False)
    records = [watch("a", START_US + n) for n in range(100)]
    consumer.apply_events([Slice(0, 0, records)])
    assert consumer.settle(START_US + 10 * WINDOW_US) == 0
    assert consumer.offsets("events", 1) == (100,)


def test_metrics_since_a_minute_and_latency(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    assert outcomes_by_version(path, LATER_US) == {}
    consumer = OutcomeConsumer(SCHEMA, ABOUT, path)
    records = [prediction_record(predicted(1, ["a"], START_US + n * MINUTE_US, "v1", n)) for n in range(100)]
    consumer.apply_predictions([Slice(0, 0, records)])
    found = outcomes_by_version(path, LATER_US)["v1"]
    assert found.responses == 100
    assert found.modeled == 1.0
    assert found.p50_us == pytest.approx(50_000, rel=0.15)
    assert found.p99_us == pytest.approx(99_000, rel=0.15)
    assert outcomes_by_version(path, LATER_US, START_US + 90 * MINUTE_US)["v1"].responses == 10


def paused(location: Location, tokens: tuple[int, int]) -> tuple[OutcomeConsumer, bytes]:
    """A consumer that was paused while another one, of fewer labels, filled the tables; and what they hold."""
    woken = OutcomeConsumer(SCHEMA, ABOUT, location, token=tokens[0])
    deliver(woken, [("events", Slice(0, 0, [watch("a", START_US), watch("b", START_US)]))])
    other = OutcomeConsumer(SCHEMA, msgspec.structs.replace(ABOUT, labels=LABELS[:2]), location, token=tokens[1])
    prediction = prediction_record(predicted(1, ["b"], START_US, "v1", 1))
    deliver(other, [("predictions", Slice(0, 0, [prediction])), ("events", Slice(0, 0, [watch("b", START_US + 1)]))])
    assert other.offsets("events", 1) == (1,)
    return woken, repr(stored_in(location)).encode()


def stored_in(location: Location) -> list[object]:
    tables = open_tables(location, "outcomes")
    names = ("offsets", "definition", "items", "requested", "label_events", "attributions", "counts")
    try:
        return [sorted(tables.execute(f"SELECT * FROM {name}").fetchall()) for name in names]
    finally:
        tables.close()


def test_a_consumer_that_was_paused_while_another_took_over_writes_nothing(tmp_path: Path) -> None:
    """Its numbers of items and its labels are those of before; its token tells, whatever it tries."""
    path = tmp_path / "outcomes.db"
    woken, before = paused(path, (5, 7))
    for _ in range(2):  # also when it has looked again, and would fill the tables by its own labels
        with pytest.raises(LeaseLost, match="must be held with token 5, got 7: stand by"):
            woken.apply_events([Slice(0, 2, [watch("b", START_US + 2)])])
        with pytest.raises(LeaseLost):
            woken.apply_predictions([Slice(0, 0, [prediction_record(predicted(1, ["a"], START_US, "v1", 2))])])
        with pytest.raises(LeaseLost):
            woken.settle(LATER_US)
    assert repr(stored_in(path)).encode() == before
    with pytest.raises(LeaseLost, match="must be held to write, got none, after a writer with token 7"):
        OutcomeConsumer(SCHEMA, ABOUT, path).settle(LATER_US)


def test_without_leases_a_batch_of_labels_that_are_no_longer_those_of_the_tables_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.db"
    woken, before = paused(path, (0, 0))
    with pytest.raises(StoreUnavailable, match="must be derived with the labels as they are declared here"):
        woken.apply_events([Slice(0, 2, [watch("b", START_US + 2)])])
    assert repr(stored_in(path)).encode() == before
    assert woken.offsets("events", 1) == (0,), "it begins again, by its own labels"
