"""A version is evaluated on films that came after it learned, placed by the catalog then as serving would."""

from types import SimpleNamespace

import pytest
from tests.evaluation.planted import Steps
from tests.tasks.conftest import films  # noqa: F401  the film service
from tests.tasks.placed import GENRES, LATER, LEARNED, NEW, frames_of

from flyball.evaluation import Challenger, evaluate
from flyball.models import Artifact, Hybrid, ImplicitALS, Recommender
from flyball.tasks import build_interactions, evaluation_set, fallback_arrays


@pytest.mark.usefixtures("films")
def test_who_can_place_new_films_finds_what_users_like_of_them(films: SimpleNamespace) -> None:  # noqa: F811
    frames = frames_of(films, NEW)
    likes = [("rate", user, f"{GENRES[user % 4]}-new{user % 2}", 5, LATER + user, LATER + user) for user in range(40)]
    task = films.task(cold_start_slots=0, k=20)
    frames["rate"] = frames["rate"].vstack(films.frames(likes)["rate"])
    data = build_interactions(frames, task, films.schema, LEARNED)
    evaluation = evaluation_set(frames, task, films.schema, data, (LATER, LATER + 100))
    assert len(evaluation.units) == 40
    index = {item: place for place, item in enumerate(data.items)}

    def challenger(name: str, model: Recommender) -> Challenger:
        artifact = Artifact({}, {**model.fit(data, 1), **fallback_arrays(data)}, data.items, index)
        return Challenger(name, model=model, artifact=artifact, as_of_us=LEARNED)

    asked = [challenger("hybrid", Hybrid(ImplicitALS(factors=16))), challenger("als", ImplicitALS(factors=16))]
    report = evaluate(task, asked, evaluation, metrics=["recall@20"], seed=0, stopwatch=Steps())
    found = {one.name: report.of(one.name).metrics["recall@20"].value for one in asked}
    assert found == {"hybrid": 1.0, "als": 0.0}
