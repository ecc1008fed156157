"""The objective of a hyperparameter search: one metric of one fitted model, evaluated as it would serve."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from flyball.core import NOTHING, BadInput, Stopwatch
from flyball.evaluation.challenger import Challenger
from flyball.evaluation.evaluator import EvaluatedTask, Evaluator
from flyball.evaluation.search import Score
from flyball.models import Artifact
from flyball.tasks import Candidate, EvaluationSet, ReadFeatures

Train = Callable[[Any, float], Artifact]
"""A function that fits: (candidate, share of the training data) -> the artifact, in memory."""


class Objective(msgspec.Struct, frozen=True):
    """Fits candidates with `train` and evaluates them on `evaluation`, which is later than their training data.

    `metric`: its full name, as in a report. `features`: the source of the declared features that candidates read.
    """

    task: EvaluatedTask
    evaluation: EvaluationSet
    metric: str
    train: Train
    stopwatch: Stopwatch
    features: ReadFeatures | None = None

    def score(self) -> Score[Candidate]:
        """A function (model, share of the training data) -> the metric, negated if lower is better."""
        metric = self.task.offline().plan().metric(self.metric)
        evaluator = Evaluator(self.task, self.evaluation, self.stopwatch)
        return lambda model, share: self._score(metric, evaluator, model, share)

    def plain(self, score: float | None) -> float | None:
        """The metric, with its sign as in a report, of a score."""
        low = self.task.offline().plan().metric(self.metric).better == "low"
        return -score if score is not None and low else score

    def _score(self, metric: Any, evaluator: Evaluator, model: Any, share: float) -> float:
        artifact = self.train(model, share)
        as_of_us = self.evaluation.window_us[0] - 1
        trial = Challenger("trial", model=model, artifact=artifact, as_of_us=as_of_us, features=self.features)
        function = metric.prepare(evaluator.answers(trial), self.evaluation)
        if function is None:
            raise BadInput(f"{self.metric} of {type(model).__name__}", "a metric that the model has", NOTHING)
        value = float(function(np.ones((1, len(self.evaluation.units))))[0])
        if isinstance(metric.better, str):
            return value if metric.better == "high" else -value
        return -abs(value - float(metric.better))
