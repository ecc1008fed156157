"""The drill of fairness: two runs that differ by the thresholds of groups, the gap in the world, and what passes."""

from copy import copy
from typing import Any

import pytest
from msgspec.structs import replace
from tests.simulation.regions import regions

import flyball as fb
from flyball.app import App
from flyball.core import BadDeclaration, BadInput
from flyball.evaluation import Estimate, GroupComparison, LargestGap
from flyball.simulation import FairnessDrillReport, run_fairness_drill
from flyball.simulation.fairness_drill import RATE, WITHIN, FairnessRun


def run_with(gap: Estimate) -> FairnessRun:
    largest = LargestGap(RATE, "north", "south", gap, 1, True)
    return FairnessRun("v1", 100, GroupComparison("region", [], [], {RATE: largest}), "saved", 2.5, {}, "ab" * 32)


def made(before: Estimate, after: Estimate) -> FairnessDrillReport:
    return FairnessDrillReport(
        app="regions",
        drill="fairness",
        by="region",
        seed=1,
        days=4,
        before=run_with(before),
        after=replace(run_with(after), factors={"south": 4.0, "north": 1.0}),
    )


def test_it_passes_where_the_gap_is_smaller_beyond_both_intervals() -> None:
    smaller = made(Estimate(0.19, 0.14, 0.23), Estimate(0.02, 0.0, 0.05))
    assert smaller.passed
    text = smaller.text()
    assert "thresholds of groups: true_positive_rate equal by region within 0.05" in text
    assert "0.190 [0.140, 0.230]      0.020 [0.000, 0.050]" in text
    assert "north 1, south 4" in text
    assert text.endswith("beyond both intervals")
    assert not made(Estimate(0.19, 0.14, 0.23), Estimate(0.12, 0.08, 0.16)).passed
    assert "FAILED" in made(Estimate(0.19), Estimate(0.02)).text()
    assert not replace(smaller, after=replace(smaller.after, groups=GroupComparison("region", [], [], {}))).passed


def test_both_runs_are_alike_but_for_the_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[App, list[Any]]] = []

    def run(app: App, *others: Any) -> FairnessRun:
        ran.append((app, list(others)))
        return run_with(Estimate(0.1))

    monkeypatch.setattr("flyball.simulation.fairness_drill._run", run)
    app = regions()
    declared = (app.task, dict(app.candidates), app.retrain, app.gates)
    assert run_fairness_drill(app, seed=3, days=2, daily=50).by == "region"
    assert (app.task, dict(app.candidates), app.retrain, app.gates) == declared, "the caller's application stays"
    (plain, *alike), (equal, *other) = ran
    assert alike == other
    assert alike[0][:3] == ["region", 3, 2]
    assert alike[0][-1]["daily"] == 50
    tasks: list[Any] = [plain.task, equal.task]
    assert tasks[0].decide.equal is None
    assert tasks[1].decide.equal == fb.decide(1.0, 1.0, equal={f"{RATE}/region": WITHIN}).equal
    assert replace(tasks[1], decide=tasks[0].decide) == tasks[0]


def test_the_gap_in_the_world_is_closed_by_thresholds_that_serve() -> None:
    report = run_fairness_drill(regions(), days=2, past_days=16, daily=200)
    before, after = report.before.gap, report.after.gap
    assert before is not None
    assert after is not None
    assert after.value < before.value
    assert report.before.factors == {}
    assert report.after.factors["south"] > report.after.factors["north"]
    assert report.before.digest != report.after.digest
    assert report.before.metric == "saved"


def test_mistakes_are_named() -> None:
    with pytest.raises(BadInput, match="one that decides by costs, with decide="):
        run_fairness_drill(fb.load_app("movies"))
    with pytest.raises(BadInput, match="one that declares groups="):
        run_fairness_drill(fb.load_app("fraud"))
    with pytest.raises(BadInput, match="days must be 2 or more"):
        run_fairness_drill(regions(), days=1)
    without = copy(regions())
    without.world = None
    with pytest.raises(BadDeclaration, match="names a world of simulated users"):
        run_fairness_drill(without)
