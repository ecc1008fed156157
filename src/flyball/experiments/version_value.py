"""Runs `what_if` for a version of an application, from its stores."""

from collections.abc import Mapping
from statistics import mode

import msgspec

from flyball.core import BadInput, Refused, format_duration
from flyball.experiments.experiment import metrics_of
from flyball.experiments.interleaved import credit_by_position
from flyball.experiments.prediction_rows import PredictionRows
from flyball.experiments.what_if import (
    Replays,
    WhatIf,
    arm_choices,
    decision_choices,
    final_predictions,
    list_value_of,
    own_answers,
    sampled,
    what_if,
)
from flyball.policy import ExperimentMetric, metric
from flyball.releases import Release, all_releases
from flyball.runtime import Runtime
from flyball.tasks import RANDOMIZED, About

SPLIT_KINDS = ("canary", "ab", "bandit")


def version_value(
    runtime: Runtime,
    version: str,
    as_of_us: int,
    replays: Replays,
    metric_name: str = "",
    since_us: int = 0,
    sample: int = 500,
) -> WhatIf:
    """The estimated mean of a metric of responses under `version`, and the mean of its own later responses.

    If it was an arm of a release, the estimate comes from that split. Otherwise it comes from random choices in the
    log: for a task that decides, random decisions (the control group of `fb.decide`); for a task with lists, random
    items (`cold_start_slots`, drafts). It uses `sample` responses since `since_us`, which `replays` computes as the
    version would have answered. Raises `NotFound` for an unknown version, `BadInput` for an unknown metric, `Refused`
    if the log does not support an estimate.
    """
    runtime.registry.version(version)
    about, advice = runtime.app.task.about, _advice(runtime.app.task.about, version)
    releases = reversed(all_releases(runtime.registry))
    split = next((release for release in releases if _took_part(release, version)), None)
    name, chosen = _metric(about, runtime.app.metrics, metric_name, split is None)
    unit = split.unit if split else ()
    rows = PredictionRows(runtime.predictions, runtime.outcomes_path, about, chosen, unit, runtime.about_of_answer)
    if split is not None:
        choices = list(arm_choices(runtime.predictions, split, version, rows, as_of_us))
        how, end_us = f"the arms of {split.id}", split.ended_us or as_of_us
    elif about.arrangement.get("decide"):
        past = final_predictions(runtime.predictions, since_us, as_of_us, rows.label.within_us)
        others = [answer for answer in past if answer.decision and answer.version not in ("", version)]
        choices = list(decision_choices(sampled(others, sample), replays, rows, rows.followed(since_us)))
        how, end_us = "decisions drawn by chance", max((answer.at_us for answer in others), default=since_us)
    elif about.items:
        return _of_lists(runtime, version, rows, replays, as_of_us, since_us, sample)
    else:
        raise Refused(f"the log must hold answers drawn by chance to say what {version} would earn: {advice}")
    if not choices:
        raise Refused(
            f"answers must be {format_duration(rows.label.within_us)} old for their label {rows.label.name} to be "
            f"final, got none that old from {how}: wait"
        )
    value = what_if(version, name, how, choices, advice, chosen.better)
    own = own_answers(runtime.predictions, version, rows, end_us + 1, as_of_us)
    return value if own is None else msgspec.structs.replace(value, later=own[0], later_count=own[1])


def _of_lists(
    runtime: Runtime,
    version: str,
    rows: PredictionRows,
    replays: Replays,
    as_of_us: int,
    since_us: int,
    sample: int,
) -> WhatIf:
    """The estimate from lists with random items, of the most frequent length."""
    advice = _advice(runtime.app.task.about, version)
    past = final_predictions(runtime.predictions, since_us, as_of_us, rows.label.within_us)
    drawn = [
        answer
        for answer in past
        if answer.propensities and answer.version not in ("", version) and RANDOMIZED not in answer.sources
    ]  # a list of the randomized slice would be the same under any version
    if not drawn:
        raise Refused(f"the log must hold answers drawn by chance to say what {version} would earn: {advice}")
    length = mode(len(answer.items) for answer in drawn)
    chosen = sampled((answer for answer in drawn if len(answer.items) == length), sample)
    pairs = [(answer, replays(answer)) for answer in chosen]
    credit = credit_by_position(runtime.outcomes_path, rows.label.name, since_us)
    value = list_value_of(pairs, credit, version, rows.label.name, advice)
    own = own_answers(runtime.predictions, version, rows, max(answer.at_us for answer in drawn) + 1, as_of_us)
    return value if own is None else msgspec.structs.replace(value, later=own[0], later_count=own[1])


def _took_part(release: Release, version: str) -> bool:
    return release.kind in SPLIT_KINDS and version in release.versions and bool(release.started_us)


def _advice(about: About, version: str) -> str:
    """Advice on what to declare so that a future log supports an estimate."""
    split = f"start a release that splits users, such as fb.ab() or fb.canary(1, 5, 25, 50, 100), with {version}"
    if about.arrangement.get("decide"):
        return f"declare fb.decide(..., control=0.05), or {split}"
    return split


def _metric(
    about: About, declared: Mapping[str, ExperimentMetric], name: str, of_decisions: bool
) -> tuple[str, ExperimentMetric]:
    """(name, metric) of single responses. For decisions it is a label, because a loss concerns the prediction only."""
    labels = {label.name: metric.label(label.name, better="low") for label in about.labels}
    usual = labels if of_decisions else {**metrics_of(about, {}), **labels}
    kinds = ("label",) if of_decisions else ("label", "model")
    single = {key: known for key, known in declared.items() if known.kind in kinds}
    able = {key: known for key, known in {**single, **usual}.items() if not known.is_ranked}
    if name and name not in able:
        raise BadInput("metric", f"one of single answers: {', '.join(able)}", name)
    return (name or next(iter(able))), able[name or next(iter(able))]
