"""Off-policy evaluation: estimates a metric of a version from the log of other versions, if the log supports that."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles, Refused
from flyball.events import EventLog
from flyball.experiments.interleaved import draft_rule
from flyball.experiments.prediction_rows import NOTHING, LabelValues, PredictionRows
from flyball.outcomes import Prediction, prediction_of, records_between
from flyball.releases import Release, unit_of
from flyball.statistics import (
    LIST_FORMS,
    Overlap,
    PolicyValue,
    importance_weights,
    list_value,
    overlap,
    policy_value,
    position_probabilities,
)

MOST_UNSUPPORTED = 0.05
"""The largest share of a policy's choices that the log may be unable to contain; with more, no estimate is given."""
APPROVED, DECLINED = "approve", "decline"
_BINS = 10
_FEWEST_IN_BIN = 20

Replays = Callable[[Prediction], Prediction]
"""Computes a logged response as another version would have given it; raises `FlyballError` if that is impossible."""


class LoggedChoice(msgspec.Struct, frozen=True):
    """One logged response: its `action`, with the logged propensity.

    `shares`: {action: its probability under the evaluated policy}, with sum 1. `unsupported`: the policy's probability
    of actions that could not have been logged here. `score`: a covariate known before the choice, for the reward model;
    None without one. `certain`: the policy's probability of actions whose reward is 0 for certain, so that no log of
    them is needed: `shares` and `unsupported` are then of its other actions, and `reward` is multiplied by 1 - certain.
    """

    unit: str
    action: str
    logged: float
    shares: Mapping[str, float]
    unsupported: float
    reward: float
    score: float | None = None
    certain: float = 0.0

    @property
    def policy(self) -> float:
        """The probability of the logged action under the policy."""
        return self.shares.get(self.action, 0.0)


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The estimated mean of one metric under a policy, by several estimators on the same responses.

    `how`: where random choices in the log come from. `logged_mean`: the mean of the logged responses. `later`: [mean,
    low, high] of the version's own later responses, None without any; `later_count`: their number.
    """

    version: str
    metric: str
    how: str
    values: Mapping[str, PolicyValue]
    support: Overlap
    logged_mean: float
    better: str = "high"
    later: tuple[float, float, float] | None = None
    later_count: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """The estimate in sentences."""
        best = self.values.get("dr") or next(iter(self.values.values()))
        lines = [
            f"{self.version} by {self.how}: {self.metric} {best.value:.4g}, between {best.low:.4g} and "
            f"{best.high:.4g}; logged answers had {self.logged_mean:.4g}.",
            f"{self.support.count:,} answers are worth {self.support.effective:,.0f}; the largest weight is "
            f"{self.support.largest:.3g}; {100 * self.support.unsupported:.2g} % of {self.version} could not be shown; "
            f"the mean weight {self.support.mean_weight:.4g} [{self.support.mean_weight_low:.4g}, "
            f"{self.support.mean_weight_high:.4g}] is what it must be.",
        ]
        if self.later is not None:
            mean, low, high = self.later
            agrees = "within" if best.low <= high and low <= best.high else "outside"
            lines.append(
                f"Its own {self.later_count:,} answers since: {mean:.4g}, between {low:.4g} and {high:.4g}: {agrees} "
                "what was estimated."
            )
        return tuple(lines)


def what_if(
    version: str,
    metric: str,
    how: str,
    choices: Sequence[LoggedChoice],
    advice: str,
    better: str = "high",
    alpha: float = 0.05,
) -> WhatIf:
    """The estimates IPS, SNIPS, DR and switch-DR on these choices, clustered by unit.

    `advice`: what to declare to get exploration, for errors. Raises `Refused` if the log has no exploration, if the
    policy too often takes actions that could not have been logged, or if the mean weight differs significantly from 1,
    which shows that logged propensities are wrong.
    """
    check_exploration([choice.logged for choice in choices], version, advice)
    logged, policy, rewards = (
        np.array([getattr(choice, name) for choice in choices]) for name in ("logged", "policy", "reward")
    )
    unsupported = float(np.mean([choice.unsupported for choice in choices]))
    check_support(float(np.mean([choice.unsupported * (1 - choice.certain) for choice in choices])), version, advice)
    if not rewards.std():
        raise Refused(
            f"{metric} must differ among answers to be estimated, got {rewards[0]:g} of all {len(rewards):,}: "
            "an interval of width 0 would say more than the log does; take more answers"
        )
    units = np.array([choice.unit for choice in choices])
    shown, expected = cross_fitted(choices)
    values = {
        estimator: policy_value(
            policy,
            logged,
            rewards,
            estimator,
            predicted_shown=shown,
            predicted_policy=expected,
            unsupported=unsupported,
            units=units,
            alpha=alpha,
        )
        for estimator in ("ips", "snips", "dr", "switch_dr")
    }
    support = overlap(importance_weights(policy, logged), unsupported, units=units)
    return WhatIf(
        version=version,
        metric=metric,
        how=how,
        values=values,
        support=support,
        logged_mean=float(rewards.mean()),
        better=better,
    )


def check_exploration(logged: Sequence[float], version: str, advice: str) -> None:
    """Raise `Refused`, with what to declare, if all responses had propensity 1."""
    if not logged or min(logged) >= 1.0:
        got = "none" if not logged else f"{len(logged):,} answers that could not have been otherwise"
        raise Refused(
            f"the log must hold answers drawn by chance to say what {version} would earn, got {got}: {advice}"
        )


def check_support(unsupported: float, version: str, advice: str) -> None:
    """Raise `Refused` if the policy too often takes actions that could not have been logged."""
    if unsupported > MOST_UNSUPPORTED:
        raise Refused(
            f"{100 * unsupported:.0f} % of what {version} would answer could not have been logged, at most "
            f"{100 * MOST_UNSUPPORTED:.0f} % may be: its value is not in this log; {advice}"
        )


def cross_fitted(choices: Sequence[LoggedChoice]) -> tuple[Doubles, Doubles]:
    """(predicted reward of the logged action, mean predicted reward under the policy), float64 (n,) each.

    The model is the mean reward by action and decile of `score`. Each half of the units is predicted by the model of
    the other half.
    """
    half = np.array([crc32(choice.unit.encode()) & 1 for choice in choices])
    scores = np.array([np.nan if choice.score is None else choice.score for choice in choices])
    rewards = np.array([choice.reward for choice in choices])
    known = scores[~np.isnan(scores)]
    edges = np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]) if len(known) else np.zeros(0)
    bins = np.where(np.isnan(scores), -1, np.searchsorted(edges, scores, side="right"))
    actions = np.array([choice.action for choice in choices])
    shown, expected = np.zeros(len(choices)), np.zeros(len(choices))
    for fold in (0, 1):
        learn, use = half != fold, np.flatnonzero(half == fold).tolist()
        model = _RewardModel(actions[learn], bins[learn], rewards[learn])
        for index in use:
            part, choice = int(bins[index]), choices[index]
            shown[index] = model.of(choice.action, part)
            expected[index] = sum(share * model.of(action, part) for action, share in choice.shares.items())
    return shown, expected


class _RewardModel:
    def __init__(self, actions: ArrayLike, bins: ArrayLike, rewards: Doubles) -> None:
        self._overall = float(rewards.mean()) if len(rewards) else 0.0
        sums: dict[tuple[str, int | None], list[float]] = {}
        for action, part, reward in zip(np.asarray(actions), np.asarray(bins), rewards, strict=True):
            for key in ((str(action), int(part)), (str(action), None)):
                total = sums.setdefault(key, [0.0, 0.0])
                total[0] += float(reward)
                total[1] += 1
        self._means = {key: total / count for key, (total, count) in sums.items() if count >= _FEWEST_IN_BIN}

    def of(self, action: str, part: int) -> float:
        """The mean reward of the action in its bin; with too few rewards that of the action, or else that of all."""
        usual = self._means.get((str(action), None), self._overall)
        return self._means.get((str(action), int(part)), usual)


def arm_choices(
    log: EventLog, release: Release, version: str, rows: PredictionRows, as_of_us: int
) -> Iterator[LoggedChoice]:
    """The responses that took part in a release, with the policy that gives all units the arm of `version`."""
    arms = {arm.name for arm in release.arms if arm.version == version}
    if not arms:
        raise BadInput("version", f"one of {', '.join(release.versions)}, the arms of {release.id}", version)
    first_us = release.started_us or release.created_us
    followed = rows.followed(first_us)
    for prediction in _final(log, first_us, as_of_us, rows.label.within_us):
        unit = unit_of(release.unit, prediction.key, prediction.request)
        reward = rows.number_of(prediction, followed.get(prediction.id, NOTHING))
        for exposure in prediction.exposures:
            if exposure.release == release.id and unit is not None and reward is not None:
                alone = exposure.propensity >= 1.0 and exposure.arm not in arms
                shares = dict.fromkeys(arms, 1.0)
                yield LoggedChoice(unit, exposure.arm, exposure.propensity, shares, float(alone), reward)


def decision_choices(
    predictions: Iterable[Prediction], replays: Replays, rows: PredictionRows, followed: Mapping[str, LabelValues]
) -> Iterator[LoggedChoice]:
    """Logged decisions, with what a version would have decided.

    A decision with propensity 1 was certain; one with a lower propensity was a random choice of approve or decline: a
    request of the control group stands for all that would be declined, by the inverse of its propensity. What is
    declined has no label, so its reward is 0 whatever was logged; only approvals and reviews need the log.
    """
    for prediction in predictions:
        outcome = followed.get(prediction.id, NOTHING)
        reward = 0.0 if prediction.decision == DECLINED else rows.number_of(prediction, outcome)
        if reward is None or not prediction.decision:
            continue
        again = replays(prediction)
        yield _decision_choice(prediction, again, reward)


def _decision_choice(past: Prediction, again: Prediction, reward: float) -> LoggedChoice:
    drawn = {past.decision: past.decision_propensity}
    if past.decision_propensity < 1.0:
        drawn[APPROVED if past.decision == DECLINED else DECLINED] = 1.0 - past.decision_propensity
    shares = decision_shares(again)
    certain = shares.pop(DECLINED, 0.0)
    if certain < 1.0:
        shares = {action: share / (1.0 - certain) for action, share in shares.items()}
    else:  # as logged, with weight 1: the reward is 0 for every action
        shares = drawn
    return LoggedChoice(
        past.key,
        past.decision,
        past.decision_propensity,
        shares,
        sum(share for action, share in shares.items() if action not in drawn),
        reward * (1.0 - certain),
        again.values[0] if again.values else None,
        certain,
    )


def decision_shares(answer: Prediction) -> dict[str, float]:
    """{decision: its probability}, under the policy that gave `answer`."""
    share = answer.decision_propensity
    if share >= 1.0:
        return {answer.decision: 1.0}
    return {answer.decision: share, APPROVED if answer.decision == DECLINED else DECLINED: 1.0 - share}


def sampled(predictions: Iterable[Prediction], count: int) -> list[Prediction]:
    """At most `count` of the predictions, chosen by the hash of their ids, so that repeated calls choose the same."""
    ordered = sorted(predictions, key=lambda prediction: (crc32(prediction.id.encode()), prediction.id))
    return sorted(ordered[:count], key=lambda prediction: prediction.id)


def final_predictions(log: EventLog, from_us: int, as_of_us: int, within_us: int) -> Iterator[Prediction]:
    """The responses since `from_us` whose labels, final after `within_us`, are final at `as_of_us`."""
    yield from _final(log, from_us, as_of_us, within_us)


def _final(log: EventLog, from_us: int, as_of_us: int, within_us: int) -> Iterator[Prediction]:
    for record in records_between(log, from_us, as_of_us - within_us + 1):
        if record.known_at <= as_of_us:
            yield prediction_of(record)


def own_answers(
    log: EventLog, version: str, rows: PredictionRows, from_us: int, as_of_us: int, alpha: float = 0.05
) -> tuple[tuple[float, float, float], int] | None:
    """((mean, low, high) of the version's own responses since `from_us`, their number); None for fewer than 30.

    The interval is clustered by unit.
    """
    followed = rows.followed(from_us)
    units, rewards = [], []
    for prediction in _final(log, from_us, as_of_us, rows.label.within_us):
        reward = rows.number_of(prediction, followed.get(prediction.id, NOTHING))
        if prediction.version == version and reward is not None:
            units.append(prediction.key)
            rewards.append(reward)
    if len(rewards) < 30:
        return None
    ones = np.ones(len(rewards))
    earned = policy_value(ones, ones, rewards, "ips", units=units, alpha=alpha)
    return (earned.value, earned.low, earned.high), len(rewards)


def list_choices(
    pairs: Sequence[tuple[Prediction, Prediction]],
    rewards: ArrayLike,
    version: str,
    advice: str,
    form: str = "per_item",
) -> PolicyValue:
    """The value of lists from item propensities. `pairs`: a logged response, and the same request answered by
    `version`.

    `rewards`: of each shown item, (responses, positions); all lists have the same length. A position with propensity 1
    could not show another item. Raises the errors of `what_if`.
    """
    if form not in LIST_FORMS:
        raise BadInput("form", f"one of {', '.join(LIST_FORMS)}", form)
    length = len(pairs[0][0].items) if pairs else 0
    logged = np.array([[past.propensities.get(rank, 1.0) for rank in range(length)] for past, _ in pairs])
    check_exploration(logged.ravel().tolist(), version, advice)
    policy = np.array([[_item_probability(past, again, rank) for rank in range(length)] for past, again in pairs])
    impossible = np.array([[_impossible(past, again, rank) for rank in range(length)] for past, again in pairs])
    check_support(float(impossible.mean()), version, advice)
    return list_value(policy, logged, rewards, form, units=[past.key for past, _ in pairs])


def list_value_of(
    pairs: Sequence[tuple[Prediction, Prediction]],
    credit: Mapping[str, Mapping[int, float]],
    version: str,
    metric: str,
    advice: str,
) -> WhatIf:
    """`list_choices` in every form, for pairs with lists of one length. `credit`: {response: {position: reward}}.

    Raises the errors of `list_choices`.
    """
    length = len(pairs[0][0].items)
    rewards = [[credit.get(past.id, {}).get(rank, 0.0) for rank in range(length)] for past, _ in pairs]
    values = {form: list_choices(pairs, rewards, version, advice, form) for form in ("per_item", "cascade")}
    return WhatIf(
        version=version,
        metric=metric,
        how="items drawn by chance",
        values=values,
        support=values["per_item"].overlap,
        logged_mean=float(np.sum(rewards) / len(pairs)),
    )


def _impossible(past: Prediction, again: Prediction, rank: int) -> float:
    """The policy's probability of an item at this position that could not have been logged there."""
    if past.teams and rank < len(again.items):
        rankings = [team.items for team in past.teams]
        able = position_probabilities(rankings, len(past.items), draft_rule(past))[rank]
        return float(again.items[rank] not in able)
    certain = past.propensities.get(rank, 1.0) >= 1.0
    return 1.0 - _item_probability(past, again, rank) if certain else 0.0


def _item_probability(past: Prediction, again: Prediction, rank: int) -> float:
    """The probability of the logged item at this position, under the policy that gave `again`."""
    if rank >= len(again.items):
        return 0.0
    probability = again.propensities.get(rank, 1.0)
    if again.items[rank] == past.items[rank]:
        return probability
    drawn = probability < 1.0 and past.sources[rank] == again.sources[rank]
    return probability if drawn else 0.0
