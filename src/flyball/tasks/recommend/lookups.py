"""Queries to a version of a recommender besides recommendations: similar items, and predicted ratings."""

from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import msgspec
import numpy as np

from flyball.core import NotFound
from flyball.models import knows_similar, predict_pairs, predicts_ratings, similar_items
from flyball.tasks.recommend.pipeline import RecommendPipeline
from flyball.tasks.recommend.request import request_type
from flyball.tasks.request import Request
from flyball.tasks.task import Lookup, Online, Pipeline

if TYPE_CHECKING:
    from flyball.tasks.recommend.declaration import Recommend

MAX_SIMILAR = 1_000


class SimilarItem(msgspec.Struct, frozen=True):
    """One item and its similarity."""

    item: str
    score: float


class SimilarItems(msgspec.Struct, frozen=True):
    """The items most similar to one item, best first, by `version`."""

    item: str
    version: str
    items: list[SimilarItem]


class PredictedRating(msgspec.Struct, frozen=True):
    """The rating of `item` by `user` that `version` predicts."""

    user: str
    item: str
    version: str
    rating: float


def lookups_of(task: "Recommend") -> tuple[Lookup, Lookup]:
    """Similar items and predicted ratings, with the id types of the task."""
    hints = get_type_hints(request_type(task), include_extras=True)
    user, (item,) = hints["user"], get_args(hints["without"])
    count = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIMILAR)]
    return (
        Lookup(
            "similar",
            "/{item}",
            f"What is most like one {task.item.name}",
            msgspec.defstruct("SimilarQuery", [("item", item), ("k", count, task.k)]),
            SimilarItems,
            "lists similar items",
            lambda pipeline: _can(pipeline, knows_similar),
            _similar,
        ),
        Lookup(
            "rating",
            "",
            f"The rating a {task.user.name} would give: the {task.item.name} is named too",
            msgspec.defstruct("RatingQuery", [("user", user), ("item", item)]),
            PredictedRating,
            "predicts ratings",
            lambda pipeline: _can(pipeline, predicts_ratings),
            _rating,
        ),
    )


def _can(pipeline: Pipeline, ability: Any) -> bool:
    return isinstance(pipeline, RecommendPipeline) and ability(pipeline.model)


def _similar(version: str, pipeline: Any, online: Online, query: Any) -> SimilarItems:
    item = str(query.item)
    scores = similar_items(pipeline.model, pipeline.artifact.arrays, _index(pipeline, item))
    order = np.lexsort((np.arange(len(scores)), -scores))[: query.k + 1]
    kept = [index for index in order.tolist() if np.isfinite(scores[index])][: query.k]
    names = pipeline.artifact.items
    return SimilarItems(item, version, [SimilarItem(names[index], float(scores[index])) for index in kept])


def _rating(version: str, pipeline: Any, online: Online, query: Any) -> PredictedRating:
    user, item = str(query.user), str(query.item)
    request = Request("", user, 0, request_type(pipeline.task)(at=0, user=query.user, k=1))
    batch = pipeline.histories([request], online.contexts([request])[0])
    index = np.array([_index(pipeline, item)], np.int32)
    rating = predict_pairs(pipeline.model, pipeline.artifact.arrays, batch, np.zeros(1, np.int64), index)
    return PredictedRating(user, item, version, float(rating[0]))


def _index(pipeline: RecommendPipeline, item: str) -> int:
    index = pipeline.artifact.index.get(item)
    if index is None:
        raise NotFound("item in the version", item, next_step="a version knows those of before it was learned")
    return index
