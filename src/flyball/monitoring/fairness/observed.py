"""What the monitor of groups sees at one look: whether the predictions for a group are as good as those for the others.

Every e-value is for "the group is like the others". Of shares it is exact whatever the share is: given how many there
are in all, those of the group have a hypergeometric distribution, against which it bets that the odds are 2 or 4 times
as high or as low (Fisher's conditional distribution). Means are compared by Welch's t-test.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from flyball.core import Doubles, find_zone, format_second
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.performance.compared import frequent_values
from flyball.monitoring.performance.logged import Logged, PredictionKind, labels_of, logged
from flyball.monitoring.watch.daily import ExtraMonitor, each_day
from flyball.monitoring.watch.suspected import Suspicions
from flyball.policy import Gates
from flyball.runtime import Runtime
from flyball.statistics import e_of_p

OBSERVED: dict[PredictionKind, tuple[str, ...]] = {
    "probability": ("true_positive_rate", "false_positive_rate", "brier", "calibration_gap"),
    "classes": ("accuracy",),
    "number": ("mae", "bias"),
    "list": ("hit_rate",),
}
"""{what is predicted: what groups are looked at by}, unless the gates bound gaps of them."""

_RATES = ("true_positive_rate", "false_positive_rate", "accuracy", "hit_rate")
_FEWEST = {True: 10, False: 30}
"""Units of a group, at least, that a share and a mean rest on in a look."""
_ODDS = (0.25, 0.5, 2.0, 4.0)
_LATELY_DAYS = 7
_WORSE_BY = 0.2
_DAY_US = 86_400_000_000


def fairness_monitor(runtime: Runtime) -> ExtraMonitor:
    """The monitor of groups for a `Watcher`: of each day, once its last window ended; nothing without groups."""
    zone, about = find_zone(runtime.settings.zone), runtime.app.task.about

    def look(until_us: int, _: Suspicions) -> list[Observation]:
        if not about.groups or not labels_of(about):
            return []
        return observe_fairness(runtime, since_us=until_us - _DAY_US, until_us=until_us)

    return each_day(zone, look)


def observe_fairness(runtime: Runtime, *, since_us: int, until_us: int) -> list[Observation]:
    """The observations of the look at `[since_us, until_us)`: of the predictions whose labels became final in it.

    Whether a gap matters is seen on those of the last seven days: it must reach the bound of `max_gap` in the gates, or
    without one the least share of `fb.watch` for shares and a fifth of the mean error for errors.
    """
    app, label = runtime.app, labels_of(runtime.app.task.about)[0]
    first_us = min(since_us, until_us - _LATELY_DAYS * _DAY_US) - label.within_us
    groups = app.task.about.groups
    rows = logged(runtime, label, first_us, until_us - label.within_us, until_us, groups)
    lately = rows.only(rows.labeled)
    now = lately.between(since_us - label.within_us, until_us - label.within_us)
    return [seen for by in groups for seen in observe_groups(lately, now, by, app.gates, app.watch.least)]


def observe_groups(lately: Logged, now: Logged, by: str, gates: Gates, least: float) -> Iterator[Observation]:
    """The observations of each group of `by` beside all others; of two groups, of the smaller one. `lately`, `now`:
    predictions with labels, those of the last days and those of the look."""
    bounds = {
        gate.metric.partition("/")[0]: gate.at_most or 0.0
        for gate in gates.metrics
        if gate.of_groups and gate.metric.partition("/")[2] == by
    }
    known = OBSERVED[now.kind]
    names = frequent_values(lately.slices[by])
    for metric in [metric for metric in known if metric in bounds] or known:
        for group in names[1:] if len(names) == 2 else names:
            bound = bounds.get(metric) or (least if metric in (*_RATES, "calibration_gap") else None)
            seen = _observation(lately, now, by, group, metric, bound)
            if seen is not None:
                yield seen


def _observation(
    lately: Logged, now: Logged, by: str, group: str, metric: str, bound: float | None
) -> Observation | None:
    own, others = (
        _unit_values(now, now.slices[by] == group, metric),
        _unit_values(now, now.slices[by] != group, metric),
    )
    fewest = _FEWEST[metric in _RATES]
    if min(len(own), len(others)) < fewest:
        return None
    exact = metric in _RATES and bool((now.weight == 1).all())
    e_value = share_e_value(own > 0, others > 0) if exact else _mean_e_value(own, others)
    values = [_weighted(lately, rows, metric) for rows in (lately.slices[by] == group, lately.slices[by] != group)]
    gap = values[0] - values[1]
    matters = abs(gap) >= (_WORSE_BY * _mean_error(lately) if bound is None else bound)
    period = f"{format_second(int(lately.at_us.min()))} to {format_second(int(lately.at_us.max()))}"
    message = (
        f"{metric} of {by}={group} is {values[0]:.4g}, of all others {values[1]:.4g} "
        f"({lately.text} of {period}, labels final)"
    )
    evidence = {"metric": metric, "group": values[0], "others": values[1], "bound": bound, "units": len(own)}
    subject = f"{now.label}.{metric}/{by}={group}"
    return Observation("group_gap", subject, e_value, bool(matters), message, "low", "unknown", evidence)


def share_e_value(own: Sequence[bool] | NDArray[np.bool_], others: Sequence[bool] | NDArray[np.bool_]) -> float:
    """The e-value for "both shares are equal": 1 on average whatever the share, for independent units.

    >>> share_e_value([True] * 30, [True, False] * 20) > 20, share_e_value([True, False] * 20, [True, False] * 20) < 1
    (True, True)
    """
    hits, all_hits, count, all_count = sum(own), sum(own) + sum(others), len(own), len(own) + len(others)
    support = np.arange(max(0, all_hits - (all_count - count)), min(count, all_hits) + 1)
    chance = stats.hypergeom.logpmf(support, all_count, all_hits, count)
    logs = [hits * np.log(odds) - special.logsumexp(chance + support * np.log(odds)) for odds in _ODDS]
    return float(np.exp(min(special.logsumexp(logs) - np.log(len(_ODDS)), 700.0)))


def _mean_e_value(own: Doubles, others: Doubles) -> float:
    if own.std() + others.std() == 0:
        return 1.0
    p = float(stats.ttest_ind(own, others, equal_var=False).pvalue)
    return float(e_of_p([min(max(p, 1e-300), 1.0)])[0])


def _counted(rows: Logged, metric: str) -> NDArray[np.bool_]:
    if metric == "true_positive_rate":
        return rows.actual > 0
    return rows.actual <= 0 if metric == "false_positive_rate" else np.ones(len(rows), bool)


def _row_values(rows: Logged, metric: str) -> Doubles:
    """The number of each row whose mean is the metric."""
    if metric in ("true_positive_rate", "false_positive_rate"):
        return rows.flagged.astype(np.float64)
    if metric == "hit_rate":
        return (rows.actual > 0).astype(np.float64)
    if metric == "accuracy":
        return np.asarray(rows.scores.argmax(axis=1) == rows.actual, np.float64)
    gaps = rows.actual - rows.scores
    return {"brier": gaps**2, "mae": np.abs(gaps), "bias": -gaps, "calibration_gap": gaps}[metric]


def _unit_values(rows: Logged, chosen: NDArray[np.bool_], metric: str) -> Doubles:
    """The number of each unit: of a share that of its first row, since rows of a unit are alike, else their mean."""
    part = rows.only(chosen & _counted(rows, metric))
    if not len(part):
        return np.zeros(0)
    values, weights = _row_values(part, metric), part.weight
    _, first, unit = np.unique(part.unit, return_index=True, return_inverse=True)
    if metric in _RATES and bool((weights == 1).all()):
        return values[first]
    means = np.bincount(unit, values * weights) / np.bincount(unit, weights)
    counts = np.bincount(unit, weights)
    overall = float(values @ weights / weights.sum())
    return np.asarray(overall + (means - overall) * counts / counts.mean())  # linearized, so that weights count


def _weighted(rows: Logged, chosen: NDArray[np.bool_], metric: str) -> float:
    part = rows.only(chosen & _counted(rows, metric))
    return float(_row_values(part, metric) @ part.weight / part.weight.sum()) if len(part) else float("nan")


def _mean_error(rows: Logged) -> float:
    metric = "brier" if rows.kind == "probability" else "mae"
    return _weighted(rows, np.ones(len(rows), bool), metric)
