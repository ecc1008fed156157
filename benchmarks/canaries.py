"""How often a canary errs whose candidate is as good as the champion, and whether one that is worse is stopped.

Run: python benchmarks/canaries.py [--canaries 200] [--seed 1]
Whole canaries with the decisions of the release controller: at each look the counts of answers and a success metric of
units are simulated, and `flyball.releases.advance` decides. With equal truth, aborts must be at most the alpha of
the release and that of its success metric together, rollbacks in the watch window at most the alpha of the release, and
"better" at most the alpha of the metric. A limit is the stated error and 2.67 standard errors.
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
from flyball.policy import canary, metric
from flyball.releases import AnswerCounts, ArmCounts, Evidence, MetricEvidence, ReleaseState, advance, move
from flyball.releases.opening import draft

HOUR_US = 3_600_000_000
ARMS = ("control", "candidate")
EQUAL = {"failed": 0.01, "late": 0.01, "empty": 0.005, "slow": 0.01, "liked": 0.2}
"""{what: the rate of it}, of both arms."""
PLAN = canary(25, 50, 100, patience="2d", watch="12h", success={"liked": 0.05}, answers=2_000)
LIKED = {"liked": metric.label("liked")}


class CanaryEnd(msgspec.Struct, frozen=True):
    """How a canary ended. `state`: of the release; `better`: whether a look called the candidate better."""

    state: str
    better: bool
    answers: int


class SimulatedCanary:
    """A canary by `PLAN`, and the answers of its arms so far. `rates`: {arm: rates as in `EQUAL`}."""

    def __init__(self, rates: Mapping[str, Mapping[str, float]], rng: np.random.Generator, per_hour: int) -> None:
        self.rates, self.rng, self.per_hour = rates, rng, per_hour
        drafted = draft(ReleaseState(champion="v1"), PLAN, ["v2"], "benchmark", "a canary", 0)
        constants = {**drafted.constants, "slow_us": float(BOUNDS_US[-2])}
        self.release, _ = move(
            drafted, "start", 0, reason="", to="canary", started_us=0, over="v1", constants=constants
        )
        self.hour, self.better = 0, False
        self.counts: dict[tuple[str, int], AnswerCounts] = {}
        self.before, self.since = self.counted("control", 24 * per_hour), AnswerCounts()
        self.units: dict[str, list[Any]] = {"stratum": [], "arm": [], "liked": []}

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
            self.units["liked"].append(self.rng.random(number) < self.rates[arm]["liked"])

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
        metrics = () if watched else self.measured(now_us)
        arms = tuple(ArmCounts(arm, share, counts, now_us) for (arm, share), counts in self.counts.items())
        decision = advance(self.release, Evidence(arms, self.before, self.since, metrics), now_us)
        if decision is not None:
            changes: dict[str, Any] = {**decision.changes, "held_for": decision.held_for}
            if decision.command == "promote":
                changes["watch_until_us"] = now_us + int(self.release.constants["watch_us"])
            self.release, _ = move(
                self.release, decision.command, now_us, reason=decision.reason, step=decision.step, **changes
            )

    def measured(self, now_us: int) -> tuple[MetricEvidence, ...]:
        """The success metric of all units so far, each step of the ramp a stratum."""
        liked = np.concatenate(self.units["liked"]).astype(float)
        frame = pl.DataFrame(
            {"stratum": self.units["stratum"], "arm": self.units["arm"], "at": np.arange(len(liked))},
        )
        shares = {
            str(share): {"control": 1 - share / 10_000, "candidate": share / 10_000}
            for share in self.release.steps[: self.release.step + 1]
        }
        exposed = ExposedUnits(frame, ARMS, shares)
        values = {"liked": UnitValues(np.ones(len(liked), dtype=bool), liked, np.ones(len(liked)))}
        result = analyze(self.release.id, exposed, LIKED, values, plan_of(self.release), now_us)
        self.better |= any(one.verdict == "better" for one in result.metrics)
        return tuple(metric_evidence(one, self.release) for one in result.metrics)


def run_canaries(
    canaries: int, seed: int, worse: Mapping[str, float] | None = None, per_hour: int = 800
) -> list[CanaryEnd]:
    """How that many canaries ended. `worse`: rates of the candidate that differ from those of the champion."""
    rates = {"control": EQUAL, "candidate": {**EQUAL, **(worse or {})}}
    return [SimulatedCanary(rates, np.random.default_rng([seed, number]), per_hour).run() for number in range(canaries)]


def stated_errors() -> dict[str, float]:
    """{error: its largest probability over a whole canary with equal truth}."""
    release = SimulatedCanary(dict.fromkeys(ARMS, EQUAL), np.random.default_rng(0), 1).release
    alpha, of_metric = release.constants["alpha"], plan_of(release).alpha
    return {"aborted": alpha + of_metric, "rolled_back": alpha, "called better": of_metric}


def most(canaries: int, probability: float) -> int:
    """The most errors of that probability which still agree with it: 2.67 standard errors above."""
    return int(canaries * probability + 2.67 * np.sqrt(canaries * probability * (1 - probability)))


def errors_of(ends: list[CanaryEnd]) -> dict[str, int]:
    """{error: canaries with it}."""
    states = [end.state for end in ends]
    counted = {name: states.count(name) for name in ("aborted", "rolled_back")}
    return {**counted, "called better": sum(end.better for end in ends)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canaries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    stopwatch = SystemStopwatch()
    began_s = stopwatch.read_s()
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
