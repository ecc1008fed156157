"""The evaluation plan of recommendations: metrics by name, baselines, gates."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flyball.models import Popular, Random
from flyball.policy import MetricGate
from flyball.tasks.evaluation import EvaluationPlan, Metric, MetricFamily
from flyball.tasks.recommend.metrics.lists import (
    PERSONAL_SOURCES,
    SCORED_SOURCES,
    Coverage,
    IpsMetric,
    accuracy_metric,
    full_lists,
    list_metric,
    source_metric,
)
from flyball.tasks.recommend.metrics.predicted_ratings import RatingMetric, predicted_ratings, reference_ratings
from flyball.tasks.recommend.metrics.propensity import GAINS
from flyball.tasks.recommend.metrics.ranking import ACCURACY

if TYPE_CHECKING:
    from flyball.tasks.recommend.declaration import Recommend

OF_RATINGS = ("rmse", "mae")
LISTS_ALONE = ("novelty", "popularity_share", "mean_popularity")


def _of_ratings(name: str) -> RatingMetric:
    from flyball.tasks import metrics  # an application is declared without them

    return RatingMetric(getattr(metrics, name))


_AT_K: dict[str, Callable[[int], Metric]] = {
    **{name: partial(accuracy_metric, name) for name in ACCURACY},
    **{f"ips_{name}": partial(IpsMetric, name) for name in GAINS},
    "coverage": Coverage,
    **{name: partial(list_metric, name) for name in LISTS_ALONE},
    "full_lists": full_lists,
    "personalized": lambda k: source_metric(PERSONAL_SOURCES, k),
    "scored": lambda k: source_metric(SCORED_SOURCES, k),
}


def _with_k(make: Callable[[int], Metric], k: float) -> Metric:
    return make(int(k))


FAMILIES: dict[str, MetricFamily] = {
    **{name: MetricFamily(partial(_with_k, make), "k") for name, make in _AT_K.items()},
    "rmse": MetricFamily(lambda _: _of_ratings("rmse")),
    "mae": MetricFamily(lambda _: _of_ratings("mae")),
}

HISTORY_LENGTHS = ("0", "1-4", "5-19", "20+")
"""The slices of requests by the number of items in the user's history."""

GROUPED = ("ndcg", "recall", "hit_rate")
"""The metrics of lists that groups of users are compared by."""

MIN_FULL_LISTS = 0.99
_NO_SCORES = (
    "it scored no item for any user, so its lists and metrics are those of the fallback: check what its `fit` learned"
)


def evaluation_plan(task: "Recommend") -> EvaluationPlan:
    """The plan of a task: metrics of lists at its `k`, and of ratings if it declares one and candidates predict it."""
    k, rated = task.k, task.rating is not None
    return EvaluationPlan(
        families={name: family for name, family in FAMILIES.items() if rated or name not in OF_RATINGS},
        default=f"ndcg@{k}",
        reported=(*(f"{name}@{k}" for name in _AT_K), *(OF_RATINGS if rated else ())),
        shown=(f"ndcg@{k}", f"recall@{k}", f"hit_rate@{k}", f"coverage@{k}", *(OF_RATINGS[:1] if rated else ())),
        baselines={"random": Random(), "popular": Popular()},
        sliced=(*ACCURACY, *(f"ips_{name}" for name in GAINS)),
        slices={
            "history_length": HISTORY_LENGTHS,
            **({} if task.user.group is None else {"group": ()}),
            **dict.fromkeys(task.groups, ()),
        },
        groups=tuple(task.groups),
        grouped=tuple(f"{name}@{k}" for name in GROUPED),
        corrected={name: f"ips_{name}" for name in GAINS},
        gates=(
            MetricGate("full_lists", f"full_lists@{k}", at_least=MIN_FULL_LISTS, certain=False),
            MetricGate("own_lists", f"scored@{k}", above=0.0, certain=False, why=_NO_SCORES),
        ),
        further=predicted_ratings,
        references=reference_ratings,
    )
