"""The drill of fairness: the same world twice, with a common threshold and with thresholds of groups that are deployed.

Both runs learn once from the same past, release what they learned, and decide live. The gap between the groups is that
of the true outcomes, which the world alone knows, also of what was declined.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flyball.app import App
from flyball.core import BadInput, Doubles, SystemStopwatch
from flyball.evaluation import Estimate, GroupComparison, GroupInput, compare_groups
from flyball.monitoring import slices_of
from flyball.outcomes import Prediction
from flyball.policy import APPROVE, EqualRate, Thresholds
from flyball.simulation.monitored import HOUR_US, reduced_app
from flyball.simulation.virtual import START_US, Simulation
from flyball.simulation.world import DAY_US, World, WorldRequest, drill_scale, open_world
from flyball.tasks import DefinedRatio

FAIRNESS = "fairness"
FAIRNESS_DAYS = 14
RATE, WITHIN = "true_positive_rate", 0.05
"""What is made equal: of what happens, the share that is flagged (equal opportunity), and within how much."""
_OTHERS = ("false_positive_rate", "selection_rate")
_STEP_US = 6 * HOUR_US


class FairnessRun(Struct, frozen=True):
    """One run: its groups, compared by what truly happened.

    `saved`: the mean of the last true metric of the world, such as the money that a decision saves. `factors`: {group:
    how many times its odds count}, {} with a common threshold.
    """

    version: str
    answers: int
    groups: GroupComparison
    metric: str
    saved: float
    factors: dict[str, float]
    digest: str

    @property
    def gap(self) -> Estimate | None:
        """The largest gap of the rate between two groups, with an interval for all pairs; None with too few cases."""
        largest = self.groups.largest.get(RATE)
        return None if largest is None else largest.difference


class FairnessDrillReport(Struct, frozen=True, kw_only=True):
    """The outcome of the drill: `before` with a common threshold, `after` with those of the groups of `by`.

    `seconds`: real time.
    """

    app: str
    drill: str
    by: str
    seed: int
    days: int
    before: FairnessRun
    after: FairnessRun
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the gap is smaller with the thresholds, beyond both intervals."""
        before, after = self.before.gap, self.after.gap
        return (
            before is not None
            and after is not None
            and before.low is not None
            and after.high is not None
            and after.high < before.low
        )

    def text(self) -> str:
        """The report as plain text."""
        runs = (self.before, self.after)
        names = [group.group for group in self.before.groups.groups]
        equal = f"{RATE} equal by {self.by} within {WITHIN:g}"
        return "\n".join(
            [
                f"{self.drill} of {self.app}, seed {self.seed}, {self.days} days twice in {self.seconds:.1f} s",
                f"decided with a common threshold, and with thresholds of groups: {equal}",
                f"digests {self.before.digest[:16]}, {self.after.digest[:16]}",
                "",
                f"{'':34}{'common threshold':>26}{'thresholds of groups':>26}",
                f"{'answers':34}{self.before.answers:>26,}{self.after.answers:>26,}",
                *(_line(f"{RATE} of {name}", [_rate(run, name) for run in runs]) for name in names),
                _line("largest gap", [_cell(run.gap) for run in runs]),
                *(_line(f"gap of {name}", [_cell(_gap(run, name)) for run in runs]) for name in _OTHERS),
                _line(f"true {self.before.metric}", [f"{run.saved:.4f}" for run in runs]),
                _line("odds of groups count", ["once", _factors(self.after.factors)]),
                "",
                f"{'passed' if self.passed else 'FAILED'}: the largest gap must be smaller with thresholds of groups, "
                "beyond both intervals",
            ]
        )


def run_fairness_drill(
    app: App,
    name: str = FAIRNESS,
    *,
    seed: int = 1,
    days: int | None = None,
    report_progress: Callable[[str], object] | None = None,
    **settings: Any,
) -> FairnessDrillReport:
    """Run the drill in the application's world; same arguments, same digests.

    The groups are those of the first attribute that the application declares in `groups=`. The first declared candidate
    learns once. `days`: how many virtual days each run has, by default 14.
    `settings`: of the world, including `past_days`. Raises `BadInput` for an application that does not decide by costs,
    or without groups, `BadDeclaration` for one without a world.
    """
    scale = drill_scale(app.world, app.name)
    if getattr(app.task, "decide", None) is None:
        raise BadInput(f"application of {name}", "one that decides by costs, with decide=", app.name)
    by = next(iter(app.task.about.groups), "")
    if not by:
        raise BadInput(f"application of {name}", 'one that declares groups=, such as groups=("region",)', app.name)
    if days is not None and days < 2:
        raise BadInput("days", "2 or more", days)
    stopwatch = SystemStopwatch()
    began_s, lived = stopwatch.read_s(), days or FAIRNESS_DAYS
    chosen = {**scale.settings, **settings}
    candidates = tuple(app.candidates)[:1]
    runs = [
        _run(_reduced(app, candidates, by, equal), by, seed, lived, report_progress or _silent, chosen)
        for equal in (None, EqualRate(RATE, by, WITHIN))
    ]
    return FairnessDrillReport(
        app=app.name,
        drill=name,
        by=by,
        seed=seed,
        days=lived,
        before=runs[0],
        after=runs[1],
        seconds=stopwatch.read_s() - began_s,
    )


def _reduced(app: App, candidates: Sequence[str], by: str, equal: EqualRate | None) -> App:
    """A copy that learns one candidate once, with the groups; the caller's stays as it is declared."""
    task: Any = app.task
    app = reduced_app(app, candidates)
    app.task = replace(task, groups=(by,), decide=replace(task.decide, equal=equal))
    return app


def _run(
    app: App,
    by: str,
    seed: int,
    days: int,
    report_progress: Callable[[str], object],
    settings: Mapping[str, Any],
) -> FairnessRun:
    world_settings = dict(settings)
    start_us = START_US - int(world_settings.pop("past_days", app.world.past_days if app.world else 0)) * DAY_US
    world = open_world(app.world, app.name, seed=seed, start_us=start_us, **world_settings)
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        simulation = _FairnessSimulation(app, Path(folder), world, seed, SystemStopwatch(), report_progress)
        simulation.begin(start_us)
        simulation.live(START_US + days * DAY_US)
        return simulation.fairness_run(by, seed)


class _FairnessSimulation(Simulation):
    def __init__(self, app: App, home: Path, world: World, seed: int, *others: Any) -> None:
        super().__init__(app, home, world, seed, *others)
        self._decided = list[tuple[int, Prediction]]()

    def _answers(self, requests: Sequence[WorldRequest]) -> list[Prediction]:
        answers = super()._answers(requests)
        self._decided += zip([request.number for request in requests], answers, strict=True)
        return answers

    def live(self, until_us: int) -> None:
        """Simulate until a time."""
        while self._clock.now_us() < until_us:
            self._step(self._clock.now_us() + _STEP_US)

    def fairness_run(self, by: str, seed: int) -> FairnessRun:
        """What came of the answers of the version that was learned."""
        happened = self._tally.happened()
        decided = [(number, answer) for number, answer in self._decided if answer.version and number in happened]
        answers = [answer for _, answer in decided]
        group = slices_of(self._runtime, answers, (by,))[by]
        actual = np.array([happened[number] > 0 for number, _ in decided], np.float64)
        flagged = np.array([_flagged(answer) for answer in answers], np.float64)
        names = sorted({str(name) for name in group})
        groups = {name: _input(group == name, actual, flagged) for name in names}
        metric, saved = self._tally.worth_of([number for number, _ in decided])
        version = answers[-1].version if answers else ""
        return FairnessRun(
            version,
            len(answers),
            compare_groups(by, groups, max(1, len(answers)), seed),
            metric,
            saved,
            self._factors(),
            self._tally.digest(),
        )

    def _factors(self) -> dict[str, float]:
        """{group: how many times the odds of its requests count} by the champion."""
        serving = self._service.engine.serving
        thresholds = getattr(serving.pipelines.get(serving.release.champion or ""), "thresholds", None)
        return dict(thresholds.groups) if isinstance(thresholds, Thresholds) else {}


def _flagged(answer: Prediction) -> bool:
    """Whether it is declined or reviewed; one of a control group is flagged, as those that it stands for."""
    return answer.decision != APPROVE or answer.decision_propensity < 1


def _input(own: np.ndarray, actual: Doubles, flagged: Doubles) -> GroupInput:
    """The rates of one group; each answer is a unit."""

    def share(counts: Doubles) -> DefinedRatio:
        return DefinedRatio(flagged * counts, counts)

    inside = own.astype(np.float64)
    rates = {
        RATE: share(inside * actual),
        "false_positive_rate": share(inside * (1 - actual)),
        "selection_rate": share(inside),
    }
    return GroupInput(int(own.sum()), int(own.sum()), rates)


def _gap(run: FairnessRun, metric: str) -> Estimate | None:
    largest = run.groups.largest.get(metric)
    return None if largest is None else largest.difference


def _rate(run: FairnessRun, name: str) -> str:
    rates = {group.group: group.metrics.get(RATE) for group in run.groups.groups}
    return _cell(rates.get(name))


def _cell(estimate: Estimate | None) -> str:
    return "–" if estimate is None else estimate.text(3)


def _factors(factors: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {factor:.3g}" for name, factor in sorted(factors.items())) or "once"


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:34}" + "".join(f"{cell:>26}" for cell in cells)


def _silent(_: str) -> None: ...
