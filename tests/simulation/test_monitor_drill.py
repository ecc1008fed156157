"""The drill of monitors: faults that are planted are found in their own runs, a run has nothing of another."""

from copy import copy
from types import SimpleNamespace
from typing import cast

import pytest

import flyball as fb
from flyball.core import BadInput
from flyball.monitoring import Finding
from flyball.simulation import DAY_US, MONITOR_FAULTS, MonitorDrillReport, run_monitor_drill
from flyball.simulation.monitor_drill import _result
from flyball.simulation.monitored import DrilledFinding, WatchedSimulation

SMALL = {"orders_a_day": 60, "shops": 6, "couriers": 20, "past_days": 5}


def drilled(*faults: str) -> MonitorDrillReport:
    app = copy(fb.load_app("delivery"))
    app.watch = fb.watch("1d", days=14)
    return run_monitor_drill(app, seed=2, days=1, faults=faults, **SMALL)


def test_faults_are_found_each_in_its_own_run() -> None:
    report = drilled("stuck-answers", "stalled-consumer")
    found = {result.fault: result for result in report.faults}
    assert set(found) == {"stuck-answers", "stalled-consumer"}
    assert set(found["stuck-answers"].found_us) >= {"equal_answers"}
    assert found["stalled-consumer"].found_us == {"consumer": DAY_US}
    assert found["stalled-consumer"].named_first == "own"
    assert report.quiet_looks == 3 + 1  # of the days before, and of the run without a fault
    again = drilled("stalled-consumer")
    assert [result.found_us for result in again.faults] == [found["stalled-consumer"].found_us]


def test_mistakes_are_named() -> None:
    with pytest.raises(BadInput, match="fault must be one of data-loss, outage"):
        drilled("label-shift")  # the world of delivery has no classes
    with pytest.raises(BadInput, match="days must be 1 or more"):
        run_monitor_drill(fb.load_app("delivery"), days=0)


def test_a_fault_that_is_over_before_its_window_is_named_by_what_found_it() -> None:
    lost = Finding("volume", "events.payment", 20, 10, "high", "few rows", "own")
    run = cast(WatchedSimulation, SimpleNamespace(latest=lambda keys: []))
    result = _result("outage", MONITOR_FAULTS["outage"], [DrilledFinding(10, lost)], run)
    assert (result.named_first, result.named_last) == ("own", "own")
    assert _result("outage", MONITOR_FAULTS["outage"], [], run).named_last == "not found"
