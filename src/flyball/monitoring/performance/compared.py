"""Metrics of a window beside those of windows before it, with the probability of the difference by chance."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from flyball.core import Doubles
from flyball.evaluation import Estimate
from flyball.monitoring.performance.estimated import LabeledReference, estimated, estimated_shares, expected_values
from flyball.monitoring.performance.logged import Logged
from flyball.monitoring.performance.measured import LIVE_METRICS, main_metric, measured, value_of

FEWEST_MEASURED = 10
"""Predictions, at least, from which a metric is measured or estimated."""
_FEWEST_WINDOWS = 5
_MOST_SLICES = 20
_LEVEL_Z = float(stats.norm.ppf(0.975))
_FEWEST_DRAWS = 20

Basis = Literal["measured", "estimated"]


class MetricNow(Struct, frozen=True):
    """One metric of one slice, now and before.

    `by`, `slice`: such as "merchant" and "acme", "" for all predictions. `basis`: "measured" from labels, or
    "estimated" from probabilities where labels are not known yet. `rows`: predictions it rests on. `before`: what was
    measured before the window, None without labels. `p`: of so large a difference by chance; None where there is
    nothing to compare.
    """

    by: str
    slice: str
    metric: str
    basis: Basis
    rows: int
    now: Estimate
    before: Estimate | None
    before_rows: int
    p: float | None


def difference_p(now: Estimate, before: Estimate | None, windows: Sequence[float]) -> float | None:
    """The probability that `now` differs so much from what was before, by chance, two-sided; None if it is unknown.

    The larger one of two: by both intervals, and, from five `windows` on, whose values are those of windows as long
    before it, by how far these lie apart (a t-test of one more value). So weekdays and dependent rows count as chance.
    """
    p_values = []
    errors = [_standard_error(estimate) for estimate in (now, before)]
    if before is not None and errors[0] is not None and errors[1] is not None:
        error = np.hypot(errors[0], errors[1])
        p_values.append(float(2 * stats.norm.sf(abs(now.value - before.value) / error)) if error > 0 else 1.0)
    values = np.array([value for value in windows if not np.isnan(value)])
    if len(values) >= _FEWEST_WINDOWS:
        p_values.append(window_p(now.value, values))
    return max(p_values) if p_values else None


def window_p(value: float, windows: Doubles) -> float:
    """Two-sided p-value that `value` is from the same normal distribution as `windows`, two or more (a t-test)."""
    spread = float(windows.std(ddof=1)) * np.sqrt(1 + 1 / len(windows))
    difference = abs(value - float(windows.mean()))
    if spread <= 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stats.t.sf(difference / spread, len(windows) - 1))


def _standard_error(estimate: Estimate | None) -> float | None:
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / (2 * _LEVEL_Z)


def compared_metrics(
    windows: Sequence[Logged], before: Logged, now: Logged, reference: LabeledReference, seed: int
) -> Iterator[MetricNow]:
    """All metrics of all predictions, then the main one of each slice, the 20 most frequent values of each first."""
    yield from _of_slice("", "", tuple(LIVE_METRICS[now.kind]), windows, before, now, reference, seed)
    for by, values in now.slices.items():
        for value in frequent_values(values):
            past, rows = (part.only(part.slices[by] == value) for part in (before, now))
            parts = [part.only(part.slices[by] == value) for part in windows]
            yield from _of_slice(by, value, (main_metric(now.kind),), parts, past, rows, reference, seed)


def frequent_values(values: NDArray[np.object_]) -> list[str]:
    """The 20 most frequent values, most frequent first."""
    counts = Counter(values.tolist())
    return sorted(counts, key=lambda value: (-counts[value], value))[:_MOST_SLICES]


def _of_slice(
    by: str,
    slice: str,
    names: tuple[str, ...],
    windows: Sequence[Logged],
    before: Logged,
    now: Logged,
    reference: LabeledReference,
    seed: int,
) -> Iterator[MetricNow]:
    known, waiting, old = now.only(now.labeled), now.only(~now.mature), before.only(before.labeled)
    past = measured(old, names, seed) if len(old) >= FEWEST_MEASURED else {}
    if len(known) >= FEWEST_MEASURED:
        parts = [part.only(part.labeled) for part in windows]
        for name, estimate in measured(known, names, seed).items():
            p = difference_p(estimate, past.get(name), [value_of(part, name) for part in parts])
            yield MetricNow(by, slice, name, "measured", len(known), estimate, past.get(name), len(old), p)
    expected = _expected(waiting, names, reference, seed) if len(waiting) >= FEWEST_MEASURED else {}
    values = _window_values(windows, reference, "share" in expected) if expected else []
    for name, estimate in expected.items():
        p = difference_p(estimate, past.get(name), [part[name] for part in values if name in part])
        yield MetricNow(by, slice, name, "estimated", len(waiting), estimate, past.get(name), len(old), p)


def _expected(rows: Logged, names: tuple[str, ...], reference: LabeledReference, seed: int) -> dict[str, Estimate]:
    """What is estimated of the metrics `names`, in their order."""
    expected, _ = estimated(rows, reference)
    shift, _ = estimated_shares(rows, reference, seed) if "share" in names else (None, "")
    if shift is not None:
        expected["share"] = Estimate(shift.shares[1], shift.low[1], shift.high[1])
    return {name: expected[name] for name in names if name in expected}


def _window_values(windows: Sequence[Logged], reference: LabeledReference, share: bool) -> list[Mapping[str, float]]:
    """The same of the windows before, so that an estimate is compared with estimates."""
    values: list[Mapping[str, float]] = []
    for part in windows:
        of_window = dict(expected_values(part, reference))
        if share and len(part):
            shift, _ = estimated_shares(part, reference, draws=_FEWEST_DRAWS)
            of_window |= {} if shift is None else {"share": shift.shares[1]}
        values.append(of_window)
    return values
