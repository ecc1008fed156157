"""A drilled application is a copy with few candidates, whose gates are only reported; looks are lines of JSON."""

import json

import pytest

import flyball as fb
from flyball.monitoring import Observation, WatchRound, decide_findings
from flyball.simulation.monitored import look_lines, reduced_app


def test_the_application_is_reduced_in_a_copy() -> None:
    app = fb.load_app("delivery")
    declared = (dict(app.candidates), app.retrain, app.gates)
    reduced = reduced_app(app, ("trees", "unknown"), [fb.every("2d")])
    assert list(reduced.candidates) == ["trees"]
    assert reduced.retrain == (fb.every("2d"),)
    assert "beats_" in reduced.gates.advisory
    assert reduced.source is None, "what is changed later is learned as well"
    assert app.source is not None
    assert (app.candidates, app.retrain, app.gates) == declared
    assert list(reduced_app(app).candidates) == list(app.candidates)[:2]
    assert reduced_app(app).retrain == ()


def test_what_monitors_saw_is_a_line_for_each() -> None:
    seen = [
        Observation("shift", "events.order.km", 3.0, True, "longer ways", evidence={"p": 0.02}),
        Observation("consumer", "worker", float("inf"), True, "stands still"),
    ]
    decision = decide_findings({}, seen, since_us=0, at_us=10, run_length=30)
    lines = [json.loads(line) for line in look_lines(WatchRound(10, 2, decision, observations=tuple(seen)))]
    assert [line["e_value"] for line in lines] == [3.0, None]
    assert lines[0]["log_wealth"] == pytest.approx(1.0986, abs=1e-4)
    assert lines[0]["evidence"] == {"p": 0.02}
    assert lines[1]["log_wealth"] is None  # it has a finding, and starts again
    assert {line["at_us"] for line in lines} == {10}
