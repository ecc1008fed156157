"""Plans of a planted machine, whose numbers are computed by hand."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.capacity.planted import planted_profile

from flyball.capacity import CapacityPlan, Demand, NoneInTime, PartPlan, Prices, plan_capacity

DEMAND = Demand(
    users=6_000,
    items=1_000,
    requests_per_s=1_000.0,
    events_per_s=500.0,
    deadline_s=0.3,
    peak=2.0,
    keep_days=10,
    learn_every_s=86_400.0,
)


def part(plan: CapacityPlan, name: str) -> PartPlan:
    return next(part for part in plan.parts if part.part == name)


def test_each_part_costs_what_was_planted() -> None:
    plan = plan_capacity(planted_profile(), DEMAND)
    # an answer takes 2 ms, so 1,000 of them keep two cores busy; three processes are the fewest below 80 %
    assert part(plan, "serving").cores == pytest.approx(2.0)
    assert plan.growth[0].serving == 3
    assert (plan.machines, plan.serving) == (3, 6)
    worker = part(plan, "log worker")
    assert worker.limit_per_s == pytest.approx(1 / (30e-6 + 2 * 200e-6))
    assert worker.used() == pytest.approx(500 * 430e-6)
    events, answers = 250 * 86_400 * 10, 500 * 86_400
    assert part(plan, "event log").disk_bytes == pytest.approx(100 * events)
    assert part(plan, "predictions").disk_per_day == pytest.approx(1_000 * answers)
    assert part(plan, "state and features").disk_bytes == pytest.approx(1_000 * 6_000 + 500 * 1_000)
    learning = part(plan, "learning")
    assert learning.cores == pytest.approx((2 + 100e-6 * events) / 86_400)
    assert learning.memory_bytes == pytest.approx(200e6 + 1_000 * events)
    assert plan.network_bytes_per_s == pytest.approx(1_000 * 400 + 500 * 80)


def test_the_part_that_is_used_most_breaks_first() -> None:
    plan = plan_capacity(planted_profile(), DEMAND)
    learning = (2 + 100e-6 * 250 * 86_400 * 10) / 86_400
    assert plan.breaks_first == "learning"
    assert plan.breaks_at == pytest.approx(1 / learning)
    assert [growth.over for growth in plan.growth] == [(), (), ("learning", "log worker"), ("learning", "log worker")]
    hourly = plan_capacity(planted_profile(recorded_s=1e-3), DEMAND)
    assert hourly.breaks_first == "log worker"


def test_what_lies_far_beyond_the_measured_sizes_is_named() -> None:
    plan = plan_capacity(planted_profile(), DEMAND)
    assert plan.beyond == {"learn_s": pytest.approx(5_400), "learn_bytes": pytest.approx(5_400)}
    near = msgspec.structs.replace(DEMAND, events_per_s=1.0, keep_days=1)
    assert plan_capacity(planted_profile(), near).beyond == {}


def test_answers_with_more_items_take_longer() -> None:
    slow = plan_capacity(planted_profile(), msgspec.structs.replace(DEMAND, items=9_000))
    assert part(slow, "serving").cores == pytest.approx(14.0)
    assert slow.p50_s > plan_capacity(planted_profile(), DEMAND).p50_s


def test_only_what_has_a_price_costs_something() -> None:
    free = plan_capacity(planted_profile(), DEMAND)
    assert {part.cost_month for part in free.parts} == {None}
    plan = plan_capacity(planted_profile(), DEMAND, Prices(cpu_hour=0.1))
    assert part(plan, "serving").cost_month == pytest.approx(2 * 0.1 * 730)
    assert part(plan, "event log").cost_month == 0.0
    stored = plan_capacity(planted_profile(), DEMAND, Prices(gb_month=0.5))
    assert part(stored, "event log").cost_month == pytest.approx(0.5 * 100 * 250 * 86_400 * 10 / 1e9)


def test_a_store_that_does_not_say_its_size_is_named_not_guessed() -> None:
    plan = plan_capacity(planted_profile(log_bytes=None, state_bytes=None), DEMAND)
    assert part(plan, "event log").disk_bytes is None
    assert "state bytes was not measured: its server does not say it" in plan.notes


def test_a_deadline_that_no_answer_meets_is_refused() -> None:
    with pytest.raises(NoneInTime):
        plan_capacity(planted_profile(), msgspec.structs.replace(DEMAND, deadline_s=0.001))


@settings(deadline=None, max_examples=5)
@given(st.floats(1, 5_000), st.floats(1, 4))
def test_more_of_anything_never_needs_less(requests: float, more: float) -> None:
    few = msgspec.structs.replace(DEMAND, requests_per_s=requests)
    many = msgspec.structs.replace(
        DEMAND, requests_per_s=requests * more, events_per_s=DEMAND.events_per_s * more, users=int(6_000 * more)
    )
    first, second = plan_capacity(planted_profile(), few), plan_capacity(planted_profile(), many)
    assert second.serving >= first.serving
    assert second.partitions >= first.partitions
    for before, after in zip(first.parts, second.parts, strict=True):
        assert after.cores >= before.cores
        assert (after.disk_bytes or 0) >= (before.disk_bytes or 0)
    growth = [row.serving for row in second.growth]
    assert growth == sorted(growth)
