"""Metrics of lists as functions of unit weights: requests have equal weights, and a unit is a user."""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles
from flyball.tasks.answers import Answers
from flyball.tasks.defaults import RequestMean
from flyball.tasks.evaluation import EvaluationSet
from flyball.tasks.recommend.metrics.beyond_accuracy import (
    mean_popularity,
    novelty,
    popularity_share,
    self_information,
    short_head,
)
from flyball.tasks.recommend.metrics.propensity import gains
from flyball.tasks.recommend.metrics.ranking import ACCURACY
from flyball.tasks.recommend.request import GENERAL, MODEL
from flyball.tasks.recommend.truth import RecommendTruth
from flyball.tasks.unit_weights import Resampled, ratio

_COVERAGE_ROWS = 64


class IpsMetric(msgspec.Struct, frozen=True):
    """Weighted mean over targets of the gain of `metric` at `k`; None if the weights do not suffice."""

    metric: str
    k: int
    better: Literal["high", "low"] | float = "high"
    centered: bool = False

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | None:
        truth: RecommendTruth = evaluation.truth
        if truth.ips is None or not truth.ips.sufficient:
            return None
        gain = gains(target_ranks(answers, truth), self.metric, self.k)
        weights, unit_of = truth.ips.weights, evaluation.unit_of[truth.request_of]
        return ratio(weights * gain, weights, unit_of, len(evaluation.units))


class Coverage(msgspec.Struct, frozen=True):
    """Share of the catalog in any list at `k`.

    Source: Ge, Delgado-Battenfeld and Jannach, "Beyond Accuracy", RecSys 2010 (catalog coverage).
    """

    k: int
    better: Literal["high", "low"] | float = "high"
    centered: bool = True

    def prepare(self, answers: Answers, evaluation: EvaluationSet) -> Resampled | None:
        from scipy import sparse  # loading it takes 0.1 s, which serving does not need

        truth: RecommendTruth = evaluation.truth
        items = item_numbers(answers, truth)[:, : self.k]
        owners = np.broadcast_to(evaluation.unit_of[:, None], items.shape)[items >= 0]
        kinds, columns = np.unique(items[items >= 0], return_inverse=True)
        shape = (len(kinds), len(evaluation.units))
        items_owners = sparse.csr_matrix((np.ones(len(owners), np.float32), (columns, owners)), shape)

        def value(weights: Doubles) -> Doubles:
            parts = [
                (items_owners @ (weights[first : first + _COVERAGE_ROWS] > 0).T.astype(np.float32) > 0).sum(axis=0)
                for first in range(0, len(weights), _COVERAGE_ROWS)
            ]
            return np.concatenate(parts) / max(truth.catalog_size, 1)

        return value


def accuracy_metric(name: str, k: int) -> RequestMean:
    """One of `ACCURACY` at `k`."""
    measure = ACCURACY[name]

    def of(answers: Answers, evaluation: EvaluationSet) -> NDArray[Any]:
        truth: RecommendTruth = evaluation.truth
        counts = answers.shared("counts", lambda: truth.counts(len(answers.items)))
        return measure(hits(answers, truth), counts, k)

    return RequestMean(of)


def list_metric(name: str, k: int) -> RequestMean:
    """A metric of lists alone: novelty, popularity_share or mean_popularity at `k`."""

    def of(answers: Answers, evaluation: EvaluationSet) -> NDArray[Any]:
        truth: RecommendTruth = evaluation.truth
        items = item_numbers(answers, truth)
        users_of = answers.shared("users_of", lambda: _padded(truth.users_of, items))
        if name == "novelty":
            return novelty(items[:, :k], self_information(users_of, truth.train_users))
        if name == "popularity_share":
            return popularity_share(items[:, :k], answers.shared("head", lambda: short_head(users_of)))
        return mean_popularity(items[:, :k], users_of)

    return RequestMean(of, "low" if name != "novelty" else "high")


def source_metric(sources: tuple[str, ...], k: int) -> RequestMean:
    """Share of the ranks with an item from one of `sources`."""

    def of(answers: Answers, evaluation: EvaluationSet) -> NDArray[Any]:
        codes = [code for code, name in enumerate(answers.source_names) if name in sources]
        from_them = np.isin(answers.sources[:, :k], codes) & (answers.items[:, :k] >= 0)
        return np.asarray(from_them.sum(axis=1) / k)

    return RequestMean(of)


def full_lists(k: int) -> RequestMean:
    """Share of the requests with `k` items."""
    return RequestMean(lambda answers, evaluation: (answers.items[:, :k] >= 0).sum(axis=1) >= k)


PERSONAL_SOURCES, SCORED_SOURCES = (MODEL,), (MODEL, GENERAL)


def item_numbers(answers: Answers, truth: RecommendTruth) -> NDArray[np.int64]:
    """The ranked items by the numbers of the truth; items that it does not know get further numbers."""

    def numbered() -> NDArray[np.int64]:
        numbers, unknown = truth.number_of(), dict[str, int]()
        of_name = np.array(
            [
                numbers[item] if item in numbers else unknown.setdefault(item, len(numbers) + len(unknown))
                for item in answers.names
            ]
            or [-1],
            np.int64,
        )
        return np.where(answers.items >= 0, of_name[answers.items], -1)

    return answers.shared("item_numbers", numbered)


def hits(answers: Answers, truth: RecommendTruth) -> NDArray[np.bool_]:
    """Whether the item at each rank is a target of its request."""

    def compared() -> NDArray[np.bool_]:
        items = item_numbers(answers, truth)
        width = max(int(items.max(initial=0)), int(truth.item_of.max(initial=0))) + 1
        rows = np.arange(len(items), dtype=np.int64)[:, None]
        return np.asarray((items >= 0) & np.isin(rows * width + items, truth.request_of * width + truth.item_of))

    return answers.shared("hits", compared)


def target_ranks(answers: Answers, truth: RecommendTruth) -> NDArray[np.int64]:
    """The rank of each target in the list of its request, from 1; 0 for none."""

    def ranks() -> NDArray[np.int64]:
        same = item_numbers(answers, truth)[truth.request_of] == truth.item_of[:, None]
        return np.where(same.any(axis=1), same.argmax(axis=1) + 1 if same.shape[1] else 0, 0)

    return answers.shared("target_ranks", ranks)


def _padded(users_of: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.int64]:
    """The array extended to the highest number, by zeros for items that the truth does not know."""
    padded = np.zeros(max(len(users_of), int(items.max(initial=-1)) + 1), np.int64)
    padded[: len(users_of)] = users_of
    return padded
