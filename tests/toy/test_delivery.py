"""The proof of the contract: a second kind of task goes through the whole loop, and no room knows it."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import call

from flyball.app import App, load_app
from flyball.core import ManualClock, new_id
from flyball.learning import learn, search_parameters
from flyball.models import load_artifact
from flyball.operations import catch_up
from flyball.outcomes import Prediction, outcomes_by_version, prediction_of, prediction_record
from flyball.provenance import audit, replay, why
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service, outages
from flyball.simulation import DAY_US, Timeline, WorldRequest, ingest_pieces, new_plan, open_world, seed_home, simulate
from flyball.tasks import request_of
from flyball.testing.world_contract import WORLD_CHECKS

FILE = Path(__file__).with_name("delivery.py")
NOW_US = 1_767_225_600_000_000 + 3 * DAY_US


def delivery() -> App:
    return load_app(str(FILE))


@pytest.mark.parametrize("check", WORLD_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_its_world_keeps_the_contract(check: Callable[[App], None]) -> None:
    check(delivery())


class Served:
    """Three days of orders, what was learned from them, a quarter of a day of answers and their outcomes."""

    def __init__(self, home: Path) -> None:
        self.app, self.clock = delivery(), ManualClock(NOW_US)
        self.runtime = Runtime(self.app, load_settings(home), self.clock)
        seed_home(self.runtime, new_plan(self.app, NOW_US))
        self.report = learn(self.runtime, workers=1)
        self.requests, self.predictions, self.minutes = self._day()

    def _day(self) -> tuple[list[WorldRequest], list[Prediction], dict[int, float]]:
        service = Service(self.runtime, "test", random.Random(1), self.clock)
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
    return Served(tmp_path_factory.mktemp("delivery"))


def test_the_better_candidate_passes_its_gates_and_is_released(served: Served) -> None:
    report = served.report
    outcome = {candidate.name: candidate.outcome for candidate in report.candidates}
    # The constant is what the baseline is, so it cannot be better.
    assert outcome == {"constant": "rejected", "linear": "passed"}
    assert report.released
    assert report.chosen == report.champion
    version = served.runtime.registry.version(report.champion or "")
    assert (version.candidate, version.kind, version.state) == ("linear", "delivery.py:Linear", "champion")
    # A courier is three minutes off by chance; the mean of that is 3 * sqrt(2 / pi).
    assert version.metrics["mae"]["value"] == pytest.approx(2.39, abs=0.3)
    assert version.metrics["mae"]["low"] < version.metrics["mae"]["value"] < version.metrics["mae"]["high"]


def test_its_candidates_are_searched_though_they_name_no_values(served: Served) -> None:
    report = search_parameters(served.runtime, budget=2)
    assert [candidate.note for candidate in report.candidates] == [
        "nothing to vary: its class names no values to try" for _ in served.app.candidates
    ]
    assert all(candidate.best == candidate.declared is not None for candidate in report.candidates)


def test_it_learned_what_the_world_is_like(served: Served) -> None:
    for request, prediction in zip(served.requests, served.predictions, strict=True):
        assert (prediction.version, prediction.level, prediction.items) == (served.report.champion, "champion", [])
        assert prediction.values == pytest.approx([10 + 4 * request.fields["km"]], abs=2.0)


def test_outcomes_are_the_true_minutes(served: Served) -> None:
    (outcomes,) = outcomes_by_version(served.runtime.outcomes_path, NOW_US + 2 * DAY_US).values()
    minutes = outcomes.labels["minutes"]
    assert outcomes.responses == minutes.mature == len(served.requests)
    assert minutes.value == pytest.approx(sum(served.minutes.values()) / len(served.minutes), abs=1e-5)


def test_why_tells_the_value_its_parts_and_what_came(served: Served) -> None:
    request, prediction = served.requests[0], served.predictions[0]
    found = why(served.runtime, prediction.id)
    (value,) = found.values
    assert (value.name, value.value) == ("minutes", prediction.values[0])
    assert sum(part.value for part in value.because) == pytest.approx(value.value)
    (after,) = found.followed
    assert after.labels["minutes"] == pytest.approx(served.minutes[request.number], abs=1e-5)
    text = found.text()
    assert f"for order {request.fields['order']}, 1 value" in text
    assert "minutes" in text
    assert "list" not in text


def test_replay_gives_the_same_bits(served: Served) -> None:
    for prediction in served.predictions[:10]:
        again = replay(served.runtime, prediction.id)
        assert (again.identical, again.replayable, again.differences) == (True, True, [])


def test_an_edit_of_its_pipeline_is_refused_and_one_of_a_docstring_is_not(served: Served, tmp_path: Path) -> None:
    settings, text = served.runtime.settings, FILE.read_text()

    def reopened(name: str, old: str, new: str) -> Runtime:
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
        return Runtime(load_app(str(tmp_path / name)), settings, served.clock)

    assert outages(reopened("edited_words.py", '"""The mean of all."""', '"""The mean."""')) == []
    edited = reopened("edited_pipeline.py", "self._offset + self._slope *", "self._offset - self._slope *")
    for declared_only in (True, False):
        lost = outages(edited, declared_only)
        assert "code of task" in lost[0].reason, lost
    again = replay(edited, served.predictions[0].id)
    assert not again.replayable
    assert "must be as it was when the version was learned" in again.text()


def test_the_audit_has_nothing_to_say_of_features_that_nobody_read(served: Served) -> None:
    report = audit(served.runtime, since_us=0)
    assert (report.predictions, report.audited) == (0, 0)


def test_no_file_of_the_source_knows_it() -> None:
    """The proof counts only if nothing in the house names this task."""
    source = Path(sys.modules["flyball"].__file__ or "").parent
    words = ("PredictMinutes", "expected_minutes", "MeanAbsoluteMinutes")
    naming = [path.name for path in source.rglob("*.py") if any(word in path.read_text() for word in words)]
    assert naming == []


def test_a_simulation_of_it_repeats_and_tells_the_truth(tmp_path: Path) -> None:
    report, again = (simulate(delivery(), days=2, home=tmp_path / name, orders_a_day=200) for name in ("one", "two"))
    assert report.digest == again.digest
    assert [(run.status, run.released) for run in report.learned][:1] == [("done", True)]
    served = [version for version in report.versions if version.version]
    assert {version.candidate for version in served} == {"linear"}
    for version in report.versions:
        assert version.measured["minutes"] == pytest.approx(version.outcomes["minutes"], abs=1e-5)
    for version in served:
        assert version.true["closeness"] > -1.0 > version.references["half_hour"]["closeness"]
    assert sum(report.quarantined.values()) == report.duplicates == 0
    assert "true closeness" in report.text()


def test_every_command_works_for_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    simulate(delivery(), days=1, home=home)

    def run(*words: str) -> Any:
        ran = call(words[0], *words[1:], "--home", str(home), "--json")
        assert ran.code == 0, ran.out + ran.err
        return ran.last

    runtime = Runtime(delivery(), load_settings(home), ManualClock(NOW_US))
    (piece, *_) = runtime.predictions.read((0,), 1_000_000)
    last = prediction_of(piece.records[-1])
    assert run("versions", "list", str(FILE))
    assert run("why", str(FILE), last.id)["values"][0]["name"] == "minutes"
    assert run("replay", str(FILE), last.id)["identical"] is True
    audited = call("features", "audit", str(FILE), "--home", str(home))
    assert (audited.code, audited.out) == (1, "nothing was audited: delivery declares no features\n")
    assert run("status", str(FILE))["app"] == "delivery"


def test_processes_find_the_classes_of_its_file(tmp_path: Path) -> None:
    runtime = Runtime(delivery(), load_settings(tmp_path), ManualClock(NOW_US))
    seed_home(runtime, new_plan(runtime.app, NOW_US))
    report = learn(runtime, workers=2)
    assert report.released, report
    champion = runtime.registry.version(report.champion or "")
    artifact = load_artifact(runtime.artifacts / champion.artifact, champion.artifact_files)
    assert (artifact.items, list(artifact.arrays)) == ([], ["weights"])
    assert artifact.arrays["weights"] == pytest.approx([10.0, 4.0], abs=0.5)
