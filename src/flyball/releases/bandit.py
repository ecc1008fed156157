"""Computes the shares of a bandit: from the reward of each arm, its probability until the next update.

Rewards are weighted by the inverse of the logged propensity, so that an arm which had a larger share on a good day does
not look better than it is. Everything is a deterministic function of the release and the rewards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flyball.policy import BANDIT_POLICIES
from flyball.releases.evidence import ArmReward
from flyball.releases.release import WHOLE, Release
from flyball.statistics import Bandit, Sums, arm_probabilities

Weights = dict[str, dict[str, float]]
"""{group, "" for all: {arm: weight}}."""
_WIDE = (0.0, 1e3)
"""The prior for rewards that may be any number."""


def bandit_of(release: Release, binary: bool) -> Bandit:
    """The bandit's rule, as fixed when the release started. `binary`: whether rewards are 0 or 1."""
    policy, explore = BANDIT_POLICIES[int(release.constants["policy"])], release.constants["floor"]
    if policy == "epsilon-greedy":
        return Bandit("epsilon_greedy", epsilon=explore, floor=0.0)
    floor = explore / len(release.arms)
    if policy == "ucb":
        return Bandit("ucb", floor=floor)
    return Bandit("thompson_beta", floor=floor) if binary else Bandit("thompson_gaussian", floor=floor, prior=_WIDE)


def bandit_weights(release: Release, rewards: Sequence[ArmReward], binary: bool) -> Weights:
    """The share of each arm, in each group with rewards and over all groups, in integer ten-thousandths."""
    rule, names = bandit_of(release, binary), [arm.name for arm in release.arms]
    seen: dict[str, dict[str, ArmReward]] = {}
    for reward in rewards:
        seen.setdefault(reward.group, {})[reward.arm] = reward
    weights: Weights = {}
    for group, of_group in sorted(seen.items()):
        sums = [_sums(of_group[name]) if name in of_group else None for name in names]
        slots = _slots(arm_probabilities(rule, sums).tolist())
        weights[group] = {name: slot / WHOLE for name, slot in zip(names, slots, strict=True)}
    return weights


def with_weights(release: Release, weights: Weights) -> dict[str, Any]:
    """The changed fields of a release with these weights."""
    of_all = weights.get("", {})
    arms = tuple(msgspec.structs.replace(arm, weight=of_all.get(arm.name, arm.weight)) for arm in release.arms)
    return {"arms": arms, "weights": {group: own for group, own in weights.items() if group}}


def differs(release: Release, weights: Weights) -> bool:
    """Whether these shares differ from those of the release."""
    changes = with_weights(release, weights)
    return (changes["arms"], changes["weights"]) != (release.arms, release.weights)


def shown_rewards(rewards: Sequence[ArmReward], weights: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """The rewards and shares behind a decision, for the registry."""
    return [
        {**msgspec.to_builtins(reward), "share": weights.get(reward.group, {}).get(reward.arm)} for reward in rewards
    ]


def _sums(reward: ArmReward) -> Sums | None:
    """The sums of the effective number of responses, with the mean and variance of the weighted rewards."""
    count = round(reward.effective)
    if count < 1:
        return None
    return Sums.of_totals(count, [reward.mean * count], [reward.mean_square * count])


def _slots(probabilities: Sequence[float]) -> list[int]:
    """Integer ten-thousandths with the right sum, by the largest remainder method; of equal remainders the first."""
    exact = [probability * WHOLE for probability in probabilities]
    slots = [int(share) for share in exact]
    order = sorted(range(len(exact)), key=lambda index: (slots[index] - exact[index], index))
    for index in order[: WHOLE - sum(slots)]:
        slots[index] += 1
    return slots
