"""Films that came after the fit are placed by their genres; the planted taste decides."""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from tests.tasks.conftest import ask
from tests.tasks.placed import GENRES, LATER, LEARNED, NEW, OLD, SILENT, frames_of

import flyball as fb
from flyball.models import (
    Artifact,
    Hybrid,
    ImplicitALS,
    Recommender,
    kind_of,
    load_artifact,
    model_of,
    params_of,
    places_new,
    save_artifact,
)
from flyball.tasks import MODEL, RecommendPipeline, UserHistory, build_interactions, catalog_at, fallback_arrays

KNOWN = len(GENRES) * OLD + 1


def pipeline_of(films: SimpleNamespace, model: Recommender, folder: Path) -> RecommendPipeline:
    """Fitted on what was known at `LEARNED`, kept as an artifact and loaded again."""
    task = films.task(cold_start_slots=0)
    data = build_interactions(frames_of(films, NEW), task, films.schema, LEARNED)
    arrays = {**model.fit(data, 1), **fallback_arrays(data)}
    save_artifact(folder / "v", {"kind": kind_of(model), "params": params_of(model)}, arrays, data.items)
    artifact = load_artifact(folder / "v")
    return RecommendPipeline(task, artifact, model_of(artifact))


def catalog_of(films: SimpleNamespace, new: list[tuple[str, list[str]]] = NEW) -> Any:
    return catalog_at(frames_of(films, new), films.film, films.schema, LATER)


def history_of(items: list[str]) -> UserHistory:
    n = len(items)
    return UserHistory("u", items, np.ones(n, np.float32), np.full(n, np.nan, np.float32), np.arange(n), items, None)


def fans() -> list[UserHistory]:
    """One user for each genre, who saw five of its films."""
    return [history_of([f"{genre}{nth:02d}" for nth in range(0, 10, 2)]) for genre in GENRES]


def scores_of(pipeline: RecommendPipeline, histories: list[UserHistory], catalog: Any) -> list[dict[str, float]]:
    """What the model gives each film of the catalog."""
    pipeline = pipeline.over(catalog)
    responses = pipeline.answer([ask(pipeline.task, "u", 200, at_us=LATER) for _ in histories], histories)
    return [{each.item: each.score for each in shown.items if each.source == MODEL} for shown in responses]


@pytest.fixture
def pipeline(films: SimpleNamespace, tmp_path: Path) -> RecommendPipeline:
    return pipeline_of(films, Hybrid(ImplicitALS(factors=16)), tmp_path)


def test_new_films_of_a_loved_genre_come_before_all_films_of_others(
    films: SimpleNamespace, pipeline: RecommendPipeline
) -> None:
    for genre, scores in zip(GENRES, scores_of(pipeline, fans(), catalog_of(films)), strict=True):
        loved = {film for film in scores if film.startswith(genre)}
        new = {film for film in loved if "new" in film}
        others = scores.keys() - loved
        assert len(new) == 2
        assert {film for film in others if "new" in film} == {f"{g}-new{n}" for g in GENRES for n in (0, 1)} - new
        assert min(scores[film] for film in new) > max(scores[film] for film in others)


def test_an_attribute_that_was_renamed_since_places_new_films_as_before(
    films: SimpleNamespace, pipeline: RecommendPipeline
) -> None:
    class FilmCard(fb.Profile):
        film: Annotated[str, fb.Ref("film")]
        kinds: Annotated[list[str], fb.renamed("genres")] = []
        year: int | None = None

    class Renamed:
        """The catalog as it is read by the declaration of today."""

        then = catalog_of(films)
        ids = then.ids

        def attributes(self, field: str) -> Any:
            return self.then.attributes({"kinds": "genres"}.get(field, field))

    task = msgspec.structs.replace(pipeline.task, item=fb.Entity("film", FilmCard))
    later = RecommendPipeline(task, pipeline.fitted, pipeline.model)
    assert scores_of(later, fans(), Renamed()) == scores_of(pipeline, fans(), Renamed.then)


def test_films_without_any_value_known_then_are_left_to_the_cold_start_slots(
    films: SimpleNamespace, pipeline: RecommendPipeline
) -> None:
    request = ask(pipeline.task, "u", 200, at_us=LATER)
    shown = pipeline.over(catalog_of(films)).answer([request], fans()[:1])[0].items
    assert {each.item for each in shown if each.source != MODEL} == {"unheard-of", "undescribed"}
    assert len({each.item for each in shown}) == len(shown) == KNOWN + len(NEW) - 5


def test_a_score_has_the_same_bits_whatever_else_is_asked_or_new(
    films: SimpleNamespace, pipeline: RecommendPipeline
) -> None:
    whole = scores_of(pipeline, fans(), catalog_of(films))
    assert whole == [scores_of(pipeline, [one], catalog_of(films))[0] for one in fans()]
    for few in ([], NEW[3:4], NEW[::-1]):
        for scores, everything in zip(scores_of(pipeline, fans(), catalog_of(films, few)), whole, strict=True):
            assert scores.items() <= everything.items()
            assert len(scores) == KNOWN - 5 + sum("new" in film for film, _ in few)


def test_a_like_of_a_new_film_counts_and_is_a_reason(films: SimpleNamespace, pipeline: RecommendPipeline) -> None:
    catalog, fan = catalog_of(films), history_of(["war-new0", "war-new1"])
    scores = scores_of(pipeline, [fan], catalog)[0]
    assert {film[:3] for film in sorted(scores, key=lambda film: -scores[film])[:OLD]} == {"war"}
    over, request = pipeline.over(catalog), ask(pipeline.task, "u", 5, at_us=LATER)
    batch, artifact = over.histories([request], [fan]), over.artifact
    assert [artifact.items[place] for place in batch.items] == fan.items
    added = pipeline.model.explain(artifact.arrays, batch, artifact.index["war03"])
    assert sum(part for _, part in added) == pytest.approx(scores["war03"], rel=1e-4)
    assert pipeline.histories([request], [fan]).items.tolist() == []


def test_a_new_film_lies_where_an_old_one_with_its_values_and_no_likes_does(
    films: SimpleNamespace, pipeline: RecommendPipeline
) -> None:
    artifact = pipeline.over(catalog_of(films)).artifact
    silent, new = (artifact.arrays["item_factors"][artifact.index[film]] for film in (SILENT, "war-new1"))
    assert silent.any()
    assert new.tobytes() == silent.tobytes()
    for scores in scores_of(pipeline, fans(), catalog_of(films)):
        assert scores[SILENT] == scores["war-new0"]


def test_models_of_likes_alone_leave_new_films_to_the_cold_start_slots(films: SimpleNamespace, tmp_path: Path) -> None:
    pipeline = pipeline_of(films, ImplicitALS(factors=16), tmp_path)
    assert pipeline.over(catalog_of(films)).artifact is pipeline.artifact
    assert not places_new(pipeline.model)
    assert all("new" not in film for scores in scores_of(pipeline, fans(), catalog_of(films)) for film in scores)


def test_an_artifact_learned_without_attributes_places_nothing(films: SimpleNamespace) -> None:
    task = films.task(cold_start_slots=0)
    data = build_interactions(frames_of(films, NEW), task, films.schema, LEARNED, attributes=False)
    model = Hybrid(ImplicitALS(factors=16))
    index = {item: place for place, item in enumerate(data.items)}
    artifact = Artifact({}, {**model.fit(data, 1), **fallback_arrays(data)}, data.items, index)
    pipeline = RecommendPipeline(task, artifact, model)
    assert all("new" not in film for scores in scores_of(pipeline, fans(), catalog_of(films)) for film in scores)
