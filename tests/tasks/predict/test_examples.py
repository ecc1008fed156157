"""Examples know what was known: labels that come late bias neither the mean nor the share, and nothing leaks."""

from collections import Counter
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tasks.predict.history import DAY_US, HOUR_US, MINUTE_US, START_US, past_of
from tests.tasks.predict.orders import (
    ODD,
    Cancelled,
    Delivered,
    Delivery,
    Order,
    elapsed_task,
    occurs_task,
    score_task,
)

import flyball as fb
from flyball.events import Event
from flyball.tasks import Predict, ServingLag
from flyball.tasks.predict.examples import RequestHistory, observed_share, training_data
from flyball.tasks.predict.notes import left_out_notes, undeclared_classes


def orders_of(
    minutes: np.ndarray, every_us: int, cancelled: np.ndarray | None = None, known_after_us: int = 0
) -> list[tuple[Event, int]]:
    """An order each `every_us`, delivered after so many minutes (nan: never), cancelled after so many (nan: never)."""
    events: list[tuple[Event, int]] = []
    for number, wait in enumerate(minutes.tolist()):
        at = START_US + number * every_us
        events.append((Order(at=at, order=number + 1, kitchen="ab"[number % 2]), at))
        end = float("nan") if cancelled is None else cancelled[number]
        if not np.isnan(end) and not wait <= end:
            there = at + int(end * MINUTE_US)
            events.append((Cancelled(at=there, order=number + 1), there))
        elif not np.isnan(wait):
            there = at + int(wait * MINUTE_US)
            events.append((Delivered(at=there, order=number + 1), there + known_after_us))
    return sorted(events, key=lambda event: event[0].at)


def mean_of(history: RequestHistory, as_of_us: int, young: bool) -> float:
    found = history.examples(as_of_us, young)
    return float(np.average(found.target, weights=found.weight))


class TestPlantedDelay:
    """Eight hours of orders that take up to six: of the last ones only the quick are delivered."""

    rng = np.random.default_rng(7)
    minutes = rng.uniform(10, 350, size=4_800)
    as_of_us = START_US + 8 * HOUR_US
    events = orders_of(minutes, 6_000_000)

    def history(self, task: Predict) -> RequestHistory:
        return RequestHistory(task, past_of(task, self.events, self.as_of_us))

    def test_the_mean_of_the_delivered_is_biased_and_ours_is_not(self) -> None:
        history = self.history(elapsed_task())
        labels = history.labels(self.as_of_us)
        naive = labels["value"].drop_nulls().mean()
        true = self.minutes.mean()
        assert naive < true - 30  # by construction: the young ones that are delivered are the quick ones
        assert mean_of(history, self.as_of_us, young=False) == pytest.approx(true, abs=10)
        assert mean_of(history, self.as_of_us, young=True) == pytest.approx(true, abs=10)

    def test_weighting_uses_more_examples_than_excluding(self) -> None:
        history = self.history(elapsed_task())
        excluding, weighting = (history.examples(self.as_of_us, young) for young in (False, True))
        assert len(weighting.rows) > 2 * len(excluding.rows)
        assert set(excluding.rows.tolist()) <= set(weighting.rows.tolist())
        assert excluding.weight.tolist() == [1.0] * len(excluding.rows)
        assert excluding.young == 6 * 600  # six hours of ten orders a minute, the one of six hours ago among them

    def test_what_is_left_out_is_counted_with_and_without_a_label(self) -> None:
        at = np.arange(len(self.minutes)) * 6_000_000
        is_young = at >= 2 * HOUR_US
        came = at + (self.minutes * MINUTE_US).astype(np.int64) <= 8 * HOUR_US
        answered, waiting = int((is_young & came).sum()), int((is_young & ~came).sum())
        assert min(answered, waiting) > 1_000
        for how, where in (("exclude", "left out"), ("weight", "left out of the evaluation")):
            task = elapsed_task(open_examples=how)
            found = self.history(task).examples(self.as_of_us, all_final=True)
            assert (found.answered_young, found.states["open"], found.young) == (answered, waiting, answered + waiting)
            assert left_out_notes(task, found) == [
                f"{waiting:,} requests left out as open: without a label so far",
                f"{answered:,} requests {where} as too young: with a label, but asked less than 6h ago",
            ]
        assert self.history(elapsed_task()).examples(self.as_of_us, young=True).answered_young == 0

    def test_the_share_of_what_occurs_is_not_biased_either(self) -> None:
        happens = np.where(np.random.default_rng(3).random(len(self.minutes)) < 0.3, self.minutes, np.nan)
        task = occurs_task()
        history = RequestHistory(task, past_of(task, orders_of(happens, 6_000_000), self.as_of_us))
        labels = history.labels(self.as_of_us)
        true = float((~np.isnan(happens)).mean())
        without_open = labels["value"].drop_nulls().mean()
        as_negatives = labels["value"].fill_null(0.0).mean()
        assert without_open > true + 0.1
        assert as_negatives < true - 0.1
        assert mean_of(history, self.as_of_us, young=False) == pytest.approx(true, abs=0.04)
        assert mean_of(history, self.as_of_us, young=True) == pytest.approx(true, abs=0.04)

    def test_windows_within_a_fit_hold_final_labels_only(self) -> None:
        """Three in ten come within an hour; that one does not is known after six. Of the newest orders with a label all
        came: probabilities calibrated on them, and thresholds, would be those of a world where all do."""
        rng = np.random.default_rng(3)
        comes = np.where(rng.random(len(self.minutes)) < 0.3, rng.uniform(1, 60, len(self.minutes)), np.nan)
        decide = fb.decide(false_approve=lambda o: o.amount, false_decline=1.0)
        task = occurs_task(open_examples="weight", decide=decide)
        past = past_of(task, orders_of(comes, 6_000_000), self.as_of_us)
        history = RequestHistory(task, past)
        found = history.examples(self.as_of_us, young=True)
        data = training_data(task, history.table, found, history.at_us)
        newest = found.target[-len(found.target) // 5 :]
        assert newest.min() == 1.0  # by construction
        for calibrated in (False, True):
            candidate = fb.calibrated(fb.Constant(), "platt") if calibrated else fb.Constant()
            learned = task.offline().train(candidate, data, past, seed=1).arrays
            probability, happened, _, weight, requests = learned["decide_validation"].T
            assert happened.mean() == pytest.approx(0.3, abs=0.06)
            assert set(weight) == set(requests) == {1.0}
            assert probability == pytest.approx(0.3, abs=0.08)

    def test_a_declared_weight_takes_no_reviews_away(self) -> None:
        """Fewer orders than a day has reviews: each may be reviewed, whether it counts once or thirty times."""
        decide = fb.decide(false_approve=9.0, false_decline=9.0, review=0.5, reviews_per_day=2_000)
        kept = []
        for weight in (None, lambda o: 30.0):
            task = occurs_task(open_examples="weight", decide=decide, weight=weight)
            past = past_of(task, orders_of(self.minutes, 6_000_000), self.as_of_us)
            history = RequestHistory(task, past)
            data = training_data(task, history.table, history.examples(self.as_of_us, young=True), history.at_us)
            kept.append(task.offline().train(fb.Constant(), data, past, seed=1).arrays)
        plain, weighted = kept
        assert len(plain["decide_validation"]) < 2_000 < 30 * len(plain["decide_validation"])
        assert weighted["decide_thresholds"].tolist() == plain["decide_thresholds"].tolist() == [1.0, 0.0]
        assert (weighted["decide_validation"][:, 3:] / plain["decide_validation"][:, 3:]).tolist() == [
            [30.0, 1.0]
        ] * len(plain["decide_validation"])


def test_cancellations_that_hit_the_slow_are_weighted_away() -> None:
    rng = np.random.default_rng(11)
    minutes = rng.uniform(10, 350, size=6_000)
    cancelled = np.where(rng.random(6_000) < 0.6, rng.uniform(5, 360, size=6_000), np.nan)
    task, as_of_us = elapsed_task(), START_US + 30 * HOUR_US
    history = RequestHistory(task, past_of(task, orders_of(minutes, 6_000_000, cancelled), as_of_us))
    excluding, true = mean_of(history, as_of_us, young=False), minutes.mean()
    assert excluding < true - 15  # the slow ones were cancelled before they could come
    assert mean_of(history, as_of_us, young=True) == pytest.approx(true, abs=8)
    assert history.examples(as_of_us).states["censored"] > 1_000


def test_what_is_evaluated_on_is_weighted_for_the_cancelled_too() -> None:
    """Else the bias of metrics is that of the quick ones, and the candidate is chosen that errs like them."""
    rng = np.random.default_rng(11)
    minutes = rng.uniform(10, 350, size=20_000)
    cancelled = np.where(rng.random(20_000) < 0.6, rng.uniform(5, 360, size=20_000), np.nan)
    means = {}
    for how in ("exclude", "weight"):
        task = elapsed_task(open_examples=how)
        past = past_of(task, orders_of(minutes, 6_000_000, cancelled), START_US + 60 * HOUR_US)
        examples = task.offline().examples(past, 50, 1, ())
        assert not isinstance(examples, str)
        truth = examples.evaluation.truth
        means[how] = float(np.average(truth.target, weights=truth.weight))  # type: ignore[attr-defined]
        final = examples.full.arrays.get("final_weight", examples.full.arrays["weight"])
        within_fit = float(np.average(examples.full.arrays["target"], weights=final))
        assert within_fit == pytest.approx(means[how], abs=8)
    true = minutes.mean()
    assert means["exclude"] < true - 15  # by construction
    assert means["weight"] == pytest.approx(true, abs=8)


def test_a_negative_counts_only_when_its_span_has_passed() -> None:
    task, never = occurs_task(), np.array([np.nan])
    at_us = START_US
    events = orders_of(never, 1)
    for as_of_us, examples in ((at_us + 6 * HOUR_US, 0), (at_us + 6 * HOUR_US + 1, 1)):
        history = RequestHistory(task, past_of(task, events, as_of_us))
        assert len(history.examples(as_of_us).rows) == examples
        assert len(history.examples(as_of_us, young=True).rows) == examples


def test_a_label_counts_only_when_it_is_known() -> None:
    """Delivered after an hour, but nobody reported it for a day."""
    task = elapsed_task()
    events = orders_of(np.array([60.0]), 1, known_after_us=DAY_US)
    history = RequestHistory(task, past_of(task, events, START_US + 10 * DAY_US))
    assert len(history.examples(START_US + DAY_US).rows) == 0
    assert history.examples(START_US + DAY_US + HOUR_US).target.tolist() == [60.0]


def test_what_is_learned_from_is_older_than_the_test_window_by_the_span_of_a_label() -> None:
    task = elapsed_task()
    minutes = np.random.default_rng(5).uniform(10, 350, size=2_000)
    past = past_of(task, orders_of(minutes, MINUTE_US), START_US + 2_000 * MINUTE_US)
    examples = task.offline().examples(past, 50, 1, ())
    assert not isinstance(examples, str)
    start_us, end_us = examples.evaluation.window_us
    assert examples.train.arrays["at_us"].max() + 6 * HOUR_US < start_us
    assert end_us - 1 + 6 * HOUR_US < past.as_of_us
    assert (np.diff(examples.full.arrays["at_us"]) >= 0).all()
    assert examples.full.arrays["at_us"].max() >= end_us - 1
    kept = len(examples.full.arrays["target"])
    assert len(examples.evaluation.at_us) == kept - int(0.8 * kept)


def test_a_window_of_ones_own_is_tested_by_all_labels_and_learned_for_by_what_was_known_before_it() -> None:
    """The naive oracle: every order of the window, and the training data of learning as of its start."""
    task = elapsed_task(open_examples="weight")
    minutes = np.random.default_rng(5).uniform(10, 350, size=2_000)
    minutes[::10] = np.nan  # never delivered, so without a label
    past = past_of(task, orders_of(minutes, MINUTE_US), START_US + 3_000 * MINUTE_US)
    window_us = (START_US + 900 * MINUTE_US, START_US + 1_200 * MINUTE_US)
    examples = task.offline().examples(past, 50, 1, (), window_us)
    then = task.offline().examples(past.before(window_us[0]), 1, 1, ())
    assert not isinstance(examples, str)
    assert not isinstance(then, str)
    assert (examples.holdout.start_us, examples.holdout.end_us) == window_us
    expected = [START_US + number * MINUTE_US for number in range(900, 1_200) if number % 10]
    assert examples.evaluation.at_us.tolist() == expected
    np.testing.assert_allclose(examples.evaluation.truth.target, [wait for wait in minutes[900:1_200] if wait > 0])
    assert examples.train.as_of_us == window_us[0] - 1
    for name in ("target", "weight", "at_us", "numbers"):
        np.testing.assert_array_equal(examples.train.arrays[name], then.full.arrays[name])


def test_a_window_without_enough_labels_says_which_and_how_many() -> None:
    task = elapsed_task()
    past = past_of(task, orders_of(np.full(100, 30.0), MINUTE_US), START_US + 2 * DAY_US)
    window_us = (START_US + 90 * MINUTE_US, START_US + 2 * DAY_US)
    message = task.offline().examples(past, 50, 1, (), window_us)
    assert isinstance(message, str)
    assert "from 2026-01-01T01:30:00" in message
    assert "must be 50 requests with a final label, got 10" in message


def test_a_feature_of_the_outcome_itself_holds_nothing_at_the_request() -> None:
    """The planted leak: whether this very order was delivered would tell all."""
    order = fb.Entity("order", delivered=fb.count(Delivered, "1d"), minutes=fb.last(Delivery, lambda d: d.elapsed_us))
    task = elapsed_task(features=(order,))
    minutes = np.random.default_rng(5).uniform(10, 350, size=300)
    history = RequestHistory(task, past_of(task, orders_of(minutes, MINUTE_US), START_US + 2 * DAY_US))
    table = history.table
    assert table["order.delivered"].fill_null(0).sum() == 0
    assert table["order.minutes"].null_count() == table.height == 300


@pytest.mark.parametrize("lag_us", [0, 20 * MINUTE_US])
def test_features_of_labels_hold_what_was_known_then_by_a_slow_oracle(lag_us: int) -> None:
    kitchen = fb.Entity(
        "kitchen",
        minutes=fb.mean(Delivery, lambda d: d.elapsed_us / 60_000_000, "2h"),
        orders=fb.count(Order, "1h"),
    )
    task = elapsed_task(features=(kitchen,))
    rng = np.random.default_rng(9)
    events = orders_of(rng.uniform(10, 350, size=400).round(), MINUTE_US, known_after_us=7 * MINUTE_US)
    history = RequestHistory(task, past_of(task, events, START_US + 2 * DAY_US, ServingLag(features_us=lag_us)))
    table = history.table
    orders = {event.order: event for event, _ in events if isinstance(event, Order)}
    for row in table.iter_rows(named=True):
        at = row["at"]
        waits = [
            (there.at - orders[there.order].at) / MINUTE_US
            for there, known_at in events
            if isinstance(there, Delivered)
            and orders[there.order].kitchen == row["kitchen"]
            and known_at + lag_us <= at
            and at - 2 * HOUR_US <= orders[there.order].at < at
        ]
        asked = [
            one
            for one in orders.values()
            if one.kitchen == row["kitchen"] and at - HOUR_US <= one.at < at and one.at + lag_us <= at
        ]
        assert row["kitchen.minutes"] == (pytest.approx(np.mean(waits)) if waits else None)
        assert (row["kitchen.orders"] or 0) == len(asked)


def test_weights_and_classes_come_from_the_events() -> None:
    task = fb.Predict(
        on=Order,
        target=fb.target_value(Delivered, lambda d: d.mood, by="order", within="6h", classes=("good", "bad")),
        weight=lambda o: o.amount,
    )
    events: list[tuple[Event, int]] = []
    for number, (mood, amount) in enumerate([("good", 1.0), ("bad", 2.0), ("odd", 3.0), ("bad", 0.0)]):
        at = START_US + number
        events.append((Order(at=at, order=number + 1, kitchen="a", amount=amount), at))
        events.append((Delivered(at=at + 10, order=number + 1, mood=mood), at + 10))
    history = RequestHistory(task, past_of(task, events, START_US + DAY_US))
    found = history.examples(START_US + DAY_US)
    assert found.target.tolist() == [0.0, 1.0]  # odd is none of the classes, a weight of 0 no example
    assert found.weight.tolist() == [1.0, 2.0]
    assert undeclared_classes(task, history.frames) == [
        "warning: 1 Delivered events are none of the classes good, bad, such as 'odd', and label nothing: add the "
        "class, or correct the events"
    ]
    assert undeclared_classes(occurs_task(), history.frames) == []


def test_of_two_labels_that_disagree_the_latest_counts_and_a_key_used_again_later_is_another_request() -> None:
    task = fb.Predict(on=Order, target=fb.target_value(Delivered, lambda d: d.score, by="order", within="6h"))
    events: list[tuple[Event, int]] = [
        (Order(at=START_US, order=1, kitchen="a"), START_US),
        (Delivered(at=START_US + HOUR_US, order=1, score=3.0), START_US + HOUR_US),
        (Delivered(at=START_US + 2 * HOUR_US, order=1, score=5.0), START_US + 2 * HOUR_US),
        (Order(at=START_US + 365 * DAY_US, order=1, kitchen="a"), START_US + 365 * DAY_US),
        (Delivered(at=START_US + 366 * DAY_US, order=1, score=9.0), START_US + 366 * DAY_US),
    ]
    history = RequestHistory(task, past_of(task, events, START_US + 400 * DAY_US))
    found = history.examples(START_US + 400 * DAY_US)
    assert (found.rows.tolist(), found.target.tolist()) == ([0], [5.0])


def test_a_label_before_its_question_is_none() -> None:
    task = elapsed_task()
    events: list[tuple[Event, int]] = [
        (Delivered(at=START_US, order=1), START_US),
        (Order(at=START_US + 1, order=1, kitchen="a"), START_US + 1),
    ]
    history = RequestHistory(task, past_of(task, events, START_US + DAY_US))
    assert len(history.examples(START_US + DAY_US).rows) == 0


def test_a_target_that_never_comes_and_too_few_requests_are_reported() -> None:
    task = elapsed_task()
    few = "too little to evaluate on"
    never = "nothing to learn from: no Delivery that names the order of a request came within 6h after any of 500"
    for minutes, reason in ((np.full(500, np.nan), never), (np.array([30.0]), few), (np.empty(0), few)):
        past = past_of(task, orders_of(minutes, MINUTE_US), START_US + 2 * DAY_US)
        message = task.offline().examples(past, 50, 1, ())
        assert isinstance(message, str)
        assert message.startswith(reason)


def test_observed_share_is_that_of_a_slow_product() -> None:
    rng = np.random.default_rng(2)
    duration, censored = rng.integers(1, 20, size=200), rng.random(200) < 0.4
    for at in range(0, 22):
        slow = 1.0
        for time in range(1, at):
            at_risk, stopped = (duration >= time).sum(), ((duration == time) & censored).sum()
            slow *= 1.0 - (stopped / at_risk if at_risk else 0.0)
        assert observed_share(duration, censored, np.array([at]))[0] == pytest.approx(slow)


def test_a_share_of_labels_with_a_delay_is_the_true_share_and_without_it_too_small() -> None:
    """Two in ten orders of a kitchen are delivered, five hours later: of the last hours none is known yet."""
    arrived = fb.count(Delivery, "1d")
    late, asked = fb.count(Delivery, "1d", delay="6h"), fb.count(Order, "1d", delay="6h")
    kitchen = fb.Entity(
        "kitchen",
        young=fb.ratio(arrived, fb.count(Order, "1d")),
        old=fb.ratio(late, asked),
        orders=fb.count(Order, "1d"),
    )
    task = elapsed_task(features=(kitchen,))
    happens = np.where(np.random.default_rng(8).random(3_000) < 0.2, 300.0, np.nan)
    history = RequestHistory(task, past_of(task, orders_of(happens, MINUTE_US), START_US + 10 * DAY_US))
    table = history.table[2_500:]  # a whole day and the delay lie before these
    assert table["kitchen.old"].mean() == pytest.approx(0.2, abs=0.02)
    assert table["kitchen.young"].mean() < 0.17


@pytest.mark.parametrize("name", ODD)
def test_odd_labels_have_a_defined_result(name: str) -> None:
    events, *must = ODD[name]
    events = sorted(events, key=lambda event: event[1])
    as_of_us = START_US + 400 * DAY_US
    for task, values in zip((elapsed_task(), occurs_task(), score_task()), must, strict=True):
        found = RequestHistory(task, past_of(task, events, as_of_us)).examples(as_of_us)
        targets = np.full(len(values), np.nan)
        targets[found.rows] = found.target
        assert np.array_equal(targets, values, equal_nan=True), task.target


moments = st.one_of(
    st.sampled_from([step + off for step in (0, HOUR_US, 6 * HOUR_US, 7 * HOUR_US) for off in (-1, 0, 1)]),
    st.integers(0, 12 * HOUR_US),
)
several = st.lists(
    st.tuples(st.sampled_from(["order", "delivered", "delivered", "cancelled"]), st.integers(1, 2), moments),
    max_size=14,
    unique=True,
)
KINDS: dict[str, Any] = {"order": Order, "delivered": Delivered, "cancelled": Cancelled}


def waited(number: int, at_us: int, came: list[tuple[str, int, int]]) -> float:
    """The minutes of one request as a person would look for them: nan where it is cancelled first, or nothing comes."""
    within = [(kind, at) for kind, key, at in came if key == number and at_us <= at <= at_us + 6 * HOUR_US]
    ends = [at for kind, at in within if kind == "delivered"]
    stops = [at for kind, at in within if kind == "cancelled"]
    return float("nan") if not ends or min(stops, default=min(ends)) < min(ends) else (min(ends) - at_us) / MINUTE_US


@settings(max_examples=60, deadline=None)
@given(several)
@pytest.mark.parametrize("named", [Delivery, Delivered])
def test_elapsed_time_lasts_until_the_first_end_after_each_request(
    named: Any, came: list[tuple[str, int, int]]
) -> None:
    """Whether it is declared by the event or by the joined type of which the event is the end."""
    target = fb.elapsed(named, by="order", within="6h", censored_by=(Cancelled,), unit="m")
    task = fb.Predict(on=Order, target=target)
    fields = {"order": {"kitchen": "a"}, "delivered": {}, "cancelled": {}}
    events = [
        (KINDS[kind](at=START_US + at, order=number, **fields[kind]), START_US + at)
        for kind, number, at in sorted(came, key=lambda one: one[2])
    ]
    history = RequestHistory(task, past_of(task, events, START_US + 2 * DAY_US))
    found = history.examples(START_US + 2 * DAY_US)
    minutes = np.full(history.frame.height, np.nan)
    minutes[found.rows] = found.target
    orders = history.frame["order"].to_list()
    expected = [waited(number, at - START_US, came) for number, at in zip(orders, history.at_us.tolist(), strict=True)]
    assert np.array_equal(minutes, np.array(expected, np.float64), equal_nan=True)


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("UTC", {"2026-03-28": 24, "2026-03-29": 24, "2026-03-30": 24}),
        ("Europe/Berlin", {"2026-03-28": 24, "2026-03-29": 23, "2026-03-30": 24}),  # clocks go forward
        ("Australia/Sydney", {"2026-04-04": 24, "2026-04-05": 25, "2026-04-06": 24}),  # and back
    ],
)
def test_days_and_hours_of_an_evaluation_are_those_of_the_tasks_zone(zone: str, hours: dict[str, int]) -> None:
    """An order an hour, for a hundred days."""
    task = elapsed_task(zone=zone, unit="day")
    minutes = np.random.default_rng(0).uniform(10, 300, size=2_400)
    past = past_of(task, orders_of(minutes, HOUR_US), START_US + 100 * DAY_US)
    found = task.offline().examples(past, 20, 0)
    assert not isinstance(found, str)
    evaluation = found.evaluation
    local = [datetime.fromtimestamp(at // 1_000_000, ZoneInfo(zone)) for at in evaluation.at_us.tolist()]
    numbers = [moment.toordinal() - date(1970, 1, 1).toordinal() for moment in local]
    assert [evaluation.units[unit] for unit in evaluation.unit_of.tolist()] == [str(number) for number in numbers]
    assert evaluation.truth.day_of(evaluation.at_us).tolist() == numbers
    assert evaluation.slices["hour"] == [str(moment.hour) for moment in local]
    counts = Counter(moment.date().isoformat() for moment in local)
    assert {day: counts[day] for day in hours} == hours
