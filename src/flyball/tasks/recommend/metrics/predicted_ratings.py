"""RMSE and MAE of predicted ratings, each predicted from the history of the user before it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput
from flyball.models import Histories, Interactions, predict_pairs, predicts_ratings, row_pointers
from flyball.tasks.answers import Answers
from flyball.tasks.evaluation import EvaluationSet
from flyball.tasks.recommend.metrics.ratings import bias_predictions, global_mean
from flyball.tasks.recommend.pipeline import RecommendPipeline
from flyball.tasks.recommend.request import request_type
from flyball.tasks.recommend.state.user_history import UserHistory
from flyball.tasks.recommend.truth import RatedItems, RecommendTruth
from flyball.tasks.request import Request
from flyball.tasks.unit_weights import Resampled

PREDICTED = "predicted_ratings"
_BATCH = 1_024


class RatingMetric(msgspec.Struct, frozen=True):
    """`measure(predicted, actual, unit_of, units)` over the first ratings in the window; None for a model without."""

    measure: Callable[..., Resampled]
    better: Literal["high", "low"] | float = "low"
    centered: bool = False

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | None:
        rated, predicted = evaluation.truth.rated, answers.further.get(PREDICTED)
        if rated is None or predicted is None:
            return None
        return self.measure(predicted, rated.values, rated.unit_of, len(evaluation.units))


def predicted_ratings(pipeline: RecommendPipeline, evaluation: EvaluationSet) -> Mapping[str, NDArray[Any]]:
    """The prediction of the version for each first rating; an unknown item gets the global mean.

    It is None for a model without ratings. Raises `BadInput` for nan or infinite predictions.
    """
    truth: RecommendTruth = evaluation.truth
    rated, model = truth.rated, pipeline.model
    if rated is None or not len(rated.values) or not predicts_ratings(model):
        return {}
    items = np.array([pipeline.fitted.index.get(item, -1) for item in rated.items], np.int32)
    predicted = np.full(len(items), truth.global_mean)
    empty = request_type(pipeline.task)(user="", k=1, at=0)
    known = np.flatnonzero(items >= 0)
    for first in range(0, len(known), _BATCH):
        rows = known[first : first + _BATCH]
        contexts = [rated.contexts[row] for row in rows.tolist()]
        requests = [
            Request("", context.user, at_us, empty)
            for context, at_us in zip(contexts, rated.at_us[rows].tolist(), strict=True)
        ]
        histories = pipeline.histories(requests, contexts)
        predicted[rows] = predict_pairs(model, pipeline.fitted.arrays, histories, np.arange(len(rows)), items[rows])
    if not np.isfinite(predicted).all():
        raise BadInput("predicted ratings", "finite", "nan or infinite ones")
    return {PREDICTED: predicted}


def reference_ratings(evaluation: EvaluationSet) -> dict[str, dict[str, NDArray[Any]]]:
    """The predictions of the global mean and of the bias model."""
    rated = evaluation.truth.rated
    return {} if rated is None else {name: {PREDICTED: values} for name, values in rated.references.items()}


def with_references(rated: RatedItems, train: Interactions) -> RatedItems:
    """The truth with the predictions of the two baselines from `train`; without them if there are no ratings."""
    if not len(rated.values) or np.isnan(train.ratings).all():
        return rated
    numbers = {item: number for number, item in enumerate(train.items)}
    items = np.array([numbers.get(item, -1) for item in rated.items], np.int32)
    histories = _histories(rated.contexts, rated.at_us, numbers)
    mean = np.full(len(items), global_mean(train))
    return msgspec.structs.replace(
        rated,
        references={
            "global_mean": mean,
            "bias": bias_predictions(train, histories, np.arange(len(items)), items),
        },
    )


def _histories(contexts: list[UserHistory], at_us: NDArray[np.int64], numbers: Mapping[str, int]) -> Histories:
    """The histories by the numbers of the training items."""
    rows = [[numbers.get(item, -1) for item in context.items] for context in contexts]
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.array([item for row in rows for item in row], np.int32)
    kept = items >= 0
    return Histories(
        indptr=row_pointers(owner[kept], len(rows)),
        items=items[kept],
        weights=_joined([context.weights for context in contexts], np.float32)[kept],
        ratings=_joined([context.ratings for context in contexts], np.float32)[kept],
        at_us=_joined([context.at_us for context in contexts], np.int64)[kept],
        group=np.full(len(rows), -1, np.int32),
        now_us=at_us.astype(np.int64),
    )


def _joined(arrays: list[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([*arrays, np.zeros(0, kind)]).astype(kind, copy=False)
