"""The report of an evaluation: all candidates, baselines and the champion on the same requests."""

from typing import Literal

import msgspec

from flyball.core import NotFound, counted_units
from flyball.evaluation.resampling import Estimate
from flyball.tasks import ReportTable

Metrics = dict[str, Estimate]
Differences = dict[str, dict[str, dict[str, Estimate]]]
Better = Literal["high", "low"] | float

CANDIDATE, BASELINE, CHAMPION = "candidate", "baseline", "champion"


class Cost(msgspec.Struct, frozen=True):
    """What a model costs.

    `train_s`: seconds to fit. `answer_us`: median microseconds of a single response; `answer`: the same with its
    interval over responses. `bytes`: size of the artifact.
    """

    train_s: float = 0.0
    answer_us: float = 0.0
    bytes: int = 0
    answer: Estimate | None = None


class SliceMetrics(msgspec.Struct, frozen=True):
    """Metrics of the requests whose value of `by` ("history_length", "group") is `name`."""

    by: str
    name: str
    requests: int
    units: int
    metrics: Metrics


class GroupMetrics(msgspec.Struct, frozen=True):
    """The quality for one group; `group`: the value of the attribute, "none" where it is missing.

    `metrics`: each with its own 95 % interval. `counted`: {metric: how many units it rests on}, such as units with a
    positive. `not_compared`: {metric: why it is not compared with that of other groups}.
    """

    group: str
    requests: int
    units: int
    metrics: Metrics
    counted: dict[str, int] = {}
    not_compared: dict[str, str] = {}


class GroupGap(msgspec.Struct, frozen=True):
    """A metric of `group` minus that of `other`; the intervals of all pairs of the metric hold together, with 95 %."""

    metric: str
    group: str
    other: str
    difference: Estimate


class LargestGap(msgspec.Struct, frozen=True):
    """The largest difference of a metric between two groups, with an interval that counts all `pairs`.

    `certain`: whether groups differ beyond chance with a probability of 95 %, counting all metrics and attributes of
    the report. `ratio`: the smallest ratio of two groups, for shares of what is selected.
    """

    metric: str
    high_group: str
    low_group: str
    difference: Estimate
    pairs: int
    certain: bool = False
    ratio: Estimate | None = None


class GroupComparison(msgspec.Struct, frozen=True):
    """The quality for each group of the attribute `by`, the gaps of all pairs, and the largest of each metric."""

    by: str
    groups: list[GroupMetrics]
    gaps: list[GroupGap] = []
    largest: dict[str, LargestGap] = {}


class Evaluated(msgspec.Struct, frozen=True):
    """One candidate, baseline or champion. `failed`: why it has no metrics, else "".

    `metrics`: by full name, such as "ndcg@20", "coverage@20", "rmse". `undefined`: {metric: why it has no value on
    these examples}. `note`: what the metrics do not show. `tables`: what the task reports besides metrics.
    `groups`: the quality for each group that must be served equally well.
    """

    name: str
    role: str
    kind: str
    failed: str = ""
    metrics: Metrics = {}
    cost: Cost = Cost()
    slices: list[SliceMetrics] = []
    note: str = ""
    undefined: dict[str, str] = {}
    tables: list[ReportTable] = []
    groups: list[GroupComparison] = []


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All candidates on the same requests.

    `requests`: their number; `units`: the number of users, or other units (`unit`), that they come from; `counted`:
    which units count, such as "with positives". The test window is `[start_us, end_us)`; the last request is at
    `last_us`. `better`: for each metric "high", "low" or the value that it should have. `differences[metric][a][b]`:
    a's value minus b's on the same requests, with its paired interval. `decided_by`: {metric: the metric that gates
    and choice use instead}, such as the same with inverse propensity weighting. `shown`: the metrics that tables show
    first. `references`: metrics of simple rules that are not candidates. `notes`: remarks for the reader. `leaks`:
    a sentence for each input that gives the outcome away.
    """

    requests: int
    units: int
    start_us: int
    end_us: int
    seed: int
    resamples: int
    evaluated: dict[str, Evaluated]
    better: dict[str, Better]
    differences: Differences = {}
    decided_by: dict[str, str] = {}
    shown: tuple[str, ...] = ()
    references: dict[str, Metrics] = {}
    notes: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    certain_leaks: tuple[str, ...] = ()
    last_us: int = 0
    unit: str = "request"
    counted: str = ""

    @property
    def units_text(self) -> str:
        """`3,000 users`."""
        return counted_units(self.units, self.unit)

    @property
    def size_text(self) -> str:
        """`4,000 requests of 3,000 users`; if each unit has one request, `3,000 orders`."""
        return self.units_text if self.units == self.requests else f"{self.requests:,} requests of {self.units_text}"

    def of(self, name: str) -> Evaluated:
        """The candidate `name`; raises `NotFound`."""
        if name not in self.evaluated:
            raise NotFound("candidate", name, self.evaluated)
        return self.evaluated[name]

    def deciding(self, metric: str) -> str:
        """The metric that gates and choice use in place of `metric`."""
        return self.decided_by.get(metric, metric)

    def estimate(self, metric: str, name: str) -> Estimate | None:
        """The value of `metric` for the challenger `name`; None if there is none.

        `metric` may name a slice; with a slice without a value, such as "auc/region", it is the largest gap of groups.
        """
        if "/" not in metric:
            return self.of(name).metrics.get(metric)
        plain, _, slice_name = metric.partition("/")
        if "=" not in slice_name:
            gap = self.largest_gap(metric, name)
            return None if gap is None else gap.difference
        for part in self.of(name).slices:
            if slice_name == f"{part.by}={part.name}":
                return part.metrics.get(plain)
        return None

    def largest_gap(self, metric: str, name: str) -> LargestGap | None:
        """The largest gap of `metric`, such as "auc/region", between groups; None where no two are compared."""
        plain, _, by = metric.partition("/")
        return next((groups.largest.get(plain) for groups in self.of(name).groups if groups.by == by), None)

    def difference(self, metric: str, name: str, other: str) -> Estimate | None:
        """The metric of `name` minus that of `other`; None if either has no such metric."""
        pairs = self.differences.get(metric, {})
        if name in pairs and other in pairs[name]:
            return pairs[name][other]
        if other in pairs and name in pairs[other]:
            turned = pairs[other][name]
            low = None if turned.high is None else -turned.high
            high = None if turned.low is None else -turned.low
            return Estimate(-turned.value, low, high)
        return None

    def goodness(self, metric: str, value: float) -> float:
        """`value` on a scale where higher is better: negated if lower is better; minus its distance from a target."""
        better = self.better.get(metric.partition("/")[0], "high")
        if isinstance(better, str):
            return value if better == "high" else -value
        return -abs(value - better)

    def json(self) -> bytes:
        """The report as JSON; `msgspec.json.decode(data, type=Report)` gives it back."""
        return msgspec.json.encode(self)

    def table(self, metrics: tuple[str, ...] = ()) -> list[list[str]]:
        """Rows of text, the header first. Candidates are sorted by the first metric; failed ones are last."""
        shown = metrics or tuple(
            name for name in self.shown if any(name in evaluated.metrics for evaluated in self.evaluated.values())
        )
        header = ["candidate", "role", *shown, "train s", "latency us", "MB", "note"]
        first = shown[0] if shown else ""
        order = sorted(
            self.evaluated.values(),
            key=lambda evaluated: (bool(evaluated.failed), self._rank(evaluated, first), evaluated.name),
        )
        return [header, *(self._row(evaluated, shown) for evaluated in order)]

    def _rank(self, evaluated: Evaluated, metric: str) -> float:
        estimate = evaluated.metrics.get(metric)
        return float("inf") if estimate is None else -self.goodness(metric, estimate.value)

    def _row(self, evaluated: Evaluated, shown: tuple[str, ...]) -> list[str]:
        metrics = [evaluated.metrics[name].text() if name in evaluated.metrics else "" for name in shown]
        cost = ["", "", ""]
        if not evaluated.failed:
            cost = [
                f"{evaluated.cost.train_s:.1f}",
                f"{evaluated.cost.answer_us:.0f}",
                f"{evaluated.cost.bytes / 1e6:.1f}",
            ]
        return [evaluated.name, evaluated.role, *metrics, *cost, evaluated.failed or evaluated.note]
