"""The table of protocols, and the function that runs them on a data set."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import NotFound, Refused, Stopwatch
from flyball.evaluation.published import measure
from flyball.evaluation.published.cases import (
    ListCases,
    ListSplit,
    RatingCases,
    RatingSplit,
    leave_last_out,
    random_folds,
    some_users,
    stratified,
    strong,
    temporal,
    temporal_ratings,
)
from flyball.evaluation.published.dataset import RatedSet, TimeKnown
from flyball.evaluation.published.families import LISTS, RATINGS, Fixed, chosen
from flyball.evaluation.search import Space, Trial, search
from flyball.models import Blend, Recommender, params_of, share_of_users

OnProgress = Callable[[str], None]


class Line(msgspec.Struct, frozen=True):
    """A family's metrics, and its parameters, tuned if a search ran. `failed`: why there are none, else ""."""

    family: str
    metrics: dict[str, float] = {}
    params: dict[str, Any] = {}
    failed: str = ""
    fit_s: float = 0.0
    measure_s: float = 0.0


class AccuracyTable(msgspec.Struct, frozen=True):
    """The results of one protocol on one data set. `skipped`: why it could not be run, else "".

    `measured`: how many of the `able` users, or ratings, were measured.
    """

    protocol: str
    title: str
    about: str
    columns: list[str] = []
    lines: list[Line] = []
    measured: int = 0
    able: int = 0
    skipped: str = ""
    trials: list[Trial] = []


class Protocol(msgspec.Struct, frozen=True):
    """How a table is computed. `main`: the column that a search optimizes; `seed`: the default seed."""

    name: str
    title: str
    about: str
    split: ListSplit | RatingSplit
    main: str
    of_ratings: bool = False
    needs: TimeKnown = "none"
    seed: int = 0


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "ratings",
            "Ratings, 5-fold random cross-validation",
            "RMSE and MAE over the withheld ratings, mean of 5 folds (the folds of Surprise's KFold with this seed).",
            random_folds,
            "rmse",
            of_ratings=True,
        ),
        Protocol(
            "lists",
            "Top 10, 75/25 stratified by user",
            "All rows positive; all items but the user's own training items are ranked; average precision over all "
            "relevant items. The public recommenders comparison.",
            stratified,
            "ndcg@10",
            seed=42,
        ),
        Protocol(
            "strong",
            "Strong generalization: held-out users, 80 % folded in",
            "Ratings of at least 4/5 of the scale (all rows where none are given), users with 5; recall@k over "
            "min(k, relevant). Liang et al. 2018; below 100,000 users the users are held out in 5 folds in turn.",
            strong,
            "ndcg@100",
            seed=98765,
        ),
        Protocol(
            "last",
            "Leave last out",
            "Each user's last item against all unseen items, against 100 drawn uniformly, and against 100 drawn by "
            "popularity; what a model does not score follows by popularity, ties count against the model.",
            leave_last_out,
            "ndcg@10",
            needs="order",
        ),
        Protocol(
            "time",
            "One split in time: learn before it, top 20 after it",
            "First 80 % of the rows to learn from; everybody with a new positive item later is asked, new users too; "
            "lists are filled up with popular items, as in serving.",
            temporal,
            "ndcg@20",
            needs="timestamps",
        ),
        Protocol(
            "time_ratings",
            "One split in time: ratings after it",
            "RMSE and MAE over the ratings after the first 80 %, new users and items included.",
            temporal_ratings,
            "rmse",
            of_ratings=True,
            needs="timestamps",
        ),
    )
}
_OFFERED: dict[TimeKnown, tuple[TimeKnown, ...]] = {
    "none": ("none",),
    "order": ("none", "order"),
    "timestamps": ("none", "order", "timestamps"),
}


def accuracy_tables(
    data: RatedSet,
    protocols: list[str] | None,
    families: list[str] | None,
    seed: int | None,
    trials: int,
    stopwatch: Stopwatch,
    progress: OnProgress = lambda text: None,
    users: int | None = None,
    made: Callable[[AccuracyTable], object] = lambda table: None,
    fixed: Fixed | None = None,
) -> list[AccuracyTable]:
    """The tables of `protocols` (default: all) over `families` (default: all that fit); same seed, same metrics.

    `trials`: parameter sets to try for each family, on data that the same protocol withholds from the training data; 1
    keeps the defaults. `users`: at most this many random test users in each fold; the training data stays complete.
    `made` is called with each table as soon as it is computed. `fixed`: {family: {parameter: value}} instead of
    defaults. Raises `NotFound` for unknown names.
    """
    for name in protocols or []:
        if name not in PROTOCOLS:
            raise NotFound("protocol", name, PROTOCOLS)
    chosen({**LISTS, **RATINGS}, families, fixed)
    tables = []
    for protocol in PROTOCOLS.values():
        if not protocols or protocol.name in protocols:
            tables.append(
                _table(
                    protocol,
                    data,
                    families,
                    protocol.seed if seed is None else seed,
                    trials,
                    stopwatch,
                    progress,
                    users,
                    fixed,
                )
            )
            made(tables[-1])
    return tables


def _table(
    protocol: Protocol,
    data: RatedSet,
    families: list[str] | None,
    seed: int,
    trials: int,
    stopwatch: Stopwatch,
    progress: OnProgress,
    users: int | None,
    fixed: Fixed | None,
) -> AccuracyTable:
    table = AccuracyTable(protocol.name, protocol.title, protocol.about)
    if protocol.of_ratings and not data.rated:
        return msgspec.structs.replace(table, skipped="the data set has no ratings")
    if protocol.needs not in _OFFERED[data.clock]:
        lacking = "times" if protocol.needs == "timestamps" else "times or order"
        return msgspec.structs.replace(table, skipped=f"the data set has no {lacking}")
    folds: list[Any] = protocol.split(data.data, seed)
    able = sum(len(fold.rows) if protocol.of_ratings else len(fold.truth) for fold in folds)
    if users is not None and not protocol.of_ratings:
        folds = [some_users(fold, users, seed) for fold in folds]
    spaces = [_suited(protocol, space) for space in chosen(RATINGS if protocol.of_ratings else LISTS, families, fixed)]
    models, tried = _tuned(protocol, spaces, folds[0].train, seed, trials, progress)
    drawn = measure.negatives(folds[0], seed) if protocol.name == "last" else {}
    lines = []
    for space in spaces:
        progress(f"{protocol.name}: {space.family}")
        lines.append(_line(protocol, space.family, models[space.family], folds, seed, drawn, stopwatch))
    columns = list(next((line.metrics for line in lines if line.metrics), {}))
    cases = sum(len(fold.rows) if protocol.of_ratings else len(fold.truth) for fold in folds)
    return msgspec.structs.replace(table, columns=columns, lines=lines, measured=cases, able=able, trials=tried)


def _suited(protocol: Protocol, space: Space[Recommender]) -> Space[Recommender]:
    """The space; a blend learns its weights on the kind of items that the protocol withholds: the latest or random."""
    if isinstance(space.base, Blend) and protocol.needs != "none":
        return msgspec.structs.replace(space, base=msgspec.structs.replace(space.base, withheld="last"))
    return space


def _tuned(
    protocol: Protocol, spaces: list[Space[Recommender]], train: Any, seed: int, trials: int, progress: OnProgress
) -> tuple[Mapping[str, Recommender], list[Trial]]:
    if trials <= 1:
        return {space.family: space.base for space in spaces}, []
    validation: Any = protocol.split(train, seed + 1)[0]

    def score(model: Recommender, share: float) -> float:
        learned = model.fit(share_of_users(validation.train, share, seed), seed)
        metrics = _metrics(protocol, model, learned, validation, {})
        return -_mean(protocol.main, metrics) if protocol.of_ratings else _mean(protocol.main, metrics)

    result = search(spaces, score, trials, "random", seed, progress)
    return result.best, result.trials


def _line(
    protocol: Protocol,
    family: str,
    model: Recommender,
    folds: list[Any],
    seed: int,
    drawn: Mapping[str, NDArray[np.int32]],
    stopwatch: Stopwatch,
) -> Line:
    by_fold, fit_s, measure_s = [], 0.0, 0.0
    for fold in folds:
        start = stopwatch.read_s()
        learned = model.fit(fold.train, seed)
        fitted = stopwatch.read_s()
        metrics = _metrics(protocol, model, learned, fold, drawn)
        if protocol.name == "strong" and family == "popular":
            _check_popularity(fold, metrics)
        by_fold.append(metrics)
        fit_s, measure_s = fit_s + fitted - start, measure_s + stopwatch.read_s() - fitted
    if protocol.of_ratings:
        means = {name: float(np.mean([_mean(name, metrics) for metrics in by_fold])) for name in ("rmse", "mae")}
    else:
        means = {name: float(np.concatenate([fold[name] for fold in by_fold]).mean()) for name in by_fold[0]}
    return Line(family, means, params_of(model), fit_s=fit_s, measure_s=measure_s)


def _metrics(
    protocol: Protocol, model: Recommender, learned: Any, cases: Any, drawn: Mapping[str, NDArray[np.int32]]
) -> dict[str, NDArray[np.float64]]:
    """{metric: one value for each user}; for ratings, one error for each rating."""
    if isinstance(cases, RatingCases):
        errors = measure.rating_errors(model, learned, cases)
        return {"rmse": errors, "mae": errors}
    lists: ListCases = cases
    if protocol.name == "last":
        return measure.last_item_metrics(model, learned, lists, drawn)
    k = {"lists": 10, "strong": 100, "time": 20}[protocol.name]
    lists_of = measure.best_lists(model, learned, lists, k, filled=protocol.name == "time")
    if protocol.name == "lists":
        return measure.top_n_metrics(lists_of, lists.truth, k)
    return (measure.strong_metrics if protocol.name == "strong" else measure.temporal_metrics)(lists_of, lists.truth)


def _mean(name: str, metrics: Mapping[str, NDArray[np.float64]]) -> float:
    values = metrics[name]
    if name == "rmse":
        return float(np.sqrt(np.mean(values**2)))
    return float(np.mean(np.abs(values)))


def _check_popularity(cases: ListCases, metrics: Mapping[str, NDArray[np.float64]]) -> None:
    """Raise `Refused` unless the metrics of the popularity recommender equal those of an independent computation."""
    for name, naive in measure.naive_popularity(cases).items():
        if not np.allclose(metrics[name], naive, rtol=0, atol=1e-9):
            raise Refused(f"{name} of the popular list must be {naive.mean()}, got {metrics[name].mean()}")
