"""The faults of a drill of monitors: each plants exactly what it names, and says what it is."""

import flyball as fb
from flyball.simulation import MONITOR_FAULTS
from flyball.simulation.data_faults import FAULTS
from flyball.simulation.monitor_faults import CAUSES, window_us
from flyball.simulation.world import open_world

HOUR_US = 3_600_000_000


def test_each_fault_plants_exactly_one_thing_and_has_words() -> None:
    shifts = dict(open_world(fb.load_app("fraud").world, "fraud", seed=1, start_us=0).SHIFTS)  # type: ignore[attr-defined]
    for name, fault in MONITOR_FAULTS.items():
        planted = fault.planted(5)
        assert planted.begin_us == 5
        things = [planted.data is not None, bool(planted.serving), planted.stalled, bool(fault.moves)]
        assert things.count(True) == 1, name
        assert fault.words or shifts[fault.moves], name
    assert {fault.cause for fault in MONITOR_FAULTS.values()} == set(CAUSES)
    left_out = {name for name, fault in FAULTS.items() if fault.live or fault.divided}
    assert set(FAULTS) - set(MONITOR_FAULTS) == left_out != set()


def test_a_fault_holds_from_its_beginning_until_it_is_over() -> None:
    outage = MONITOR_FAULTS["outage"].planted(10 * HOUR_US)
    assert [outage.holds(hour * HOUR_US) for hour in (9, 10, 21, 22)] == [False, True, True, False]
    lasting = MONITOR_FAULTS["stuck-answers"].planted(10 * HOUR_US)
    assert [lasting.holds(hour * HOUR_US) for hour in (9, 10, 10_000)] == [False, True, True]


def test_where_labels_take_days_a_look_a_day_is_enough() -> None:
    assert window_us(6 * HOUR_US) == window_us(24 * HOUR_US) == 6 * HOUR_US
    assert window_us(25 * HOUR_US) == 24 * HOUR_US
