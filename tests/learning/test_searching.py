"""Searching the candidates' parameters: the planted one is found, on the past alone, and every trial is kept."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.tasks.predict import parcels

import flyball as fb
from flyball.app import load_app
from flyball.core import BadInput, ManualClock, NotFound, Refused
from flyball.evaluation import space_of
from flyball.learning import declaration, learn, learning_curves, search_parameters
from flyball.registry import searches_of
from flyball.runtime import Runtime, load_settings
from flyball.simulation import ingest_pieces


@pytest.fixture
def turned(filled: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """The shop whose candidate is declared the wrong way round; the right way is among the values to try."""
    runtime = filled(turned=True)
    together: Any = runtime.app.candidates["together"]
    monkeypatch.setattr(type(together), "search_space", {"turned": (True, False), "shrink": (1.0, 2.0)})
    return runtime


@pytest.mark.parametrize("how", ["random", "halving"])
def test_the_planted_parameter_is_found_and_reported_as_one_declares_it(turned: Runtime, how: Any) -> None:
    report = search_parameters(turned, ["together"], how=how, budget=4)
    (found,) = report.candidates
    assert found.declared is not None
    assert found.best is not None
    assert found.best > found.declared
    assert found.changed["turned"] is False
    assert found.declaration in ("Together()", "Together(shrink=2.0)")
    assert found.spent <= report.budget == 4.0


def test_the_registry_keeps_the_search_and_every_trial(turned: Runtime) -> None:
    report = search_parameters(turned, budget=3, seed=5)
    (kept,) = searches_of(turned.registry)
    assert (kept.id, kept.how, kept.budget, kept.seed, kept.status) == ("s1", "random", 3.0, 5, "done")
    assert (kept.snapshot, kept.metric) == (report.snapshot, "ndcg@5")
    assert {name: sum(one.candidate == name for one in kept.trials) for name in ("popular", "together")} == {
        one.candidate: one.trials for one in report.candidates
    }
    best = max(one.value or 0.0 for one in kept.trials if one.candidate == "together")
    assert best == next(one.best for one in report.candidates if one.candidate == "together")
    assert kept.about["candidates"][0]["candidate"] == "popular"
    with pytest.raises(NotFound, match="s1"):
        searches_of(turned.registry, "s2")


def test_the_budget_is_the_same_for_every_candidate(turned: Runtime) -> None:
    for how in ("random", "halving"):
        report = search_parameters(turned, budget=3, how=how)  # type: ignore[arg-type]  # a literal in a loop
        assert all(0 < one.spent <= 3 for one in report.candidates)


def test_it_is_evaluated_before_the_test_window_of_learning(shop: Any) -> None:
    """Other likes in learning's test window change no trial."""
    values = []
    for name, late in (("one", 3), ("two", 4)):
        runtime = shop.another(name)
        shop.likes(runtime, users=40, days=3, seed=late, day=14)
        report = search_parameters(runtime, budget=2)
        values.append([(one.candidate, one.value) for one in searches_of(runtime.registry)[0].trials])
        learned = learn(runtime, workers=1)
        assert learned.window is not None
        assert report.window.start_us < report.window.end_us == learned.window.start_us
    assert values[0] == values[1]


def test_the_same_snapshot_and_seed_bring_the_same_trials(turned: Runtime) -> None:
    for _ in range(2):
        search_parameters(turned, budget=3, seed=2)
    one, other = (
        [msgspec.structs.replace(trial, seconds=0.0) for trial in found.trials]
        for found in searches_of(turned.registry)
    )
    assert one == other


def test_trials_side_by_side_are_those_of_one_process(filled: Callable[..., Runtime]) -> None:
    runtime = filled(turned=True, ranked=True, broken="raise")
    for workers in (1, 2):
        search_parameters(runtime, ["ranked", "broken-raise"], budget=2, seed=2, workers=workers)
    alone, together = (
        [msgspec.structs.replace(trial, seconds=0.0) for trial in found.trials]
        for found in searches_of(runtime.registry)
    )
    assert len(alone) >= 3
    assert {trial.candidate for trial in alone if trial.failed} == {"broken-raise"}
    assert alone == together
    assert not list(runtime.home.glob("search-*"))


def test_a_candidate_that_fails_stops_no_other(filled: Callable[..., Runtime]) -> None:
    runtime = filled(broken="raise")
    report = search_parameters(runtime, budget=2)
    found = {one.candidate: one for one in report.candidates}
    assert (found["broken-raise"].best, found["broken-raise"].failed) == (None, 1)
    assert found["together"].best is not None
    trials = searches_of(runtime.registry)[0].trials
    assert [one.failed for one in trials if one.candidate == "broken-raise"] == ["ValueError: no convergence"]


def test_one_that_was_stopped_keeps_its_trials(turned: Runtime) -> None:
    def stop(words: str) -> None:
        if "together" in words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_parameters(turned, budget=2, progress=stop)
    (kept,) = searches_of(turned.registry)
    assert kept.status == "interrupted"
    assert {one.candidate for one in kept.trials} == {"popular"}


def test_what_cannot_be_searched_is_refused(filled: Callable[..., Runtime], shop: Any) -> None:
    with pytest.raises(NotFound, match="together"):
        search_parameters(filled(), ["nobody"])
    small = Runtime(load_app(str(shop.file)), load_settings(shop.folder / "small"), shop.clock)
    shop.likes(small, users=5)
    with pytest.raises(Refused, match="too little"):
        search_parameters(small)
    assert searches_of(small.registry) == []


def test_a_learning_curve_rises_with_more_users(filled: Callable[..., Runtime]) -> None:
    runtime = filled()
    report = learning_curves(runtime, ["together"], shares=(0.05, 0.5, 1.0))
    points = report.curves["together"]
    assert [share for share, _ in points] == [0.05, 0.5, 1.0]
    assert points[0][1] < points[-1][1]
    (kept,) = searches_of(runtime.registry)
    assert (kept.how, [one.share for one in kept.trials]) == ("curve", [0.05, 0.5, 1.0])
    with pytest.raises(BadInput):
        learning_curves(runtime, shares=(0.5, 1.5))


def test_a_ranker_with_features_is_searched_by_halving(filled: Callable[..., Runtime]) -> None:
    """At full share it is fitted as by random search, and a part of the users is another fit."""
    values: dict[str, dict[float, list[float]]] = {}
    runtime = filled(ranked=True)
    for how in ("random", "halving"):
        report = search_parameters(runtime, ["ranked"], how=how, budget=2)  # type: ignore[arg-type]  # a literal
        (found,) = report.candidates
        assert (found.failed, found.best is not None) == (0, True)
        assert found.spent <= 2
        for one in searches_of(runtime.registry)[-1].trials:
            assert one.value is not None
            values.setdefault(how, {}).setdefault(one.share, []).append(one.value)
    assert sorted(values["halving"]) == [0.25, 0.5, 1.0]
    assert set(values["halving"][1.0]) <= set(values["random"][1.0])


def test_a_ranker_with_features_has_a_learning_curve(filled: Callable[..., Runtime]) -> None:
    report = learning_curves(filled(ranked=True), shares=(0.2, 1.0))
    assert report.failed == {}
    assert {name: [share for share, _ in points] for name, points in report.curves.items()} == {
        name: [0.2, 1.0] for name in ("popular", "together", "ranked")
    }


def test_declarations_can_be_pasted() -> None:
    for model in (
        fb.EASE(),
        fb.ImplicitALS(factors=32, reg=0.01),
        fb.Popular(half_life="7d"),
        fb.Stages((fb.ItemKNN(k=20), fb.EASE()), most=50),
        fb.Blend((fb.EASE(l2=10.0),)),
    ):
        assert eval(declaration(model), {"fb": fb}) == model


class Scaled(msgspec.Struct, frozen=True):
    """A candidate of a task of one's own: a struct with a parameter that has no default, and no values to try."""

    scale: float
    names: tuple[str, ...] = msgspec.field(default_factory=tuple)


def test_a_candidate_of_any_task_is_declared_and_searched_as_it_is() -> None:
    candidate = Scaled(2.0)
    assert eval(declaration(candidate), {"Scaled": Scaled}) == candidate
    assert space_of("scaled", candidate).values == {}


def test_a_search_finds_what_a_model_within_others_needs(tmp_path: Any) -> None:
    """The penalty planted within a calibrated model, one a label, keeps it from learning anything."""
    start_us = 1_767_225_600_000_000
    planted = fb.OneVsRest(fb.calibrated(fb.Linear(l2=1e9), "platt"))
    events = [parcels.Parcel, parcels.Late, parcels.Report, parcels.Returned]
    app = fb.App("parcels", events=events, task=parcels.app.task, candidates={"planted": planted})
    runtime = Runtime(app, load_settings(tmp_path / "home"), ManualClock(start_us + 60 * parcels.DAY_US))
    ingest_pieces(runtime, "jsonl", [b"\n".join(parcels.lines(60, start_us, a_day=60))], "past", "history")
    (found,) = search_parameters(runtime, budget=6).candidates
    assert found.changed["model.model.l2"] <= 100.0
    assert found.declaration.startswith("fb.OneVsRest(model=fb.Calibrated(model=fb.Linear(l2=")
    assert found.best != found.declared
