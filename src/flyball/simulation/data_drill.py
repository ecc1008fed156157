"""Drills of watching: a fault of data is planted in a simulated world, to test whether and when it is found.

The application runs like in `simulate`, in virtual time; it is watched as it declares. Before the fault, and in the
drill without one, nothing may be found beyond the budget of false findings.
"""

import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from flyball.app import App
from flyball.core import BadInput, SystemStopwatch, format_duration
from flyball.simulation.data_faults import FAULTS, DataFault, faults_of
from flyball.simulation.monitored import HOUR_US, DrilledFinding, PlantedFault, WatchedSimulation, reduced_app
from flyball.simulation.virtual import START_US
from flyball.simulation.world import DAY_US, drill_scale, open_world

QUIET = "quiet"
DATA_DRILLS: Mapping[str, DataFault | None] = {QUIET: None, **FAULTS}
PAST_DAYS, BEFORE_DAYS, AFTER_DAYS, QUIET_DAYS = 21, 2, 2, 7
_FAULT_AT_US = 10 * HOUR_US
"""The hour of the day at which a fault begins."""


class DataDrillReport(Struct, frozen=True, kw_only=True):
    """The outcome of a drill of watching.

    `found_us`: the time from the start of the fault to the first finding, None for none. `false`: how many findings
    came before the fault without a cause; `allowed`: how many may; `explained`: how many came with a release.
    `within_us`: how soon the fault must be found, 0 without one. `looks`, `observations`: of all monitors. `struck`:
    lines that the fault struck. `seconds`: real time.
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
    explained: int = 0

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
            f"{self.allowed} allowed; {self.explained} that a release explains",
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
    looks: Path | None = None,
    **settings: Any,
) -> DataDrillReport:
    """Run the drill `name` of `DATA_DRILLS` in the application's world; same arguments, same digest.

    `days`: how many virtual days are watched, by default 7 without a fault, and 2 before and 2 after one, or 8 before
    one that only lines of a live service show. `looks`: a
    file that gets a line of JSON for each observation of each monitor: what it saw, its e-value, its evidence since.
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
    able = {QUIET: None, **faults_of(scale.fractions)}
    if name not in able:
        raise BadInput(f"drill of {app.name}", f"one of {', '.join(able)}: its lines lack the numbers", name)
    chosen = {**scale.settings, "past_days": PAST_DAYS, **scale.of_data, **settings}
    start_us = START_US - int(chosen.pop("past_days")) * DAY_US
    world = open_world(app.world, app.name, seed=seed, start_us=start_us, **chosen)
    app = reduced_app(app)
    fault = DATA_DRILLS[name]
    before = QUIET_DAYS + 1 if fault is not None and fault.live else BEFORE_DAYS
    lived = days or (QUIET_DAYS if fault is None else before + AFTER_DAYS)
    known_us = START_US + scale.known_days * DAY_US + HOUR_US  # lines of an hour become known at its end
    begin_us = known_us + max(1, lived - AFTER_DAYS) * DAY_US + _FAULT_AT_US - HOUR_US
    planted = PlantedFault(begin_us, data=fault)
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        simulation = _DataSimulation(
            app,
            Path(folder),
            world,
            seed,
            planted,
            report_progress or _silent,
            usual_since_us=scale.usual_since(START_US),
        )
        simulation.looks_file = looks
        simulation.begin(start_us)
        simulation.live(scale.known_days + lived, known_us)
        report = simulation.data_report(name, lived, known_us)
    return replace(report, seconds=stopwatch.read_s() - began_s)


class _DataSimulation(WatchedSimulation):
    def data_report(self, name: str, days: int, watched_us: int) -> DataDrillReport:
        """The report at the end of the drill; `watched_us`: since when it was watched."""
        app, fault = self._runtime.app, self._planted.data
        zero_us = watched_us if fault is None else self._planted.begin_us
        findings = self.findings(zero_us)
        caused = [drilled.after_us for drilled in findings if fault is not None and drilled.after_us > 0]
        quiet = [drilled for drilled in findings if fault is None or drilled.after_us <= 0]
        explained = sum(drilled.explained for drilled in quiet)
        quiet_days = days if fault is None else (zero_us - watched_us) / DAY_US
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
            false=len(quiet) - explained,
            explained=explained,
            allowed=math.floor(app.watch.false_findings * quiet_days / 30),
            looks=len(self._rounds),
            observations=sum(latest.looked for latest in self._rounds),
            struck=self._wire.struck,
        )


def _signed(after_us: int) -> str:
    return f"{after_us / HOUR_US:+.0f} h"


def _silent(_: str) -> None: ...
