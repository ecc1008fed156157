"""The results of a switchback: the effect on metrics of responses when all units get the arm."""

from math import isfinite
from typing import Any

import msgspec

from flyball.core import Refused, format_duration, format_timestamp
from flyball.experiments.experiment import metrics_measured, metrics_of
from flyball.experiments.periods import PeriodAnswer, compare_periods, period_answers
from flyball.experiments.prediction_rows import PredictionRows
from flyball.experiments.result import WORDS
from flyball.policy import ExperimentMetric
from flyball.releases import Release, abort_alpha, abort_margins
from flyball.runtime import Runtime
from flyball.statistics import Inference

ALPHA = 0.05


class SwitchedMetric(msgspec.Struct, frozen=True):
    """One metric of one arm against control, over periods. `missing`: why there is no `inference`, else "". `abort`: as
    in `MetricResult`."""

    metric: str
    arm: str
    better: str
    answers: int
    inference: Inference | None = None
    missing: str = ""
    abort: Inference | None = None

    @property
    def sentence(self) -> str:
        """The result in sentences."""
        known = self.inference
        if known is None or known.missing:
            why = self.missing if known is None else known.missing
            return f"{self.metric} of {self.arm}: {WORDS['too early']}: {why}."
        low, high = (f"{end:+z.4g}" if isfinite(end) else "no limit" for end in (known.low, known.high))
        return (
            f"{self.metric} of {self.arm}: {known.effect:+z.4g}, between {low} and {high}, from {known.count_a:,} "
            f"periods of control and {known.count_b:,} of {self.arm}; {WORDS.get(known.verdict, known.verdict)}."
        )


class SwitchbackResult(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a switchback at `as_of_us`. `constants`: what was fixed before the start."""

    experiment: str
    as_of_us: int
    metrics: tuple[SwitchedMetric, ...]
    constants: dict[str, float]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The result in sentences."""
        at = format_timestamp(self.as_of_us // 1_000_000 * 1_000_000)
        period, burn_in = (format_duration(int(self.constants.get(name, 0.0))) for name in ("period_us", "burn_in_us"))
        head = f"{self.experiment} until {at}: periods of {period}, the first {burn_in} of each left out."
        return (head, *(metric.sentence for metric in self.metrics))

    def document(self) -> dict[str, Any]:
        """The results as plain values, for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, metrics=()))
        plain["metrics"] = [
            {
                **msgspec.to_builtins(msgspec.structs.replace(metric, inference=None, abort=None)),
                "inference": None if metric.inference is None else metric.inference.document(),
                "abort": None if metric.abort is None else metric.abort.document(),
                "sentence": metric.sentence,
            }
            for metric in self.metrics
        ]
        return {**plain, "sentences": list(self.sentences)}


def switchback(runtime: Runtime, release: Release, as_of_us: int) -> SwitchbackResult:
    """The results of a switchback at `as_of_us`, for metrics of single responses: labels and losses.

    Intervals are valid at every look; alpha is divided among the arms besides control. Raises `Refused` for a release
    of another kind.
    """
    if release.kind != "switchback":
        raise Refused(
            f"{release.id} must be a switchback for this comparison, got one of kind {release.kind}: compare it as that"
        )
    about = runtime.app.task.about
    declared = metrics_measured(about, runtime.app.metrics, release)
    of_answers = {name: metric for name, metric in declared.items() if metric.kind in ("label", "model")}
    chosen = {name: metric for name, metric in (of_answers or metrics_of(about, {})).items() if not metric.is_ranked}
    metrics = [
        compared for name, metric in chosen.items() for compared in _compared(runtime, release, name, metric, as_of_us)
    ]
    constants = {"alpha": ALPHA, "planned_periods": planned_periods(release), **release.constants}
    return SwitchbackResult(experiment=release.id, as_of_us=as_of_us, metrics=tuple(metrics), constants=constants)


def planned_periods(release: Release) -> float:
    """The number of periods of one market in the planned time."""
    return max(2.0, release.constants.get("patience_us", 0.0) / release.constants["period_us"])


def _compared(
    runtime: Runtime, release: Release, name: str, metric: ExperimentMetric, as_of_us: int
) -> list[SwitchedMetric]:
    about = runtime.app.task.about
    rows = PredictionRows(
        runtime.predictions, runtime.outcomes_path, about, metric, release.unit, runtime.about_of_answer
    )
    answers = list(period_answers(runtime.predictions, release, rows, as_of_us))
    others = [arm.name for arm in release.arms[1:]]
    return [_of_arm(release, name, metric, answers, arm, ALPHA / len(others)) for arm in others]


def _of_arm(
    release: Release, name: str, metric: ExperimentMetric, answers: list[PeriodAnswer], arm: str, alpha: float
) -> SwitchedMetric:
    known, aborts = SwitchedMetric(name, arm, metric.better, len(answers)), name in abort_margins(release)
    levels = (alpha, abort_alpha(release) if aborts else 0.0)
    try:
        inference, abort = (_inference(release, metric, answers, arm, level) if level else None for level in levels)
    except Refused as error:  # too few periods yet
        return msgspec.structs.replace(known, missing=str(error))
    return msgspec.structs.replace(known, inference=inference, abort=abort)


def _inference(
    release: Release, metric: ExperimentMetric, answers: list[PeriodAnswer], arm: str, alpha: float
) -> Inference:
    return compare_periods(
        answers,
        int(release.constants["period_us"]),
        int(release.constants.get("burn_in_us", 0.0)),
        arm,
        alpha,
        metric.better == "high",
        planned_periods(release),
    )
