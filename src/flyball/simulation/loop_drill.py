"""The drill of the feedback loop: the same world twice, as it is and with a correction that is deployed from the start.

Both runs learn each day from what users did with their own lists, so what they showed comes back to them. The exposure
of the last half of the days is measured in both, and the true quality of the answers, which the world alone knows.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from flyball.app import App
from flyball.core import BadInput, ManualClock, SystemStopwatch
from flyball.evaluation import Estimate
from flyball.monitoring import EXPOSURE_MEASURES, ExposureReport, exposure_report
from flyball.operations import catch_up
from flyball.policy import every
from flyball.runtime import Runtime, load_settings
from flyball.simulation.monitored import reduced_app
from flyball.simulation.report import SimulationReport
from flyball.simulation.virtual import START_US, simulate
from flyball.simulation.world import DAY_US, drill_scale

FEEDBACK_LOOP = "feedback-loop"
LOOP_DAYS = 6
CORRECTION: Mapping[str, float] = {"popularity_penalty": 0.3, "propensity_cap": 10.0, "randomized_share": 0.05}
"""What the second run declares: re-ranking, training and exploration."""
_SHOWN = ("gini", "coverage", "effective_items", "popularity_shown", "popularity_lift", "novelty", "homogenization")


class LoopRun(Struct, frozen=True):
    """One run: exposure in the last half of its days, and the true quality of its answers then, from 0 to 1.

    `random`: that of random answers to the same requests.
    """

    lists: int
    measures: dict[str, Estimate]
    quality: float
    random: float
    digest: str


class LoopDrillReport(Struct, frozen=True, kw_only=True):
    """The outcome of the drill: `before` as declared, `after` with the correction. `seconds`: real time."""

    app: str
    drill: str
    seed: int
    days: int
    correction: dict[str, float]
    before: LoopRun
    after: LoopRun
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether exposure is spread over more, beyond both intervals."""
        before, after = (run.measures["effective_items"] for run in (self.before, self.after))
        return before.high is not None and after.low is not None and after.low > before.high

    def text(self) -> str:
        """The report as plain text."""
        named = ", ".join(f"{name}={value:g}" for name, value in self.correction.items())
        cells = {name: [_cell(run.measures.get(name)) for run in (self.before, self.after)] for name in _SHOWN}
        return "\n".join(
            [
                f"{self.drill} of {self.app}, seed {self.seed}, {self.days} days twice in {self.seconds:.1f} s",
                f"planted: nothing; the lists are learned each day from what the lists led to; corrected by {named}",
                f"digests {self.before.digest[:16]}, {self.after.digest[:16]}",
                "",
                f"{'':18}{'as declared':>26}{'corrected':>26}",
                f"{'lists':18}{self.before.lists:>26,}{self.after.lists:>26,}",
                *(f"{name:18}{before:>26}{after:>26}" for name, (before, after) in cells.items()),
                f"{'true quality':18}{self.before.quality:>26.4f}{self.after.quality:>26.4f}",
                f"{'of random lists':18}{self.before.random:>26.4f}{self.after.random:>26.4f}",
                "",
                f"{'passed' if self.passed else 'FAILED'}: effective_items must be larger with the correction",
            ]
        )


def run_loop_drill(
    app: App,
    name: str = FEEDBACK_LOOP,
    *,
    seed: int = 1,
    days: int | None = None,
    report_progress: Callable[[str], object] | None = None,
    **settings: Any,
) -> LoopDrillReport:
    """Run the drill in the application's world; same arguments, same digests.

    The first declared candidate whose lists differ between users learns once a day: one list for all can be re-ranked,
    and everyone still gets the same. `days`: how many virtual days each run has, by default 6.
    `settings`: of the world, including `past_days`. Raises `BadInput` for an application that does not show lists or
    for fewer than two days, `BadDeclaration` for one without a world.
    """
    if not set(CORRECTION) <= set(getattr(app.task, "__struct_fields__", ())):
        raise BadInput(f"application of {name}", "one that shows lists, such as movies", app.task.about.kind)
    if days is not None and days < 2:
        raise BadInput("days", "2 or more", days)
    stopwatch = SystemStopwatch()
    began_s, lived = stopwatch.read_s(), days or LOOP_DAYS
    scale = drill_scale(app.world, app.name)
    chosen = {**scale.settings, **scale.of_data, **settings}
    runs = [
        _run(_reduced(app, changed), seed, lived, report_progress, chosen)
        for changed in (dict.fromkeys(CORRECTION, 0.0), CORRECTION)
    ]
    return LoopDrillReport(
        app=app.name,
        drill=name,
        seed=seed,
        days=lived,
        correction=dict(CORRECTION),
        before=runs[0],
        after=runs[1],
        seconds=stopwatch.read_s() - began_s,
    )


def _reduced(app: App, changed: Mapping[str, float]) -> App:
    """A copy with one candidate, which learns each day; the caller's stays as it is declared."""
    task: Any = app.task
    able = [name for name, candidate in app.candidates.items() if getattr(candidate, "personal", True)]
    app = reduced_app(app, (able or list(app.candidates))[:1], [every("1d")])
    app.task = replace(task, **changed)
    return app


def _run(
    app: App, seed: int, days: int, report_progress: Callable[[str], object] | None, settings: Mapping[str, Any]
) -> LoopRun:
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        home = Path(folder) / "home"
        report = simulate(app, days=days, seed=seed, home=home, report_progress=report_progress, **settings)
        runtime = Runtime(app, load_settings(home), ManualClock(START_US + days * DAY_US))
        catch_up(runtime)
        half_us = days // 2 * DAY_US
        exposure = exposure_report(runtime, last_us=half_us, every_us=half_us, until_us=START_US + days * DAY_US)
        return _summary(report, exposure, days)


def _summary(report: SimulationReport, exposure: ExposureReport, days: int) -> LoopRun:
    later = [day for day in report.per_day if day.day > days - days // 2]
    name = next(iter(later[0].true))  # the world's main measure of quality
    answers = sum(day.answers for day in later)
    quality = sum(day.answers * day.true[name] for day in later) / answers
    random = sum(day.answers * day.references["random"][name] for day in later) / answers
    row = exposure.rows[0]
    known = {name: row.measures[name] for name in EXPOSURE_MEASURES if name in row.measures}
    return LoopRun(row.lists, known, quality, random, report.digest)


def _cell(estimate: Estimate | None) -> str:
    return "–" if estimate is None else estimate.text(3)
