"""The common ground of all contestants: the same users, numbered items, the same truth."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Stopwatch
from flyball.evaluation.beyond_accuracy import mean_popularity, novelty, popularity_share, self_information, short_head
from flyball.evaluation.contestant import Contestant
from flyball.evaluation.estimates import Estimate, interval_of
from flyball.evaluation.ranking_metrics import ACCURACY
from flyball.evaluation.ratings import bias_predictions, global_mean
from flyball.models import (
    Histories,
    Interactions,
    predict_pairs,
    predicts_ratings,
    row_pointers,
    take,
)
from flyball.tasks import GENERAL, MODEL, Cases, FrameCatalog, Recommend, RecommendPipeline, Request, request_type

_BATCH, _TIMED, _RATED_BATCH = 64, 100, 1_024
_WIDTH = 1 << 31  # above any item number: user * _WIDTH + item is one key

Values = dict[str, NDArray[np.float64]]


class Lists(msgspec.Struct, frozen=True):
    """What one contestant showed. `places`: int32 (users, k), numbers of items, -1 for none.

    `by_model`: bool, filled from scores for the user; `scored`: bool, filled from scores, for the user or for all.
    """

    places: NDArray[np.int32]
    by_model: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    answer: Estimate


class Answers(msgspec.Struct, frozen=True):
    """What one contestant answered to all users; it crosses between processes.

    `beyond`: names of the items in `lists` that are numbered `first_beyond` and up, unknown to data, catalogue and
    truth. `errors`: predicted minus given ratings, None of a model without. `failed`: why there is nothing else.
    """

    lists: Lists | None = None
    first_beyond: int = 0
    beyond: list[str] = []
    errors: NDArray[np.float64] | None = None
    failed: str = ""


class Bench:
    """Asks contestants and measures their answers.

    Items are numbered: those of `train` as there, then the further ones of the catalogue and the truth.
    """

    def __init__(
        self,
        task: Recommend,
        cases: Cases,
        train: Interactions,
        cutoffs: Sequence[int],
        stopwatch: Stopwatch,
    ) -> None:
        self.task, self.cases, self.train, self.cutoffs, self.stopwatch = task, cases, train, list(cutoffs), stopwatch
        self._number = {item: place for place, item in enumerate(train.items)}
        self.k = max(self.cutoffs)
        for item in () if cases.catalog is None else cases.catalog.ids:
            self._number.setdefault(item, len(self._number))
        self.catalogue_size = len(self._number)
        self._relevant = np.array([len(items) for items in cases.truth])
        wanted = [self._number.setdefault(item, len(self._number)) for items in cases.truth for item in items]
        owners = np.repeat(np.arange(len(cases.users), dtype=np.int64), self._relevant)
        self._truth = owners * _WIDTH + np.array(wanted, np.int64)
        asked = request_type(task)
        self._requests = [
            Request(f"{row:026d}", user, cases.split_us, asked(at=cases.split_us, user=user, k=self.k))
            for row, user in enumerate(cases.users)
        ]

    def answers(self, one: Contestant) -> Answers:
        """Ask `one` for everything; what it raises is the reason why it failed."""
        known = len(self._number)
        try:
            lists = self.lists(one)
            rated = one.model is not None and predicts_ratings(one.model) and len(self.cases.rated_values)
            errors = self.rating_errors(one) if rated else None
        except Exception as error:  # a model may raise anything; the others go on
            return Answers(failed=one.failed or f"{type(error).__name__}: {error}")
        return Answers(lists, known, list(self._number)[known:], errors)

    def taken(self, answers: Answers) -> Lists | None:
        """The lists of `answers` given on another bench for the same users, items numbered as here."""
        if answers.lists is None or not answers.beyond:
            return answers.lists
        here = np.array([self._number.setdefault(item, len(self._number)) for item in answers.beyond], np.int32)
        places = answers.lists.places.copy()
        beyond = places >= answers.first_beyond
        places[beyond] = here[places[beyond] - answers.first_beyond]
        return msgspec.structs.replace(answers.lists, places=places)

    def lists(self, one: Contestant) -> Lists:
        """The lists of every user. Raises whatever the model raises."""
        pipeline, cases = self._pipeline(one, self.cases.catalog), self.cases
        places = np.full((len(cases.users), self.k), -1, np.int32)
        by_model, scored = np.zeros(places.shape, bool), np.zeros(places.shape, bool)
        for first in range(0, len(places), _BATCH):
            part = slice(first, first + _BATCH)
            answers = pipeline.answer(self._requests[part], cases.histories[part])
            for row, response in enumerate(answers, first):
                shown = response.items
                places[row, : len(shown)] = [self._number.setdefault(each.item, len(self._number)) for each in shown]
                by_model[row, : len(shown)] = [each.source == MODEL for each in shown]
                scored[row, : len(shown)] = [each.source in (MODEL, GENERAL) for each in shown]
        return Lists(places, by_model, scored, self._answer_us(pipeline))

    def targets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each target's user and item, by number."""
        return self._truth // _WIDTH, self._truth % _WIDTH

    def number_of(self, item: str) -> int:
        """The item's number, -1 for one that is not known."""
        return self._number.get(item, -1)

    def touched(self) -> NDArray[np.int64]:
        """How many users of the training data had touched each item."""
        return np.bincount(self.train.item_index, minlength=len(self._number))

    def per_user(self, places: NDArray[np.int32]) -> Values:
        """{figure: one value a user} for the figures that are means over users."""
        owners = np.arange(len(places), dtype=np.int64)[:, None]
        hits = (places >= 0) & np.isin(owners * _WIDTH + places, self._truth)
        touched = self.touched()
        information, head = self_information(touched, len(self.train.users)), short_head(touched)
        found: Values = {}
        for k in self.cutoffs:
            for name, measure in ACCURACY.items():
                found[f"{name}@{k}"] = measure(hits, self._relevant, k)
            found[f"novelty@{k}"] = novelty(places[:, :k], information)
            found[f"popularity_share@{k}"] = popularity_share(places[:, :k], head)
            found[f"mean_popularity@{k}"] = mean_popularity(places[:, :k], touched)
        return found

    def rating_errors(self, one: Contestant) -> NDArray[np.float64]:
        """Predicted minus given, for each rating of the window. An item the model does not know: the global mean."""
        pipeline, cases = self._pipeline(one, None), self.cases
        histories = pipeline.histories(self._requests, cases.histories)
        items = np.array([pipeline.artifact.index.get(item, -1) for item in cases.rated_items], np.int32)
        predicted = np.full(len(items), global_mean(self.train))
        known = np.flatnonzero(items >= 0)
        for first in range(0, len(known), _RATED_BATCH):
            part = known[first : first + _RATED_BATCH]
            batch = take(histories, cases.rated_rows[part].tolist())
            predicted[part] = predict_pairs(
                pipeline.model, pipeline.artifact.arrays, batch, np.arange(batch.rows), items[part]
            )
        if not np.isfinite(predicted).all():
            raise BadInput("predicted ratings", "finite", "nan or infinite ones")
        return predicted - cases.rated_values

    def rating_baselines(self) -> dict[str, NDArray[np.float64]]:
        """Errors of the global mean and of the bias model; none without ratings."""
        cases, train = self.cases, self.train
        if not len(cases.rated_values) or np.isnan(train.ratings).all():
            return {}
        known = {item: place for place, item in enumerate(train.items)}
        items = np.array([known.get(item, -1) for item in cases.rated_items], np.int32)
        histories = _numbered(cases, known)
        predicted = bias_predictions(train, histories, cases.rated_rows, items)
        return {
            "global_mean": global_mean(train) - cases.rated_values.astype(np.float64),
            "bias": predicted - cases.rated_values,
        }

    def _pipeline(self, one: Contestant, catalog: FrameCatalog | None) -> RecommendPipeline:
        if one.failed or one.model is None or one.artifact is None:
            raise BadInput(f"contestant {one.name!r}", "fitted", one.failed or "no artifact")
        if one.as_of_us >= self.cases.split_us and not one.flattered:
            must = f"known before the split at {self.cases.split_us} us"
            raise BadInput(f"training data of {one.name!r}", must, one.as_of_us)
        return RecommendPipeline(self.task, one.artifact, one.model, catalog, one.features)

    def _answer_us(self, pipeline: RecommendPipeline) -> Estimate:
        """Median microseconds of one answer, asked singly; everything is compiled and warm by now.

        The interval is the bootstrap's over answers, with a fixed seed: it tells how steady the measurement was.
        """
        took = []
        for place in range(0, len(self._requests), max(1, len(self._requests) // _TIMED)):
            request, history = self._requests[place : place + 1], self.cases.histories[place : place + 1]
            start = self.stopwatch.read_s()
            pipeline.answer(request, history)
            took.append(self.stopwatch.read_s() - start)
        times = np.array(took) * 1e6
        drawn = np.random.default_rng(0).integers(0, len(times), (200, len(times)))
        return interval_of(float(np.median(times)), np.median(times[drawn], axis=1), len(times))


def _numbered(cases: Cases, known: dict[str, int]) -> Histories:
    """The users' histories as numbers of the training items."""
    rows = [[known.get(item, -1) for item in history.items] for history in cases.histories]
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.array([item for row in rows for item in row], np.int32)
    kept = items >= 0
    return Histories(
        indptr=row_pointers(owner[kept], len(rows)),
        items=items[kept],
        weights=_flat([history.weights for history in cases.histories], np.float32)[kept],
        ratings=_flat([history.ratings for history in cases.histories], np.float32)[kept],
        at_us=_flat([history.at_us for history in cases.histories], np.int64)[kept],
        group=np.full(len(rows), -1, np.int32),
        now_us=np.full(len(rows), cases.split_us, np.int64),
    )


def _flat(arrays: Sequence[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([*arrays, np.zeros(0, kind)]).astype(kind, copy=False)
