"""Metrics of experiments, declared from events: what users do after they were first answered by an arm.

Each metric is a number for a unit, such as a user, computed from its events in a window that begins with its first
exposure. Metrics are plain values; the room `experiments` computes and compares them.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any, Literal

import msgspec

from flyball.core import BadDeclaration, declared_duration
from flyball.policy.expressions import Expression, trace

Role = Literal["primary", "secondary", "guardrail"]
Direction = Literal["high", "low"]
MetricKind = Literal[
    "rate", "retention", "count_per_unit", "total_per_unit", "revenue", "mean", "ratio", "model", "label"
]

ROLES = ("primary", "secondary", "guardrail")
RANKED = "auc"
LOSSES = ("absolute_error", "squared_error", "bias", "log_loss", "brier", "accuracy", "pinball", "coverage", RANKED)
"""The losses of `model`: computed for each prediction whose label is final, then averaged over predictions; of "auc",
from the ranks of an arm's predictions."""
HIGH_LOSSES = ("accuracy", "coverage", RANKED)


class EventTotal(msgspec.Struct, frozen=True):
    """A sum over the events of a unit that satisfy `where`: of the number `value`, or of 1 each with `counted`.

    With both `value` and `counted`, only the events that have the number are counted.
    """

    event: type
    where: Expression | None = None
    value: Expression | None = None
    counted: bool = True


class ExperimentMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One declared metric, made by the functions of `fb.metric`.

    `numerator`, `denominator`: sums over a unit's events. `at_least`: for a rate, the number of events from which a
    unit counts as 1. `after_us`, `within_us`: events count in `[exposure + after, exposure + within]`. `before_us`: the
    adjustment (CUPED) uses the same sums over `[exposure - before, exposure)`; 0 for no adjustment. `late_us`: how long
    to wait after the end of a unit's window for events that become known late. `cap`: the maximum of a unit's total
    (winsorizing). `margin`: the acceptable loss, in the unit of the metric. `weight`: its share of the false discovery
    budget, None for an equal share. `by`: the field of the events that names the unit; "" for the field that refers to
    the unit's entity. `loss`, `label`: for a model metric, the loss and the label.
    """

    kind: MetricKind
    numerator: EventTotal | None = None
    denominator: EventTotal | None = None
    at_least: int = 1
    after_us: int = 0
    within_us: int
    before_us: int = 0
    late_us: int = 0
    cap: float | None = None
    role: Role = "secondary"
    better: Direction = "high"
    margin: float = 0.0
    weight: float | None = None
    by: str = ""
    loss: str = ""
    label: str = ""

    @property
    def is_share(self) -> bool:
        """Whether each unit is 0 or 1."""
        return self.kind in ("rate", "retention")

    @property
    def is_at_most_one(self) -> bool:
        """Whether its mean is a share of units or of predictions."""
        return self.is_share or (self.kind == "model" and self.loss in HIGH_LOSSES)

    @property
    def is_ratio(self) -> bool:
        """Whether it is a ratio of two totals over units."""
        return self.kind in ("mean", "ratio", "model", "label")

    @property
    def is_ranked(self) -> bool:
        """Whether the number of a unit depends on the other units of its arm."""
        return self.loss == RANKED

    @property
    def totals(self) -> tuple[EventTotal, ...]:
        """The sums it is made of; none for what is read from predictions."""
        return tuple(total for total in (self.numerator, self.denominator) if total is not None)


def rate(
    event: type,
    where: Callable[[Any], Any] | None = None,
    *,
    at_least: int = 1,
    within: str = "1d",
    before: str = "0s",
    **others: Any,
) -> ExperimentMetric:
    """The share of units with at least `at_least` such events: a conversion rate, or a complaint rate (`better="low"`).

    Without `before`, its interval is exact for any number of units. `others`: `role`, `better`, `margin`, `weight`,
    `late`, `by`, as in `count_per_unit`. Raises `BadDeclaration`.
    """
    if not isinstance(at_least, int) or isinstance(at_least, bool) or at_least < 1:
        raise BadDeclaration("at_least of metric.rate", "an integer from 1", at_least)
    total = _total("rate", event, where)
    return _metric("rate", total, within=within, before=before, at_least=at_least, **others)


def retention(
    event: type,
    where: Callable[[Any], Any] | None = None,
    *,
    after: str = "1d",
    within: str = "7d",
    before: str = "0s",
    **others: Any,
) -> ExperimentMetric:
    """The share of units that return: that have such an event between `after` and `within` after the first exposure."""
    total = _total("retention", event, where)
    return _metric("retention", total, within=within, before=before, after=after, **others)


def count_per_unit(
    event: type,
    where: Callable[[Any], Any] | None = None,
    *,
    within: str = "1d",
    before: str | None = None,
    winsorize: float | None = None,
    **others: Any,
) -> ExperimentMetric:
    """The mean number of events per unit, including units without any.

    `within`: how long after its first exposure a unit's events count. `before`: how long before the exposure the same
    events are counted to narrow the interval (CUPED); by default as long as `within`, "0s" for no adjustment.
    `winsorize`: the maximum of a unit's number, to be fixed before the start. `others`: `role`, "primary", "secondary"
    or "guardrail"; `better`, "high" or "low"; `margin`, the acceptable loss, in the unit of the metric; `weight`, its
    share of the false discovery budget; `late`, how long to wait for events that become known late; `by`, the field
    that names the unit. Raises `BadDeclaration`.
    """
    total = _total("count_per_unit", event, where)
    return _metric("count_per_unit", total, within=within, before=before, winsorize=winsorize, **others)


def total_per_unit(
    event: type,
    value: Callable[[Any], Any],
    where: Callable[[Any], Any] | None = None,
    *,
    within: str = "1d",
    before: str | None = None,
    winsorize: float | None = None,
    **others: Any,
) -> ExperimentMetric:
    """The mean per unit of the sum of a number over its events; 0 for a unit without any.

    `value`: the number, as a function of an event. Other arguments: as in `count_per_unit`.
    """
    total = _total("total_per_unit", event, where, value)
    return _metric("total_per_unit", total, within=within, before=before, winsorize=winsorize, **others)


def revenue(
    event: type,
    value: Callable[[Any], Any],
    where: Callable[[Any], Any] | None = None,
    *,
    within: str = "7d",
    before: str | None = None,
    winsorize: float | None = None,
    **others: Any,
) -> ExperimentMetric:
    """Money per unit: `total_per_unit` over a week. A few large buyers make it noisy; `winsorize` limits that."""
    total = _total("revenue", event, where, value)
    return _metric("revenue", total, within=within, before=before, winsorize=winsorize, **others)


def mean(
    event: type,
    value: Callable[[Any], Any],
    where: Callable[[Any], Any] | None = None,
    *,
    within: str = "1d",
    before: str | None = None,
    winsorize: float | None = None,
    **others: Any,
) -> ExperimentMetric:
    """The mean of a number over all events, such as stars per rating.

    The interval is over units, because the events of one unit are not independent (delta method). Other arguments: as
    in `count_per_unit`.
    """
    total = _total("mean", event, where, value)
    events = msgspec.structs.replace(total, counted=True)
    return _metric("mean", total, events, within=within, before=before, winsorize=winsorize, **others)


def ratio(
    numerator: ExperimentMetric,
    denominator: ExperimentMetric,
    *,
    within: str = "1d",
    before: str | None = None,
    winsorize: float | None = None,
    **others: Any,
) -> ExperimentMetric:
    """The ratio of two totals, such as clicks per view.

    `numerator`, `denominator`: made by `count_per_unit`, `total_per_unit` or `revenue`; their windows are replaced by
    that of the ratio. Other arguments: as in `count_per_unit`.
    """
    for name, part in (("numerator", numerator), ("denominator", denominator)):
        kinds = ("count_per_unit", "total_per_unit", "revenue")
        if not isinstance(part, ExperimentMetric) or part.kind not in kinds:
            raise BadDeclaration(f"{name} of metric.ratio", f"made by metric.{' or metric.'.join(kinds)}", part)
    above, below = numerator.numerator, denominator.numerator
    return _metric("ratio", above, below, within=within, before=before, winsorize=winsorize, **others)


def model(
    loss: str = "absolute_error",
    *,
    label: str = "",
    within: str = "1d",
    before: str | None = None,
    winsorize: float | None = None,
    **others: Any,
) -> ExperimentMetric:
    """The mean loss of predictions against their final labels, over the predictions in each unit's window.

    `loss`: one of `LOSSES`. "auc" is not a mean: the probability that a prediction whose label holds scores above one
    whose label does not, without `before` and `winsorize`. `label`: a label of the task; by default the first. Other
    arguments: as in `count_per_unit`.
    """
    if loss not in LOSSES:
        raise BadDeclaration("loss of metric.model", f"one of {', '.join(LOSSES)}", loss)
    if loss == "coverage" and "better" not in others:
        raise BadDeclaration("better of metric.model('coverage')", 'given: "high" or "low"', "none")
    if loss == RANKED:
        if winsorize is not None or before not in (None, "0s"):
            raise BadDeclaration("metric.model('auc')", "without before= and winsorize=", before or winsorize)
        before = "0s"
    fixed = {"better": "high" if loss in HIGH_LOSSES else "low", **others}
    return _metric("model", within=within, before=before, winsorize=winsorize, loss=loss, label=label, **fixed)


def label(
    name: str,
    *,
    within: str = "1d",
    before: str | None = None,
    winsorize: float | None = None,
    **others: Any,
) -> ExperimentMetric:
    """The mean of a label of the task over the responses in each unit's window.

    For a list, it is the number of its items with the label; for a label with a value, that value, where it is known.
    Other arguments: as in `count_per_unit`.
    """
    if not isinstance(name, str) or not name:
        raise BadDeclaration("name of metric.label", "the name of a label of the task, such as 'positive'", name)
    return _metric("label", within=within, before=before, winsorize=winsorize, label=name, **others)


def _total(
    kind: str, event: Any, where: Callable[[Any], Any] | None, value: Callable[[Any], Any] | None = None
) -> EventTotal:
    if not isinstance(event, type):
        raise BadDeclaration(f"first argument of metric.{kind}", "an event type, a class of fb.Event", event)
    if where is not None and not callable(where):
        raise BadDeclaration(f"where of metric.{kind}({event.__name__})", "a function of an event", where)
    if value is not None and not callable(value):
        must = "a function of an event, such as lambda b: b.price"
        raise BadDeclaration(f"number of metric.{kind}({event.__name__})", must, value)
    traced = None if value is None else trace(value)
    return EventTotal(event, None if where is None else trace(where), traced, value is None)


def _metric(
    kind: MetricKind,
    numerator: EventTotal | None = None,
    denominator: EventTotal | None = None,
    *,
    within: str,
    before: str | None = None,
    after: str = "0s",
    late: str = "0s",
    winsorize: float | None = None,
    role: Any = "secondary",
    better: Any = "high",
    margin: float = 0.0,
    weight: float | None = None,
    at_least: int = 1,
    by: str = "",
    loss: str = "",
    label: str = "",
) -> ExperimentMetric:
    where = f"of metric.{kind}"
    if role not in ROLES:
        raise BadDeclaration(f"role {where}", f"one of {', '.join(ROLES)}", role)
    if better not in ("high", "low"):
        raise BadDeclaration(f"better {where}", '"high" or "low"', better)
    _check_number(f"margin {where}", margin, 0.0)
    for name, number in (("weight", weight), ("winsorize", winsorize)):
        if number is not None:
            _check_number(f"{name} {where}", number, 0.0, above=True)
    spans = {
        name: declared_duration(f"{name} {where}", span)
        for name, span in (("within", within), ("after", after), ("late", late), ("before", before or within))
    }
    if not 0 <= spans["after"] < spans["within"]:
        raise BadDeclaration(f"within {where}", f"longer than after, {after}", within)
    return ExperimentMetric(
        kind=kind,
        numerator=numerator,
        denominator=denominator,
        at_least=at_least,
        after_us=spans["after"],
        within_us=spans["within"],
        before_us=spans["before"],
        late_us=spans["late"],
        cap=None if winsorize is None else float(winsorize),
        role=role,
        better=better,
        margin=float(margin),
        weight=None if weight is None else float(weight),
        by=by,
        loss=loss,
        label=label,
    )


def _check_number(what: str, number: Any, least: float, above: bool = False) -> None:
    fits = isinstance(number, int | float) and not isinstance(number, bool) and isfinite(number)
    if not fits or number < least or (above and number <= least):
        raise BadDeclaration(what, f"a number {'above' if above else 'from'} {least:g}", number)
