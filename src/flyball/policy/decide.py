"""Decides by a probability: approve, review or decline, by the cost of each error.

The decision has the lowest expected cost (Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001); each
example has its own costs. A small share of the requests that would be declined is approved, chosen by the seed of the
request and recorded with its propensity: otherwise the outcomes of declined requests would never be known.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from flyball.core import BadDeclaration, BadInput
from flyball.policy.expressions import Expression, compile_python, trace

APPROVE, REVIEW, DECLINE, ABSTAIN = "approve", "review", "decline", "abstain"
ACTIONS = (APPROVE, REVIEW, DECLINE, ABSTAIN)

_MASK = (1 << 64) - 1
_CONTROL = 0x636F6E74726F6C  # makes these random numbers independent of other uses of the seed


EQUAL_RATES = ("true_positive_rate", "false_positive_rate", "selection_rate")
"""The rates of flagged requests that may be made equal between groups: of those where it happens, of those where it
does not, of all."""


class EqualRate(msgspec.Struct, frozen=True):
    """The groups of the field `by` must have the same `rate`, with a difference of at most `within`."""

    rate: str
    by: str
    within: float


class Decide(msgspec.Struct, frozen=True):
    """Costs of errors and the possible actions. Made by `decide`, whose docstring explains each field."""

    false_approve: Expression
    false_decline: Expression
    review: Expression | None = None
    reviews_per_day: float | None = None
    abstain: tuple[float, float] | None = None
    control: float = 0.0
    verdict: type | None = None
    otherwise: str = ""
    equal: EqualRate | None = None

    @property
    def default_action(self) -> str:
        """The action for a request without a prediction."""
        return self.otherwise or (ABSTAIN if self.review is None else REVIEW)

    @property
    def fields(self) -> set[str]:
        """The names of the event fields that the costs read."""
        costs = (self.false_approve, self.false_decline, self.review)
        return set().union(*(cost.fields() for cost in costs if cost is not None))

    def plain(self) -> dict[str, Any]:
        """What decisions depend on, as plain values, for the declaration that is stored with a version."""
        return {
            "false_approve": self.false_approve.plain(),
            "false_decline": self.false_decline.plain(),
            "review": None if self.review is None else self.review.plain(),
            "reviews_per_day": self.reviews_per_day,
            "abstain": None if self.abstain is None else list(self.abstain),
            "control": self.control,
            **({"otherwise": self.otherwise} if self.otherwise else {}),
            **({"equal": [self.equal.rate, self.equal.by, self.equal.within]} if self.equal else {}),
        }


class Thresholds(msgspec.Struct, frozen=True):
    """Corrections of decisions, chosen on validation data; they may change without training.

    `odds`: a factor for the odds of every probability, applied before costs are compared; above 1 if probabilities are
    too low. `review_margin`: a request is reviewed only if that saves more than this, which limits reviews per day.
    `groups`: {group: a further factor for the odds of its requests}, which makes a rate equal.
    """

    odds: float = 1.0
    review_margin: float = 0.0
    groups: dict[str, float] = {}

    def of_group(self, group: str) -> "Thresholds":
        """Those of the requests of one group."""
        return Thresholds(self.odds * self.groups[group], self.review_margin) if group in self.groups else self


class ExampleCosts(msgspec.Struct, frozen=True, gc=False):
    """The costs of errors on one example. `review`: the cost of a review, None without reviews."""

    false_approve: float
    false_decline: float
    review: float | None = None


class DecidedAction(msgspec.Struct, frozen=True, gc=False):
    """`action`: what is done. `intended`: what would be done without a control group. `propensity`: the probability of
    the action over all seeds."""

    action: str
    intended: str
    propensity: float = 1.0


CostOfEvent = Callable[[Any], Any] | float


def decide(
    false_approve: CostOfEvent,
    false_decline: CostOfEvent,
    review: CostOfEvent | None = None,
    reviews_per_day: float | None = None,
    abstain: tuple[float, float] | None = None,
    control: float = 0.0,
    verdict: type | None = None,
    otherwise: str | None = None,
    equal: Mapping[str, float] | None = None,
) -> Decide:
    """Decide by costs, all in one unit such as euros: numbers, or functions of the request's event.

    `false_approve`: the cost of approving a request where the predicted event happens, such as `lambda p: p.amount`.
    `false_decline`: the cost of declining a request where it does not happen. `review`: the cost of a review by a
    person, who finds the truth; `reviews_per_day`: how many a day has at most. Thresholds are chosen so that an average
    day asks for that many; on a day that asks for more, the surplus is approved or declined, whichever costs less.
    `abstain`: (low, high), an interval
    of probabilities for which the decision is "abstain", so that your own rule decides. `control`: the share of
    requests to decline that is approved instead. `verdict`: the event type that records a reviewer's finding.
    `otherwise`: the action for a request that no version answers, one of `ACTIONS`; if it is "decline", the control
    share is approved here too. By default such a request is decided by the average probability in the training data;
    before any version has computed it, the action is "review", or "abstain" without reviews. `equal`: the rate of
    flagged requests that must be equal between groups, and by how much it may differ, such as
    `{"true_positive_rate/region": 0.05}`: each group then has a threshold of its own, at the lowest cost.
    Raises `BadDeclaration`.

    >>> decide(false_approve=lambda p: p.amount, false_decline=5.0, review=2.0, control=0.01).fields
    {'amount'}
    """
    if reviews_per_day is not None and review is None:
        raise BadDeclaration("review of decide(...)", "the cost of a review, where reviews_per_day is given", None)
    if reviews_per_day is not None and not (_is_number(reviews_per_day) and reviews_per_day > 0):
        raise BadDeclaration("reviews_per_day of decide(...)", "a number above 0", reviews_per_day)
    if verdict is not None and (review is None or not isinstance(verdict, type)):
        raise BadDeclaration("verdict of decide(...)", "an event type, beside the cost of a review", verdict)
    if not (_is_number(control) and 0 <= control <= 0.5):
        raise BadDeclaration("control of decide(...)", "a share from 0 to 0.5", control)
    _check_otherwise(otherwise, review is not None)
    rule = None if equal is None else _equal_rate(equal)
    return Decide(
        _cost("false_approve", false_approve),
        _cost("false_decline", false_decline),
        None if review is None else _cost("review", review),
        None if reviews_per_day is None else float(reviews_per_day),
        None if abstain is None else _band(abstain),
        float(control),
        verdict,
        otherwise or "",
        rule,
    )


def compile_costs(policy: Decide) -> Callable[[Any], ExampleCosts]:
    """A function of one event; it raises `BadInput` for a cost below 0, not a number or of a missing field."""
    names = sorted(policy.fields)
    false_approve, false_decline = compile_python(policy.false_approve), compile_python(policy.false_decline)
    review = None if policy.review is None else compile_python(policy.review)

    def costs(event: Any) -> ExampleCosts:
        for name in names:
            if getattr(event, name) is None:
                raise BadInput(f"field {name}, which costs are computed from,", "given", None)
        return ExampleCosts(
            _checked("false_approve", false_approve(event)),
            _checked("false_decline", false_decline(event)),
            None if review is None else _checked("review", review(event)),
        )

    return costs


def decide_one(
    policy: Decide, thresholds: Thresholds, probability: float, costs: ExampleCosts, seed: int
) -> DecidedAction:
    """The decision on one example, a pure function of the arguments.

    `probability`: that the predicted event happens. With equal costs, approve is preferred to decline, and both to
    review. `seed`: of the request; only the control group depends on it. Raises `BadInput` for a probability outside
    [0, 1].
    """
    if not 0 <= probability <= 1:  # nan too
        raise BadInput("probability to decide by", "from 0 to 1", probability)
    return _with_control(policy, _intended(policy, thresholds, probability, costs), seed)


def decide_unreviewed(
    policy: Decide, thresholds: Thresholds, probability: float, costs: ExampleCosts, seed: int
) -> DecidedAction:
    """As `decide_one`, where nobody has time for a review: the better of the other actions."""
    return decide_one(policy, thresholds, probability, msgspec.structs.replace(costs, review=None), seed)


def decide_default(policy: Decide, seed: int) -> DecidedAction:
    """The decision on an example without a prediction."""
    return _with_control(policy, policy.default_action, seed)


def _with_control(policy: Decide, intended: str, seed: int) -> DecidedAction:
    """The intended action; the control share of requests to decline is approved instead."""
    if intended != DECLINE or policy.control == 0:
        return DecidedAction(intended, intended)
    if uniform_of(seed) < policy.control:
        return DecidedAction(APPROVE, intended, policy.control)
    return DecidedAction(intended, intended, 1 - policy.control)


def _intended(policy: Decide, thresholds: Thresholds, probability: float, costs: ExampleCosts) -> str:
    if policy.abstain is not None and policy.abstain[0] <= probability <= policy.abstain[1]:
        return ABSTAIN
    shifted = probability * thresholds.odds
    happens = shifted / (shifted + (1 - probability))
    approved, declined = happens * costs.false_approve, (1 - happens) * costs.false_decline
    if costs.review is not None and min(approved, declined) - costs.review > thresholds.review_margin:
        return REVIEW
    return APPROVE if approved <= declined else DECLINE


def cost_of(action: str, happened: bool, costs: ExampleCosts) -> float:
    """The cost of an action on an example whose outcome is known; abstaining costs the same as approving."""
    if action == REVIEW:
        return costs.review or 0.0
    if action == DECLINE:
        return 0.0 if happened else costs.false_decline
    return costs.false_approve if happened else 0.0


def uniform_of(seed: int) -> float:
    """A number in [0, 1) that depends on the seed alone (SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    state = (seed * 0x9E3779B97F4A7C15 + _CONTROL) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((state ^ (state >> 31)) >> 11) * 2.0**-53


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _cost(name: str, cost: CostOfEvent) -> Expression:
    if callable(cost):
        return trace(cost)
    if not _is_number(cost) or cost < 0:
        raise BadDeclaration(
            f"{name} of decide(...)", "a number from 0 or a function of an event, such as lambda p: p.amount", cost
        )
    return Expression("constant", (float(cost),))


def _checked(name: str, cost: Any) -> float:
    if not _is_number(cost) or cost < 0:
        raise BadInput(f"cost {name}", "a number from 0", cost)
    return float(cost)


def _check_otherwise(otherwise: Any, reviewed: bool) -> None:
    allowed = [action for action in ACTIONS if reviewed or action != REVIEW]
    if otherwise is not None and otherwise not in allowed:
        beside = "" if reviewed else " (review: beside the cost of a review)"
        raise BadDeclaration("otherwise of decide(...)", f"one of {', '.join(allowed)}{beside}", otherwise)


def _equal_rate(equal: Any) -> EqualRate:
    must = (
        f'one rate and its tolerance, such as {{"true_positive_rate/region": 0.05}}, with a rate of '
        f"{', '.join(EQUAL_RATES)} and a tolerance between 0 and 1"
    )
    if not isinstance(equal, Mapping) or len(equal) != 1:
        raise BadDeclaration("equal of decide(...)", must, equal)
    ((name, within),) = equal.items()
    rate, _, by = name.partition("/") if isinstance(name, str) else ("", "", "")
    if rate not in EQUAL_RATES or not by or "=" in by or not (_is_number(within) and 0 < within < 1):
        raise BadDeclaration("equal of decide(...)", must, equal)
    return EqualRate(rate, by, float(within))


def _band(abstain: Sequence[float]) -> tuple[float, float]:
    must = "two probabilities, the lower first, such as (0.4, 0.6)"
    if not isinstance(abstain, tuple | list) or len(abstain) != 2 or not all(_is_number(end) for end in abstain):
        raise BadDeclaration("abstain of decide(...)", must, abstain)
    if not 0 <= abstain[0] <= abstain[1] <= 1:
        raise BadDeclaration("abstain of decide(...)", must, abstain)
    return float(abstain[0]), float(abstain[1])
