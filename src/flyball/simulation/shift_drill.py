"""Drills of shift: the world changes, or what serves it, to test what is found, what is done about it, and the harm.

The application runs like in `simulate`, in virtual time. It is watched; its findings become incidents; it learns again
when findings or the primary metric say so, and releases what passes. A person does only what an incident says first.
"""

import math
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from flyball.app import App
from flyball.core import BadInput, SystemStopwatch
from flyball.monitoring import list_incidents
from flyball.policy import on_drift, on_performance
from flyball.registry import cases_of
from flyball.releases import current, rollback
from flyball.simulation.monitored import DRILLER, HOUR_US, PlantedFault, WatchedSimulation, reduced_app
from flyball.simulation.moving_world import MovingWorld, shifting
from flyball.simulation.shift_drills import (
    BEFORE_DAYS,
    FORMED,
    QUIET_DAYS,
    SEASON_KNOWN_DAYS,
    SHIFT_DRILLS,
    SHIFT_FORMS,
    ShiftDrill,
    ShiftForm,
    share_at,
)
from flyball.simulation.shift_report import Regret, ShiftDrillReport
from flyball.simulation.virtual import START_US
from flyball.simulation.world import DAY_US, World, drill_scale, open_world
from flyball.tasks import FALLBACK_LEVELS

_BEGIN_US = 12 * HOUR_US
"""The time of day at which a shift begins."""

_FEWEST_FALLBACKS = 0.01


def run_shift_drill(
    app: App,
    name: str,
    *,
    form: ShiftForm | None = None,
    seed: int = 1,
    days: int | None = None,
    report_progress: Callable[[str], object] | None = None,
    looks: Path | None = None,
    **settings: Any,
) -> ShiftDrillReport:
    """Run the drill `name` of `SHIFT_DRILLS` in the application's world; same arguments, same digest.

    `form`: "sudden" (default), "gradual" over seven days, or "seasonal", each weekend from the start of the world on.
    `days`: how many virtual days are watched after the shift began, by default as long as its labels take and a few
    more. `looks`: a file that gets a line of JSON for each observation of each monitor: what it saw, its e-value, its
    evidence since. `settings`: of the world, including `past_days`. Raises `BadInput` for an unknown name or form,
    `Refused` for a shift that the world does not have, `BadDeclaration` for an application without a world.
    """
    if name not in SHIFT_DRILLS:
        raise BadInput("drill", f"one of {', '.join(SHIFT_DRILLS)}", name)
    if form is not None and (form not in SHIFT_FORMS or name not in FORMED):
        raise BadInput(f"form of {name}", f"one of {', '.join(SHIFT_FORMS)}" if name in FORMED else "left out", form)
    if days is not None and days < 1:
        raise BadInput("days", "1 or more", days)
    stopwatch = SystemStopwatch()
    began_s = stopwatch.read_s()
    drill, scale = SHIFT_DRILLS[name], drill_scale(app.world, app.name)
    chosen = {**scale.settings, **scale.of_shift, **settings}
    start_us = START_US - int(chosen.pop("past_days", 28)) * DAY_US
    app = _drilled(app, scale.of_shift_candidates)
    shape: ShiftForm = form or "sudden"
    before, after = _days(app, drill, shape, scale.known_days)
    begin_us, lived = START_US + before * DAY_US + _BEGIN_US, before + (days or after)

    def simulated(drilled: App, home: str, share: Callable[[int], float]) -> _ShiftSimulation:
        world = open_world(app.world, app.name, seed=seed, start_us=start_us, **chosen)
        if drill.moves:
            world = MovingWorld(world, drill.moves, share, app.name)
        usual_us = scale.usual_since(START_US)
        say = report_progress or _silent
        step_us = scale.shift_step_h * HOUR_US
        simulation = _ShiftSimulation(drilled, Path(home), world, seed, drill, begin_us, say, usual_us, step_us)
        simulation.begin(start_us)
        return simulation

    unmoved = open_world(app.world, app.name, seed=seed, start_us=start_us, **chosen)
    planted = shifting(unmoved, drill.moves, app.name).SHIFTS[drill.moves] if drill.moves else drill.words
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        simulation = simulated(app, folder, lambda at_us: share_at(shape, at_us, begin_us, drill.lasts_us))
        simulation.looks_file = looks
        simulation.live(lived, START_US + max(1, scale.known_days) * DAY_US)
        report = simulation.shift_report(name, shape, planted, lived)
    if drill.mitigation == "learn" and shape != "seasonal" and report.mitigated_us is not None:
        settled = reduced_app(app, list(app.candidates))
        with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
            always = simulated(settled, folder, lambda at_us: 1.0)
            always.live(lived, START_US + lived * DAY_US)  # without a monitor
            attainable = always.regret(begin_us + report.mitigated_us, START_US + lived * DAY_US)
        report = report.beside(attainable)
    form_words = shape if name in FORMED else ""
    return replace(report, form=form_words, seconds=stopwatch.read_s() - began_s)


def _drilled(app: App, candidates: tuple[str, ...]) -> App:
    """The application as it is drilled: few candidates, learning only when the evidence says so, a look a day."""
    worse = on_performance(app.choose.metric, worse_by="10%", cooldown="1d", look="3d")
    app = reduced_app(app, candidates, (on_drift(cooldown="1d"), worse))
    app.watch = replace(app.watch, every_us=DAY_US)
    return app


def _days(app: App, drill: ShiftDrill, form: ShiftForm, known_days: int) -> tuple[int, int]:
    """The days before and after the beginning of the shift; `known_days`: as of `DrillScale`."""
    if form == "seasonal":
        return SEASON_KNOWN_DAYS + known_days, 8
    label_days = math.ceil(max((label.within_us for label in app.task.about.labels), default=0) / DAY_US)
    before = max(BEFORE_DAYS, known_days + QUIET_DAYS) + (label_days if drill.labels else 0)
    after = drill.after_days + (label_days if drill.labels == "all" else 0)
    return before, after + (7 if form == "gradual" else 0)


class _ShiftSimulation(WatchedSimulation):
    def __init__(
        self,
        app: App,
        home: Path,
        world: World,
        seed: int,
        drill: ShiftDrill,
        begin_us: int,
        report_progress: Callable[[str], object],
        usual_since_us: int,
        step_us: int,
    ) -> None:
        planted = PlantedFault(begin_us, drill.lasts_us, serving=drill.serving)
        super().__init__(app, home, world, seed, planted, report_progress, step_us, usual_since_us)
        self._drill, self._begin_us = drill, begin_us
        self._mitigated: tuple[int, str] | None = None
        self._champion = ""

    def stepped(self) -> None:
        self._mitigate()

    def _ingest(
        self, format: str, pieces: Iterable[bytes], mode: Literal["live", "history"] = "live", name: str = ""
    ) -> None:
        # An event is known when it happens, not at the end of a step: windows hold the events that happened in them.
        super()._ingest(format, pieces, "history", name)

    @property
    def _found_us(self) -> int | None:
        return min((item.after_us for item in self.findings(self._begin_us) if item.after_us > 0), default=None)

    def _mitigate(self) -> None:
        """Note the step that ends the harm, or do what the incident says."""
        now_us, found_us = self._clock.now_us(), self._found_us
        state = current(self._runtime.registry)
        champion = state.champion or ""
        changed, self._champion = champion != self._champion, champion
        if self._mitigated is not None or found_us is None:
            return
        after_us = now_us - self._begin_us
        if self._drill.mitigation == "learn" and changed and champion:
            version = self._runtime.registry.version(champion)
            if version.as_of_us >= self._begin_us:
                self._mitigated = after_us, f"{champion} ({version.candidate}), learned since then, was released"
        elif self._drill.mitigation == "rollback" and (step := self._rollback_step()):
            back = rollback(self._runtime.registry, step, DRILLER, now_us, artifacts=self._runtime.artifact_files)
            self._mitigated = after_us, back.message
        elif self._drill.mitigation == "return" and after_us >= self._drill.lasts_us:
            self._mitigated = after_us, "it could be read again"

    def _rollback_step(self) -> str:
        """The rollback that an open incident asks for, "" for none."""
        listed = list_incidents(self._runtime.registry, self._clock.now_us())
        steps = [step for row in listed.incidents for step in row.incident.checklist]
        return next((step.text for step in steps if "versions rollback" in step.command), "")

    def regret(self, since_us: int, until_us: int) -> Regret:
        """How much worse answers of `[since_us, until_us)` were than the oracle's."""
        count, own, oracle = self._tally.against("oracle", since_us, until_us)
        return Regret(count, oracle - own)

    def shift_report(self, name: str, form: ShiftForm, planted: str, days: int) -> ShiftDrillReport:
        """The report at the end of the drill."""
        drill, begin_us, end_us = self._drill, self._begin_us, self._clock.now_us()
        findings, seasonal = self.findings(self._begin_us), form == "seasonal"
        later_us = [item.after_us for item in findings if item.after_us > 0]
        before = [item for item in findings if item.after_us <= 0 and not item.explained]
        quiet_days = len([latest for latest in self._rounds if latest.at_us <= begin_us])
        mitigated_us, mitigation = self._mitigated or (None, "")
        over_us = end_us if mitigated_us is None else begin_us + mitigated_us
        if drill.lasts_us:
            over_us = min(over_us, begin_us + drill.lasts_us)
        regret = [
            self.regret(*span) for span in ((START_US + DAY_US, begin_us), (begin_us, over_us), (over_us, end_us))
        ]
        must_find = bool(drill.mitigation) and not seasonal
        label_us = max((label.within_us for label in self._runtime.app.task.about.labels), default=0)
        ramp_us = 5 * DAY_US if form == "gradual" else 0
        within_us = int(drill.within_days * DAY_US) + (label_us if drill.labels == "all" else 0) + ramp_us
        fallbacks = self._tally.share_of_levels(FALLBACK_LEVELS, begin_us, over_us)
        report = ShiftDrillReport(
            app=self._runtime.app.name,
            drill=name,
            form=form,
            planted=planted,
            seed=self._seed,
            days=days,
            digest=self._tally.digest(),
            expected="",
            outcome="",
            passed=False,
            findings=findings,
            events=self._learning_events(),
            found_us=min(later_us, default=None),
            within_us=within_us if must_find else 0,
            mitigated_us=mitigated_us,
            mitigation=mitigation,
            metric=self._tally.main_metric(),
            before=regret[0],
            during=regret[1],
            after=regret[2],
            harm=(regret[1].mean - regret[0].mean) * regret[1].answers,
            false=sum(item.after_us > 0 and not item.explained for item in findings) if seasonal else len(before),
            allowed=math.floor(self._runtime.app.watch.false_findings * quiet_days / 30),
            early=len(before) if seasonal else 0,
            fallbacks=fallbacks,
            looks=len(self._rounds),
            cause=drill.moves if drill.mitigation else "",
            named=self._named(),
            explained=sum(item.explained for item in findings if seasonal or item.after_us <= 0),
        )
        return _judged(report, drill, must_find)

    def _named(self) -> tuple[str, ...]:
        """The kinds of shift that findings named since it began, in the order in which each was first named."""
        since = [latest for latest in self._rounds if latest.at_us > self._begin_us]
        findings = [finding for latest in since for finding in latest.decision.findings]
        return tuple(
            dict.fromkeys(str(finding.evidence["shift"]) for finding in findings if "shift" in finding.evidence)
        )

    def _learning_events(self) -> list[str]:
        """The cases that were opened and the runs of learning, by time."""
        cases = [
            (case.opened_us, f"opened by {case.trigger}: {case.cause}") for case in cases_of(self._runtime.registry)
        ]
        runs = [(run.as_of_us, f"learned, {run.status}: {run.reason}") for run in self._tally.learned]
        return [
            f"{(at_us - self._begin_us) / 3_600_000_000:+8.0f} h  {words}"
            for at_us, words in sorted([*cases, *runs], key=lambda event: event[0])
        ]


def _judged(report: ShiftDrillReport, drill: ShiftDrill, must_find: bool) -> ShiftDrillReport:
    """The report with what was expected, what came, and whether that passes."""
    quiet = report.false <= report.allowed
    later = [item for item in report.findings if item.after_us > 0 and not item.explained]
    wrong = [item.finding.message for item in later if item.finding.origin == "own"]
    if not must_find:
        in_time = report.fallbacks <= _FEWEST_FALLBACKS
        expected = "no alarm about our own pipeline, and answered in time"
        if not drill.mitigation:
            outcome = (
                f"{len(wrong)} such alarms, {report.fallbacks:.2%} of the answers by fallback, "
                f"{sum(item.after_us > 0 for item in report.findings)} findings in all"
            )
            return replace(report, expected=expected, outcome=outcome, passed=not wrong and in_time and quiet)
        outcome = f"{report.false} findings since the season is known"
        return replace(report, expected="no finding of a season that is known", outcome=outcome, passed=quiet)
    in_time = report.found_us is not None and report.found_us <= report.within_us
    mitigated = report.mitigated_us is not None
    ways = {"learn": "answered by a version learned since then", "rollback": "rolled back", "return": "over"}
    expected = f"found in time and {ways[drill.mitigation]}, with no more false findings than are allowed"
    outcome = f"{'found in time' if in_time else 'not found in time'} and {'' if mitigated else 'not '}mitigated"
    return replace(report, expected=expected, outcome=outcome, passed=in_time and mitigated and quiet)


def _silent(_: str) -> None: ...
