"""Drills of watching: a fault of data is planted in a simulated world, to test whether and when it is found.

The application runs like in `simulate`, in virtual time; it is watched as it declares. Before the fault, and in the
drill without one, nothing may be found beyond the budget of false findings.
"""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flyball.app import App
from flyball.core import BadInput, SystemStopwatch, format_duration
from flyball.monitoring import Finding, Watcher, WatchRound
from flyball.policy import gates
from flyball.simulation.data_faults import FAULTS, DataFault, FaultyWire
from flyball.simulation.virtual import START_US, Simulation
from flyball.simulation.world import DAY_US, World, drill_scale, open_world

QUIET = "quiet"
DATA_DRILLS: Mapping[str, DataFault | None] = {QUIET: None, **FAULTS}
STEP_US = 3_600_000_000
PAST_DAYS, BEFORE_DAYS, AFTER_DAYS, QUIET_DAYS = 21, 2, 2, 7
_FAULT_AT_US = 10 * STEP_US
"""The hour of the day at which a fault begins."""


class DrilledFinding(Struct, frozen=True):
    """A finding, `after_us` after the fault began (or, without a fault, after the service started)."""

    after_us: int
    finding: Finding


class DataDrillReport(Struct, frozen=True, kw_only=True):
    """The outcome of a drill of watching.

    `found_us`: the time from the start of the fault to the first finding, None for none. `false`: how many findings
    came before the fault; `allowed`: how many may. `within_us`: how soon the fault must be found, 0 without one.
    `looks`, `observations`: of all monitors. `struck`: lines that the fault struck. `seconds`: real time.
    """

    app: str
    drill: str
    planted: str
    seed: int
    days: int
    digest: str
    findings: list[DrilledFinding]
    found_us: int | None
    within_us: int
    false: int
    allowed: int
    looks: int
    observations: int
    struck: int
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the fault was found soon enough, and not more than is allowed before it."""
        in_time = not self.within_us or (self.found_us is not None and self.found_us <= self.within_us)
        return in_time and self.false <= self.allowed

    def text(self) -> str:
        """The report as plain text."""
        lines = [
            f"{self.drill} of {self.app}, seed {self.seed}, {self.days} days in {self.seconds:.1f} s",
            f"planted: {self.planted}",
            f"digest {self.digest}",
            "",
            *(
                f"{_signed(drilled.after_us):>8}  {drilled.finding.severity}: {drilled.finding.message}"
                for drilled in self.findings
            ),
            "",
            f"{self.looks:,} looks with {self.observations:,} observations; {self.false} findings without a cause, "
            f"{self.allowed} allowed",
        ]
        if self.within_us:
            result = "not found" if self.found_us is None else f"found after {format_duration(self.found_us)}"
            lines.append(
                f"the fault struck {self.struck:,} lines and was {result}, {format_duration(self.within_us)} allowed"
            )
        return "\n".join([*lines, "passed" if self.passed else "FAILED"])


def run_data_drill(
    app: App,
    name: str,
    *,
    seed: int = 1,
    days: int | None = None,
    report_progress: Callable[[str], object] | None = None,
    **settings: Any,
) -> DataDrillReport:
    """Run the drill `name` of `DATA_DRILLS` in the application's world; same arguments, same digest.

    `days`: how many virtual days the service runs, by default 7 without a fault, and 2 before and 2 after one.
    `settings`: of the world, including `past_days`. The application learns once, from its first two candidates. Raises
    `BadInput` for an unknown drill or too few days, `BadDeclaration` for an application without a world.
    """
    if name not in DATA_DRILLS:
        raise BadInput("drill", f"one of {', '.join(DATA_DRILLS)}", name)
    if days is not None and days < 1 + (name != QUIET):
        raise BadInput("days", f"{1 + (name != QUIET)} or more", days)
    stopwatch = SystemStopwatch()
    began_s = stopwatch.read_s()
    scale = drill_scale(app.world, app.name)
    chosen = {**scale.settings, "past_days": PAST_DAYS, **scale.of_data, **settings}
    start_us = START_US - int(chosen.pop("past_days")) * DAY_US
    world = open_world(app.world, app.name, seed=seed, start_us=start_us, **chosen)
    app = copy(app)  # the caller's application stays as it is declared
    app.candidates = dict(list(app.candidates.items())[:2])
    app.retrain, app.gates = (), gates(min_examples=1, max_answer="10s")
    fault = DATA_DRILLS[name]
    lived = days or (QUIET_DAYS if fault is None else BEFORE_DAYS + AFTER_DAYS)
    begin_us = START_US + max(1, lived - AFTER_DAYS) * DAY_US + _FAULT_AT_US
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        simulation = _WatchedSimulation(app, Path(folder), world, seed, fault, begin_us, report_progress or _silent)
        simulation.begin(start_us)
        simulation.live(lived)
        report = simulation.data_drill_report(name, lived)
    return replace(report, seconds=stopwatch.read_s() - began_s)


class _WatchedSimulation(Simulation):
    flush_us = STEP_US

    def __init__(
        self,
        app: App,
        home: Path,
        world: World,
        seed: int,
        fault: DataFault | None,
        begin_us: int,
        report_progress: Callable[[str], object],
    ) -> None:
        super().__init__(app, home, world, seed, SystemStopwatch(), report_progress)
        self._fault, self._begin_us = fault, begin_us
        self._wire = FaultyWire(fault, begin_us, np.random.default_rng([seed, 15]))
        self._rounds = list[WatchRound]()
        self._watcher = Watcher(self._runtime, self._rounds.append)

    def arriving(self, format: str, lines: Sequence[bytes]) -> Sequence[bytes]:
        return self._wire.passed(format, lines, self._clock.now_us())

    def live(self, days: int) -> None:
        """Simulate the days and look at each window."""
        since_us: int | None = START_US + STEP_US  # lines become known at the end of a step, in the window after it
        while self._clock.now_us() < START_US + days * DAY_US:
            self._step(self._clock.now_us() + STEP_US)
            for latest in self._watcher.step(self._clock.now_us() + 2 * STEP_US, since_us):
                self._say(latest)
            since_us = None

    def _say(self, latest: WatchRound) -> None:
        for finding in latest.decision.findings:
            if finding.fingerprint in latest.decision.new:
                self._report_progress(f"day {(latest.at_us - START_US) / DAY_US:.1f}: {finding.message}")

    def data_drill_report(self, name: str, days: int) -> DataDrillReport:
        """The report at the end of the drill."""
        app, fault = self._runtime.app, self._fault
        zero_us = START_US if fault is None else self._begin_us
        findings = [
            DrilledFinding(latest.at_us - zero_us, finding)
            for latest in self._rounds
            for finding in latest.decision.findings
            if finding.fingerprint in latest.decision.new
        ]
        caused = [drilled.after_us for drilled in findings if fault is not None and drilled.after_us > 0]
        quiet_days = days if fault is None else (zero_us - START_US) / DAY_US
        return DataDrillReport(
            app=app.name,
            drill=name,
            planted="nothing" if fault is None else fault.words,
            seed=self._seed,
            days=days,
            digest=self._tally.digest(),
            findings=findings,
            found_us=min(caused, default=None),
            within_us=0 if fault is None else fault.within_us,
            false=len(findings) - len(caused),
            allowed=math.floor(app.watch.false_findings * quiet_days / 30),
            looks=len(self._rounds),
            observations=sum(latest.looked for latest in self._rounds),
            struck=self._wire.struck,
        )


def _signed(after_us: int) -> str:
    return f"{after_us / STEP_US:+.0f} h"


def _silent(_: str) -> None: ...
