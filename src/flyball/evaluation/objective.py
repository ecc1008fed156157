"""What a search goes by: one figure of one fitted model, answering through the pipeline as it would serve."""

from collections.abc import Callable

import msgspec
import numpy as np

from flyball.core import BadInput, Stopwatch
from flyball.evaluation.bench import Bench
from flyball.evaluation.contestant import RATING_METRICS, Contestant, parse_metric
from flyball.evaluation.search import Judge, share_of_users
from flyball.models import Artifact, Interactions, Learned, Recommender, predicts_ratings
from flyball.tasks import Cases, ReadFeatures, Recommend, fallback_arrays

Fit = Callable[[Recommender, Interactions], Learned]


class Trying(msgspec.Struct, frozen=True):
    """Models are fitted by `fit` on `train` and asked about `cases`, which come after it; `metric` as in a report.

    `features`: what models read declared features from, if they do.
    """

    task: Recommend
    train: Interactions
    cases: Cases
    metric: str
    fit: Fit
    stopwatch: Stopwatch
    seed: int = 0
    features: ReadFeatures | None = None

    def judge(self) -> Judge:
        """(model, share of the training users) → the figure, for errors with its sign turned: higher is better."""
        cutoff = parse_metric(self.metric)[1] or self.task.k
        bench = Bench(self.task, self.cases, self.train, [cutoff], self.stopwatch)
        return lambda model, share: self._figure(bench, model, share)

    def plain(self, figure: float | None) -> float | None:
        """The figure as a report shows it."""
        return -figure if figure is not None and self.metric in RATING_METRICS else figure

    def _figure(self, bench: Bench, model: Recommender, share: float) -> float:
        data = share_of_users(self.train, share, self.seed)
        learned = {**fallback_arrays(data), **self.fit(model, data)}
        index = {item: place for place, item in enumerate(data.items)}
        artifact = Artifact({}, learned, data.items, index)
        one = Contestant("trial", model=model, artifact=artifact, as_of_us=data.as_of_us, features=self.features)
        if self.metric not in RATING_METRICS:
            return float(bench.per_user(bench.lists(one).places)[self.metric].mean())
        if not predicts_ratings(model) or not len(self.cases.rated_values):
            raise BadInput(f"{self.metric} of {type(model).__name__}", "that of a model of ratings", "no ratings")
        errors = bench.rating_errors(one)
        return -float(np.sqrt(np.mean(errors**2)) if self.metric == "rmse" else np.mean(np.abs(errors)))
