"""Evaluate all challengers on the same requests, as they would serve: through the pipeline, fallback and re-ranking."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from flyball.core import NOTHING, BadInput, Stopwatch
from flyball.evaluation.challenger import Challenger
from flyball.evaluation.evaluator import Answered, EvaluatedTask, Evaluator
from flyball.evaluation.report import BASELINE, Cost, Differences, Evaluated, GroupComparison, Report, SliceMetrics
from flyball.evaluation.resampling import Resamples, resample
from flyball.policy import parse_metric
from flyball.tasks import MISSING_GROUP, Answers, EvaluationPlan, EvaluationSet, ReportTable, Resampled, Undefined

if TYPE_CHECKING:
    from flyball.evaluation.group_gaps import GroupInput

MIN_SLICE = 5
"""A slice of fewer units is left out."""


def evaluate(
    task: EvaluatedTask,
    challengers: Sequence[Challenger],
    evaluation: EvaluationSet,
    *,
    metrics: Sequence[str],
    seed: int,
    stopwatch: Stopwatch,
    resamples: int = 1_000,
    answered: Mapping[str, Answered] | None = None,
) -> Report:
    """The report on `challengers`, each of which answers every request of `evaluation`.

    `metrics`: full names of metrics to report in addition to those that the task always reports. `answered`: responses
    that were computed elsewhere, by challenger; the other challengers answer here. A challenger that raises, returns
    unusable scores or has seen the test window is reported as failed, with the reason; the others continue. Raises
    `BadInput` if there are no requests, `BadDeclaration` for a metric that the task does not have.
    """
    if not len(evaluation.at_us):
        raise BadInput("evaluation set", "of one request or more", NOTHING)
    plan = task.offline().plan()
    names = reported_names(plan, metrics)
    better = {name: plan.metric(name).better for name in names}
    evaluator, known = Evaluator(task, evaluation, stopwatch), answered or {}
    results = {
        challenger.name: known[challenger.name] if challenger.name in known else evaluator.answered(challenger)
        for challenger in challengers
    }
    answers = {name: result.answers for name, result in results.items() if result.answers is not None}
    measured = _Measured(plan, names, evaluation, seed, resamples)
    values = measured.of(answers)
    slices = measured.slices(answers)
    evaluated = {
        challenger.name: measured.evaluated(challenger, results[challenger.name], values, slices)
        for challenger in challengers
    }
    references = {} if plan.references is None else plan.references(evaluation)
    return Report(
        requests=len(evaluation.at_us),
        units=len(evaluation.units),
        start_us=evaluation.window_us[0],
        end_us=evaluation.window_us[1],
        seed=seed,
        resamples=resamples,
        evaluated=evaluated,
        better=better,
        differences=_differences(values, list(answers), names),
        decided_by=_decided_by(plan, names, values),
        shown=plan.shown,
        references=measured.references(references),
        notes=(*evaluation.notes, *(f"warning: {sentence}" for sentence in evaluation.leaks)),
        leaks=evaluation.leaks,
        certain_leaks=evaluation.certain_leaks,
        unit=task.about.unit,
        counted=task.about.counted,
        last_us=int(evaluation.at_us.max()) if len(evaluation.at_us) else evaluation.window_us[0],
    )


def reported_names(plan: EvaluationPlan, metrics: Sequence[str]) -> list[str]:
    """The full names of the metrics in a report, without slices: the task's, `metrics`, and those that replace them."""
    requested = [str(parse_metric(name)).partition("/")[0] for name in metrics]
    corrected = [plan.corrected_name(name) for name in requested]
    return list(dict.fromkeys([*plan.reported, *requested, *corrected]))


class _Measured:
    """All metrics of all challengers from the same resamples of units."""

    def __init__(
        self, plan: EvaluationPlan, names: Sequence[str], evaluation: EvaluationSet, seed: int, resamples: int
    ) -> None:
        self._plan, self._names, self._evaluation = plan, list(names), evaluation
        self._seed, self._resamples = seed, resamples
        self._metrics = {name: plan.metric(name) for name in names}
        self._centered = {name for name, metric in self._metrics.items() if metric.centered}

    def of(self, answers: Mapping[str, Answers]) -> dict[tuple[str, str], Resamples]:
        """{(challenger, metric): value and resamples}, without metrics that a challenger lacks or that are nan."""
        return self._resampled(answers, self._evaluation, self._names)

    def evaluated(
        self,
        challenger: Challenger,
        answered: Answered,
        values: Mapping[tuple[str, str], Resamples],
        slices: Mapping[str, list[SliceMetrics]],
    ) -> Evaluated:
        """The report's entry for one challenger. `values`, `slices`: the results of `of` and `slices` for all."""
        if answered.answers is None:
            return Evaluated(challenger.name, challenger.role, challenger.kind, failed=answered.failed)
        name = challenger.name
        own = {metric: values[name, metric].estimate() for metric in self._names if (name, metric) in values}
        return Evaluated(
            name=name,
            role=challenger.role,
            kind=challenger.kind,
            metrics=own,
            cost=Cost(challenger.train_s, answered.latency_us.value, challenger.bytes, answered.latency_us),
            slices=slices[name],
            note=_note(self._plan, own),
            undefined=self.undefined(answered.answers, own),
            tables=self.tables(answered.answers),
            groups=[] if challenger.role == BASELINE else self.groups(answered.answers),
        )

    def undefined(self, answers: Answers | None, defined: Collection[str]) -> dict[str, str]:
        """{metric: why it has no value on these examples}. `defined`: the metrics that have a value."""
        if answers is None:
            return {}
        prepared = {name: metric.prepare(answers, self._evaluation) for name, metric in self._metrics.items()}
        missing = {name: value for name, value in prepared.items() if value is not None and name not in defined}
        return {
            name: value.reason if isinstance(value, Undefined) else f"{name} is 0 divided by 0 here"
            for name, value in missing.items()
        }

    def tables(self, answers: Answers) -> list[ReportTable]:
        """The task's tables for these answers."""
        return [] if self._plan.tables is None else self._plan.tables(answers, self._evaluation, self._estimates)

    def _estimates(self, named: Mapping[str, Resampled]) -> Mapping[str, tuple[float, float | None, float | None]]:
        drawn = resample(named, len(self._evaluation.units), self._seed, self._resamples)
        estimates = {name: resampled.estimate() for name, resampled in drawn.items()}
        return {name: (estimate.value, estimate.low, estimate.high) for name, estimate in estimates.items()}

    def slices(self, answers: Mapping[str, Answers]) -> dict[str, list[SliceMetrics]]:
        """{challenger: metrics of each slice}, for the families that the plan slices."""
        names = [name for name in self._names if parse_metric(name).family in self._plan.sliced]
        parts: dict[str, list[SliceMetrics]] = {name: [] for name in answers}
        for by, labels in self._evaluation.slices.items():
            for label in sorted({row_label for row_label in labels if row_label is not None}):
                rows = np.array([row for row, row_label in enumerate(labels) if row_label == label], np.int64)
                units = len(np.unique(self._evaluation.unit_of[rows]))
                if units < MIN_SLICE:
                    continue
                sliced_answers = {name: answer.take(rows) for name, answer in answers.items()}
                values = self._resampled(sliced_answers, self._evaluation.take(rows), names)
                for name in answers:
                    own = {metric: values[name, metric].estimate() for metric in names if (name, metric) in values}
                    parts[name].append(SliceMetrics(by, label, len(rows), units, own))
        return parts

    def groups(self, answers: Answers) -> list[GroupComparison]:
        """The groups of each attribute by which quality must be equal, compared."""
        if not self._plan.groups:
            return []
        from flyball.evaluation.group_gaps import compare_groups

        units = len(self._evaluation.units)
        declared = [by for by in self._plan.groups if by in self._evaluation.slices]
        return [
            compare_groups(by, self._inputs(answers, by), units, self._seed, self._resamples, len(declared))
            for by in declared
        ]

    def _inputs(self, answers: Answers, by: str) -> "dict[str, GroupInput]":
        from flyball.evaluation.group_gaps import GroupInput

        labels = [MISSING_GROUP if label is None else label for label in self._evaluation.slices[by]]
        inputs = {}
        for group in sorted(set(labels)):
            rows = np.array([row for row, label in enumerate(labels) if label == group], np.int64)
            part, own = self._evaluation.take(rows), answers.take(rows)
            prepared = {name: self._plan.metric(name).prepare(own, part) for name in self._plan.grouped}
            inputs[group] = GroupInput(
                len(rows),
                len(np.unique(part.unit_of)),
                {name: value for name, value in prepared.items() if value and not isinstance(value, Undefined)},
                {name: value.reason for name, value in prepared.items() if isinstance(value, Undefined)},
            )
        return inputs

    def references(self, arrays: Mapping[str, Mapping[str, object]]) -> dict[str, dict]:  # type: ignore[type-arg]
        """{name of a reference rule: its metrics}."""
        nothing = np.empty((len(self._evaluation.at_us), 0))
        answers = {
            name: Answers(nothing.astype(np.int32), [], nothing.astype(np.int8), [], nothing, nothing, further)  # type: ignore[arg-type]
            for name, further in arrays.items()
        }
        names = [name for name in self._names if self._metrics[name].better == "low" and "@" not in name]
        values = self._resampled(answers, self._evaluation, names)
        return {
            name: {metric: values[name, metric].estimate() for metric in names if (name, metric) in values}
            for name in answers
        }

    def _resampled(
        self, answers: Mapping[str, Answers], evaluation: EvaluationSet, names: Sequence[str]
    ) -> dict[tuple[str, str], Resamples]:
        prepared: dict[tuple[str, str], Resampled] = {}
        for name, answer in answers.items():
            for metric in names:
                function = self._metrics[metric].prepare(answer, evaluation)
                if function is not None and not isinstance(function, Undefined):
                    prepared[name, metric] = function
        centered = frozenset(key for key in prepared if key[1] in self._centered)
        if not prepared:
            return {}
        drawn = resample(prepared, len(evaluation.units), self._seed, self._resamples, centered)
        return {key: resampled for key, resampled in drawn.items() if not np.isnan(resampled.value)}


def _differences(
    values: Mapping[tuple[str, str], Resamples], challengers: Sequence[str], names: Sequence[str]
) -> Differences:
    """{metric: {challenger: {other: paired difference}}}, with each pair once."""
    pairs: Differences = {}
    for metric in names:
        able = [name for name in challengers if (name, metric) in values]
        for row, name in enumerate(able):
            for other in able[row + 1 :]:
                difference = values[name, metric].minus(values[other, metric]).estimate()
                pairs.setdefault(metric, {}).setdefault(name, {})[other] = difference
    return pairs


def _decided_by(
    plan: EvaluationPlan, names: Sequence[str], values: Mapping[tuple[str, str], Resamples]
) -> dict[str, str]:
    measured = {metric for _, metric in values}
    corrected = {name: plan.corrected_name(name) for name in names}
    return {name: other for name, other in corrected.items() if other != name and other in measured}


def _note(plan: EvaluationPlan, metrics: Mapping[str, object]) -> str:
    """The `why` of the first gate of the task that fails for these metrics, "" if none does."""
    from flyball.evaluation.gates import holds

    return next((gate.why for gate in plan.gates if gate.why and not holds(gate, metrics.get(gate.metric))), "")  # type: ignore[arg-type]
