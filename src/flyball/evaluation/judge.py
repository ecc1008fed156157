"""Judge all contestants on the same users, as they would serve: through the pipeline, after fallback and arranging."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Stopwatch
from flyball.evaluation.bench import Answers, Bench, Lists, Values
from flyball.evaluation.contestant import Contestant, parse_metric
from flyball.evaluation.propensity import Shown, weigh
from flyball.evaluation.report import Cost, Judged, Report, SliceFigures
from flyball.evaluation.resampling import MeanFigures, RatingFigures, coverage_figure, is_accuracy
from flyball.models import Interactions
from flyball.tasks import Cases, Recommend

LEAST_SLICE = 5
"""A slice of fewer users is left out."""


def evaluate(
    task: Recommend,
    contestants: Sequence[Contestant],
    cases: Cases,
    train: Interactions,
    *,
    metric: str,
    seed: int,
    stopwatch: Stopwatch,
    resamples: int = 1_000,
    weigh_targets: bool = False,
    shown: Shown | None = None,
    least: int = 30,
    answers: Mapping[str, Answers] | None = None,
) -> Report:
    """The report on `contestants`, each answering every user of `cases`.

    `train`: what they learned from; it says what is known and popular. `metric`: what they are chosen by; its cutoff is
    reported beside `task.k`. A contestant that raises, gives unusable scores or has seen the test window is failed with
    the reason; the others go on. `weigh_targets`: compare them with targets weighed by the chance of coming upon
    them as well, `shown` being what the service showed whom around the window; that decides when the weights are worth
    `least` targets. `answers`: what contestants answered already when `asked` elsewhere; the others are asked here.
    Raises `BadInput` without users in `cases`.
    """
    if not cases.users:
        raise BadInput("cases", "of one user or more", "none")
    bench = _bench(task, cases, train, metric, stopwatch)
    lists, errors, failed = _ask(bench, contestants, answers or {})
    baselines = bench.rating_baselines()
    values = {name: bench.per_user(found.places) for name, found in lists.items()}
    means = MeanFigures(values, seed, resamples)
    ratings = RatingFigures({**errors, **baselines}, cases.rated_rows, seed, resamples)
    slices = _slices(cases, values, task.k, seed, resamples)
    judged = {}
    for one in contestants:
        if one.name in failed:
            judged[one.name] = Judged(one.name, one.role, one.kind, failed=failed[one.name])
            continue
        found = lists[one.name]
        figures = means.of(one.name) | ratings.figures.get(one.name, {})
        for k in bench.cutoffs:
            figures[f"coverage@{k}"] = coverage_figure(found.places[:, :k], bench.catalogue_size, seed)
        judged[one.name] = Judged(
            name=one.name,
            role=one.role,
            kind=one.kind,
            figures=figures,
            cost=Cost(one.train_s, found.answer.value, one.bytes, found.answer),
            slices=slices[one.name],
            full_lists=float((found.places[:, : task.k] >= 0).all(axis=1).mean()),
            personal=float(found.by_model.mean()),
            scored=float(found.scored.mean()),
        )
    weighed = None
    if weigh_targets:
        places = {one.name: lists[one.name].places for one in contestants if one.name in lists and not one.flattered}
        weighed = weigh(bench, places, shown or {}, least=least, seed=seed, resamples=resamples)
    return Report(
        users=len(cases.users),
        split_us=cases.split_us,
        end_us=cases.end_us,
        k=task.k,
        seed=seed,
        resamples=resamples,
        judged=judged,
        differences=means.differences() | ratings.differences(list(errors)),
        ratings={name: ratings.figures[name] for name in baselines},
        rated=len(cases.rated_values),
        weighed=weighed,
    )


def asked(
    task: Recommend, one: Contestant, cases: Cases, train: Interactions, *, metric: str, stopwatch: Stopwatch
) -> Answers:
    """What `one` answers the users of `cases`, for an `evaluate` with the same arguments in another process."""
    return _bench(task, cases, train, metric, stopwatch).answers(one)


def _bench(task: Recommend, cases: Cases, train: Interactions, metric: str, stopwatch: Stopwatch) -> Bench:
    cutoff = parse_metric(metric)[1] or task.k
    return Bench(task, cases, train, sorted({task.k, cutoff}), stopwatch)


def _ask(
    bench: Bench, contestants: Sequence[Contestant], answers: Mapping[str, Answers]
) -> tuple[dict[str, Lists], dict[str, NDArray[np.float64]], dict[str, str]]:
    """The lists and rating errors of those who manage, the reasons of those who do not."""
    lists: dict[str, Lists] = {}
    errors: dict[str, NDArray[np.float64]] = {}
    failed: dict[str, str] = {}
    for one in contestants:
        found = answers[one.name] if one.name in answers else bench.answers(one)
        shown = bench.taken(found)
        if shown is None:
            failed[one.name] = found.failed
            continue
        lists[one.name] = shown
        if found.errors is not None:
            errors[one.name] = found.errors
    return lists, errors, failed


def _slices(
    cases: Cases, values: Mapping[str, Values], k: int, seed: int, resamples: int
) -> dict[str, list[SliceFigures]]:
    """{contestant: figures by activity and by group}, for the metrics of accuracy at `k`."""
    found: dict[str, list[SliceFigures]] = {name: [] for name in values}
    for by, labels in (("activity", cases.activity), ("group", cases.groups)):
        for label in sorted({each for each in labels if each is not None}):
            rows = np.array([place for place, each in enumerate(labels) if each == label])
            if len(rows) < LEAST_SLICE:
                continue
            part = {
                name: {
                    metric: column[rows]
                    for metric, column in metrics.items()
                    if is_accuracy(metric) and metric.endswith(f"@{k}")
                }
                for name, metrics in values.items()
            }
            figures = MeanFigures(part, seed, resamples)
            for name in values:
                found[name].append(SliceFigures(by, label, len(rows), figures.of(name)))
    return found
