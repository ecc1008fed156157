"""Drills of watching: a planted fault is found within its time, nothing is found before it, mistakes are named."""

from copy import copy

import pytest
from msgspec.structs import replace

import flyball as fb
from flyball.core import BadInput
from flyball.simulation import DATA_DRILLS, DataDrillReport, run_data_drill
from flyball.simulation.data_faults import FAULTS

SMALL = {"orders_a_day": 150, "shops": 12, "couriers": 40, "past_days": 8}


def drilled(name: str, days: int = 2) -> DataDrillReport:
    app = copy(fb.load_app("delivery"))
    app.watch = fb.watch("12h")
    declared = dict(app.candidates)
    report = run_data_drill(app, name, seed=2, days=days, **SMALL)
    assert app.candidates == declared
    return report


def test_a_changed_unit_is_found_and_nothing_before_it() -> None:
    report = drilled("unit-change")
    assert report.passed
    assert report.false == 0
    subjects = {each.finding.subject for each in report.findings}
    assert "events.order.km" in subjects
    assert "found after" in report.text()
    assert report.text().endswith("passed")
    failed = replace(report, found_us=FAULTS["unit-change"].within_us + 1)
    assert failed.text().endswith("FAILED")
    assert not replace(report, false=1).passed


def test_mistakes_are_named() -> None:
    with pytest.raises(BadInput, match="quiet, data-loss, outage"):
        drilled("bad-weather")
    with pytest.raises(BadInput, match="days must be 2 or more"):
        drilled("outage", 1)
    assert set(DATA_DRILLS) == {"quiet", *FAULTS}
