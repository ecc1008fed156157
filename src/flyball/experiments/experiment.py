"""Analyzes a release as an experiment, from an application's stores."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from flyball.core import BadInput, NotFound, Refused
from flyball.experiments.analysis import analyze
from flyball.experiments.comparison import AnalysisPlan
from flyball.experiments.exposures import CONTROL, ExposedUnits, first_exposures
from flyball.experiments.logged_events import LoggedEvents
from flyball.experiments.logged_exposures import exposures_of
from flyball.experiments.prediction_rows import PredictionRows
from flyball.experiments.ranked import ranked_values
from flyball.experiments.result import ExperimentResult
from flyball.experiments.unit_values import EventRows, UnitValues, unit_values
from flyball.outcomes import OutcomeConsumer, tables_exist
from flyball.policy import RANKED, ExperimentMetric, metric
from flyball.registry import Registry
from flyball.releases import Release, abort_alpha, abort_margins, all_releases
from flyball.runtime import Runtime
from flyball.tasks import About, key_field, references

SPLITS = ("canary", "ab", "bandit", "shadow")
DAY = "1d"


def release_of(registry: Registry, release_id: str) -> Release:
    """A release by its id, such as rel3; raises `NotFound`."""
    releases = all_releases(registry)
    for release in releases:
        if release.id == release_id:
            return release
    raise NotFound("release", release_id, [release.id for release in releases], "flyball releases list shows all")


def plan_of(release: Release) -> AnalysisPlan:
    """The constants of the analysis, as they were fixed when the release started."""
    return AnalysisPlan(
        n_best=release.constants.get("n_best", AnalysisPlan().n_best),
        ramp=release.kind in ("canary", "bandit"),
        abort_alpha=abort_alpha(release),
        aborting=tuple(abort_margins(release)),
    )


def metrics_of(about: About, declared: Mapping[str, ExperimentMetric]) -> dict[str, ExperimentMetric]:
    """The declared metrics; by default metrics of the task's labels: a loss of predictions, or how often a label holds.

    The first is the primary metric; a recommender's label "negative" is a guardrail. Of the probability of an event it
    is AUC, which needs the fewest units to show that answers do not belong to their requests, before the log loss.
    """
    if declared:
        return dict(declared)
    names = list(dict.fromkeys(label.name for label in about.labels))
    if not names:
        return {}
    if not about.items:
        ranked = [RANKED] if about.declaration.get("kind") == "binary" else []
        first, *others = [*ranked, _usual_loss(about)]
        secondary = {loss: metric.model(loss, within=DAY) for loss in others}
        return {first: metric.model(first, within=DAY, role="primary"), **secondary}
    chosen = {names[0]: metric.label(names[0], within=DAY, role="primary")}
    if "negative" in names:
        chosen["negative"] = metric.label("negative", within=DAY, role="guardrail", better="low")
    return chosen


def metrics_measured(
    about: About, declared: Mapping[str, ExperimentMetric], release: Release
) -> dict[str, ExperimentMetric]:
    """`metrics_of`, and the labels that the release names as success metrics or as harmful."""
    metrics, labels = metrics_of(about, declared), {label.name for label in about.labels}
    for name in (*release.success, *release.harmful):
        if name not in metrics and name in labels:
            margin = release.success.get(name, release.harmful.get(name, 0.0))
            better: Literal["high", "low"] = "low" if name in release.harmful else "high"
            metrics[name] = metric.label(name, within=DAY, role="guardrail", better=better, margin=margin)
    return metrics


def _usual_loss(about: About) -> str:
    if about.declaration.get("quantiles"):
        return "pinball"
    if about.declaration.get("classes") or about.declaration.get("kind") in ("binary", "multilabel"):
        return "log_loss"
    return "absolute_error"


def unit_entity(about: About, unit: Sequence[str]) -> str:
    """The name of the units: the entity of the request's field that names them, else that field."""
    field = unit[0] if unit else key_field(about.request)
    return references(about.request).get(field, field)


def experiment(
    runtime: Runtime,
    release_id: str,
    as_of_us: int,
    slices: Sequence[str] = (),
    plan: AnalysisPlan | None = None,
    only: Collection[str] | None = None,
    exposed: ExposedUnits | None = None,
) -> ExperimentResult:
    """The results of a release at `as_of_us`, from the log.

    `slices`: fields of the request. `only`: the metrics to compute (default: all); an empty sequence gives the split of
    the units alone. `exposed`: the units, if the caller has already read their exposures. Raises `NotFound`; `BadInput`
    for an unknown field; `Refused` for a release that does not split units among arms, and for an application without
    metrics or labels.
    """
    release, about = release_of(runtime.registry, release_id), runtime.app.task.about
    if release.kind not in SPLITS:
        raise Refused(
            f"{release.id} must split its units among arms for this comparison, got {_other_way(release)}: "
            "flyball releases list shows those that do"
        )
    _check_slices(about, slices)
    metrics = metrics_measured(about, runtime.app.metrics, release)
    if not metrics:
        raise Refused(f"{runtime.app.name} must have metrics to compare, got none: declare some by fb.App(metrics=...)")
    if only is not None:
        metrics = {name: declared for name, declared in metrics.items() if name in only}
    if exposed is None:
        exposed = first_exposures(exposures_of(runtime.predictions, release, slices, as_of_us + 1), as_of_us, slices)
    exposed = with_declared_arms(exposed, release)
    values = values_of(runtime, metrics, exposed, release.unit, as_of_us)
    result = analyze(release.id, exposed, metrics, values, plan or plan_of(release), as_of_us, slices)
    behind = labels_behind(runtime) if any(declared.kind in ("model", "label") for declared in metrics.values()) else 0
    if behind:
        late = f"{behind:,} events are not joined to answers yet: metrics of labels do not include them"
        result = msgspec.structs.replace(result, warnings=(*result.warnings, late))
    return result


def labels_behind(runtime: Runtime) -> int:
    """The number of events in the log that are not joined to responses yet, by the log worker or `catch_up`."""
    ends = runtime.log.ends()
    if not tables_exist(runtime.outcomes_path):
        return sum(ends)
    consumer = OutcomeConsumer(runtime.schema, runtime.app.task.about, runtime.outcomes_path)
    try:
        joined = consumer.offsets("events", len(ends))
    finally:
        consumer.close()
    return sum(end - at for end, at in zip(ends, joined, strict=True))


def _other_way(release: Release) -> str:
    if release.kind == "switchback":
        return "periods of all units: compare them by flyball experiments show"
    if release.kind == "interleave":
        return "lists drafted from all arms: compare them by flyball experiments show"
    if release.kind == "immediate":
        return "one that went to all at once: compare before and after by flyball versions list"
    return f"one of kind {release.kind}"


def _check_slices(about: About, slices: Sequence[str]) -> None:
    fields = [name for name in about.request.__struct_fields__ if name != "at"]
    for name in slices:
        if name not in fields:
            raise BadInput("slice", f"one of the fields of the request: {', '.join(fields)}", name)


def with_declared_arms(exposed: ExposedUnits, release: Release) -> ExposedUnits:
    """The same units, with all arms of the release, including arms without units."""
    arms = (CONTROL, *(arm.name for arm in release.arms if arm.name != CONTROL))
    return msgspec.structs.replace(exposed, arms=arms)


def values_of(
    runtime: Runtime,
    metrics: Mapping[str, ExperimentMetric],
    exposed: ExposedUnits,
    unit: tuple[str, ...],
    as_of_us: int,
) -> dict[str, UnitValues]:
    """{metric: values of the units}."""
    return {name: _values_of(runtime, declared, exposed, unit, as_of_us) for name, declared in metrics.items()}


def _values_of(
    runtime: Runtime, declared: ExperimentMetric, exposed: ExposedUnits, unit: tuple[str, ...], as_of_us: int
) -> UnitValues:
    about = runtime.app.task.about
    if declared.kind not in ("model", "label"):
        events = LoggedEvents(runtime.history, runtime.log, runtime.schema)
        of_events = EventRows(events, runtime.schema, unit_entity(about, unit), declared.by)
        return unit_values(declared, exposed.frame, of_events, as_of_us)
    rows = PredictionRows(runtime.predictions, runtime.outcomes_path, about, declared, unit, runtime.about_of_answer)
    if declared.is_ranked:
        return ranked_values(declared, exposed, rows, as_of_us, rows.label.within_us)
    return unit_values(declared, exposed.frame, rows, as_of_us, rows.label.within_us)
