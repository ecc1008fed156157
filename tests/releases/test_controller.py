"""The controller carries a release through virtual time: good ones become champion, bad ones are stopped early."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.releases.home import Home, check_consistent

from flyball.core import new_id
from flyball.events import Slice
from flyball.outcomes import Prediction, prediction_record
from flyball.policy import ReleasePlan, ab, bandit, canary, immediate, shadow
from flyball.releases import (
    Controller,
    ExposureCounter,
    MetricEvidence,
    Release,
    Router,
    current,
    describe_release,
    find_release,
    slow_limit_us,
)
from flyball.releases.described import waits_for
from flyball.releases.release import move

HOUR_US = 3_600_000_000
START_US = 480_000 * HOUR_US


class Life:
    """An application whose versions fail at given rates, `per_hour` requests an hour, a controller beside it."""

    def __init__(self, home: Home, fails: dict[str, float], per_hour: int = 2_000) -> None:
        self.home, self.fails, self.per_hour = home, fails, per_hour
        self.counter = ExposureCounter(home.artifacts.parent / "exposures.db")
        self.metrics: list[MetricEvidence] = []
        self.controller = self.new_controller()
        self.rng, self.hour, self.written, self.back_us = random.Random(1), 0, 0, 0
        self.done: list[str] = []
        self.answers: dict[str, int] = {}

    def new_controller(self) -> Controller:
        def metrics(release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
            return self.metrics, ""

        return Controller(
            self.home.registry,
            self.counter,
            lambda now_us, reason: self.home.actor(reason, now_us, "governor"),
            metrics,
        )

    @property
    def now_us(self) -> int:
        return START_US + self.hour * HOUR_US - self.back_us

    def live(self, hours: int) -> None:
        for _ in range(hours):
            router = Router(current(self.home.registry))
            answers = [self.answer(router, number) for number in range(self.per_hour)]
            self.counter.apply([Slice(0, self.written, [prediction_record(answer) for answer in answers])])
            self.written += len(answers)
            self.hour += 1
            self.done += [change.message for change in self.controller.step(self.now_us)]
            check_consistent(self.home.registry)

    def answer(self, router: Router, number: int) -> Prediction:
        route = router.route(str(self.rng.randrange(5_000)))
        self.answers[route.version] = self.answers.get(route.version, 0) + 1
        failed = self.rng.random() < self.fails.get(route.version, 0.0)
        at_us = self.now_us + number * HOUR_US // max(self.per_hour, 1)
        return Prediction(
            id=new_id(at_us, self.rng),
            at_us=at_us,
            key="1",
            items=["a"],
            scores=[1.0],
            sources=["model"],
            version="" if failed else route.version,
            level="popular" if failed else "champion",
            arm=route.arm,
            propensity=route.propensity,
            request_type="r",
            request={},
            offsets=(),
            exposures=route.exposures,
            assigned=route.version if failed else "",
            failed="score" if failed else "",
        )

    def begun(self, plan: ReleasePlan, before: int = 2) -> "Life":
        self.home.promote("v1")
        self.live(before)
        self.home.start("v2", plan, self.now_us)
        return self


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


RAMP = canary(5, 25, 50, 100)


def test_a_good_version_becomes_champion_and_stays(home: Home) -> None:
    life = Life(home, {"v1": 0.002, "v2": 0.002}).begun(RAMP)
    life.live(8)
    assert [message.split(" ")[0] for message in life.done] == ["rel2:", "rel2:", "v2"]
    assert current(home.registry).champion == "v2"
    life.live(3)
    assert len(life.done) == 3
    last = home.registry.release_steps(2)[-1]
    assert (last.command, last.by) == ("promote", "governor")
    assert any("failed" in sentence for sentence in last.evidence["guardrails"])


@pytest.mark.parametrize("rate", [1.0, 0.2])
def test_a_bad_version_is_aborted_by_itself_and_few_were_answered_by_it(home: Home, rate: float) -> None:
    life = Life(home, {"v1": 0.002, "v2": rate}).begun(RAMP)
    life.live(6)
    assert find_release(home.registry, current(home.registry), "rel2").state == "aborted"
    assert life.answers["v2"] < 250  # of 12,000 answers
    assert "failed" in home.registry.release_steps(2)[-1].reason
    assert current(home.registry).champion == "v1"


def test_without_traffic_it_is_held_and_goes_on_when_traffic_comes(home: Home) -> None:
    life = Life(home, {}).begun(RAMP)
    life.per_hour = 0
    life.live(30)
    release = find_release(home.registry, current(home.registry), "rel2")
    assert (release.state, release.held_for, release.step) == ("held", "silence", 0)
    life.per_hour = 2_000
    life.live(8)
    assert current(home.registry).champion == "v2"


def test_a_controller_that_is_started_again_goes_on_where_the_other_was(home: Home) -> None:
    life, twin = Life(home, {}).begun(RAMP), []
    for _ in range(8):
        life.controller = life.new_controller()
        life.live(1)
        twin.append(current(home.registry).serial)
    assert current(home.registry).champion == "v2"


def test_a_champion_released_to_all_is_rolled_back_for_what_it_does(home: Home) -> None:
    life = Life(home, {"v2": 0.3}).begun(immediate(), before=3)
    assert current(home.registry).champion == "v2"
    life.live(1)
    assert current(home.registry).champion == "v1"
    assert find_release(home.registry, current(home.registry), "rel2").state == "rolled_back"
    assert "since it is the champion" in home.registry.release_steps(2)[-1].reason


def test_what_comes_late_rolls_a_promoted_version_back(home: Home) -> None:
    plan = canary(5, 50, 100, harmful={"chargeback": 0.005})
    life = Life(home, {}).begun(plan)
    life.live(14)
    assert current(home.registry).champion == "v2"
    life.metrics = [MetricEvidence("chargeback", "candidate", "harmful", -0.02, -0.03, -0.01, "", "chargebacks rose")]
    life.live(1)
    assert current(home.registry).champion == "v1"
    assert home.registry.release_steps(2)[-1].reason == "chargebacks rose"


@pytest.mark.parametrize("back_us", [3 * HOUR_US, 40 * 24 * HOUR_US])
def test_a_clock_set_back_delays_a_ramp_by_no_more_than_a_step(home: Home, back_us: int) -> None:
    life = Life(home, {}).begun(RAMP)
    life.live(1)
    life.back_us, life.controller = back_us, life.new_controller()
    life.live(8)
    assert current(home.registry).champion == "v2"
    assert [step.command for step in home.registry.release_steps(2)].count("redate") == 1
    release = find_release(home.registry, current(home.registry), "rel2")
    assert back_us - 2 * HOUR_US <= release.set_back_us <= back_us


def test_a_bad_version_is_aborted_and_silence_noticed_after_the_clock_was_set_back(home: Home) -> None:
    life = Life(home, {}).begun(canary(5, 100, step_time="20d"))
    life.live(2)
    life.back_us = 40 * 24 * HOUR_US
    life.per_hour = 0
    life.live(3)
    release = find_release(home.registry, current(home.registry), "rel2")
    assert (release.state, release.held_for) == ("held", "silence")
    life.per_hour, life.fails = 2_000, {"v2": 1.0}
    life.live(3)
    commands = [step.command for step in home.registry.release_steps(2)]
    assert commands == ["draft", "start", "redate", "hold", "abort"]


def test_a_champion_is_watched_after_the_clock_was_set_back(home: Home) -> None:
    life = Life(home, {}).begun(immediate(), before=3)
    life.live(1)
    life.back_us, life.fails = 40 * 24 * HOUR_US, {"v2": 0.3}
    life.live(2)
    assert current(home.registry).champion == "v1"
    assert find_release(home.registry, current(home.registry), "rel2").state == "rolled_back"


def test_files_that_are_gone_hold_a_release_instead_of_promoting_it(home: Home) -> None:
    life = Life(home, {}).begun(RAMP)
    (home.artifacts / "m2" / "items.npy").unlink()
    life.live(8)
    release = find_release(home.registry, current(home.registry), "rel2")
    assert (release.state, release.held_for) == ("held", "refused")
    assert "promote was due" in home.registry.release_steps(2)[-1].reason
    assert current(home.registry).champion == "v1"


def test_a_release_is_described_with_what_is_missing(home: Home) -> None:
    life = Life(home, {}, per_hour=100).begun(RAMP)
    life.live(1)
    release = find_release(home.registry, current(home.registry), "rel2")
    described = describe_release(home.registry, release, life.controller.evidence(release, life.now_us), life.now_us)
    assert described.state == "canary at 5 % (step 1 of 4)"
    assert {row["arm"] for row in described.arms} == {"control", "candidate"}
    assert described.missing
    assert described.next == (
        "waits to go on to 25 %: until 2024-10-04T03:00:00Z at least, and for what must be shown "
        f"({len(described.missing)} not shown yet); without it, held at 2024-10-11T02:00:00Z"
    )
    assert [step.command for step in described.steps] == ["draft", "start"]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (ab(days=14), "waits for a person: flyball releases promote or finish; when its planned time is over"),
        (shadow(days=7), "waits for a person: flyball releases advance or abort; when its planned time is over"),
        (canary(5, 100, shadow="1d"), "waits to go on to 5 %: until "),
        (bandit(reward="liked"), "waits for rewards: new shares not before "),
    ],
)
def test_it_is_said_what_a_release_waits_for(home: Home, plan: ReleasePlan, words: str) -> None:
    life = Life(home, {}, per_hour=100).begun(plan)
    release = current(home.registry).releases[-1]
    assert waits_for(release, ["that it fails no more"]).startswith(words)
    assert "for a person" in waits_for(move(release, "pause", life.now_us, reason="lunch")[0], [])
    silent = move(release, "hold", life.now_us, reason="silence", held_for="silence")[0]
    assert waits_for(silent, []).startswith("waits for answers that take part")


def test_a_watched_champion_says_until_when_it_may_be_rolled_back(home: Home) -> None:
    life = Life(home, {}).begun(RAMP)
    life.live(8)
    release = find_release(home.registry, current(home.registry), "rel2")
    described = describe_release(home.registry, release, life.controller.evidence(release, life.now_us), life.now_us)
    assert described.next.startswith("nothing, unless it is shown to be worse than v1 was: then it is rolled back")


def test_slow_is_by_what_the_champion_did_before(home: Home) -> None:
    life = Life(home, {})
    assert slow_limit_us(life.counter, "v1", 300_000, START_US) == 150_000
    home.promote("v1")
    life.live(1)
    assert slow_limit_us(life.counter, "v1", 300_000, life.now_us) == 150.0


def test_a_holdout_whose_time_is_over_goes_on_from_todays_champion(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.promote("v1")
    home.start("v2", canary(100, holdout=2, holdout_for="90d"), now_us=START_US)
    home.do("rel2", "promote")
    controller = Life(home, {}).controller
    day_us, group = 24 * HOUR_US, current(home.registry).holdout
    assert controller.step(START_US + 90 * day_us - 1) == []
    assert current(home.registry).holdout == group
    (change,) = controller.step(START_US + 90 * day_us)
    assert change.message == "the holdout of 2.00% goes on from v2"
    renewed = current(home.registry).holdout
    assert renewed is not None
    assert (renewed.version, renewed.since_us) == ("v2", START_US + 90 * day_us)
    assert home.registry.audit()[-1].action == "renew holdout"
    assert controller.step(START_US + 90 * day_us + 1) == []
