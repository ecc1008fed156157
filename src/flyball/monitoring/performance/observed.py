"""What the monitors of performance see at one look: losses, estimates, label shares, calibration, equal answers.

Every e-value is for "as before". That of a loss or a gap is the smaller one of two, so both must speak: bets on the
keys of the look, exact for few and skewed values, and a test of the look as one more window like those before it, as
keys share what a day is like.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from scipy import special

from flyball.core import BadInput, Doubles, find_zone, format_second
from flyball.monitoring.findings.finding import Severity
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.performance.compared import frequent_values, window_p
from flyball.monitoring.performance.estimated import (
    LabeledReference,
    estimated,
    estimated_shares,
    expected_values,
    learn_reference,
)
from flyball.monitoring.performance.list_segments import observe_list_estimates
from flyball.monitoring.performance.logged import Logged, labels_of, logged
from flyball.monitoring.performance.loss_windows import (
    change_evidence,
    explained_by_shares,
    joined,
    rise_p,
    unit_means,
)
from flyball.monitoring.performance.measured import LOSS_NAMES, main_metric
from flyball.monitoring.performance.report import longest_equal_run
from flyball.monitoring.performance.slices import slice_names
from flyball.monitoring.watch.accepted import accepted_shifts, reference_starts
from flyball.monitoring.watch.answering import answering_changes, usual_answers_since
from flyball.monitoring.watch.daily import ExtraMonitor, each_day
from flyball.monitoring.watch.suspected import Suspicions, first_suspicion, undoubted
from flyball.runtime import Runtime
from flyball.statistics import DetectorPlan, detect, e_of_p, plan_detector

WORSE_BY = 0.1
"""The share by which a loss must exceed that of before to be worth a finding; of lists, of what they were worth."""
SHARE_CHANGED_BY = 0.2
_DAY_US = 86_400_000_000
_LEAST_SHARE = 0.01
_LEAST_RUN = 10
_HIGH_SEVERITY = 0.5
_FEWEST_WINDOWS = 5
_FEWEST_UNITS = 30
_BETS = (0.03, 0.1, 0.3, 0.8)
_OF_LOSSES, _OF_ESTIMATES = ("performance", "calibration"), ("expected_performance", "label_share")
_NOTHING: Suspicions = MappingProxyType({})


def observe_performance(
    runtime: Runtime,
    *,
    since_us: int,
    until_us: int,
    before_us: int,
    by: Sequence[str] | None = None,
    suspects: Suspicions = _NOTHING,
) -> list[Observation]:
    """The observations of the look at `[since_us, until_us)`, with the `before_us` microseconds before as reference.

    Losses and calibration are of the predictions whose labels became final in the look; estimates, shares of labels
    and equal answers of those made in it. `by`: slices of the losses, by default those that the application declares.
    `suspects`: {fingerprint of a monitor: since when it suspects a change}; what it looked at since then is no
    reference, unless fewer than 7 windows are left. A monitor without enough rows sees nothing. Raises `BadInput` for a
    `before_us` that is no multiple of the look.
    """
    length = until_us - since_us
    if length < 1 or before_us < length or before_us % length:
        raise BadInput("length of what is compared with", "a multiple of the length of the look", before_us)
    slices = declared_slices(runtime) if by is None else tuple(by)
    starts, changes = reference_starts(accepted_shifts(runtime.registry)), answering_changes(runtime.registry)
    of_lists = runtime.app.task.about.groups if runtime.app.task.about.items else ()
    seen = list[Observation]()
    about = runtime.app.task.about
    for number, label in enumerate(labels_of(about)):
        first_us = since_us - label.within_us - before_us
        rows = logged(runtime, label, first_us, until_us, until_us, tuple(dict.fromkeys((*slices, *of_lists))))
        first_at_us = int(rows.at_us.min()) if len(rows) else until_us
        by_slice = replace(rows, slices={name: rows.slices[name] for name in slices})
        windows = []
        for of_rows, begin_us in ((by_slice, since_us - label.within_us), (rows, since_us)):
            known_us = [
                at_us for at_us in range(begin_us - before_us, begin_us, length) if at_us + length > first_at_us
            ]
            released_us = usual_answers_since(changes, begin_us + length, known_us)
            from_us = max(starts.get(label.name, 0), released_us)  # of an accepted shift, or of a champion
            windows.append(_LookWindows.of(of_rows, begin_us, length, before_us, from_us, since_us - begin_us))
        matured, made = windows
        seen += observe_losses(partial(matured.usual, suspects, _OF_LOSSES), matured.now)
        seen += observe_calibration(matured.usual(suspects, _OF_LOSSES, [label.name]), matured.now)
        usual = made.usual(suspects, _OF_ESTIMATES, estimated_subjects(made.now))
        seen += observe_estimates(usual, made.now)
        seen += observe_list_estimates(usual, made.now, about.groups, WORSE_BY)
        a_day = len(made.now) / rows.share * _DAY_US / length
        seen = [replace(look, evidence={"a_day": a_day, **look.evidence}) for look in seen]
        if number == 0:  # an answer holds all labels
            seen += observe_equal_answers(rows.between(since_us - before_us, since_us), made.now)
    return seen


def performance_monitor(runtime: Runtime) -> ExtraMonitor:
    """The monitors of performance for a `Watcher`: of each day, once its last window `[since_us, until_us)` ended.

    The days before are as many as the application declares to look back at (`watch(days=...)`). Labels often take days,
    and each look reads all predictions that it compares, so there is no look at other windows.
    """
    zone, before_us = find_zone(runtime.settings.zone), runtime.app.watch.days * _DAY_US

    def look(until_us: int, suspects: Suspicions) -> list[Observation]:
        if not labels_of(runtime.app.task.about):
            return []
        since_us = until_us - _DAY_US
        return observe_performance(
            runtime, since_us=since_us, until_us=until_us, before_us=before_us, suspects=suspects
        )

    return each_day(zone, look)


def declared_slices(runtime: Runtime) -> tuple[str, ...]:
    """The fields by which the application declares to look at metrics, as far as requests have them."""
    known = slice_names(runtime.app.task.about)
    named = (*getattr(runtime.app.task, "slices", ()), *runtime.app.release.slices)
    return tuple(name for name in dict.fromkeys(named) if name in known)


class _LookWindows(Struct, frozen=True):
    """The windows that a look compares: those `before`, {start: rows}, as long as `now`; known `later_us` after."""

    length_us: int
    later_us: int
    before: dict[int, Logged]
    now: Logged

    @classmethod
    def of(
        cls, rows: Logged, since_us: int, length: int, before_us: int, from_us: int, later_us: int
    ) -> "_LookWindows":
        """The windows of `length` before `since_us`, as far as they begin at `from_us` or later, and that after it."""
        starts = [start for start in range(since_us - before_us, since_us, length) if start >= from_us]
        windows = {start: rows.between(start, start + length) for start in starts}
        return cls(length, later_us, windows, rows.between(since_us, since_us + length))

    def usual(self, suspects: Suspicions, monitors: Sequence[str], subjects: Sequence[str]) -> list[Logged]:
        """The windows with rows that were known before these monitors suspected a change, oldest first."""
        suspected_us = first_suspicion(suspects, monitors, subjects)
        known = [start + self.later_us for start, rows in self.before.items() if len(rows)]
        return [self.before[start - self.later_us] for start in undoubted(known, self.length_us, suspected_us)]


def observe_losses(usual: Callable[[Sequence[str]], Sequence[Logged]], now: Logged) -> Iterator[Observation]:
    """The losses of all predictions, then of each value of each slice.

    `usual`: {subjects: the windows before that show what is usual of them}, as long as `now`.
    """
    yield from _loss_observation("", usual([now.label]), now)
    for by, values in now.slices.items():
        for value in frequent_values(values):
            slice = f".{by}={value}"
            parts = [part.only(part.slices[by] == value) for part in (*usual([now.label, now.label + slice]), now)]
            yield from _loss_observation(slice, parts[:-1], parts[-1])


def _loss_observation(slice: str, before: Sequence[Logged], now: Logged) -> Iterator[Observation]:
    windows = [units for part in before if len(units := unit_means(part, "losses"))]
    current = unit_means(now, "losses")
    plan, p = loss_plan(windows, now.kind), rise_p(windows, current)
    if plan is None or p is None:
        return
    old, new = float(np.concatenate(windows).mean()), float(current.mean())
    name, labeled = LOSS_NAMES[now.kind], now.only(now.labeled)
    _, alarms = detect(plan, current)
    evidence = {"loss": name, "now": new, "before": old, "bound": plan.bound, "p": p, "predictions": len(labeled)}
    if not slice:
        evidence |= change_evidence(before, now)
    if alarms:
        evidence["alarm_after_keys"] = alarms[0] + 1
    period = f"{format_second(int(labeled.at_us.min()))} to {format_second(int(labeled.at_us.max()))}"
    message = (
        f"{name} of {now.label}{slice} is {new:.4g} instead of {old:.4g} ({labeled.text} of {period}, labels final)"
    )
    yield Observation(
        "performance",
        f"{now.label}{slice}",
        min(plan_e_value(plan, current), _e(p)),
        _is_worse_by(WORSE_BY, new, old, now.kind),
        message,
        "high" if _is_worse_by(_HIGH_SEVERITY, new, old, now.kind) else "low",
        evidence=evidence,
        of_quality=not slice,
    )


def _is_worse_by(part: float, now: float, before: float, kind: str) -> bool:
    """Whether so large a part is lost: of a loss in addition, of lists of what they were worth, the reciprocal rank.

    Few lists have what is taken at their top, so 1 less the reciprocal rank is near 1 and could hardly rise by a tenth.
    """
    return 1 - now <= (1 - before) * (1 - part) if kind == "list" else now >= before * (1 + part)


def _severity(now: float, before: float) -> Severity:
    return "high" if now >= before * (1 + _HIGH_SEVERITY) else "low"


def loss_plan(windows: Sequence[Doubles], kind: str) -> DetectorPlan | None:
    """What losses are held against: a mean of all windows at most.

    `windows`: the mean losses of keys in each window. None with fewer than 30 keys, or without any loss.
    """
    baseline = np.concatenate(windows) if windows else np.zeros(0)
    if len(baseline) < _FEWEST_UNITS:
        return None
    high = 1.0 if kind != "number" else 2 * float(np.quantile(baseline, 0.99))
    if not high > 0:
        return None
    return plan_detector(baseline, low=0.0, high=high, run_length=100 * len(baseline))


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
    rise, fall = rise_p(windows, current), rise_p([-units for units in windows], -current)
    if len(baseline) < _FEWEST_UNITS or rise is None or fall is None:
        return
    middle, p = float(baseline.mean()), min(1.0, 2 * min(rise, fall))
    reach = 2 * float(baseline.std(ddof=1)) / np.sqrt(len(baseline))
    gap, labeled = float(current.mean()), now.only(now.labeled)
    share, predicted = float(labeled.actual.mean()), float(labeled.scores.mean())
    message = (
        f"{now.label} happened to {share:.2%} of {labeled.text} whose mean probability "
        f"was {predicted:.2%}; outcomes less probabilities are {gap:+.4f} instead of {middle:+.4f}"
    )
    yield Observation(
        "calibration",
        now.label,
        min(gap_e_value(current, middle - reach, middle + reach), _e(p)),
        abs(gap - middle) >= max(_LEAST_SHARE, SHARE_CHANGED_BY * share),
        message,
        evidence={"gap": gap, "before": middle, "share": share, "predicted": predicted, "keys": len(current), "p": p},
        of_quality=True,
    )


def gap_e_value(gaps: Doubles, low: float, high: float) -> float:
    """The wealth of bets that gaps, within [-1, 1], are above `high` on average, or below `low`."""
    above = [np.log1p(bet / (1 + abs(high)) * (gaps - high)).sum() for bet in _BETS]
    below = [np.log1p(bet / (1 + abs(low)) * (low - gaps)).sum() for bet in _BETS]
    return _exp(float(special.logsumexp([*above, *below]) - np.log(2 * len(_BETS))))


def estimated_subjects(now: Logged) -> list[str]:
    """What monitors of estimates look at: the label, and the share of each of its classes."""
    return [now.label, *(f"{now.label}.{name}" for name in now.classes)]


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
            f"probabilities of {now.text} whose labels are not known yet"
        )
        low, high = _expected_change(now, reference, name, np.array(values))
        evidence = {"loss": LOSS_NAMES[now.kind], "now": new, "before": old, "p": p, "predictions": len(now)}
        evidence |= {"low": low, "high": high}
        matters = new >= old * (1 + WORSE_BY)
        severity = _severity(new, old)
        yield Observation(
            "expected_performance", now.label, _e(p), matters, message, severity, evidence=evidence, of_quality=True
        )
    yield from _share_observation(windows, now, reference)


def _expected_change(now: Logged, reference: LabeledReference, name: str, before: Doubles) -> tuple[float, float]:
    """The interval of the change of the expected loss: that of the estimate, and of how windows before it vary."""
    metrics, _ = estimated(now, reference)
    estimate = metrics[name]
    spread, change = float(before.std(ddof=1)), estimate.value - float(before.mean())
    if estimate.low is None or estimate.high is None:
        return -np.inf, np.inf
    reach = np.hypot(2 * spread, (estimate.high - estimate.low) / 2)
    return float(change - reach), float(change + reach)


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
            f"{now.text} instead of {old:.2%}; labels are not known yet"
        )
        p = window_p(new, values)
        evidence = {"now": new, "low": low, "high": high, "before": old, "p": p, "condition": now_shift.condition}
        explained = explained_by_shares(joined(windows), now, now_shift.shares)
        evidence |= {} if explained is None else {"explained": explained}
        subject = now.label if not now.classes else f"{now.label}.{names[number]}"
        matters = abs(new - old) >= max(_LEAST_SHARE, SHARE_CHANGED_BY * old)
        few = not now.classes  # a share of each of many classes would take the part of the others
        yield Observation(
            "label_share", subject, _e(p), matters, message, origin="world", evidence=evidence, of_quality=few
        )


def observe_equal_answers(before: Logged, now: Logged) -> Iterator[Observation]:
    """The longest run of equal answers."""
    run = longest_equal_run(before, now) if len(now) else None
    if run is not None:
        what = "sampled answers" if now.share < 1 else "answers"
        message = (
            f"{run.length:,} {what} in a row were the same from {format_second(run.at_us)} on; the probability of so "
            f"many, as answers were before, is {run.p:.2g}"
        )
        evidence = {"length": run.length, "at_us": run.at_us, "p": run.p}
        yield Observation(
            "equal_answers", "predictions", _e(run.p), run.length >= _LEAST_RUN, message, "high", "own", evidence
        )


def _e(p: float) -> float:
    return float(e_of_p([min(max(p, 1e-300), 1.0)])[0])


def _exp(log: float) -> float:
    return float(np.exp(min(log, 700.0)))
