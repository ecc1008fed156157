"""The whole way on MovieLens 100k: frames, training data, requests, models, report, gates."""

from typing import Annotated

import numpy as np
import polars as pl
import pytest
from tests.data import real

import flyball as fb
from flyball.core import SystemStopwatch
from flyball.evaluation import Challenger, GateResult, Report, Rivals, check_gates, choose, evaluate
from flyball.events import Schema
from flyball.models import Artifact, Recommender
from flyball.tasks import build_interactions, evaluation_set, fallback_arrays

User = Annotated[int, fb.Ref("user")]
Film = Annotated[int, fb.Ref("film")]


class Rate(fb.Event):
    user: User
    film: Film
    stars: Annotated[int, fb.integer(1, 5)]


class Card(fb.Profile):
    film: Film


class Viewer(fb.Profile):
    user: User
    gender: str


TASK = fb.Recommend(
    fb.Entity("user", profile=Viewer, group=lambda v: v.gender),
    fb.Entity("film", profile=Card),
    positive=fb.outcome(Rate, where=lambda r: r.stars >= 4),
    negative=fb.outcome(Rate, where=lambda r: r.stars <= 2),
    rating=fb.value(Rate, lambda r: r.stars),
    cold_start_slots=0,
)


def with_time(frame: pl.DataFrame, at: pl.Expr) -> pl.DataFrame:
    return frame.with_columns(at=at).with_columns(known_at="at", offset=pl.int_range(pl.len()), partition=0)


@pytest.fixture(scope="module")
def report() -> Report:
    folder = real("ml-100k")
    ratings = pl.read_csv(
        folder / "u.data", separator="\t", has_header=False, new_columns=["user", "film", "stars", "seconds"]
    )
    rate = with_time(ratings, pl.col("seconds") * 1_000_000).drop("seconds")
    start = pl.lit(rate["at"].min())
    people = [line.split("|") for line in (folder / "u.user").read_text().splitlines() if line]
    viewer = pl.DataFrame({"user": [int(row[0]) for row in people], "gender": [row[2] for row in people]})
    frames = {
        "rate": rate,
        "card": with_time(pl.DataFrame({"film": rate["film"].unique().sort()}), start),
        "viewer": with_time(viewer, start),
    }
    schema = Schema((Rate, Card, Viewer))
    split = int(np.quantile(rate["at"].to_numpy(), 0.8))
    train = build_interactions(frames, TASK, schema, split - 1)
    end = int(rate["at"].max()) + 1  # type: ignore[arg-type]
    evaluation = evaluation_set(frames, TASK, schema, train, (split, end))
    models: dict[str, Recommender] = {
        "random": fb.Random(),
        "popular": fb.Popular(),
        "knn": fb.ItemKNN(),
        "ease": fb.EASE(),
        "svd": fb.BiasedMF(),
    }
    found = []
    for name, model in models.items():
        arrays = {**fallback_arrays(train), **model.fit(train, 1)}
        artifact = Artifact({}, arrays, train.items, {item: place for place, item in enumerate(train.items)})
        found.append(Challenger(name, model=model, artifact=artifact, as_of_us=train.as_of_us))
    return evaluate(TASK, found, evaluation, metrics=["ndcg@20"], seed=1, stopwatch=SystemStopwatch())


def gates_of(report: Report, name: str) -> list[GateResult]:
    return check_gates(
        fb.gates(), TASK.offline().plan().gates, report, name, Rivals(None, "random", "random"), "ndcg@20"
    )


@pytest.mark.data
def test_models_are_better_than_chance_and_lists_are_full(report: Report) -> None:
    for name in ("popular", "knn", "ease", "svd"):
        assert all(gate.passed for gate in gates_of(report, name))
    refused = [gate.name for gate in gates_of(report, "random") if not gate.passed]
    assert refused == ["beats_random"]
    assert choose(fb.cheapest_within_noise("ndcg@20"), report, list(report.evaluated))[0] != "random"


@pytest.mark.data
def test_learning_from_others_beats_popularity_where_there_is_a_history(report: Report) -> None:
    heavy = {name: next(each for each in one.slices if each.name == "20+") for name, one in report.evaluated.items()}
    assert heavy["ease"].units > 50
    assert heavy["ease"].metrics["recall@20"].value > heavy["popular"].metrics["recall@20"].value
    new = {name: next(each for each in one.slices if each.name == "0") for name, one in report.evaluated.items()}
    assert new["ease"].metrics == new["knn"].metrics  # nothing is known of them: both fall back to the same lists


@pytest.mark.data
def test_a_rating_model_is_seen_beside_its_baselines(report: Report) -> None:
    errors = {name: metrics["rmse"].value for name, metrics in report.references.items()}
    errors["svd"] = report.of("svd").metrics["rmse"].value
    assert errors["svd"] < errors["bias"] < errors["global_mean"]
