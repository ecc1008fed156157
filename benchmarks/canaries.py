"""How often a canary errs whose candidate is as good as the champion, and whether one that is worse is stopped.

Run: python benchmarks/canaries.py [--canaries 200] [--seed 1]
Whole canaries with the decisions of the release controller: at each look the counts of answers and a success metric of
units are simulated, and `flyball.releases.advance` decides. With equal truth, aborts must be at most the alpha of
the release, rollbacks in the watch window at most the same again, and "better" at most the alpha of the metric. A limit
is the stated error and 2.67 standard errors.

`--metrics` runs canaries of five metrics and four guardrails that accept no loss at all, which is the hardest case:
every comparison of equal versions is at the edge of an abort. They are looked at after every batch, with alpha
divided among all nine comparisons, and as it was before, with 5 % for each metric beside alpha for the guardrails.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import polars as pl

from flyball.core import SystemStopwatch
from flyball.experiments import ExposedUnits, UnitValues, analyze
from flyball.experiments.experiment import plan_of
from flyball.operations.release_metrics import metric_evidence
from flyball.outcomes import BOUNDS_US
from flyball.policy import GUARDRAILS, ReleasePlan, canary, metric
from flyball.releases import AnswerCounts, ArmCounts, Evidence, MetricEvidence, ReleaseState, advance, move
from flyball.releases.opening import draft

HOUR_US = 3_600_000_000
ARMS = ("control", "candidate")
EQUAL = {"failed": 0.01, "late": 0.01, "empty": 0.005, "slow": 0.01, "liked": 0.2}
"""{what: the rate of it}, of both arms."""
PLAN = canary(25, 50, 100, patience="2d", watch="12h", success={"liked": 0.05}, answers=2_000)
FIVE = ("bought", "clicked", "spent", "hidden", "charged_back")
EQUAL_FIVE = {**EQUAL, "bought": 0.2, "clicked": 0.05, "spent": 0.1, "hidden": 0.02, "charged_back": 0.005}
NO_LOSS = canary(
    25,
    50,
    100,
    step_time="90d",
    patience="90d",
    guardrails=dict.fromkeys(GUARDRAILS, 0.0),
    success=dict.fromkeys(FIVE[:3], 0.0),
    harmful=dict.fromkeys(FIVE[3:], 0.0),
    answers=4_000,
)
AMOUNT_SIGMA, MOST_AMOUNT = 1.5, 50.0
"""What is spent is log-normal, winsorized: the metric of heavy tails."""


class CanaryEnd(msgspec.Struct, frozen=True):
    """How a canary ended. `state`: of the release; `better`: whether a look called the candidate better."""

    state: str
    better: bool
    answers: int


class SimulatedCanary:
    """A canary by `plan`, and the answers of its arms so far. `rates`: {arm: rates as in `EQUAL`}."""

    def __init__(
        self,
        rates: Mapping[str, Mapping[str, float]],
        rng: np.random.Generator,
        per_hour: int,
        plan: ReleasePlan = PLAN,
    ) -> None:
        self.rates, self.rng, self.per_hour = rates, rng, per_hour
        self.metrics = {
            name: metric.label(name, better="low" if name in plan.harmful else "high")
            for name in (*plan.success, *plan.harmful)
        }
        drafted = draft(ReleaseState(champion="v1"), plan, ["v2"], "benchmark", "a canary", 0)
        constants = {**drafted.constants, "slow_us": float(BOUNDS_US[-2])}
        self.release, _ = move(
            drafted, "start", 0, reason="", to="canary", started_us=0, over="v1", constants=constants
        )
        self.hour, self.better = 0, False
        self.counts: dict[tuple[str, int], AnswerCounts] = {}
        self.before, self.since = self.counted("control", 24 * per_hour), AnswerCounts()
        self.units: dict[str, list[Any]] = {"stratum": [], "arm": [], **{name: [] for name in self.metrics}}

    def run(self) -> CanaryEnd:
        """Look every hour until it is over, or until nothing more can happen."""
        while self.release.state == "canary" or self.watched:
            self.hour += 1
            self.answer()
            self.look()
        answers = sum(counts.answers for counts in self.counts.values())
        return CanaryEnd(self.release.state, self.better, answers)

    @property
    def watched(self) -> bool:
        return self.release.state == "champion" and self.hour * HOUR_US < self.release.watch_until_us

    def answer(self) -> None:
        """The answers of one hour."""
        if self.release.state == "champion":
            self.since.add(self.counted("candidate", self.per_hour))
            return
        share = self.release.steps[self.release.step]
        candidates = int(self.rng.binomial(self.per_hour, share / 10_000))
        for arm, part, number in (
            ("candidate", share, candidates),
            ("control", 10_000 - share, self.per_hour - candidates),
        ):
            self.counts.setdefault((arm, part), AnswerCounts()).add(self.counted(arm, number))
            self.units["stratum"] += [str(share)] * number
            self.units["arm"] += [arm] * number
            for name in self.metrics:
                self.units[name].append(self.drawn(name, self.rates[arm][name], number))

    def drawn(self, name: str, rate: float, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Values of a metric for that many units."""
        happened = (self.rng.random(number) < rate).astype(float)
        if name != "spent":
            return happened
        return happened * np.minimum(self.rng.lognormal(0.0, AMOUNT_SIGMA, number), MOST_AMOUNT)

    def counted(self, arm: str, answers: int) -> AnswerCounts:
        failed, late, empty, slow = (
            int(self.rng.binomial(answers, self.rates[arm][name])) for name in ("failed", "late", "empty", "slow")
        )
        latency = {0: answers - slow, len(BOUNDS_US): slow}
        return AnswerCounts(answers, {"score": failed, "late": late}, empty, latency)

    def look(self) -> None:
        """What the controller does at a look: read the evidence, decide, carry it out."""
        now_us = self.hour * HOUR_US
        watched = self.release.state == "champion"
        evidence = self.evidence(() if watched else self.measured(now_us), now_us)
        decision = advance(self.release, evidence, now_us)
        if decision is not None:
            changes: dict[str, Any] = {**decision.changes, "held_for": decision.held_for}
            if decision.command == "promote":
                changes["watch_until_us"] = now_us + int(self.release.constants["watch_us"])
            self.release, _ = move(
                self.release, decision.command, now_us, reason=decision.reason, step=decision.step, **changes
            )

    def evidence(self, metrics: tuple[MetricEvidence, ...], now_us: int) -> Evidence:
        arms = tuple(ArmCounts(arm, share, counts, now_us) for (arm, share), counts in self.counts.items())
        return Evidence(arms, self.before, self.since, metrics)

    def measured(self, now_us: int) -> tuple[MetricEvidence, ...]:
        """The metrics of all units so far, each step of the ramp a stratum."""
        units = len(self.units["arm"])
        frame = pl.DataFrame(
            {"stratum": self.units["stratum"], "arm": self.units["arm"], "at": np.arange(units)},
        )
        shares = {
            str(share): {"control": 1 - share / 10_000, "candidate": share / 10_000}
            for share in self.release.steps[: self.release.step + 1]
        }
        exposed = ExposedUnits(frame, ARMS, shares)
        values = {
            name: UnitValues(np.ones(units, dtype=bool), np.concatenate(self.units[name]), np.ones(units))
            for name in self.metrics
        }
        result = analyze(self.release.id, exposed, self.metrics, values, plan_of(self.release), now_us)
        self.better |= any(one.verdict == "better" for one in result.metrics)
        return tuple(metric_evidence(one, self.release) for one in result.metrics)


def run_canaries(
    canaries: int, seed: int, worse: Mapping[str, float] | None = None, per_hour: int = 800
) -> list[CanaryEnd]:
    """How that many canaries ended. `worse`: rates of the candidate that differ from those of the champion."""
    rates = {"control": EQUAL, "candidate": {**EQUAL, **(worse or {})}}
    return [SimulatedCanary(rates, np.random.default_rng([seed, number]), per_hour).run() for number in range(canaries)]


class Aborts(msgspec.Struct, frozen=True):
    """How many of `canaries` were aborted: with one budget, and as before (`undivided`)."""

    canaries: int
    divided: int
    undivided: int


def run_equal_metrics(canaries: int, seed: int, looks: int = 20, batch: int = 400) -> Aborts:
    """The aborts of canaries by `NO_LOSS` of equal truth, of which each look has `batch` more units."""
    pairs = [_aborts_of_one(np.random.default_rng([seed, number, 5]), looks, batch) for number in range(canaries)]
    return Aborts(canaries, *(sum(pair[index] for pair in pairs) for index in (0, 1)))


def _aborts_of_one(rng: np.random.Generator, looks: int, batch: int) -> tuple[bool, bool]:
    life = SimulatedCanary(dict.fromkeys(ARMS, EQUAL_FIVE), rng, batch, NO_LOSS)
    plain = {name: value for name, value in life.release.constants.items() if not name.endswith("_tests")}
    undivided, aborted = msgspec.structs.replace(life.release, constants=plain), [False, False]
    for look in range(1, looks + 1):
        life.answer()
        now_us = look * HOUR_US
        metrics = life.measured(now_us)
        before = tuple(msgspec.structs.replace(one, abort_high=None) for one in metrics)
        for index, (release, known) in enumerate(((life.release, metrics), (undivided, before))):
            decision = advance(release, life.evidence(known, now_us), now_us)
            aborted[index] |= decision is not None and decision.command == "abort"
        if all(aborted):
            break
    return aborted[0], aborted[1]


def stated_errors() -> dict[str, float]:
    """{error: its largest probability over a whole canary with equal truth}."""
    release = SimulatedCanary(dict.fromkeys(ARMS, EQUAL), np.random.default_rng(0), 1).release
    alpha, of_metric = release.constants["alpha"], plan_of(release).alpha
    return {"aborted": alpha, "rolled_back": alpha, "called better": of_metric}


def most(canaries: int, probability: float) -> int:
    """The most errors of that probability which still agree with it: 2.67 standard errors above."""
    return int(canaries * probability + 2.67 * np.sqrt(canaries * probability * (1 - probability)))


def errors_of(ends: list[CanaryEnd]) -> dict[str, int]:
    """{error: canaries with it}."""
    states = [end.state for end in ends]
    counted = {name: states.count(name) for name in ("aborted", "rolled_back")}
    return {**counted, "called better": sum(end.better for end in ends)}


def print_equal_metrics(aborts: Aborts) -> None:
    """How often canaries of five metrics were aborted, beside what is stated."""
    alpha = NO_LOSS.constants["alpha"]
    print(f"equal truth, 5 metrics and 4 guardrails that accept no loss: {aborts.canaries} canaries, a look a batch")
    print(f"{'alpha':<44}{'aborted':>8}{'share':>9}{'stated':>9}   within")
    for name, count in (
        ("divided among all that may abort", aborts.divided),
        ("of guardrails alone, 5 % for each metric", aborts.undivided),
    ):
        within = "yes" if count <= most(aborts.canaries, alpha) else "no"
        print(f"{name:<44}{count:>8}{count / aborts.canaries:>9.2%}{alpha:>9.2%}   {within}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canaries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--metrics", action="store_true", help="canaries of five metrics, with and without one budget")
    chosen = parser.parse_args()
    stopwatch = SystemStopwatch()
    began_s = stopwatch.read_s()
    if chosen.metrics:
        print_equal_metrics(run_equal_metrics(chosen.canaries, chosen.seed))
        print(f"took {stopwatch.read_s() - began_s:.0f} s")
        return
    ends = run_canaries(chosen.canaries, chosen.seed)
    errors = errors_of(ends)
    print(f"equal truth: {len(ends)} canaries, {np.mean([end.answers for end in ends]):,.0f} answers each on average")
    print(f"{'error':<14}{'canaries':>9}{'share':>9}{'stated':>9}   within")
    for name, stated in stated_errors().items():
        within = "yes" if errors[name] <= most(len(ends), stated) else "no"
        print(f"{name:<14}{errors[name]:>9}{errors[name] / len(ends):>9.2%}{stated:>9.2%}   {within}")
    for state in sorted({end.state for end in ends}):
        print(f"ended {state}: {sum(end.state == state for end in ends)}")
    worse = run_canaries(max(chosen.canaries // 10, 1), chosen.seed, {"failed": 0.05})
    print(f"failed 5 % instead of 1 %: {errors_of(worse)['aborted']} of {len(worse)} aborted", end=", ")
    print(f"after {np.mean([end.answers for end in worse]):,.0f} answers of both arms on average")
    print(f"took {stopwatch.read_s() - began_s:.0f} s")


if __name__ == "__main__":
    main()
