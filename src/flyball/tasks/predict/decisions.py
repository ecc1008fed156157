"""Decisions by costs and quoted numbers, derived from predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import BadDeclaration, BadInput
from flyball.events import Event, Profile, field_names_now
from flyball.models import TargetKind
from flyball.policy import (
    ABSTAIN,
    DECLINE,
    REVIEW,
    Decide,
    EqualRate,
    Expression,
    Quote,
    Thresholds,
    compile_costs,
    decide_default,
    decide_one,
    decide_unreviewed,
    expression_of,
)
from flyball.tasks.about import DailyLimit, Label, Reviews
from flyball.tasks.evaluation import MISSING_GROUP
from flyball.tasks.predict.targets import key_field_of
from flyball.tasks.request import Request
from flyball.tasks.response import FeatureRead, IntervalShift, Response
from flyball.tasks.task import TakeReview

QUOTE = "quote"
"""The name of the quoted number among the values of a response."""


Policy = Decide | Quote | None


def check_decide(
    policy: Policy, target: TargetKind, on: type[Event], fields: Sequence[str], groups: Sequence[str] = ()
) -> None:
    """Raise `BadDeclaration` if the decision or quote does not fit the target. `fields`: of the request's event;
    `groups`: attributes by which quality must be equal."""
    if isinstance(policy, Quote):
        if target.kind != "quantiles":
            must = f"for quantiles: a quote is the {policy.level:.0%} quantile of what may happen"
            raise BadDeclaration("decide=fb.quote(...) of Predict", must, target.kind)
        policy.check(target.quantiles)
    elif isinstance(policy, Decide):
        if target.kind != "binary":
            raise BadDeclaration("decide=fb.decide(...) of Predict", "for the probability of an event", target.kind)
        strange = policy.fields - {*fields, "at"}
        if strange:
            raise BadDeclaration("costs of decide", f"made of fields of {on.__name__}", sorted(strange))
        if policy.verdict is not None:
            _finding_field(policy.verdict)
        able = [name for name in groups if name in fields]
        if policy.equal is not None and policy.equal.by not in able:
            must = f"a field of {on.__name__} among groups= of the task: {', '.join(able) or 'it has none'}"
            raise BadDeclaration("groups of equal of decide", must, policy.equal.by)
    elif policy is not None:
        raise BadDeclaration("decide of Predict", "made by fb.decide or fb.quote", policy)


def labels_with_verdict(policy: Policy, label: Label, by: str) -> tuple[Label, ...]:
    """The label: impossible after a decline, and also true if the latest verdict says so. `by`: what the
    target joins by."""
    if not isinstance(policy, Decide):
        return (label,)
    after = msgspec.structs.replace(label, impossible_after=(DECLINE,))
    if policy.verdict is None:
        return (after,)
    verdict_holds = Expression(
        "==", (Expression("field", (_finding_field(policy.verdict),)), Expression("constant", (True,)))
    )
    verdict = msgspec.structs.replace(
        after, event=policy.verdict, by=(key_field_of(policy.verdict, by),), where=verdict_holds, latest=True
    )
    return after, verdict


def reviews_of(policy: Policy, on: type[Event], key_field: str, by: str, within_us: int) -> Reviews | None:
    """The reviews of the task; None if no event type of verdicts is declared."""
    if not isinstance(policy, Decide) or policy.verdict is None:
        return None
    keys = (key_field, key_field_of(policy.verdict, by))
    finding = _finding_field(policy.verdict)
    return Reviews(REVIEW, on, policy.verdict, keys, finding, within_us, policy.reviews_per_day)


def daily_limit_of(policy: Policy, zone: str) -> DailyLimit | None:
    """Reviews may be limited, now or by another arrangement; None for a task without."""
    return None if not isinstance(policy, Decide) or policy.review is None else DailyLimit(REVIEW, zone)


def plain_decide(policy: Policy) -> dict[str, Any] | None:
    """The policy as plain values, for the declaration that is stored with a version."""
    if isinstance(policy, Quote):
        return {"late": policy.late, "early": policy.early}
    return None if policy is None else policy.plain()


def decide_as_declared(plain: Mapping[str, Any] | None, now: Policy, on: type[Event]) -> Policy:
    """The decision in the declaration of a version, with the present event type of verdicts and names of fields."""
    if plain is None:
        return None
    if "late" in plain:
        return Quote(plain["late"], plain["early"])
    return Decide(
        _cost_now(plain["false_approve"], on),
        _cost_now(plain["false_decline"], on),
        None if plain["review"] is None else _cost_now(plain["review"], on),
        reviews_per_day=plain["reviews_per_day"],
        abstain=None if plain["abstain"] is None else tuple(plain["abstain"]),
        control=plain["control"],
        verdict=now.verdict if isinstance(now, Decide) else None,
        otherwise=plain.get("otherwise", ""),
        equal=_equal_now(plain.get("equal"), on),
    )


def _equal_now(plain: Sequence[Any] | None, on: type[Event]) -> EqualRate | None:
    if plain is None:
        return None
    rate, by, within = plain
    return EqualRate(rate, field_names_now(on).get(by, by), within)


def group_of(value: Any) -> str | None:
    """The group of an attribute's value; None where it is missing or empty.

    >>> group_of("north"), group_of(""), group_of(True)
    ('north', None, 'True')
    """
    return None if value is None or value == "" else str(value)


def _cost_now(plain: Sequence[Any], on: type[Event]) -> Expression:
    names = field_names_now(on)
    return expression_of(plain).renamed(lambda field: names.get(field, field))


class Decider:
    """Makes the response from predicted values.

    It depends on other requests in one way: with a limit of reviews a day, `take_review` says how many there were.
    """

    def __init__(
        self,
        policy: Policy,
        quantiles: Sequence[float],
        thresholds: Thresholds,
        take_review: TakeReview | None = None,
    ) -> None:
        self._policy, self._quantiles, self._thresholds = policy, tuple(quantiles), thresholds
        self._take_review = take_review
        self._costs = compile_costs(policy) if isinstance(policy, Decide) else None

    def response(
        self,
        request: Request,
        values: tuple[float, ...],
        reads: tuple[FeatureRead, ...] = (),
        interval: IntervalShift | None = None,
    ) -> Response:
        """The response with its decision or quote; "abstain" if the costs of the request cannot be computed."""
        if isinstance(self._policy, Quote):
            values = (*values, self._policy.of(self._quantiles, values))
        if not isinstance(self._policy, Decide) or self._costs is None:
            return Response(values=values, reads=reads, interval=interval)
        try:
            costs = self._costs(request.event)
        except BadInput:
            return Response(values=values, decision=ABSTAIN, reads=reads)
        thresholds, today = self._thresholds.of_group(self._group(request)), None
        decided = decide_one(self._policy, thresholds, values[0], costs, request.seed)
        limit = self._policy.reviews_per_day
        if decided.action == REVIEW and limit is not None and self._take_review is not None:
            today = self._take_review(request, limit)
            if today is not None and today >= limit:
                decided = decide_unreviewed(self._policy, thresholds, values[0], costs, request.seed)
        return Response((), values, decided.action, reads, decided.propensity, None, today)

    def words(self, request: Request) -> str:
        """The threshold of the group of a request, in words; "" for the common one."""
        group = self._group(request)
        if group not in self._thresholds.groups or not isinstance(self._policy, Decide) or self._policy.equal is None:
            return ""
        rule, factor = self._policy.equal, self._thresholds.groups[group]
        return f"by the threshold of {rule.by}={group}, whose odds count {factor:.3g} times, for an equal {rule.rate}"

    def _group(self, request: Request) -> str:
        if not isinstance(self._policy, Decide) or self._policy.equal is None:
            return ""
        return group_of(getattr(request.event, self._policy.equal.by)) or MISSING_GROUP

    def default(self, request: Request, predicted: bool) -> Response | None:
        """The declared decision on a request that no version answers; None where there is none to make. `predicted`:
        whether at least the usual values are known, by which it is decided unless another is declared."""
        if not isinstance(self._policy, Decide) or (predicted and not self._policy.otherwise):
            return None
        decided = decide_default(self._policy, request.seed)
        return Response(decision=decided.action, decision_propensity=decided.propensity)

    @property
    def decides(self) -> bool:
        """Whether there is a decision on every request."""
        return isinstance(self._policy, Decide)

    @property
    def quoted(self) -> str:
        """The quantile of a quote as text, "" without a quote."""
        return f"{self._policy.level:.0%} quantile" if isinstance(self._policy, Quote) else ""


def _finding_field(verdict: type) -> str:
    """The field that says whether it happened: the only boolean one."""
    must = "an event type with one boolean field, which says whether it happened"
    if not issubclass(verdict, Event) or issubclass(verdict, Profile):
        raise BadDeclaration("verdict of decide", must, verdict)
    names = [field.name for field in msgspec.structs.fields(verdict) if field.type is bool]
    if len(names) != 1:
        raise BadDeclaration(f"verdict {verdict.__name__} of decide", must, names)
    return names[0]
