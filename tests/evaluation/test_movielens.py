"""The whole way on MovieLens 100k: frames, training data, cases, models, report, gates."""

from typing import Annotated

import numpy as np
import polars as pl
import pytest
from tests.data import real

import flyball as fb
from flyball.core import SystemStopwatch
from flyball.evaluation import Contestant, Report, check_gates, choose, evaluate
from flyball.events import Schema
from flyball.models import Artifact, Recommender
from flyball.tasks import build_interactions, evaluation_cases, fallback_arrays

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
    newcomers=0,
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
    cases = evaluation_cases(frames, TASK, schema, split, int(rate["at"].max()) + 1)  # type: ignore[arg-type]
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
        found.append(Contestant(name, model=model, artifact=artifact, as_of_us=train.as_of_us))
    return evaluate(TASK, found, cases, train, metric="ndcg@20", seed=1, stopwatch=SystemStopwatch())


@pytest.mark.data
def test_models_are_better_than_chance_and_lists_are_full(report: Report) -> None:
    for name in ("popular", "knn", "ease", "svd"):
        assert all(gate.passed for gate in check_gates(fb.gates(), report, name, None, ["random"], "ndcg@20"))
    refused = [
        gate.name for gate in check_gates(fb.gates(), report, "random", None, ["random"], "ndcg@20") if not gate.passed
    ]
    assert refused == ["beats_random"]
    assert choose(fb.cheapest_within_noise("ndcg@20"), report, list(report.judged))[0] != "random"


@pytest.mark.data
def test_learning_from_others_beats_popularity_where_there_is_a_history(report: Report) -> None:
    heavy = {name: next(each for each in one.slices if each.name == "heavy") for name, one in report.judged.items()}
    assert heavy["ease"].users > 50
    assert heavy["ease"].figures["recall@20"].value > heavy["popular"].figures["recall@20"].value
    new = {name: next(each for each in one.slices if each.name == "new") for name, one in report.judged.items()}
    assert new["ease"].figures == new["knn"].figures  # nothing is known of them: both fall back to the same lists


@pytest.mark.data
def test_a_rating_model_is_seen_beside_its_baselines(report: Report) -> None:
    errors = {name: figures["rmse"].value for name, figures in report.ratings.items()}
    errors["svd"] = report.of("svd").figures["rmse"].value
    assert report.rated > 10_000
    assert errors["svd"] < errors["bias"] < errors["global_mean"]
