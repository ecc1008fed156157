"""Drills of shift: a store that is away is found and over when it returns; mistakes are named."""

import json
from copy import copy
from pathlib import Path

import pytest

import flyball as fb
from flyball.core import BadDeclaration, BadInput, Refused
from flyball.simulation import run_shift_drill

SMALL = {"orders_a_day": 60, "shops": 6, "couriers": 20, "past_days": 10}


def test_a_store_that_is_away_is_found_answers_go_on_and_it_is_over_when_it_returns(tmp_path: Path) -> None:
    app, looks = copy(fb.load_app("delivery")), tmp_path / "looks.jsonl"
    declared = dict(app.candidates)
    report = run_shift_drill(app, "dependency-down", seed=2, days=3, looks=looks, **SMALL)
    assert len({json.loads(line)["at_us"] for line in looks.read_text().splitlines()}) == report.looks
    assert app.candidates == declared
    subjects = {drilled.finding.subject for drilled in report.findings if drilled.after_us > 0}
    assert subjects & {"predictions", "predictions.level", "predictions.failed"}  # the first: a run of equal answers
    assert report.fallbacks > 0.95  # each answer while it was away, and none was missing
    assert report.mitigated_us is not None
    assert report.harm == pytest.approx((report.during.mean - report.before.mean) * report.during.answers)
    assert report.passed, report.text()


def test_mistakes_are_named() -> None:
    app = fb.load_app("delivery")
    with pytest.raises(BadInput, match="drill must be one of covariate-shift"):
        run_shift_drill(app, "bad-weather")
    with pytest.raises(BadInput, match="form of covariate-shift must be one of sudden, gradual, seasonal"):
        run_shift_drill(app, "covariate-shift", form="slow")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="form of pipeline-bug must be left out"):
        run_shift_drill(app, "pipeline-bug", form="gradual")
    with pytest.raises(BadInput, match="days must be 1 or more"):
        run_shift_drill(app, "pipeline-bug", days=0)
    with pytest.raises(Refused, match="kind 'label', got only covariate, concept, demand"):
        run_shift_drill(app, "label-shift")
    without = copy(app)
    without.world = None
    with pytest.raises(BadDeclaration, match="names a world of simulated users"):
        run_shift_drill(without, "pipeline-bug")
