"""Users who come once and rate much in one sitting: the better model is found; asked at the window's start, all tie."""

from types import SimpleNamespace
from typing import Annotated

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.evaluation.planted import Steps, known_history

import flyball as fb
from flyball.evaluation import Challenger, Report, evaluate
from flyball.events import Schema
from flyball.models import Artifact, Recommender
from flyball.tasks import EvaluationSet, build_interactions, evaluation_set, fallback_arrays

USERS, TASTES, ITEMS_A_TASTE, SITTING = 300, 4, 30, 20
MINUTE = 60_000_000
HOUR = 60 * MINUTE
MODELS: dict[str, Recommender] = {
    "popular": fb.Popular(),
    "knn": fb.ItemKNN(),
    "ease": fb.EASE(),
    "random": fb.Random(),
}


class Rate(fb.Event):
    user: Annotated[str, fb.Ref("user")]
    item: Annotated[str, fb.Ref("item")]
    stars: int


TASK = fb.Recommend(
    fb.Entity("user"),
    fb.Entity("item"),
    positive=fb.outcome(Rate, where=lambda r: r.stars >= 4, within="1d"),
    rating=fb.value(Rate, lambda r: r.stars),
    cold_start_slots=0,
    k=5,
)


def sittings() -> pl.DataFrame:
    """An hour after one user another comes, likes a few things of their taste, minute by minute, and never returns."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(USERS):
        taste = user % TASTES
        liked = rng.choice(ITEMS_A_TASTE, SITTING, replace=False)
        for minute, item in enumerate(liked.tolist()):
            stars = 5 if (item + taste) % 3 else 4
            rows.append((f"u{user:03d}", f"t{taste}-{item}", stars, user * HOUR + minute * MINUTE))
    frame = pl.DataFrame(rows, schema=["user", "item", "stars", "at"], orient="row")
    return frame.with_columns(known_at="at", offset=pl.int_range(pl.len()), partition=0)


@pytest.fixture(scope="module")
def visits() -> SimpleNamespace:
    frames, schema = {"rate": sittings()}, Schema((Rate,))
    split, end = int(USERS * 0.8) * HOUR, USERS * HOUR
    train = build_interactions(frames, TASK, schema, split - 1)
    evaluation = evaluation_set(frames, TASK, schema, train, (split, end))
    challengers = []
    for name, model in MODELS.items():
        arrays = {**fallback_arrays(train), **model.fit(train, 1)}
        index = {item: number for number, item in enumerate(train.items)}
        artifact = Artifact({}, arrays, train.items, index)
        challengers.append(Challenger(name, model=model, artifact=artifact, as_of_us=split - 1))
    return SimpleNamespace(evaluation=evaluation, challengers=challengers)


def report_on(visits: SimpleNamespace, evaluation: EvaluationSet) -> Report:
    return evaluate(TASK, visits.challengers, evaluation, metrics=["ndcg@5"], seed=0, stopwatch=Steps(), resamples=300)


def test_at_the_start_of_the_window_nobody_has_a_history_and_all_tie(visits: SimpleNamespace) -> None:
    empty = [known_history(context.user, []) for context in visits.evaluation.contexts]
    report = report_on(visits, msgspec.structs.replace(visits.evaluation, contexts=empty))
    values = {name: report.of(name).metrics["ndcg@5"].value for name in ("popular", "knn", "ease")}
    assert values["knn"] == values["ease"]  # the list of the fallback
    assert values["popular"] == pytest.approx(values["ease"], abs=0.02)  # the same but for how it is smoothed


def test_asked_when_users_come_the_better_model_is_found(visits: SimpleNamespace) -> None:
    report = report_on(visits, visits.evaluation)
    for better in ("knn", "ease"):
        gap = report.difference("ndcg@5", better, "popular")
        assert gap is not None
        assert gap.low is not None
        assert gap.low > 0.2
    assert report.units == USERS * 0.2
    assert report.requests == 4 * report.units


def test_cold_start_is_a_slice_in_which_all_tie(visits: SimpleNamespace) -> None:
    report = report_on(visits, visits.evaluation)
    slices = {
        name: {part.name: part.metrics["ndcg@5"] for part in report.of(name).slices if part.by == "history_length"}
        for name in MODELS
    }
    assert set(slices["ease"]) == {"0", "1-4", "5-19"}
    assert slices["ease"]["0"] == slices["knn"]["0"]
    assert slices["popular"]["0"].value == pytest.approx(slices["ease"]["0"].value, abs=0.02)
    for length in ("1-4", "5-19"):
        assert slices["ease"][length].value > slices["popular"][length].value + 0.3
    assert report.estimate("ndcg@5/history_length=0", "ease") == slices["ease"]["0"]


def test_ratings_are_predicted_with_what_came_before_in_the_sitting(visits: SimpleNamespace) -> None:
    rated = visits.evaluation.truth.rated
    lengths = np.array([len(context.seen) for context in rated.contexts])
    minutes = (rated.at_us % HOUR) // MINUTE
    assert lengths.tolist() == minutes.tolist()
    assert lengths.max() > 10
