"""The impact ledger: the expected and the measured effect of each release, and how well one predicts the other."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, sqrt
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from flyball.core import BadInput, Doubles, FlyballError, NotFound, format_timestamp, write_atomic
from flyball.evaluation import CHAMPION, Estimate, Report
from flyball.experiments.experiment import SPLITS, experiment, metrics_of
from flyball.experiments.interleaving import interleaving
from flyball.experiments.result import MetricResult
from flyball.experiments.switchback import switchback
from flyball.history import write_frame
from flyball.policy import ExperimentMetric
from flyball.registry import Registry, cases_of
from flyball.releases import Release, all_releases
from flyball.runtime import Runtime
from flyball.statistics import Inference

FORMATS = ("csv", "parquet", "json")
FEWEST_PAIRS = 3
OFFLINE_NAMES = {"absolute_error": "mae", "squared_error": "rmse"}
"""{loss of `fb.metric.model`: the offline metric of the same quantity}; other losses have one name in both."""


class ImpactRow(msgspec.Struct, frozen=True, kw_only=True):
    """One released version.

    `predicted`: [effect, low, high], the difference to the champion in `offline_metric` on the same held-out requests;
    None if they were not compared. `offline_metric`: that of the same quantity as `online_metric` if both versions have
    it, as `log_loss` for `log_loss`, else the one that the application chooses by. `measured`: the effect on
    `online_metric`, the primary metric, on users, with its interval; `relative`: the same as a share of control. Signs
    are such that above 0 is better. `missing`: why nothing was measured. `case`: the cause that its run of learning
    began for, "" for none.
    """

    release: str
    kind: str
    state: str
    version: str
    over: str
    started_us: int
    ended_us: int
    offline_metric: str = ""
    predicted: float | None = None
    predicted_low: float | None = None
    predicted_high: float | None = None
    online_metric: str = ""
    measured: float | None = None
    measured_low: float | None = None
    measured_high: float | None = None
    relative: float | None = None
    units: int = 0
    verdict: str = ""
    missing: str = ""
    case: str = ""


class OfflineOnline(msgspec.Struct, frozen=True):
    """How well an offline metric predicts an online one, over changes that have both.

    `agreed`: the number of changes with equal signs. `decided`: the number of changes that the online interval decided;
    `decided_agreed`: those of them with equal signs. `correlation`: Pearson's, None for fewer than three changes, with
    its 95 % interval (Fisher's z), None for fewer than four.
    """

    offline_metric: str
    online_metric: str
    changes: int
    agreed: int
    decided: int
    decided_agreed: int
    correlation: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def sentence(self) -> str:
        """The agreement in a sentence."""
        pointed = f"{self.offline_metric} pointed the way {self.online_metric} went"
        text = f"{pointed} in {self.agreed} of {self.changes} changes"
        if self.decided:
            text += f", in {self.decided_agreed} of the {self.decided} that were decided online"
        if self.correlation is None:
            return f"{text}; too few for a correlation."
        interval = "" if self.low is None else f" [{self.low:+.2f}, {self.high:+.2f}]"
        return f"{text}; their correlation is {self.correlation:+.2f}{interval}."


class ImpactLedger(msgspec.Struct, frozen=True):
    """Every released change, oldest first, and how well offline metrics predicted the effects."""

    rows: tuple[ImpactRow, ...]
    offline_online: tuple[OfflineOnline, ...]

    def frame(self) -> pl.DataFrame:
        """A row for each change; times are datetimes in UTC."""
        columns = {name: [getattr(row, name) for row in self.rows] for name in ImpactRow.__struct_fields__}
        counts = {"started_us", "ended_us", "units"}
        texts = {
            "release",
            "kind",
            "state",
            "version",
            "over",
            "offline_metric",
            "online_metric",
            "verdict",
            "missing",
            "case",
        }
        schema = {name: pl.Int64 if name in counts else pl.String if name in texts else pl.Float64 for name in columns}
        frame = pl.DataFrame(columns, schema=schema)
        times = [
            pl.when(pl.col(f"{name}_us") > 0)
            .then(pl.col(f"{name}_us").cast(pl.Datetime("us", "UTC")))
            .alias(f"{name}_at")
            for name in ("started", "ended")
        ]
        return frame.with_columns(times).drop("started_us", "ended_us")


def impact_ledger(runtime: Runtime, as_of_us: int) -> ImpactLedger:
    """The ledger of all releases that started; effects are those of `experiment` at `as_of_us`."""
    rows = [
        row
        for release in all_releases(runtime.registry)
        if release.started_us
        for version in release.versions
        if (row := _row(runtime, release, version, as_of_us)) is not None
    ]
    return ImpactLedger(tuple(rows), tuple(compared(rows)))


def compared(rows: Sequence[ImpactRow]) -> Iterable[OfflineOnline]:
    """The agreement of each pair of an offline and an online metric, over the changes with both."""
    pairs: dict[tuple[str, str], list[ImpactRow]] = {}
    for row in rows:
        if row.predicted is not None and row.measured is not None:
            pairs.setdefault((row.offline_metric, row.online_metric), []).append(row)
    for (offline, online), both in pairs.items():
        expected = np.array([row.predicted for row in both])
        happened = np.array([row.measured for row in both])
        alike = np.sign(expected) == np.sign(happened)
        decided = np.array([row.verdict in ("better", "worse", "worse than the margin") for row in both])
        counts = (len(both), int(alike.sum()), int(decided.sum()), int((alike & decided).sum()))
        yield OfflineOnline(offline, online, *counts, *_correlation(expected, happened))


def _correlation(first: Doubles, second: Doubles) -> tuple[float | None, float | None, float | None]:
    count = len(first)
    if count < FEWEST_PAIRS or not first.std() or not second.std():
        return None, None, None
    r = float(np.corrcoef(first, second)[0, 1])
    if count == FEWEST_PAIRS or abs(r) >= 1:
        return r, None, None
    reach = 1.959964 / sqrt(count - 3)
    z = np.arctanh(r)
    return r, float(np.tanh(z - reach)), float(np.tanh(z + reach))


def export_impact(ledger: ImpactLedger, out: Path, kind: str) -> int:
    """Write the rows to a file; returns their number. Raises `BadInput` for an unknown format."""
    if kind not in FORMATS:
        raise BadInput("export format", f"one of {', '.join(FORMATS)}", kind)
    if kind != "json":
        return write_frame(ledger.frame(), out, kind).rows
    write_atomic(out, msgspec.json.format(msgspec.json.encode(ledger), indent=2) + b"\n")
    return len(ledger.rows)


def _row(runtime: Runtime, release: Release, version: str, as_of_us: int) -> ImpactRow | None:
    blank = ImpactRow(
        release=release.id,
        kind=release.kind,
        state=release.state.replace("_", " "),
        version=version,
        over=release.over,
        started_us=release.started_us,
        ended_us=release.ended_us,
        case=_case_of(runtime.registry, version),
    )
    name, difference = _expected(runtime, version, release.over)
    blank = msgspec.structs.replace(blank, offline_metric=name)
    if difference is not None:
        ends = (difference.value, difference.low, difference.high)
        fields = dict(zip(("predicted", "predicted_low", "predicted_high"), ends, strict=True))
        blank = msgspec.structs.replace(blank, **fields)
    arm = next(arm.name for arm in release.arms if arm.version == version)
    try:
        return _measured(runtime, release, arm, blank, as_of_us)
    except FlyballError as error:  # one release that cannot be measured must not hide the others
        return msgspec.structs.replace(blank, missing=str(error))


def _case_of(registry: Registry, version: str) -> str:
    """The case that led to a version; of several that began the same run the first."""
    runs = {known.id: known.run for known in registry.versions()}
    return next((case.id for case in cases_of(registry) if case.run and case.run == runs.get(version)), "")


def _primary(runtime: Runtime) -> tuple[str, ExperimentMetric | None]:
    """The name and the declaration of the primary metric of experiments."""
    metrics = metrics_of(runtime.app.task.about, runtime.app.metrics)
    name = next((name for name, declared in metrics.items() if declared.role == "primary"), next(iter(metrics), ""))
    return name, metrics.get(name)


def _expected(runtime: Runtime, version: str, over: str) -> tuple[str, Estimate | None]:
    """(offline metric, the expected effect on it): of the loss that is measured online, if it was evaluated."""
    declared, chosen = _primary(runtime)[1], str(runtime.app.choose.metric)
    loss = "" if declared is None or declared.kind != "model" else OFFLINE_NAMES.get(declared.loss, declared.loss)
    for name in (f"{declared.label}:{loss}" if declared is not None and declared.label else "", loss):
        difference = predicted(runtime.registry, version, name, over) if name else None
        if difference is not None:
            return name, difference
    return chosen, predicted(runtime.registry, version, chosen, over)


def _measured(runtime: Runtime, release: Release, arm: str, row: ImpactRow, as_of_us: int) -> ImpactRow:
    if release.kind == "interleave":
        drafted = interleaving(runtime, release, as_of_us)
        row = msgspec.structs.replace(row, online_metric=f"preference by {drafted.label}", units=drafted.units)
        return _with_effect(
            row, next((ranker.inference for ranker in drafted.rankers if ranker.arm == arm), None), True
        )
    if release.kind == "switchback":
        switched = next(
            (metric for metric in switchback(runtime, release, as_of_us).metrics if metric.arm == arm), None
        )
        if switched is None:
            return msgspec.structs.replace(row, missing="control is what the other arms are compared with")
        row = msgspec.structs.replace(row, online_metric=switched.metric, missing=switched.missing)
        return _with_effect(row, switched.inference, switched.better == "high")
    if release.kind not in SPLITS:
        return msgspec.structs.replace(row, missing=f"{release.kind} releases have no control to compare with")
    primary, _ = _primary(runtime)
    result: MetricResult = experiment(runtime, release.id, as_of_us).of(primary, arm)
    units = sum(result.units.values())
    row = msgspec.structs.replace(row, online_metric=primary, units=units)
    sign = 1.0 if result.better == "high" else -1.0
    relative = None if result.relative is None else sign * result.relative[0]
    row = msgspec.structs.replace(row, relative=relative, missing="" if result.inference else result.missing)
    return msgspec.structs.replace(_with_effect(row, result.inference, sign > 0), verdict=result.verdict)


def _with_effect(row: ImpactRow, inference: Inference | None, higher_is_better: bool) -> ImpactRow:
    """The row with an effect that is above 0 where the change is better; why there is none, where that is missing."""
    if inference is None:
        return row
    sign = 1.0 if higher_is_better else -1.0
    low, high = sorted((sign * inference.low, sign * inference.high))
    return msgspec.structs.replace(
        row,
        measured=sign * inference.effect,
        measured_low=low if isfinite(low) else None,
        measured_high=high if isfinite(high) else None,
        verdict=inference.verdict,
        missing="" if not inference.missing else f"{inference.missing} are missing",
        units=row.units or inference.count_a + inference.count_b,
    )


def predicted(registry: Registry, version: str, metric: str, over: str = "") -> Estimate | None:
    """The version's metric minus that of the champion at that time, on the same requests; above 0 is better.

    `over`: the version that it was released against; where both are candidates of one run, they were compared there.
    None if there was no champion, the run has no report, or the metric is neither better when high nor when low: a
    difference of coverages does not say which is nearer to its target.
    """
    try:
        known = registry.version(version)
    except NotFound:
        return None
    run = next((run for run in registry.runs() if run.id == known.run), None)
    if run is None or not run.report.get("evaluation"):
        return None
    report = msgspec.convert(run.report["evaluation"], Report)
    beside = next((other.candidate for other in registry.versions() if (other.id, other.run) == (over, run.id)), None)
    champion = next((name for name, other in report.evaluated.items() if other.role == CHAMPION), None)
    difference = _difference(report.differences.get(metric, {}), known.candidate, beside or champion or "")
    better = report.better.get(metric.partition("/")[0], "high")
    if difference is None or better == "high":
        return difference
    if better != "low":
        return None
    return _turned(difference)


def _difference(differences: Mapping[str, Mapping[str, Estimate]], first: str, second: str) -> Estimate | None:
    """Of two models, whichever way round the report has it."""
    other_way = differences.get(second, {}).get(first)
    return differences.get(first, {}).get(second) or (None if other_way is None else _turned(other_way))


def _turned(difference: Estimate) -> Estimate:
    low, high = _negative(difference.high), _negative(difference.low)
    return msgspec.structs.replace(difference, value=-difference.value, low=low, high=high)


def _negative(end: float | None) -> float | None:
    return None if end is None else -end


def impact_table(ledger: ImpactLedger) -> tuple[list[str], list[list[str | None]]]:
    """(columns, rows) of the ledger as text."""
    columns = [
        "release",
        "version",
        "kind",
        "state",
        "started",
        "offline",
        "predicted",
        "online",
        "measured",
        "verdict",
        "case",
    ]
    rows = [
        [
            row.release,
            row.version,
            row.kind,
            row.state,
            format_timestamp(row.started_us // 1_000_000 * 1_000_000),
            row.offline_metric,
            _interval(row.predicted, row.predicted_low, row.predicted_high),
            row.online_metric or None,
            _interval(row.measured, row.measured_low, row.measured_high),
            row.verdict or row.missing,
            row.case or None,
        ]
        for row in ledger.rows
    ]
    return columns, rows


def _interval(value: float | None, low: float | None, high: float | None) -> str | None:
    if value is None:
        return None
    ends = ["no limit" if end is None else f"{end:+z.3g}" for end in (low, high)]
    return f"{value:+z.3g} [{ends[0]}, {ends[1]}]"
