"""Against a naive reading of all events, one unit after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flyball as fb
from flyball.core import BadDeclaration
from flyball.events import DeclaredLog, Record, Schema, open_log
from flyball.experiments import EventRows, LoggedEvents, unit_values
from flyball.history import History, HistoryConsumer
from flyball.policy import EventTotal, ExperimentMetric, compile_python

User = Annotated[int, fb.Ref("user"), fb.integer(1)]


class View(fb.Event):
    user: User
    page: int
    paid: float | None = None


class Order(fb.Event):
    order: Annotated[int, fb.Ref("order")]
    buyer: User


class Paid(fb.Event):
    order: Annotated[int, fb.Ref("order")]
    amount: float


Bought = fb.joined("Bought", Order, Paid, by="order", within="20s")
Ordered = fb.joined("Ordered", Order, Paid, by="order", within="20s", at="first")
SCHEMA = Schema([View, Order, Paid, Bought, Ordered])
S = 1_000_000
WITHIN, BEFORE = "10s", "6s"
SPANS: dict[str, Any] = {"within": WITHIN, "before": BEFORE}
METRICS = {
    "rate": fb.metric.rate(View, lambda v: v.page >= 2, at_least=2, **SPANS),
    "plain rate": fb.metric.rate(View, within=WITHIN),
    "retention": fb.metric.retention(View, after="4s", **SPANS),
    "count": fb.metric.count_per_unit(View, winsorize=2, **SPANS),
    "total": fb.metric.total_per_unit(View, lambda v: v.paid, late="3s", **SPANS),
    "mean": fb.metric.mean(View, lambda v: v.paid, lambda v: v.page != 3, **SPANS),
    "ratio": fb.metric.ratio(
        fb.metric.revenue(View, lambda v: v.paid * 2), fb.metric.count_per_unit(View), winsorize=1.5, **SPANS
    ),
    "joined": fb.metric.revenue(Bought, lambda b: b.amount, **SPANS),
    "completed": fb.metric.revenue(Ordered, lambda b: b.amount, **SPANS),
    "one side": fb.metric.count_per_unit(Order, by="buyer", **SPANS),
}

times = st.integers(0, 40)
users = st.integers(1, 4)
views = st.tuples(st.just("view"), users, st.integers(1, 4), st.none() | st.sampled_from([0.1, 0.7, -2.5]))
orders = st.tuples(st.just("order"), st.integers(1, 3), users)
payments = st.tuples(st.just("paid"), st.integers(1, 3), st.sampled_from([1.25, 3.0]))
events = st.lists(st.tuples(views | orders | payments, times, st.integers(0, 15)), max_size=25)


def record(event: tuple[tuple[Any, ...], int, int]) -> Record:
    (name, *values), at, late = event
    fields = dict(
        zip(
            {"view": ("user", "page", "paid"), "order": ("order", "buyer"), "paid": ("order", "amount")}[name],
            values,
            strict=True,
        )
    )
    return SCHEMA.check(name, fields, at * S, (at + late) * S)


def naive(
    metric: ExperimentMetric, records: Sequence[Record], exposed: dict[str, int], as_of_us: int
) -> dict[str, Any]:
    """What each unit did: no columns, no pieces, no sums that merge."""
    known = {one.id: one for one in records if one.known_at <= as_of_us}
    decoded = [(one.at, SCHEMA.decode(one)) for one in known.values()]
    pairs = [
        (
            paid_at,
            kind(order=order.order, buyer=order.buyer, amount=paid.amount, elapsed_us=paid_at - at, at=at),  # type: ignore[call-arg]
        )
        for at, order in decoded
        if isinstance(order, Order)
        for kind in (Bought, Ordered)
        for paid_at, paid in decoded
        if isinstance(paid, Paid) and paid.order == order.order and 0 <= paid_at - at <= 20 * S
    ]
    found: dict[str, Any] = {}
    for unit, start in exposed.items():
        sides = []
        for first, last in ((start + metric.after_us, start + metric.within_us), (start - metric.before_us, start - 1)):
            total = [
                sum(_numbers(part, [*decoded, *pairs], unit, first, last)) if part is not None else None
                for part in (metric.numerator, metric.denominator)
            ]
            value = total[0]
            assert value is not None
            if metric.is_share:
                value = float(value >= metric.at_least)
            if metric.cap is not None:
                value = max(-metric.cap, min(metric.cap, value))
            sides.append((value, total[1]))
        found[unit] = (start + metric.within_us + metric.late_us <= as_of_us, *sides)
    return found


def _numbers(part: EventTotal, events: Sequence[tuple[int, Any]], unit: str, first: int, last: int) -> list[float]:
    numbers = []
    for at, event in events:
        if type(event) is not part.event or not first <= at <= last:
            continue
        if str(event.user if isinstance(event, View) else event.buyer) != unit:
            continue
        if part.where is not None and not compile_python(part.where)(event):
            continue
        number = 1.0 if part.value is None else compile_python(part.value)(event)
        if number is not None:
            numbers.append(1.0 if part.counted else number)
    return numbers


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=25, deadline=None)
@given(
    events=events,
    again=st.lists(st.integers(0, 24), max_size=4),
    starts=st.lists(times, min_size=1, max_size=4),
    as_of=st.integers(0, 60),
    taken=st.integers(0, 30),
    rows=st.integers(1, 30),
)
def test_every_metric_of_every_unit_is_what_a_naive_reading_says(
    name: str, events: Any, again: list[int], starts: list[int], as_of: int, taken: int, rows: int
) -> None:
    """In any order, late and delivered twice, however far the history is and wherever pieces are cut."""
    records = [record(event) for event in events]
    exposed = {str(number + 1): start * S for number, start in enumerate(starts)}
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/events.db?partitions=2"
        log = DeclaredLog(open_log(url), SCHEMA, url)
        for one in [*records, *(records[index] for index in again if index < len(records))]:
            log.append([one])
        consumer = HistoryConsumer(log.schema, Path(folder) / "history", partitions=2, schemas=log.schemas)
        for piece in log.read((0, 0), 100):
            if piece.first < taken:
                consumer.apply([piece.part(0, taken)])
        consumer.flush()
        source = LoggedEvents(History(Path(folder) / "history", log.schema), log, log.schema, rows)
        units = pl.DataFrame(
            {"unit": list(exposed), "at": list(exposed.values())}, schema={"unit": pl.String, "at": pl.Int64}
        )
        metric = METRICS[name]
        got = unit_values(metric, units, EventRows(source, log.schema, "user", metric.by), as_of * S)
        log.close()
    expected = naive(metric, records, exposed, as_of * S)
    for index, unit in enumerate(exposed):
        closed, (value, per), (value_before, per_before) = expected[unit]
        assert got.closed[index] == closed
        assert got.value[index] == pytest.approx(value, abs=1e-9)
        assert (got.per is None) == (per is None)
        if got.per is not None:
            assert got.per[index] == per
        if metric.before_us:
            assert got.value_before is not None
            assert got.value_before[index] == pytest.approx(value_before, abs=1e-9)
            assert got.per_before is None or got.per_before[index] == per_before


@pytest.mark.parametrize(
    ("after_us", "value", "before"),
    [(-6 * S - 1, 0, 0), (-6 * S, 0, 1), (-1, 0, 1), (0, 1, 0), (10 * S, 1, 0), (10 * S + 1, 0, 0)],
)
def test_the_window_includes_both_ends_and_what_is_before_includes_the_exposure_not(
    after_us: int, value: float, before: float
) -> None:
    class Frames:
        def frames(self, name: str, since_us: int, until_us: int, as_of_us: int) -> list[pl.DataFrame]:
            at = 100 * S + after_us
            frame = pl.DataFrame({"user": [1], "page": [1], "paid": [None], "at": [at]})
            return [frame] if since_us <= at < until_us else []

    units = pl.DataFrame({"unit": ["1"], "at": [100 * S]})
    metric = fb.metric.count_per_unit(View, **SPANS)
    got = unit_values(metric, units, EventRows(Frames(), SCHEMA, "user"), 200 * S)  # type: ignore[arg-type]
    assert got.value_before is not None
    assert (got.value[0], got.value_before[0]) == (value, before)


def test_an_event_that_names_no_unit_is_refused_with_what_to_do() -> None:
    units = pl.DataFrame({"unit": ["1"], "at": [0]})
    rows = EventRows(None, SCHEMA, "user")  # type: ignore[arg-type]
    with pytest.raises(
        BadDeclaration, match="naming the user that is exposed, by a field with Ref or by the metric's by="
    ):
        unit_values(fb.metric.count_per_unit(Paid), units, rows, 0)


def test_values_are_the_same_in_any_order() -> None:
    """A sum of doubles is not: these would differ in the last bit."""
    numbers = np.random.default_rng(0).normal(size=300).tolist()

    class Frames:
        def __init__(self, paid: list[float]) -> None:
            self.paid = paid

        def frames(self, name: str, since_us: int, until_us: int, as_of_us: int) -> list[pl.DataFrame]:
            count = len(self.paid)
            columns = {"user": [1] * count, "page": [1] * count, "paid": self.paid, "at": [0] * count}
            return [pl.DataFrame(columns)]

    units = pl.DataFrame({"unit": ["1"], "at": [0]})
    metric = fb.metric.total_per_unit(View, lambda v: v.paid)
    values = {
        unit_values(metric, units, EventRows(Frames(order), SCHEMA, "user"), 10**12).value[0]  # type: ignore[arg-type]
        for order in (numbers, numbers[::-1], sorted(numbers))
    }
    assert len({sum(numbers), sum(numbers[::-1]), sum(sorted(numbers))}) > 1
    assert len(values) == 1


class WeightedAnswers:
    """Answers of unit "1" with losses 0.5 and 2, of which the second stands for 20 answers."""

    def pieces(self, total: EventTotal, since_us: int, until_us: int, as_of_us: int) -> Iterator[pl.DataFrame]:
        yield pl.DataFrame({"unit": ["1", "1"], "at": [S, 2 * S], "number": [0.5, 2.0], "weight": [1.0, 20.0]})


def test_an_answer_that_stands_for_others_counts_for_all_of_them() -> None:
    units = pl.DataFrame({"unit": ["1", "2"], "at": [S, S]})
    got = unit_values(fb.metric.model("log_loss", within=WITHIN), units, WeightedAnswers(), 100 * S)
    assert got.per is not None
    assert (got.value.tolist(), got.per.tolist()) == ([40.5, 0.0], [21.0, 0.0])
