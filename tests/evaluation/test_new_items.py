"""A version is judged on films that came after it learned, placed by the catalogue at the split as serving would."""

from types import SimpleNamespace

import pytest
from tests.evaluation.test_judge import Steps
from tests.tasks.conftest import films  # noqa: F401  the film service
from tests.tasks.test_placed import GENRES, LATER, LEARNED, NEW, frames_of

from flyball.evaluation import Contestant, evaluate
from flyball.models import Artifact, Hybrid, ImplicitALS, Recommender
from flyball.tasks import build_interactions, evaluation_cases, fallback_arrays


@pytest.mark.usefixtures("films")
def test_who_can_place_new_films_finds_what_users_like_of_them(films: SimpleNamespace) -> None:  # noqa: F811
    frames = frames_of(films, NEW)
    likes = [("rate", user, f"{GENRES[user % 4]}-new{user % 2}", 5, LATER + user, LATER + user) for user in range(40)]
    task = films.task(newcomers=0, k=20)
    frames["rate"] = frames["rate"].vstack(films.frames(likes)["rate"])
    data = build_interactions(frames, task, films.schema, LEARNED)
    cases = evaluation_cases(frames, task, films.schema, LATER, LATER + 100)
    index = {item: place for place, item in enumerate(data.items)}

    def contestant(name: str, model: Recommender) -> Contestant:
        artifact = Artifact({}, {**model.fit(data, 1), **fallback_arrays(data)}, data.items, index)
        return Contestant(name, model=model, artifact=artifact, as_of_us=LEARNED)

    asked = [contestant("hybrid", Hybrid(ImplicitALS(factors=16))), contestant("als", ImplicitALS(factors=16))]
    report = evaluate(task, asked, cases, data, metric="recall@20", seed=0, stopwatch=Steps())
    found = {one.name: report.of(one.name).figures["recall@20"].value for one in asked}
    assert found == {"hybrid": 1.0, "als": 0.0}
