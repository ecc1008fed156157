"""The drill of the feedback loop: two runs that differ by the correction, and what passes."""

from typing import Any

import pytest
from msgspec.structs import replace

import flyball as fb
from flyball.app import App
from flyball.core import BadInput
from flyball.evaluation import Estimate
from flyball.simulation import LoopDrillReport, run_loop_drill
from flyball.simulation.loop_drill import CORRECTION, LoopRun


def made(before: Estimate, after: Estimate) -> LoopDrillReport:
    runs = [LoopRun(100, {"effective_items": value}, 0.2, 0.1, "ab" * 32) for value in (before, after)]
    return LoopDrillReport(
        app="movies", drill="feedback-loop", seed=1, days=4, correction=dict(CORRECTION), before=runs[0], after=runs[1]
    )


def test_it_passes_where_the_lists_show_more_beyond_both_intervals() -> None:
    wider = made(Estimate(30, 28, 32), Estimate(60, 55, 65))
    assert wider.passed
    assert wider.text().endswith("passed: effective_items must be larger with the correction")
    assert "corrected by popularity_penalty=0.3, propensity_cap=10, randomized_share=0.05" in wider.text()
    assert not made(Estimate(30, 28, 32), Estimate(31, 29, 33)).passed
    assert not replace(wider, after=wider.before).passed
    assert "FAILED" in made(Estimate(30), Estimate(60)).text()


def test_both_runs_are_alike_but_for_the_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[App, int, int, dict[str, Any]]] = []

    def run(app: App, seed: int, days: int, _: object, settings: dict[str, Any]) -> LoopRun:
        ran.append((app, seed, days, settings))
        return LoopRun(10, {}, 0.2, 0.1, str(len(ran)))

    monkeypatch.setattr("flyball.simulation.loop_drill._run", run)
    app = fb.load_app("movies")
    declared = (app.task, dict(app.candidates), app.retrain, app.gates)
    report = run_loop_drill(app, seed=3, days=2, users=60)
    assert (app.task, dict(app.candidates), app.retrain, app.gates) == declared, "the caller's application stays"
    assert (report.before.digest, report.after.digest) == ("1", "2")
    (plain, *alike), (corrected, *other) = ran
    assert alike == other
    assert alike[2]["users"] == 60
    tasks: list[Any] = [plain.task, corrected.task]
    assert tasks[1] == replace(tasks[0], **CORRECTION)
    assert [getattr(tasks[0], name) for name in CORRECTION] == [0.0] * len(CORRECTION)
    assert list(plain.candidates) == list(corrected.candidates) == ["item_knn"], "the first personal one"


def test_mistakes_are_named() -> None:
    with pytest.raises(BadInput, match="one that shows lists, such as movies"):
        run_loop_drill(fb.load_app("delivery"))
    with pytest.raises(BadInput, match="days must be 2 or more"):
        run_loop_drill(fb.load_app("movies"), days=1)
