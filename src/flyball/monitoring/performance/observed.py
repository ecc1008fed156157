"""What the monitors of performance see at one look: losses, estimates, label shares, calibration, equal answers.

Every e-value is for "as before": it bets that values exceed what the time before the look allows, with what varies
between windows of that time counted as usual.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec.structs import replace
from scipy import special

from flyball.core import BadInput, Doubles, counted_units, find_zone, format_second
from flyball.monitoring.findings.finding import Severity
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.performance.compared import frequent_values, window_p
from flyball.monitoring.performance.estimated import (
    LabeledReference,
    estimated_shares,
    expected_values,
    learn_reference,
)
from flyball.monitoring.performance.logged import Logged, labels_of, logged, slice_names
from flyball.monitoring.performance.measured import LOSS_NAMES, losses, main_metric
from flyball.monitoring.performance.report import longest_equal_run
from flyball.monitoring.watch.season import ends_day
from flyball.runtime import Runtime
from flyball.statistics import DetectorPlan, detect, e_of_p, plan_detector

WORSE_BY = 0.1
"""The share by which a loss must exceed that of before to be worth a finding."""
SHARE_CHANGED_BY = 0.2
_DAY_US = 86_400_000_000
_LEAST_SHARE = 0.01
_LEAST_RUN = 10
_HIGH_SEVERITY = 0.5
_FEWEST_WINDOWS = 5
_FEWEST_UNITS = 30
_BETS = (0.03, 0.1, 0.3, 0.8)
_SPREADS = 2.0


def observe_performance(
    runtime: Runtime, *, since_us: int, until_us: int, before_us: int, by: Sequence[str] | None = None
) -> list[Observation]:
    """The observations of the look at `[since_us, until_us)`, with the `before_us` microseconds before as reference.

    Losses and calibration are of the predictions whose labels became final in the look; estimates, shares of labels
    and equal answers of those made in it. `by`: slices of the losses, by default those that the application declares.
    A monitor without enough rows sees nothing. Raises `BadInput` for a `before_us` that is no multiple of the look.
    """
    length = until_us - since_us
    if length < 1 or before_us < length or before_us % length:
        raise BadInput("length of what is compared with", "a multiple of the length of the look", before_us)
    slices = declared_slices(runtime) if by is None else tuple(by)
    seen = list[Observation]()
    for number, label in enumerate(labels_of(runtime.app.task.about)):
        first_us = since_us - label.within_us - before_us
        rows = logged(runtime, label, first_us, until_us, until_us, slices)
        matured = _windows(rows, since_us - label.within_us, length, before_us)
        made = _windows(rows, since_us, length, before_us)
        seen += observe_losses(matured[:-1], matured[-1])
        seen += observe_calibration(matured[:-1], matured[-1])
        seen += observe_estimates(made[:-1], made[-1])
        if number == 0:  # an answer holds all labels
            seen += observe_equal_answers(rows.between(since_us - before_us, since_us), made[-1])
    return seen


def performance_monitor(runtime: Runtime) -> Callable[[int, int], list[Observation]]:
    """The monitors of performance for a `Watcher`: of each day, once its last window `[since_us, until_us)` ended.

    The days before are as many as the application declares to look back at (`watch(days=...)`). Labels often take days,
    and each look reads all predictions that it compares, so there is no look at other windows.
    """
    zone, before_us = find_zone(runtime.settings.zone), runtime.app.watch.days * _DAY_US

    def look(since_us: int, until_us: int) -> list[Observation]:
        if not ends_day(until_us, until_us - since_us, zone) or not labels_of(runtime.app.task.about):
            return []
        return observe_performance(runtime, since_us=until_us - _DAY_US, until_us=until_us, before_us=before_us)

    return look


def declared_slices(runtime: Runtime) -> tuple[str, ...]:
    """The fields by which the application declares to look at metrics, as far as requests have them."""
    known = slice_names(runtime.app.task.about)
    named = (*getattr(runtime.app.task, "slices", ()), *runtime.app.release.slices)
    return tuple(name for name in dict.fromkeys(named) if name in known)


def _windows(rows: Logged, since_us: int, length: int, before_us: int) -> list[Logged]:
    """The windows before `since_us`, oldest first, then the one that begins there."""
    return [rows.between(start, start + length) for start in range(since_us - before_us, since_us + 1, length)]


def observe_losses(before: Sequence[Logged], now: Logged) -> Iterator[Observation]:
    """The losses of all predictions, then of each value of each slice; `before`: windows as long as `now`."""
    yield from _loss_observation("", before, now)
    for by, values in now.slices.items():
        for value in frequent_values(values):
            parts = [part.only(part.slices[by] == value) for part in (*before, now)]
            yield from _loss_observation(f".{by}={value}", parts[:-1], parts[-1])


def _loss_observation(slice: str, before: Sequence[Logged], now: Logged) -> Iterator[Observation]:
    windows = [units for part in before if len(units := unit_means(part, "losses"))]
    current = unit_means(now, "losses")
    plan = loss_plan(windows, now.kind)
    if plan is None or not len(current):
        return
    old, new = float(np.concatenate(windows).mean()), float(current.mean())
    name, labeled = LOSS_NAMES[now.kind], now.only(now.labeled)
    _, alarms = detect(plan, current)
    evidence = {"loss": name, "now": new, "before": old, "bound": plan.bound, "predictions": len(labeled)}
    if alarms:
        evidence["alarm_after_keys"] = alarms[0] + 1
    period = f"{format_second(int(labeled.at_us.min()))} to {format_second(int(labeled.at_us.max()))}"
    counted = counted_units(len(labeled), "prediction")
    message = f"{name} of {now.label}{slice} is {new:.4g} instead of {old:.4g} ({counted} of {period}, labels final)"
    yield Observation(
        "performance",
        f"{now.label}{slice}",
        plan_e_value(plan, current),
        new >= old * (1 + WORSE_BY),
        message,
        _severity(new, old),
        evidence=evidence,
    )


def _severity(now: float, before: float) -> Severity:
    return "high" if now >= before * (1 + _HIGH_SEVERITY) else "low"


def unit_means(rows: Logged, what: str) -> Doubles:
    """The mean loss ("losses") or difference of outcome and probability ("gaps") of each key with labels, by time.

    Predictions of a key are alike, so a key counts once.
    """
    labeled = rows.only(rows.labeled)
    if not len(labeled):
        return np.zeros(0)
    values = losses(labeled) if what == "losses" else labeled.actual - labeled.scores
    _, first, unit, counts = np.unique(labeled.unit, return_index=True, return_inverse=True, return_counts=True)
    return np.asarray((np.bincount(unit, values) / counts)[np.argsort(first)])


def loss_plan(windows: Sequence[Doubles], kind: str) -> DetectorPlan | None:
    """What losses are held against: the mean of all windows at most, and twice what varies between them above it.

    `windows`: the mean losses of keys in each window. None with fewer than 30 keys, or without any loss.
    """
    baseline = np.concatenate(windows) if windows else np.zeros(0)
    if len(baseline) < _FEWEST_UNITS:
        return None
    high = 1.0 if kind != "number" else 2 * float(np.quantile(baseline, 0.99))
    if not high > 0:
        return None
    plan = plan_detector(baseline, low=0.0, high=high, run_length=100 * len(baseline))
    bound = float(min(plan.bound + _SPREADS * _between(windows), 0.999 * high))
    largest = 0.9 / bound
    return replace(plan, bound=bound, stakes=tuple(min(stake, largest) for stake in plan.stakes))


def _between(windows: Sequence[Doubles]) -> float:
    """The standard deviation of the means of windows, less what chance within them explains."""
    usable = [units for units in windows if len(units) >= 2]
    if len(usable) < _FEWEST_WINDOWS:
        return 0.0
    within = float(np.mean([units.var(ddof=1) / len(units) for units in usable]))
    return float(np.sqrt(max(0.0, np.var([units.mean() for units in usable], ddof=1) - within)))


def plan_e_value(plan: DetectorPlan, values: Doubles) -> float:
    """The wealth of the plan's bets after `values`; its mean is at most 1 if that of values is at most the bound."""
    cut = np.clip(values, plan.low, plan.high) - plan.bound
    logs = np.log1p(np.array(plan.stakes)[:, None] * cut).sum(axis=1)
    return _exp(float(special.logsumexp(logs) - np.log(len(logs))))


def observe_calibration(before: Sequence[Logged], now: Logged) -> Iterator[Observation]:
    """How far the share of outcomes is from the mean probability, where it differs from the gap of before."""
    if now.kind != "probability":
        return
    windows = [units for part in before if len(units := unit_means(part, "gaps"))]
    baseline, current = np.concatenate(windows) if windows else np.zeros(0), unit_means(now, "gaps")
    if len(baseline) < _FEWEST_UNITS or not len(current):
        return
    middle = float(baseline.mean())
    reach = 2 * float(baseline.std(ddof=1)) / np.sqrt(len(baseline)) + _SPREADS * _between(windows)
    gap, labeled = float(current.mean()), now.only(now.labeled)
    share, predicted = float(labeled.actual.mean()), float(labeled.scores.mean())
    message = (
        f"{now.label} happened to {share:.2%} of {counted_units(len(labeled), 'prediction')} whose mean probability "
        f"was {predicted:.2%}; outcomes less probabilities are {gap:+.4f} instead of {middle:+.4f}"
    )
    yield Observation(
        "calibration",
        now.label,
        gap_e_value(current, middle - reach, middle + reach),
        abs(gap - middle) >= max(_LEAST_SHARE, SHARE_CHANGED_BY * share),
        message,
        evidence={"gap": gap, "before": middle, "share": share, "predicted": predicted, "keys": len(current)},
    )


def gap_e_value(gaps: Doubles, low: float, high: float) -> float:
    """The wealth of bets that gaps, within [-1, 1], are above `high` on average, or below `low`."""
    above = [np.log1p(bet / (1 + abs(high)) * (gaps - high)).sum() for bet in _BETS]
    below = [np.log1p(bet / (1 + abs(low)) * (low - gaps)).sum() for bet in _BETS]
    return _exp(float(special.logsumexp([*above, *below]) - np.log(2 * len(_BETS))))


def observe_estimates(before: Sequence[Logged], now: Logged) -> Iterator[Observation]:
    """The loss that is expected of predictions without labels, and the shares of their labels (BBSE)."""
    windows = [part for part in before if len(part)]
    if now.kind not in ("probability", "classes") or not len(now) or len(windows) < _FEWEST_WINDOWS:
        return
    whole_before = joined(windows)
    reference = learn_reference(whole_before)
    name = main_metric(now.kind)
    values = [part[name] for part in (expected_values(window, reference) for window in windows) if name in part]
    expected = expected_values(now, reference)
    if name in expected and len(values) >= _FEWEST_WINDOWS:
        old, new = float(np.mean(values)), expected[name]
        p = window_p(new, np.array(values)) / 2 if new > old else 1.0
        message = (
            f"{LOSS_NAMES[now.kind]} of {now.label} is expected to be {new:.4g} instead of {old:.4g}, by the "
            f"probabilities of {counted_units(len(now), 'prediction')} whose labels are not known yet"
        )
        evidence = {"loss": name, "now": new, "before": old, "p": p, "predictions": len(now)}
        matters = new >= old * (1 + WORSE_BY)
        yield Observation(
            "expected_performance", now.label, _e(p), matters, message, _severity(new, old), evidence=evidence
        )
    yield from _share_observation(windows, now, reference)


def _share_observation(windows: Sequence[Logged], now: Logged, reference: LabeledReference) -> Iterator[Observation]:
    now_shift, _ = estimated_shares(now, reference)
    shifts = [shift for shift, _ in (estimated_shares(part, reference, draws=20) for part in windows) if shift]
    if now_shift is None or len(shifts) < _FEWEST_WINDOWS:
        return
    names = now.classes or ("", now.label)
    for number in range(1 if not now.classes else 0, len(names)):
        values = np.array([shift.shares[number] for shift in shifts])
        new, old = now_shift.shares[number], float(values.mean())
        low, high = now_shift.low[number], now_shift.high[number]
        message = (
            f"{names[number]} is estimated to happen to {new:.2%} ({low:.2%} to {high:.2%}) of "
            f"{counted_units(len(now), 'prediction')} instead of {old:.2%}; labels are not known yet"
        )
        p = window_p(new, values)
        evidence = {"now": new, "low": low, "high": high, "before": old, "p": p, "condition": now_shift.condition}
        subject = now.label if not now.classes else f"{now.label}.{names[number]}"
        matters = abs(new - old) >= max(_LEAST_SHARE, SHARE_CHANGED_BY * old)
        yield Observation("label_share", subject, _e(p), matters, message, origin="world", evidence=evidence)


def observe_equal_answers(before: Logged, now: Logged) -> Iterator[Observation]:
    """The longest run of equal answers."""
    run = longest_equal_run(before, now) if len(now) else None
    if run is not None:
        message = (
            f"{run.length:,} answers in a row were the same from {format_second(run.at_us)} on; the probability of so "
            f"many, as answers were before, is {run.p:.2g}"
        )
        evidence = {"length": run.length, "at_us": run.at_us, "p": run.p}
        yield Observation(
            "equal_answers", "predictions", _e(run.p), run.length >= _LEAST_RUN, message, "high", "own", evidence
        )


def joined(parts: Sequence[Logged]) -> Logged:
    """The rows of all parts, which are windows of the same rows."""
    first = parts[0]
    columns = ("at_us", "unit", "scores", "spans", "flagged", "actual", "mature", "weight", "answer")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    slices = {by: np.concatenate([part.slices[by] for part in parts]) for by in first.slices}
    return replace(first, **arrays, slices=slices)


def _e(p: float) -> float:
    return float(e_of_p([min(max(p, 1e-300), 1.0)])[0])


def _exp(log: float) -> float:
    return float(np.exp(min(log, 700.0)))
