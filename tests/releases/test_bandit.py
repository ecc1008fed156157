"""A bandit in virtual time, in worlds whose truth is planted: little regret, exact propensities, stable in between."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.releases.home import Home, check_consistent

from flyball.core import BadDeclaration
from flyball.policy import BANDIT_POLICIES, ReleasePlan, bandit
from flyball.releases import (
    AnswerCounts,
    ArmCounts,
    ArmReward,
    Controller,
    Evidence,
    ExposureCounter,
    Release,
    Router,
    bandit_weights,
    current,
    describe_release,
    find_release,
    start_release,
)

HOUR_US = 3_600_000_000
START_US = 480_000 * HOUR_US
THREE = {"control": 1, "blue": 1, "green": 1}


class World:
    """Requests each hour, by users of two countries; `truth(country, version, hour)` is how likely a reward is."""

    def __init__(self, folder: Path, plan: ReleasePlan, truth: Any, seed: int = 1, per_hour: int = 300) -> None:
        self.home, self.truth, self.per_hour = Home(folder), truth, per_hour
        self.home.promote("v1")
        versions = ["v2", "v3"][: len(plan.weights) - 1]
        start_release(self.home.registry, plan, versions, self.home.actor(now_us=START_US))
        self.draw, self.hour = np.random.default_rng(seed), 0
        self.controller = Controller(
            self.home.registry,
            ExposureCounter(folder / "exposures.db"),
            lambda now_us, reason: self.home.actor(reason, now_us, "governor"),
            rewards=lambda release, now_us: (self.rewards(release), True),
        )
        self.rows: list[tuple[str, str, float, float, float]] = []
        """(country, arm, propensity, reward, regret) of each answer."""

    @property
    def release(self) -> Release:
        return find_release(self.home.registry, current(self.home.registry), "rel2")

    def live(self, hours: int) -> None:
        for _ in range(hours):
            router, arms = Router(current(self.home.registry)), self.release.arms
            for _ in range(self.per_hour):
                country = "NL" if self.draw.random() < 0.5 else "BE"
                route = router.route(str(self.draw.integers(10**9)), SimpleNamespace(country=country, at=0))
                (exposure,) = route.exposures
                chances = {name: self.truth(country, name, self.hour) for name in ("v1", "v2", "v3")}
                able = [chances[arm.version or "v1"] for arm in arms]
                reward = float(self.draw.random() < chances[route.version])
                lost = max(able) - chances[route.version]
                self.rows.append((country, exposure.arm, exposure.propensity, reward, lost))
            self.hour += 1
            self.controller.step(START_US + self.hour * HOUR_US)
            check_consistent(self.home.registry)

    def rewards(self, release: Release) -> list[ArmReward]:
        """Counted naively."""
        groups = {"", *(row[0] for row in self.rows if release.group)}
        made = []
        for group in sorted(groups):
            for arm in release.arms:
                own = [row for row in self.rows if row[1] == arm.name and group in ("", row[0])]
                w = np.array([1 / row[2] for row in own])
                if len(own):
                    mean = float(w @ [row[3] for row in own] / w.sum())
                    made.append(ArmReward(arm.name, group, len(own), float(w.sum() ** 2 / (w @ w)), mean, mean))
        return made

    @property
    def regret(self) -> float:
        """Of each answer, on average."""
        return float(np.mean([row[4] for row in self.rows]))


def constant(country: str, version: str, hour: int) -> float:
    return {"v1": 0.10, "v2": 0.05, "v3": 0.25}[version]


def by_country(country: str, version: str, hour: int) -> float:
    return {"v1": 0.10, "v2": 0.30 if country == "NL" else 0.02, "v3": 0.02 if country == "NL" else 0.30}[version]


@pytest.mark.parametrize("policy", BANDIT_POLICIES)
def test_regret_is_far_below_that_of_a_fixed_split(tmp_path: Path, policy: str) -> None:
    world = World(tmp_path, bandit(THREE, reward="liked", policy=policy, explore=0.1), constant)
    world.live(16)
    fixed = 0.25 - np.mean([0.10, 0.05, 0.25])
    assert world.regret < 0.45 * fixed
    shares = world.release.shares()
    assert shares["green"] == max(shares.values())
    assert min(shares.values()) == pytest.approx(0.1 / 3, abs=2e-4)


def test_propensities_are_those_of_the_draw_and_give_back_the_truth(tmp_path: Path) -> None:
    world = World(tmp_path, bandit(THREE, reward="liked", explore=0.3), constant)
    world.live(20)
    shares: dict[tuple[str, float], int] = {}
    for _, arm, propensity, _, _ in world.rows:
        shares[arm, propensity] = shares.get((arm, propensity), 0) + 1
    for arm, truth in (("control", 0.10), ("blue", 0.05), ("green", 0.25)):
        terms = np.array([row[3] / row[2] if row[1] == arm else 0.0 for row in world.rows])
        assert terms.mean() == pytest.approx(truth, abs=4 * terms.std() / len(terms) ** 0.5)
        weights = np.array([1 / row[2] if row[1] == arm else 0.0 for row in world.rows])
        assert weights.mean() == pytest.approx(1.0, abs=4 * weights.std() / len(weights) ** 0.5)


def test_groups_have_shares_of_their_own(tmp_path: Path) -> None:
    alike = World(tmp_path / "alike", bandit(THREE, reward="liked"), by_country)
    apart = World(tmp_path / "apart", bandit(THREE, reward="liked", group="country"), by_country)
    for world in (alike, apart):
        world.live(16)
    assert apart.regret < 0.5 * alike.regret
    weights = apart.release.weights
    assert (max(weights["NL"], key=weights["NL"].__getitem__), max(weights["BE"], key=weights["BE"].__getitem__)) == (
        "blue",
        "green",
    )
    router = Router(current(apart.home.registry))
    seen = {router.route(str(user), SimpleNamespace(country="NL")).exposures[0] for user in range(3_000)}
    assert {one.arm: one.propensity for one in seen} == weights["NL"]
    elsewhere = {router.route(str(user), SimpleNamespace(country="FR")).exposures[0] for user in range(3_000)}
    assert {one.arm: one.propensity for one in elsewhere} == pytest.approx(apart.release.shares())


def test_a_good_day_is_not_taken_for_a_good_arm() -> None:
    """Control had nine in ten of the answers of a good day and one in ten of those of a bad one; the arms are equal."""
    release = of_plan(bandit(reward="liked"))
    rewards = []
    for arm, counts in (("control", (9_000, 1_000)), ("candidate", (1_000, 9_000))):
        w = np.array([10_000 / counts[0]] * counts[0] + [10_000 / counts[1]] * counts[1])
        r = np.array([0.4] * counts[0] + [0.1] * counts[1])
        mean = float(w @ r / w.sum())
        rewards.append(ArmReward(arm, "", len(w), float(w.sum() ** 2 / (w @ w)), mean, mean))
    assert bandit_weights(release, rewards, True)[""] == {"control": 0.5, "candidate": 0.5}


def of_plan(plan: ReleasePlan) -> Release:
    from flyball.releases.opening import draft
    from flyball.releases.state import ReleaseState

    return draft(ReleaseState(champion="v1"), plan, ["v2"], "ann", "to see", START_US)


def test_shares_are_stable_between_looks_and_noted_with_their_evidence(tmp_path: Path) -> None:
    world = World(tmp_path, bandit(THREE, reward="liked", every="4h"), constant)
    seen = []
    for _ in range(9):
        world.live(1)
        seen.append(tuple(world.release.shares().values()))
    assert seen[0] == seen[2] != seen[3] == seen[6] != seen[8]
    steps = [step for step in world.home.registry.release_steps(2) if step.command == "reweight"]
    assert [(step.before, step.after) for step in steps] == [("bandit", "bandit")] * 2
    (first, *_) = steps[0].evidence["rewards"]
    assert (first["arm"], first["group"], first["share"]) == ("control", "", pytest.approx(seen[3][0]))
    assert "by liked so far: control" in steps[0].reason
    again = World(tmp_path / "again", bandit(THREE, reward="liked", every="4h"), constant)
    again.live(9)
    assert (again.release.arms, again.rows) == (world.release.arms, world.rows)


def test_what_arms_brought_in_is_shown_with_their_shares(tmp_path: Path) -> None:
    world = World(tmp_path, bandit(THREE, reward="liked", group="country"), by_country)
    world.live(3)
    evidence = Evidence(rewards=tuple(world.rewards(world.release)))
    described = describe_release(world.home.registry, world.release, evidence, START_US + 3 * HOUR_US)
    shown = described.metrics
    assert len(shown) == len(described.rewards) == 9
    for group in ("", "BE", "NL"):
        of_group = [row for row in described.rewards if row.group == group]
        assert [row.arm for row in of_group] == list(THREE)
        assert sum(row.share for row in of_group) == pytest.approx(1.0)
        assert {row.arm: (row.answers, row.mean) for row in of_group} == {
            reward.arm: (reward.answers, reward.mean) for reward in evidence.rewards if reward.group == group
        }
    share = world.release.weights["BE"]["green"]
    (line,) = (line for line in shown if line.startswith("green where country is BE: liked "))
    assert line.endswith(f" answers, share {share:.2%}")


def test_an_arm_has_one_row_with_its_present_share_and_the_shares_it_had_apart(tmp_path: Path) -> None:
    world = World(tmp_path, bandit(THREE, reward="liked"), constant)
    rows = [("control", 3_334, 7), ("blue", 3_333, 5), ("control", 1_000, 4), ("blue", 8_000, 11)]
    arms = tuple(ArmCounts(arm, share, AnswerCounts(count, {"score": 1}), 0) for arm, share, count in rows)
    described = describe_release(world.home.registry, world.release, Evidence(arms), START_US)
    assert [(row["arm"], row["answers"], row["failed"]) for row in described.arms] == [
        ("control", 11, {"score": 2}),
        ("blue", 16, {"score": 2}),
        ("green", 0, {}),
    ]
    assert sum(row["share"] for row in described.arms) == pytest.approx(1.0)
    assert [(row["arm"], row["share"], row["answers"]) for row in described.by_share] == [
        (arm, share / 10_000, count) for arm, share, count in rows
    ]


def test_an_arm_without_a_final_label_is_shown_too(tmp_path: Path) -> None:
    world = World(tmp_path, bandit(THREE, reward="liked"), constant)
    evidence = Evidence(rewards=(ArmReward("green", "", 3, 3.0, 0.5, 0.5),))
    described = describe_release(world.home.registry, world.release, evidence, START_US)
    assert [(row.arm, row.answers, row.mean) for row in described.rewards] == [
        ("control", 0, None),
        ("blue", 0, None),
        ("green", 3, 0.5),
    ]
    assert described.metrics[1] == "blue: no answer with a final label yet, share 33.33%"


def test_it_is_held_when_its_time_is_over_and_aborts_for_no_reward(tmp_path: Path) -> None:
    world = World(tmp_path, bandit(reward="liked", days=0.25), constant)
    world.live(7)
    assert (world.release.state, world.release.held_for) == ("held", "patience")
    assert world.release.acts_as == "bandit"


def test_rewards_of_any_size_need_no_bound() -> None:
    release = of_plan(bandit(reward="liked", explore=0.02))
    rewards = [
        ArmReward("control", "", 500, 500.0, 30.0, 30.0**2 + 100.0),
        ArmReward("candidate", "", 500, 500.0, 34.0, 34.0**2 + 100.0),
    ]
    weights = bandit_weights(release, rewards, False)[""]
    assert weights == {"control": 0.01, "candidate": 0.99}
    unseen = bandit_weights(release, rewards[:1], False)[""]
    assert 0.2 < unseen["candidate"] < 0.8
    assert msgspec.to_builtins(rewards[0])["mean"] == 30.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policy": "greedy"}, "policy of bandit"),
        ({"explore": 1.0}, "a share below 1"),
        ({"group": 3}, "group of bandit"),
    ],
)
def test_what_cannot_be_is_refused(options: Any, words: str) -> None:
    with pytest.raises(BadDeclaration, match=words):
        bandit(reward="liked", **options)
