"""Who is fitted on what: everybody before the test window, candidates again on everything, each into its own folder."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

import flyball as fb
from flyball.learning import orders
from flyball.learning.challengers import compared
from flyball.learning.champion import Champion
from flyball.learning.orders import refits_of, trials_of
from flyball.learning.shared_data import read_data
from flyball.tasks import ServingLag, TrainingData

CANDIDATES, BASELINES = {"popular": fb.Popular(), "ease": fb.EASE()}, {"random": fb.Random()}
PAST: Any = SimpleNamespace(lag=ServingLag())


def data(*numbers: int) -> TrainingData:
    return TrainingData({"n": np.array(numbers)}, {"items": [str(n) for n in numbers]}, as_of_us=numbers[-1])


EXAMPLES: Any = SimpleNamespace(train=data(1, 2), full=data(1, 2, 3))


@pytest.fixture
def job(tmp_path: Path) -> Any:
    (tmp_path / "work").mkdir()
    runtime = SimpleNamespace(artifacts=tmp_path / "artifacts", app=SimpleNamespace(task=SimpleNamespace(about=None)))
    return SimpleNamespace(
        runtime=runtime,
        work=tmp_path / "work",
        challengers=compared(CANDIDATES, BASELINES),
        seed=5,
        run=SimpleNamespace(id="r3"),
    )


def champion(model: Any, saw: bool = False) -> Champion:
    version: Any = SimpleNamespace(id="v1")
    return Champion("champion:v1", "champion:v1:refitted", version, model, Path("/artifacts/v1"), saw)


def test_everybody_is_fitted_on_what_was_known_before_the_window(job: Any) -> None:
    trials = trials_of(job, PAST, EXAMPLES, None)
    assert [trial.name for trial in trials] == ["popular", "ease", "random"]
    assert len({trial.folder for trial in trials}) == 3
    assert {(trial.stage, trial.seed, trial.recipe, trial.events) for trial in trials} == {("fit", 5, "", "")}
    (folder,) = {trial.data for trial in trials}
    known = read_data(Path(folder))
    assert (known.arrays["n"].tolist(), known.texts["items"], known.as_of_us) == ([1, 2], ["1", "2"], 2)


def test_the_champions_recipe_is_fitted_from_its_artifact_unless_a_candidate_has_the_same(job: Any) -> None:
    *_, recipe = trials_of(job, PAST, EXAMPLES, champion(fb.EASE(l2=7.0)))
    assert (recipe.name, recipe.recipe) == ("champion:v1:refitted", "/artifacts/v1")


def test_a_champion_with_a_twin_among_the_candidates_is_fitted_once(job: Any) -> None:
    assert len(trials_of(job, PAST, EXAMPLES, champion(fb.EASE()))) == 3


def test_candidates_alone_are_fitted_again_on_everything_into_artifacts_that_say_where_they_come_from(job: Any) -> None:
    refits = refits_of(job, PAST, EXAMPLES, {"run": "r3"})
    assert [(refit.stage, refit.name) for refit in refits] == [("refit", "popular"), ("refit", "ease")]
    assert [refit.manifest for refit in refits] == [
        {"run": "r3", "candidate": "popular"},
        {"run": "r3", "candidate": "ease"},
    ]
    assert {Path(refit.folder).parent for refit in refits} == {job.runtime.artifacts}
    assert len({refit.folder for refit in refits}) == 2
    assert read_data(Path(refits[0].data)).arrays["n"].tolist() == [1, 2, 3]


def test_the_past_is_written_for_those_alone_that_read_it(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr(orders, "needs_past", lambda task, model: isinstance(model, fb.EASE))
    monkeypatch.setattr(orders, "event_names", lambda about: ["watch"])
    monkeypatch.setattr(orders, "write_past", lambda folder, past, names: written.append(folder))
    trials = {trial.name: trial for trial in trials_of(job, PAST, EXAMPLES, None)}
    assert written == [job.work / "events"]
    assert {name: trial.events for name, trial in trials.items()} == {
        "popular": "",
        "ease": str(job.work / "events"),
        "random": "",
    }


def test_orders_cross_to_other_processes_as_they_are(job: Any) -> None:
    for trial in trials_of(job, PAST, EXAMPLES, champion(fb.EASE(l2=7.0))):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(trial), type=type(trial)) == trial
