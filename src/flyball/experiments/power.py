"""Power analysis before an experiment: the detectable effect and the duration, from recent data."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
import polars as pl

from flyball.core import BadInput, Doubles, Refused
from flyball.events import EventLog
from flyball.experiments.comparison import contrast_of
from flyball.experiments.experiment import metrics_measured, metrics_of, release_of, values_of
from flyball.experiments.exposures import CONTROL, Exposed, ExposedUnits, first_exposures
from flyball.experiments.logged_exposures import exposures_of
from flyball.experiments.prediction_rows import label_of_metric
from flyball.experiments.unit_values import UnitValues
from flyball.outcomes import prediction_of, records_between
from flyball.policy import ExperimentMetric
from flyball.releases import unit_of
from flyball.runtime import Runtime
from flyball.statistics import Design, Sums, minimum_detectable_effect, units_needed
from flyball.tasks import About

DAY_US = 86_400_000_000
SHORTEST_DAYS = 2


class Baseline(msgspec.Struct, frozen=True):
    """A metric as it is now. `variance`: of one unit, after the CUPED adjustment; `units`: how many it comes from."""

    mean: float
    variance: float
    units: int
    adjusted_by: float | None = None


class PowerRow(msgspec.Struct, frozen=True, kw_only=True):
    """The effect on one metric that an experiment of `days` days detects with the power of the design.

    `detectable`: in units of the metric; `relative`: as a share of `mean`, None if that is 0. `units`: the number of
    units of both arms. `most`: the largest value that the mean can have, such as 1 for a rate; None without a limit.
    """

    metric: str
    days: float
    units: int
    mean: float
    detectable: float
    relative: float | None
    method: str
    adjusted_by: float | None = None
    most: float | None = None

    @property
    def possible(self) -> str:
        """Which effects of that size are possible: "either way", "fall", "rise" or "none"; see `most`."""
        if self.most is None:
            return "either way"
        rise, fall = self.detectable <= self.most - self.mean, self.detectable <= self.mean
        return "either way" if rise and fall else "rise" if rise else "fall" if fall else "none"

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        share = "" if self.relative is None else f" ({100 * self.relative:.2g} % of {self.mean:.4g})"
        start = f"{self.metric}: {self.days:g} days bring about {self.units:,} units;"
        if self.possible == "none":
            ends = f"it is at most {self.most:g}, so it can neither rise nor fall by {self.detectable:.3g}{share}"
            return f"{start} {ends}, which it would take to be found four times in five."
        kind = "change" if self.possible == "either way" else self.possible
        only = "" if self.most is None or self.possible != "fall" else f" {room_text(self.mean, self.most)}"
        return f"{start} a {kind} of {self.detectable:.3g}{share} would be found four times in five.{only}"


class PowerReport(msgspec.Struct, frozen=True, kw_only=True):
    """`rows`: by metric and length. `days_for`: {metric: days until an effect of `effect`, a share of the present mean,
    is detected}; None if no number of days is enough. `missing`: {metric: why it has no rows}. `impossible`: {metric:
    why it cannot rise by `effect`, and by how much at most}; its days are then those for a fall."""

    since_us: int
    as_of_us: int
    new_units_a_day: tuple[float, ...]
    share: float
    alpha: float
    power: float
    rows: tuple[PowerRow, ...]
    effect: float | None = None
    days_for: Mapping[str, float | None] = {}
    missing: Mapping[str, str] = {}
    impossible: Mapping[str, str] = {}


def largest_mean(about: About, metric: ExperimentMetric) -> float | None:
    """The largest mean that a metric can have: 1 for what is a share of units or responses; None without a limit."""
    if metric.is_at_most_one:
        return 1.0
    counted = metric.kind == "label" and not about.items and not label_of_metric(about, metric).numeric
    return 1.0 if counted else None


def room_text(mean: float, most: float) -> str:
    """By how much a mean can rise at most, as a sentence.

    >>> room_text(0.974, 1.0)
    'It is at most 1, so it can rise by 0.026 (2.7 %) at most.'
    """
    share = f" ({100 * (most - mean) / mean:.2g} %)" if mean else ""
    return f"It is at most {most:g}, so it can rise by {most - mean:.3g}{share} at most."


def baseline(metric: ExperimentMetric, values: UnitValues) -> Baseline | None:
    """The baseline from units with closed windows; None if they are too few or do not vary.

    The units are compared with themselves: this has no effect, and the standard error of an experiment with as many
    units in each arm.
    """
    sums = Sums.of(values.columns()[values.closed])
    if sums.count < 2:
        return None
    own = contrast_of(metric, values.adjusted, sums, sums)
    plain = contrast_of(metric, False, sums, sums)
    if own is None or plain is None:
        return None
    variance_removed = 1 - (own.se / plain.se) ** 2 if values.adjusted else None
    return Baseline(own.base, own.se**2 * sums.count / 2, sums.count, variance_removed)


def control_baseline(runtime: Runtime, release_id: str, name: str, as_of_us: int) -> Baseline | None:
    """The baseline of a metric from the units of a release that have control; None if they are too few or do not vary.

    Raises `NotFound` for an unknown release.
    """
    release = release_of(runtime.registry, release_id)
    metrics = metrics_measured(runtime.app.task.about, runtime.app.metrics, release)
    exposed = first_exposures(exposures_of(runtime.predictions, release, (), as_of_us + 1), as_of_us)
    alone = exposed.frame.filter(pl.col("arm") == CONTROL)
    shares = {stratum: {CONTROL: 1.0} for stratum in exposed.shares}
    control = ExposedUnits(alone, (CONTROL,), shares)
    values = values_of(runtime, {name: metrics[name]}, control, release.unit, as_of_us)
    return baseline(metrics[name], values[name])


def row_of(name: str, days: float, units: float, now: Baseline, design: Design, most: float | None = None) -> PowerRow:
    """The row for an experiment with `units` units in both arms. `most`: as in `PowerRow`."""
    detectable = minimum_detectable_effect(msgspec.structs.replace(design, variance=now.variance), units)
    return PowerRow(
        metric=name,
        days=days,
        units=int(units),
        mean=now.mean,
        detectable=detectable,
        relative=abs(detectable / now.mean) if now.mean else None,
        method=design.method,
        adjusted_by=now.adjusted_by,
        most=most,
    )


def units_by(days: float, new_units: Sequence[float]) -> float:
    """The number of different units within `days`, from the `new_units` of recent days; beyond these, each further day
    brings as many as the mean of their last third.

    >>> units_by(2, [100.0, 50.0, 10.0]), units_by(5, [100.0, 50.0, 10.0])
    (150.0, 180.0)
    """
    full_days = min(int(days), len(new_units))
    seen = float(sum(new_units[:full_days]))
    late = new_units[-max(1, len(new_units) // 3) :]
    if full_days < len(new_units):
        return seen + (days - full_days) * new_units[full_days]
    return seen + (days - full_days) * float(np.mean(late))


def days_until(units: float, new_units: Sequence[float]) -> float | None:
    """The number of days until there are `units` units; None if that never happens."""
    low, high = 0.0, 1.0
    while units_by(high, new_units) < units:
        low, high = high, high * 2
        if high > 3_650:
            return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if units_by(middle, new_units) >= units else (middle, high)
    return high


def power_report(
    runtime: Runtime,
    as_of_us: int,
    *,
    past_days: int = 28,
    days: Sequence[float] = (7, 14, 28),
    effect: float | None = None,
    traffic: float = 1.0,
    design: Design | None = None,
) -> PowerReport:
    """What an experiment that starts now would detect, from the responses and events of the last `past_days`.

    `traffic`: the share of the units that take part. `effect`: a share of the present mean, to compute the days until
    it is detected. Raises `Refused` with less than two days of responses in the log, or without metrics to compare.
    """
    if not 0 < traffic <= 1:
        raise BadInput("traffic", "a share above 0, at most 1", traffic)
    about = runtime.app.task.about
    metrics = metrics_of(about, runtime.app.metrics)
    if not metrics:
        raise Refused(f"{runtime.app.name} must have metrics to compare, got none: declare some by fb.App(metrics=...)")
    exposed = _exposed(runtime, as_of_us - past_days * DAY_US, as_of_us)
    first_at = exposed.frame["at"].to_numpy()
    since_us = int(first_at.min())
    chosen = design or Design(variance=1.0, method="anytime")
    new_units = tuple((traffic * _by_day(first_at, since_us, as_of_us)).tolist())
    rows: list[PowerRow] = []
    days_for: dict[str, float | None] = {}
    missing: dict[str, str] = {}
    impossible: dict[str, str] = {}
    for name, values in values_of(runtime, metrics, exposed, (), as_of_us).items():
        now = baseline(metrics[name], values)
        if now is None:
            missing[name] = values.missing or "fewer than two units with closed windows and different values"
            continue
        most = largest_mean(about, metrics[name])
        rows += [row_of(name, length, units_by(length, new_units), now, chosen, most) for length in days]
        if most is not None and effect is not None and now.mean * (1 + effect) > most:
            impossible[name] = room_text(now.mean, most)
        if effect is not None and now.mean:
            needed = units_needed(msgspec.structs.replace(chosen, variance=now.variance), abs(effect * now.mean))
            days_for[name] = days_until(needed, new_units)
    return PowerReport(
        since_us=since_us,
        as_of_us=as_of_us,
        new_units_a_day=new_units,
        share=chosen.share,
        alpha=chosen.alpha,
        power=chosen.power,
        rows=tuple(rows),
        effect=effect,
        days_for=days_for,
        missing=missing,
        impossible=impossible,
    )


def _exposed(runtime: Runtime, since_us: int, as_of_us: int) -> ExposedUnits:
    """The first response of each unit in a time span; raises `Refused` if the responses cover less than two days."""
    exposed = first_exposures(_answered(runtime.predictions, since_us, as_of_us), as_of_us)
    first_at = exposed.frame["at"].to_numpy()
    if not len(first_at) or as_of_us - int(first_at.min()) < SHORTEST_DAYS * DAY_US:
        raise Refused(
            f"the log must hold {SHORTEST_DAYS} days of answers or more to plan by, got "
            f"{'none' if not len(first_at) else 'less'}: serve first (flyball up)"
        )
    return exposed


def _answered(log: EventLog, since_us: int, as_of_us: int) -> Iterator[Exposed]:
    for record in records_between(log, since_us, as_of_us + 1):
        prediction = prediction_of(record)
        unit = unit_of((), prediction.key, prediction.request)
        if unit:
            yield Exposed(unit, CONTROL, 1.0, prediction.at_us, record.known_at, prediction.id)


def _by_day(first_at: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", since_us: int, as_of_us: int) -> Doubles:
    """The number of new units on each full day since `since_us`."""
    whole_days = (as_of_us - since_us) // DAY_US
    day = (first_at - since_us) // DAY_US
    return np.bincount(day[day < whole_days], minlength=whole_days).astype(np.float64)
