"""Is the model still good? A window of logged predictions beside the time before it."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from flyball.core import BadInput, NotFound, Refused, format_duration
from flyball.monitoring.performance.compared import FEWEST_MEASURED, MetricNow, compared_metrics
from flyball.monitoring.performance.estimated import LabeledReference, estimated, estimated_shares, learn_reference
from flyball.monitoring.performance.log_time import lag_text, log_time, older_advice, window_advice
from flyball.monitoring.performance.logged import Logged, labels_of, logged
from flyball.monitoring.performance.measured import LIVE_METRICS
from flyball.runtime import Runtime
from flyball.statistics import holm, longest_run
from flyball.tasks import Label

PERFORMANCE_ALPHA = 0.05

PerformanceVerdict = Literal["worse", "better", "changed", "same", "unknown"]


class EqualRun(Struct, frozen=True):
    """The longest run of equal answers in the window, `at_us` its first; `p`: of one as long by chance."""

    at_us: int
    length: int
    p: float


class MetricVerdict(Struct, frozen=True):
    """A metric with what is concluded. `p`: adjusted for all comparisons of the report (Holm).

    `verdict`: "worse" or "better" from a p of 0.05 down, "changed" for a metric that has no better side, "unknown"
    where there is nothing to compare with, else "same".
    """

    metric: MetricNow
    p: float | None
    verdict: PerformanceVerdict


class PerformanceReport(Struct, frozen=True):
    """The performance in `[since_us, until_us)` beside the `before_us` microseconds before it.

    `predictions`, `labeled`: of the window, and how many of them have a final label; labels are final after
    `within_us`. `metrics`: those of all predictions first. `unknown`: {what: why it is not known}. `run`: None without
    enough answers before. `lag`: that the log lags behind the clock, by which no later label is final; "" otherwise.
    `share`: the part of all predictions that was looked at and is counted here, 1 unless there are very many.
    """

    label: str
    kind: str
    since_us: int
    until_us: int
    before_us: int
    within_us: int
    predictions: int
    labeled: int
    before_labeled: int
    metrics: tuple[MetricVerdict, ...]
    unknown: dict[str, str]
    run: EqualRun | None = None
    lag: str = ""
    share: float = 1.0

    @property
    def worse(self) -> tuple[MetricNow, ...]:
        """What is worse than before."""
        return tuple(row.metric for row in self.metrics if row.verdict == "worse")


def performance_report(
    runtime: Runtime,
    *,
    last_us: int,
    before_us: int,
    by: Sequence[str] = (),
    label: str = "",
    until_us: int | None = None,
    seed: int = 0,
) -> PerformanceReport:
    """Compare the predictions of the `last_us` microseconds before `until_us` with those of the `before_us` before.

    A metric is measured on predictions whose label is final, and estimated on the others (CBPE). `by`: what predictions
    are sliced by: "version", "level", "decision" and fields of the request. `label`: by default the first of the task.
    `until_us`: by default behind the latest event; what became known later counts too. Raises `BadInput` for lengths
    of which the second is not a multiple of the first, `NotFound` for an unknown name, `Refused` without predictions.
    """
    if last_us < 1 or before_us < last_us or before_us % last_us:
        must = f"a multiple of the length of the last window, {format_duration(last_us)}"
        raise BadInput("length of what is compared with", must, format_duration(before_us))
    chosen = measured_label(runtime, label)
    as_of_us = log_time(runtime).as_of_us
    end_us = as_of_us if until_us is None else until_us
    since_us = end_us - last_us
    rows = logged(runtime, chosen, since_us - before_us, end_us, as_of_us, by)
    before, now = rows.between(since_us - before_us, since_us), rows.between(since_us, end_us)
    if not len(now):
        raise Refused(
            f"there must be predictions of a version in the {format_duration(last_us)} looked at, got none: "
            f"{window_advice(runtime, end_us)}"
        )
    report = compare_performance(
        before, now, since_us=since_us, last_us=last_us, before_us=before_us, within_us=chosen.within_us, seed=seed
    )
    unknown = dict(report.unknown)
    if "before" in unknown:
        unknown["before"] += f": {older_advice(runtime, since_us - before_us)}"
    return replace(report, unknown=unknown, lag=lag_text(runtime) if until_us is None else "")


def measured_label(runtime: Runtime, name: str = "") -> Label:
    """The label that predictions are measured by; "" is the first. Raises `NotFound`, and `Refused` without any."""
    labels = {label.name: label for label in labels_of(runtime.app.task.about)}
    if not labels:
        raise Refused(
            "the task must have a label, which says what became of a prediction, got none: declare one in its outcomes"
        )
    if name and name not in labels:
        raise NotFound("label", name, tuple(labels))
    return labels[name or next(iter(labels))]


def compare_performance(
    before: Logged, now: Logged, *, since_us: int, last_us: int, before_us: int, within_us: int, seed: int = 0
) -> PerformanceReport:
    """The report on `now`, the predictions of `last_us` from `since_us` on, beside those of `before_us` before it."""
    reference = learn_reference(before, seed)
    starts = range(since_us - before_us, since_us, last_us)
    windows = [before.between(start, start + last_us) for start in starts]
    rows = list(compared_metrics(windows, before, now, reference, seed))
    adjusted = iter(holm([row.p for row in rows if row.p is not None]).tolist())
    return PerformanceReport(
        now.label,
        now.kind,
        since_us,
        since_us + last_us,
        before_us,
        within_us,
        len(now),
        int(now.labeled.sum()),
        int(before.labeled.sum()),
        tuple(_verdict(row, None if row.p is None else next(adjusted), now.kind) for row in rows),
        _unknown(before, now, reference, within_us, seed),
        longest_equal_run(before, now),
        share=now.share,
    )


def _verdict(row: MetricNow, p: float | None, kind: str) -> MetricVerdict:
    better = {name: metric.better for of_kind in LIVE_METRICS.values() for name, metric in of_kind.items()}[row.metric]
    if p is None or row.before is None:
        return MetricVerdict(row, p, "unknown")
    if p > PERFORMANCE_ALPHA:
        return MetricVerdict(row, p, "same")
    if not better:
        return MetricVerdict(row, p, "changed")
    rose = row.now.value > row.before.value
    return MetricVerdict(row, p, "better" if rose == (better == "high") else "worse")


def _unknown(before: Logged, now: Logged, reference: LabeledReference, within_us: int, seed: int) -> dict[str, str]:
    unknown = dict[str, str]()
    if not before.labeled.any():
        takes = f"they take {format_duration(within_us)}"
        unknown["before"] = f"no label of the time before is known yet; {takes}"
    waiting = now.only(~now.mature)
    if len(waiting) >= FEWEST_MEASURED:
        _, why = estimated(waiting, reference)
        why_share = "" if why else estimated_shares(waiting, reference, seed, 20)[1]
        if why and "before" not in unknown:
            unknown["estimates"] = why
        elif why_share:
            unknown["share"] = why_share
    return unknown


def longest_equal_run(before: Logged, now: Logged) -> EqualRun | None:
    """The longest run of equal answers in `now`; None if there are too few answers before to compare with."""
    codes = {answer: number for number, answer in enumerate(dict.fromkeys([*before.answer, *now.answer]))}
    try:
        run = longest_run([codes[answer] for answer in now.answer], [codes[answer] for answer in before.answer])
    except BadInput:
        return None
    return EqualRun(int(now.at_us[run.start]), run.length, run.p)
