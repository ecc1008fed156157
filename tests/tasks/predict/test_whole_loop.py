"""A prediction goes through the whole loop: learned, gated, released, served, explained, replayed, audited."""

import random
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import call

from flyball.app import App, load_app
from flyball.core import ManualClock, ManualStopwatch, new_id
from flyball.learning import learn
from flyball.operations import catch_up
from flyball.outcomes import Prediction, outcomes_by_version, prediction_of, prediction_record
from flyball.provenance import audit, replay, why
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation import DAY_US, Timeline, WorldRequest, ingest_pieces, new_plan, open_world, seed_home, simulate
from flyball.tasks import request_of

FILE = Path(__file__).with_name("city.py")
NOW_US = 1_767_225_600_000_000 + 3 * DAY_US


def city() -> App:
    return load_app(str(FILE))


class Served:
    """Three days of orders, what was learned from them, a quarter of a day of answers and their outcomes."""

    def __init__(self, home: Path) -> None:
        self.app, self.clock = city(), ManualClock(NOW_US)
        self.runtime = Runtime(self.app, load_settings(home), self.clock)
        seed_home(self.runtime, new_plan(self.app, NOW_US))
        self.report = learn(self.runtime, workers=1)
        self.requests, self.predictions, self.minutes = self._day()

    def _day(self) -> tuple[list[WorldRequest], list[Prediction], dict[int, float]]:
        service = Service(self.runtime, "test", random.Random(1), self.clock, stopwatch=ManualStopwatch())
        service.refresher.step()
        world = open_world(self.app.world, self.app.name, seed=5, start_us=NOW_US)
        world.placed = 100_000  # type: ignore[attr-defined]
        world.emit(NOW_US, Timeline())
        requests, rng = world.requests(NOW_US + DAY_US // 4, Timeline()), random.Random(2)
        event_type = self.app.task.about.request
        asked = [request_of(event_type, new_id(r.at_us, rng), r.at_us, r.fields) for r in requests]
        predictions = service.engine.answer(asked)
        self.runtime.predictions.append([prediction_record(prediction) for prediction in predictions])
        world.decide(requests, [None] * len(requests), [1] * len(requests))
        self.clock.move_to_us(NOW_US + DAY_US)
        batch = world.emit(NOW_US + DAY_US, Timeline())
        for format, lines in batch.lines:
            ingest_pieces(self.runtime, format, [b"\n".join(lines)], "day", "history")
        catch_up(self.runtime)
        return requests, predictions, {outcome.request: outcome.value for outcome in batch.outcomes}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Served(tmp_path_factory.mktemp("city"))


def test_the_better_candidate_passes_its_gates_and_is_released(served: Served) -> None:
    report = served.report
    outcome = {candidate.name: candidate.outcome for candidate in report.candidates}
    assert outcome == {"median": "passed", "linear": "passed", "constant": "compared"}, report
    version = served.runtime.registry.version(report.champion or "")
    assert (version.candidate, version.kind, version.state) == ("linear", "linear", "champion")
    # A courier is three minutes off by chance; the mean of that is 3 * sqrt(2 / pi).
    assert version.metrics["mae"]["value"] == pytest.approx(2.39, abs=0.3)
    assert version.metrics["bias"]["value"] == pytest.approx(0.0, abs=1.0)
    assert sorted(version.features) == ["kitchen.minutes", "kitchen.orders"]


def test_answers_are_near_what_is_to_be_expected(served: Served) -> None:
    for request, prediction in zip(served.requests, served.predictions, strict=True):
        assert (prediction.version, prediction.level, prediction.items) == (served.report.champion, "champion", [])
        expected = {"a": 10.0, "b": 30.0, "c": 20.0}[request.fields["kitchen"]] + 4 * request.fields["km"]
        assert prediction.values == pytest.approx([expected], abs=3.0)


def test_outcomes_are_the_true_minutes_of_what_was_not_cancelled(served: Served) -> None:
    (outcomes,) = outcomes_by_version(served.runtime.outcomes_path, NOW_US + 2 * DAY_US).values()
    minutes = outcomes.labels["delivery"]
    assert outcomes.responses == len(served.requests)
    assert (minutes.n, minutes.mature) == (len(served.minutes), len(served.requests))
    assert minutes.censored == len(served.requests) - len(served.minutes) > 0
    assert minutes.value == pytest.approx(sum(served.minutes.values()) / len(served.minutes), abs=1e-5)


def test_why_tells_what_each_column_added_and_what_came(served: Served) -> None:
    place = next(n for n, request in enumerate(served.requests) if request.number in served.minutes)
    request, prediction = served.requests[place], served.predictions[place]
    found = why(served.runtime, prediction.id)
    (value,) = found.values
    assert (value.name, value.value) == ("value", prediction.values[0])
    assert sum(part.value for part in value.because) == pytest.approx(value.value)
    text = found.text()
    assert f"km = {request.fields['km']:.6g}" in text
    assert f"kitchen = {request.fields['kitchen']}" in text
    (after,) = found.followed
    assert after.labels["delivery"] == pytest.approx(served.minutes[request.number], abs=1e-5)


def test_replay_gives_the_same_bits(served: Served) -> None:
    for prediction in served.predictions[:10]:
        again = replay(served.runtime, prediction.id)
        assert (again.identical, again.replayable, again.differences) == (True, True, [])


def test_the_audit_finds_every_feature_as_the_log_gives_it(served: Served) -> None:
    report = audit(served.runtime, since_us=0)
    assert (report.predictions, report.audited) == (len(served.predictions),) * 2
    assert report.exact
    assert {feature.name for feature in report.features} == {"kitchen.minutes", "kitchen.orders"}


def test_a_simulation_of_it_repeats_and_tells_the_truth(tmp_path: Path) -> None:
    report, again = (simulate(city(), days=2, home=tmp_path / name, orders_a_day=200) for name in ("one", "two"))
    assert report.digest == again.digest
    assert [(run.status, run.released) for run in report.learned][:1] == [("done", True)]
    for version in report.versions:
        assert version.measured["delivery"] == pytest.approx(version.outcomes["delivery"], abs=1e-5)
        if version.version:
            assert version.true["closeness"] > -1.5
    assert sum(report.quarantined.values()) == report.duplicates == 0


def test_every_command_works_for_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    simulate(city(), days=1, home=home)

    def run(*words: str) -> Any:
        ran = call(words[0], *words[1:], "--home", str(home), "--json")
        assert ran.code == 0, ran.out + ran.err
        return ran.last

    runtime = Runtime(city(), load_settings(home), ManualClock(NOW_US))
    pieces = runtime.predictions.read((0,), 1_000_000)
    last = [one for piece in pieces for one in map(prediction_of, piece.records) if one.version][-1]
    assert run("versions", "list", str(FILE))
    assert run("why", str(FILE), last.id)["values"][0]["name"] == "value"
    assert run("replay", str(FILE), last.id)["identical"] is True
    assert run("features", "audit", str(FILE), "--last", "3650d")["wrong"] == 0
    assert run("status", str(FILE))["app"] == "city"
