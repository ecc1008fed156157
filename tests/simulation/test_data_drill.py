"""Drills of watching: a planted fault is found within its time, nothing is found before it, mistakes are named."""

from copy import copy
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

import flyball as fb
from flyball.core import BadInput
from flyball.monitoring import Finding
from flyball.simulation import DATA_DRILLS, DataDrillReport, run_data_drill
from flyball.simulation.data_drill import _DataSimulation
from flyball.simulation.data_faults import FAULTS
from flyball.simulation.monitored import DrilledFinding, PlantedFault

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


def test_a_finding_that_came_with_a_release_is_explained_and_not_false() -> None:
    chance = Finding("shift", "events.payment.amount", 20, 10, "low", "it changed")
    released = replace(chance, subject="predictions.decision", evidence={"release": "v2 became the champion"})
    simulation = SimpleNamespace(
        findings=lambda zero_us: [DrilledFinding(20, chance), DrilledFinding(20, released)],
        _runtime=SimpleNamespace(app=fb.load_app("fraud")),
        _planted=PlantedFault(0),
        _tally=SimpleNamespace(digest=lambda: ""),
        _wire=SimpleNamespace(struck=0),
        _rounds=[],
        _seed=1,
    )
    report = _DataSimulation.data_report(cast(_DataSimulation, simulation), "quiet", 60, 0)
    assert (report.false, report.explained, report.allowed, report.passed) == (1, 1, 2, True)
    assert "1 findings without a cause, 2 allowed; 1 that a release explains" in report.text()


def test_mistakes_are_named() -> None:
    with pytest.raises(BadInput, match="quiet, data-loss, outage"):
        drilled("bad-weather")
    with pytest.raises(BadInput, match="days must be 2 or more"):
        drilled("outage", 1)
    assert set(DATA_DRILLS) == {"quiet", *FAULTS}
