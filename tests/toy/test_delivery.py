"""The proof of the contract: a second kind of task goes through the whole loop, and no room knows it."""

import random
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flyball.app import App, load_app
from flyball.core import ManualClock, new_id
from flyball.history import take_snapshot
from flyball.models import kind_of, params_of, save_artifact
from flyball.operations import catch_up
from flyball.outcomes import Prediction, outcomes_by_version, prediction_record
from flyball.provenance import audit, replay, why
from flyball.registry import Version, add_versions, begin_run
from flyball.releases import promote
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation import DAY_US, Timeline, WorldRequest, ingest_pieces, new_plan, open_world, seed_home
from flyball.tasks import request_of
from flyball.testing.world_contract import WORLD_CHECKS

FILE = Path(__file__).with_name("delivery.py")
NOW_US = 1_767_225_600_000_000 + 3 * DAY_US


def delivery() -> App:
    return load_app(str(FILE))


@pytest.mark.parametrize("check", WORLD_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_its_world_keeps_the_contract(check: Callable[[App], None]) -> None:
    check(delivery())


class KnownAt:
    """History as it was known at a time."""

    def __init__(self, frame: pl.DataFrame, as_of_us: int) -> None:
        self._frame, self.as_of_us = frame, as_of_us

    def events(self, name: str) -> pl.DataFrame:
        return self._frame.filter(pl.col("known_at") <= self.as_of_us)

    def before(self, at_us: int) -> "KnownAt":
        return KnownAt(self._frame, at_us)


class Served:
    """Three days of orders, a version fitted on them, a quarter of a day of answers and what came of them."""

    def __init__(self, home: Path) -> None:
        self.app, self.clock = delivery(), ManualClock(NOW_US)
        self.runtime = Runtime(self.app, load_settings(home), self.clock)
        seed_home(self.runtime, new_plan(self.app, NOW_US))
        self.version = self._version()
        self.requests, self.predictions, self.minutes = self._day()

    def _version(self) -> Version:
        runtime, candidate = self.runtime, self.app.candidates["linear"]
        snapshot = take_snapshot(runtime.history_folder, runtime.schema, NOW_US, runtime.home / "snapshots")
        past = KnownAt(snapshot.frame("delivery"), NOW_US)
        self.examples = self.app.task.offline().examples(past, 30, 0)
        arrays = candidate.fit(self.examples.full, past, 0)
        manifest = {"kind": kind_of(candidate), "params": params_of(candidate), "seed": 0}
        files = save_artifact(runtime.artifacts / "r1-linear", manifest, arrays)
        run = begin_run(runtime.registry, self.app.name, NOW_US, NOW_US)
        version = Version(
            app=self.app.name, candidate="linear", kind=manifest["kind"], params={}, seed=0, run=run.id,
            created_us=NOW_US, as_of_us=NOW_US, snapshot=snapshot.name, state="candidate",
            declaration=self.app.task.about.declaration, artifact="r1-linear", artifact_files=files,
        )  # fmt: skip
        (added,) = add_versions(runtime.registry, [version])
        promote(runtime.registry, added.id, "by hand", "test", NOW_US, artifacts=runtime.artifacts)
        return added

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


def test_examples_are_joined_events_as_they_were_known(served: Served) -> None:
    examples = served.examples
    start_us, end_us = examples.window_us
    asked = examples.evaluation
    assert len(asked.at_us) == len(asked.truth.minutes) > 100
    assert ((start_us <= asked.at_us) & (asked.at_us < end_us)).all()
    assert len(examples.train.arrays["km"]) < 0.8 * len(examples.full.arrays["km"]) + 1
    assert examples.train.as_of_us == start_us - 1


def test_it_learned_what_the_world_is_like(served: Served) -> None:
    for request, prediction in zip(served.requests, served.predictions, strict=True):
        assert (prediction.version, prediction.level, prediction.items) == (served.version.id, "champion", [])
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


def test_the_audit_has_nothing_to_say_of_features_that_nobody_read(served: Served) -> None:
    report = audit(served.runtime, since_us=0)
    assert (report.predictions, report.audited) == (0, 0)


def test_no_file_of_the_source_knows_it() -> None:
    """The proof counts only if nothing in the house names this task."""
    source = Path(sys.modules["flyball"].__file__ or "").parent
    words = ("PredictMinutes", "expected_minutes", "MeanAbsoluteMinutes")
    naming = [path.name for path in source.rglob("*.py") if any(word in path.read_text() for word in words)]
    assert naming == []
