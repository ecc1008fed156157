"""Drills: a version with a known fault answers simulated users, to test whether the release stops it.

A drill runs like `simulate`: in virtual time, with one digest for a seed. The first learned version becomes the
champion; then a copy of it is registered, and the declared release of the copy is started. The fault strikes answers of
one of the two versions, which are otherwise equal.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.app import App
from flyball.core import BadInput, Refused, SystemStopwatch, format_duration
from flyball.evaluation import NOT_REQUIRED
from flyball.experiments import (
    AnalysisPlan,
    Baseline,
    MetricResult,
    control_baseline,
    experiment,
    metrics_measured,
    metrics_of,
)
from flyball.operations import ReleaseMetrics
from flyball.outcomes import Prediction
from flyball.policy import ReleasePlan, canary, gates
from flyball.registry import add_versions
from flyball.releases import (
    CANDIDATE,
    OVER,
    Release,
    abort_alpha,
    all_releases,
    current,
    describe_now,
    find_release,
    shown_state,
    start_release,
)
from flyball.serving import Serving
from flyball.simulation.fault import Planted, is_struck
from flyball.simulation.virtual import START_US, Simulation
from flyball.simulation.world import DAY_US, World, drill_scale, open_world
from flyball.statistics import BURN_IN, Design, units_needed

SLOW_BY = 100.0
"""The factor by which slow answers take longer."""
STEP_US, DAYS = 3_600_000_000, 10
_DAYS_AFTER = 14
_BY = "drill"
UNDECLARED = canary(20, 50, 100, step_time="2h", silence="12h", patience="5d", watch="1d")
"""The release of an application that declares no canary: its steps can be decided by a few thousand answers a day."""


class Drill(msgspec.Struct, frozen=True):
    """One kind of drill.

    `words`: a description of the fault. `fault`: what happens to answers of the candidate, or of the champion with
    `of_champion`; "" for nothing. `ends`: the states of the release that pass; `expected`: the same in words.
    `most_struck`: how many answers the fault may strike before the release stops it, 0 for no limit, or that of
    `silent_limit` if only outcomes show the fault.
    """

    words: str
    fault: str
    ends: tuple[str, ...]
    expected: str
    of_champion: bool = False
    most_struck: int = 0


STOPPED = ("aborted", "rolled_back")
LOUD_MOST = 200
"""How many answers may be struck by a fault that is visible in answers; see `silent_limit` for outcomes."""
POWER = 0.9
DRILLS = {
    "bad-release": Drill(
        "three in ten answers hold nothing or no numbers", "garbage", STOPPED, "stopped", most_struck=LOUD_MOST
    ),
    "slow-release": Drill(
        "three in ten answers take a hundred times as long", "slow", STOPPED, "stopped", most_struck=LOUD_MOST
    ),
    "crashing-release": Drill(
        "it raises for three in ten requests", "raise", STOPPED, "stopped", most_struck=LOUD_MOST
    ),
    "silent-degradation": Drill(
        "each answer is made of those to other requests: quick and well-formed, but of no use",
        "other",
        STOPPED,
        "stopped",
    ),
    "no-effect": Drill(
        "nothing: it is the champion again",
        "",
        ("champion", "held", "canary"),
        "promoted as no worse or left undecided, never called better",
    ),
    "good-release": Drill(
        "the champion raises for three in ten requests, the new version for none",
        "raise",
        ("champion",),
        "promoted",
        of_champion=True,
    ),
}
_PASSED = {"champion": "promoted", "rolled_back": "rolled back"}


class DrillEvent(msgspec.Struct, frozen=True):
    """Something that happened to the release, `at_us` after its start."""

    at_us: int
    what: str
    reason: str


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a drill.

    `answers`, `units`: answers assigned to the new version, and their units, among `all_answers` since the start of the
    release. `struck`, `struck_units`: those that the fault struck; a drill with more than `most_struck` fails (0: no
    limit). `lasted_us`: the time from the start of the release to its end, or to the end of the drill. `findings`:
    sentences on what the metrics show. `seconds`: real time.
    """

    app: str
    drill: str
    planted: str
    seed: int
    digest: str
    expected: str
    outcome: str
    passed: bool
    events: list[DrillEvent]
    answers: int
    units: int
    all_answers: int
    lasted_us: int
    struck: int = 0
    struck_units: int = 0
    most_struck: int = 0
    findings: list[str] = []
    seconds: float = 0.0

    def text(self) -> str:
        """The report as plain text."""
        limit = f", {self.most_struck:,} accepted" if self.most_struck else ""
        return "\n".join(
            [
                f"{self.drill} of {self.app}, seed {self.seed}, in {self.seconds:.1f} s",
                f"planted: {self.planted}",
                f"digest {self.digest}",
                "",
                *(f"{_after(event.at_us):>8}  {event.what}: {event.reason}" for event in self.events),
                "",
                f"the new version had {self.answers:,} of {self.all_answers:,} answers, of {self.units:,} units, "
                f"within {format_duration(self.lasted_us)}",
                f"the fault struck {self.struck:,} answers, of {self.struck_units:,} units{limit}",
                *self.findings,
                f"{'passed' if self.passed else 'FAILED'}: it must be {self.expected}; it is {self.outcome}",
            ]
        )


def run_drill(
    app: App,
    name: str,
    *,
    seed: int = 1,
    days: int | None = None,
    report_progress: Callable[[str], object] | None = None,
    **settings: Any,
) -> DrillReport:
    """Run the drill `name` of `DRILLS` in the application's world; same arguments, same digest.

    The champion is the better one of the first two declared candidates, which learn quickly; if only outcomes show the
    fault, of those that the world names. `days`: the virtual days after which an undecided release ends; by default 10,
    or more if the fault is visible only in labels that take longer. `settings`: of the world, including `past_days`.
    Raises `BadInput` for an unknown drill, `BadDeclaration` for an application without a world, `Refused` if no version
    could be learned.
    """
    if name not in DRILLS:
        raise BadInput("drill", f"one of {', '.join(DRILLS)}", name)
    stopwatch = SystemStopwatch()
    began_s = stopwatch.read_s()
    scale, of_outcomes = drill_scale(app.world, app.name), DRILLS[name].fault == "other"
    chosen = {
        "past_days": app.world.past_days if app.world else 0,
        **scale.settings,
        **(scale.of_outcomes if of_outcomes else {}),
        **settings,
    }
    start_us = START_US - int(chosen.pop("past_days")) * DAY_US
    world = open_world(app.world, app.name, seed=seed, start_us=start_us, **chosen)
    app = copy(app)  # the caller's application stays as it is declared
    _reduce(app, scale.candidates if of_outcomes else ())
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        simulation = _DrillSimulation(app, Path(folder), world, seed, DRILLS[name], report_progress or _silent)
        simulation.begin(start_us)
        simulation.live(days or _usual_days(app, DRILLS[name]))
        report = simulation.drill_report(name)
    return msgspec.structs.replace(report, seconds=stopwatch.read_s() - began_s)


def silent_limit(
    release: Release, baseline: Baseline, margin: float, answers_a_unit: float, while_waiting: float
) -> int:
    """How many answers a fault that only outcomes show may strike before the release stops it.

    The release must stop a loss that exceeds the accepted `margin` by the same margin again. A test that is valid at
    every look, at the level of an abort, shows this with a probability of 0.9 once there are

        n = (b + z)² variance / (share (1 - share) margin²)

    units in both arms, where b is the boundary of the test in standard errors and z = 1.28 (`units_needed` computes
    both from the crossing probabilities of Brownian motion). Of these, `share` are in the arm of the first step, at
    least the `BURN_IN` before which no asymptotic interval is given. While the labels of the last one become final, the
    arm goes on answering: `while_waiting`. The variance of a unit is that of control, which the fault does not strike,
    so the limit depends neither on the fault nor on what the drill finds.

    >>> arms = dict(id="rel1", kind="canary", state="canary", arms=(), salt="s")
    >>> release = Release(steps=(5_000, 10_000), constants={"n_best": 2_000.0}, **arms)
    >>> limits = [silent_limit(release, Baseline(0.2, 0.16, 500), margin, 1.0, 100.0) for margin in (0.03, 0.015)]
    >>> 1_000 < limits[0] < limits[1] / 3
    True
    """
    share = release.steps[0] / 10_000
    n_best = release.constants.get("n_best")
    alpha = abort_alpha(release) or AnalysisPlan().alpha
    design = Design(baseline.variance, method="anytime", alpha=alpha, power=POWER, share=share, n_best=n_best)
    units = max(units_needed(design, margin) * share, BURN_IN)
    return math.ceil(units * answers_a_unit + while_waiting)


def _usual_days(app: App, drill: Drill) -> int:
    """A fault that is visible only in outcomes needs the days until labels are final, and days of traffic."""
    label_us = max((label.within_us for label in app.task.about.labels), default=0)
    return DAYS if drill.fault != "other" else max(DAYS, -(-label_us // DAY_US) + _DAYS_AFTER)


def _reduce(app: App, chosen: Sequence[str]) -> None:
    """Reduce the application to the `chosen` candidates, else to its first two, and to one run of learning."""
    names = [name for name in chosen if name in app.candidates] or list(app.candidates)[:2]
    app.candidates = {name: app.candidates[name] for name in names}
    app.retrain, app.gates = (), gates(min_examples=1, max_answer="10s")
    if app.release.kind != "canary":
        app.release = UNDECLARED


class _DrillSimulation(Simulation):
    def __init__(
        self, app: App, home: Path, world: World, seed: int, drill: Drill, report_progress: Callable[[str], object]
    ) -> None:
        super().__init__(app, home, world, seed, SystemStopwatch(), report_progress)
        self._drill, self._planted_pipeline = drill, dict[int, Planted]()
        self._release, self._began_us = "", 0
        self._exposed, self._units, self._since = 0, set[str](), 0
        self._struck, self._struck_units = 0, set[str]()
        self._notes = list[str]()

    def live(self, days: int) -> None:
        """Simulate until the release is over or `days` days after its start."""
        while not self._over(days):
            self._step(self._clock.now_us() + STEP_US)
            if self._release:
                continue
            if current(self._runtime.registry).champion is not None:
                self._start()
            elif self._tally.learned:
                self._require_less()

    def _over(self, days: int) -> bool:
        now_us = self._clock.now_us()
        if not self._release:
            if now_us - START_US > 2 * DAY_US:
                raise Refused(
                    f"a drill of {self._runtime.app.name} must have a champion within two days, got: {self._why_none()}"
                )
            return False
        ends = OVER if "champion" not in self._drill.ends else (*OVER, "champion")  # a bad champion is still monitored
        ended = self._released().state in ends
        return ended or now_us - self._began_us >= days * DAY_US

    def _require_less(self) -> None:
        """After a run of learning without a champion, only report how good a model is: a drill tests the release.

        Only a fault that outcomes show needs a model that beats the baseline: it can take nothing from worthless
        answers.
        """
        app = self._runtime.app
        reported = ("no_leaks", *(gate.name for gate in app.task.offline().plan().gates))
        more = () if self._drill.fault == "other" else ("beats_",)
        app.gates = msgspec.structs.replace(app.gates, advisory=(*reported, *more))

    def _why_none(self) -> str:
        """Why no version became the champion."""
        reasons = [run.reason for run in self._tally.learned] or ["no run of learning"]
        for version in self._runtime.registry.versions():
            failed = [gate["reason"] for gate in version.gates if not gate["passed"]]
            reasons += [f"{version.candidate}: {'; '.join(failed)}"] if failed else []
        return "; ".join(reasons)

    def _released(self) -> Release:
        registry = self._runtime.registry
        return find_release(registry, current(registry), self._release)

    def _start(self) -> None:
        """Register a copy of the champion and start its declared release."""
        runtime, now_us = self._runtime, self._clock.now_us()
        registry, champion = runtime.registry, current(runtime.registry).champion or ""
        waived = [gate["reason"] for gate in registry.version(champion).gates if gate["reason"].endswith(NOT_REQUIRED)]
        self._notes = [f"the champion of this drill failed a gate: {reason}" for reason in waived]
        twin = msgspec.structs.replace(registry.version(champion), id="", state="candidate")
        (version,) = add_versions(registry, [twin])
        actor = runtime.actor(_BY, "a drill", now_us)
        constants = runtime.release_constants(champion, now_us)
        start_release(registry, self._plan(), [version.id], actor, constants=constants)
        self._release, self._began_us = all_releases(registry)[-1].id, now_us
        self._struck_version = champion if self._drill.of_champion else version.id

    def _plan(self) -> ReleasePlan:
        """The declared release; if only outcomes show the fault, also with a limit for the primary metric."""
        app, plan = self._runtime.app, self._runtime.app.release
        if self._drill.fault != "other" or plan.success:
            return plan
        metrics = metrics_of(app.task.about, app.metrics)
        primary = next((name for name, declared in metrics.items() if declared.role == "primary"), "")
        success = {primary: drill_scale(app.world, app.name).margin} if primary else {}
        return msgspec.structs.replace(plan, success=success)

    def _limit(self, release: Release) -> int:
        """`Drill.most_struck`, or the `silent_limit` of the release."""
        if self._drill.fault != "other" or not release.success:
            return self._drill.most_struck
        (name, margin), now_us = next(iter(release.success.items())), self._clock.now_us()
        about = self._runtime.app.task.about
        metric = metrics_measured(about, self._runtime.app.metrics, release)[name]
        labels_us = max((label.within_us for label in about.labels), default=0)
        waits = (metric.within_us + labels_us) / max(now_us - self._began_us, 1) * self._exposed
        known = control_baseline(self._runtime, release.id, name, now_us)
        if known is None:  # no label is final yet: only the wait for labels is accepted
            return math.ceil(waits)
        return silent_limit(release, known, margin, self._exposed / max(len(self._units), 1), waits)

    def _findings(self, release: Release) -> tuple[list[str], list[str]]:
        """Sentences on the new version at the end, and the metrics whose verdict is better."""
        runtime, now_us = self._runtime, self._clock.now_us()
        counted = runtime.exposure_counter, runtime.shadow_counter
        described = describe_now(runtime.registry, release.id, *counted, now_us, ReleaseMetrics(runtime))
        result = experiment(runtime, release.id, now_us)
        findings = [f"not shown yet: {missing}" for missing in described.missing]
        findings += [f"{metric.sentence}{_resolution(metric)}" for metric in result.metrics]
        return findings, [metric.metric for metric in result.metrics if metric.verdict == "better"]

    def prepare(self) -> None:
        """Plant the fault in the pipeline that serves now."""
        serving: Serving = self._service.engine.serving
        if not self._release or self._drill.fault in ("", "slow") or self._struck_version not in serving.pipelines:
            return
        pipeline = serving.pipelines[self._struck_version]
        if not isinstance(pipeline, Planted):
            planted = self._planted_pipeline.setdefault(id(pipeline), Planted(pipeline, self._drill.fault, self._seed))
            pipelines = {**serving.pipelines, self._struck_version: planted}
            self._service.engine.serving = msgspec.structs.replace(serving, pipelines=pipelines)

    def delayed(self, answers: Sequence[Prediction], took_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the answers and their units, and lengthen the answers that a slow fault strikes."""
        slow = np.ones(len(answers), dtype=np.int64)
        for row, answer in enumerate(answers):
            if not self._release:
                break
            self._since += 1
            if any(exposure.release == self._release and exposure.arm == CANDIDATE for exposure in answer.exposures):
                self._exposed += 1
                self._units.add(answer.key)
            hits = self._drill.fault == "other" or (bool(self._drill.fault) and is_struck(answer.id))
            struck = hits and (answer.assigned or answer.version) == self._struck_version
            if struck:
                self._struck += 1
                self._struck_units.add(answer.key)
            slow[row] = SLOW_BY if struck and self._drill.fault == "slow" else 1
        return took_us * slow

    def drill_report(self, name: str) -> DrillReport:
        """The report at the end of the drill."""
        release, drill = self._released(), self._drill
        steps = self._runtime.registry.release_steps(int(self._release.removeprefix("rel")))
        events = [
            DrillEvent(step.at_us - self._began_us, _what(step.command, step.after, release, step.step), step.reason)
            for step in steps
            if step.command != "draft"
        ]
        findings, better = self._findings(release)
        if drill.fault:
            better = []  # a version without the fault may well be better
        outcome = _PASSED.get(release.state, shown_state(release))
        most_struck = self._limit(release)
        few = not most_struck or self._struck <= most_struck
        return DrillReport(
            app=self._runtime.app.name,
            drill=name,
            planted=drill.words,
            seed=self._seed,
            digest=self._tally.digest(),
            expected=drill.expected,
            outcome=outcome + (f", and called better by {', '.join(better)}" if better else ""),
            passed=release.state in drill.ends and not better and few,
            events=events,
            answers=self._exposed,
            units=len(self._units),
            all_answers=self._since,
            lasted_us=self._clock.now_us() - self._began_us,
            struck=self._struck,
            struck_units=len(self._struck_units),
            most_struck=most_struck,
            findings=[*self._notes, *(findings if release.state not in STOPPED else [])],
        )


def _resolution(metric: MetricResult) -> str:
    """A sentence on the smallest effect that the interval of a metric distinguishes from 0."""
    known = metric.inference
    width = 0.0 if known is None or known.missing or metric.missing else (known.high - known.low) / 2
    if not 0 < width < math.inf:
        return " At this traffic it could not have shown an effect of any size."
    return f" It would have shown an effect of {width:.3g} or more, either way."


def _what(command: str, after: str, release: Release, step: int) -> str:
    share = f" at {release.steps[step] / 100:g} %" if after == "canary" else ""
    return f"{command}, now {after}{share}"


def _after(us: int) -> str:
    return f"{us / 3_600_000_000:.0f} h"


def _silent(_: str) -> None: ...
