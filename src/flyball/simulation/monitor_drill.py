"""The drill of monitors: faults are planted in one simulated service, one at a time, to measure each monitor.

The service lives once until its usual windows are known. From there each fault has a run of its own, which is the same
service, started again on a copy of its home, with a copy of its world; one more run has no fault. A finding of the run
without a fault is false, and counts for no fault.
"""

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from flyball.app import App
from flyball.core import BadInput, SystemStopwatch
from flyball.monitoring import Finding
from flyball.simulation.data_faults import faults_of
from flyball.simulation.monitor_faults import CONTROL, MONITOR_FAULTS, MonitorFault, window_us
from flyball.simulation.monitor_report import (
    MISSED,
    UNNAMED,
    FaultResult,
    MonitorDrillReport,
    confusion_of,
    monitor_rows,
)
from flyball.simulation.monitored import HOUR_US, DrilledFinding, PlantedFault, WatchedSimulation, reduced_app
from flyball.simulation.moving_world import MovingWorld
from flyball.simulation.shift_drills import BEFORE_DAYS, QUIET_DAYS
from flyball.simulation.virtual import START_US
from flyball.simulation.world import DAY_US, World, drill_scale, open_world

MONITORS = "monitors"
LONGEST_STEP_US = 12 * HOUR_US


def run_monitor_drill(
    app: App,
    name: str = MONITORS,
    *,
    seed: int = 1,
    days: int | None = None,
    faults: Sequence[str] | None = None,
    report_progress: Callable[[str], object] | None = None,
    **settings: Any,
) -> MonitorDrillReport:
    """Plant `faults`, names of `MONITOR_FAULTS`, by default all that the world has; same arguments, same digest.

    `days`: how many virtual days each fault is watched, by default 2 to 7, and longer where only labels show it.
    `settings`: of the world, including `past_days`. Raises `BadInput` for an unknown fault or too few days,
    `BadDeclaration` for an application without a world.
    """
    if days is not None and days < 1:
        raise BadInput("days", "1 or more", days)
    stopwatch = SystemStopwatch()
    began_s = stopwatch.read_s()
    scale = drill_scale(app.world, app.name)
    chosen = {**scale.settings, **scale.of_shift, **scale.of_monitors, **settings}
    start_us = START_US - int(chosen.pop("past_days", 28)) * DAY_US
    world = open_world(app.world, app.name, seed=seed, start_us=start_us, **chosen)
    planted = _faults_of(world, faults, scale.fractions)
    label_us = max((label.within_us for label in app.task.about.labels), default=0)
    label_days = math.ceil(label_us / DAY_US)
    app = reduced_app(app, scale.of_shift_candidates[-1:])
    app.watch = replace(app.watch, every_us=max(app.watch.every_us, window_us(label_us)))
    step_us = min(app.watch.every_us, LONGEST_STEP_US)
    before = max(BEFORE_DAYS, scale.known_days + QUIET_DAYS) + label_days
    begin_us = START_US + before * DAY_US
    lengths = {fault: days or kind.days + kind.by_labels * label_days for fault, kind in planted.items()}
    say = report_progress or _silent
    with tempfile.TemporaryDirectory(prefix="flyball-drill-") as folder:
        usual_us = scale.usual_since(START_US)
        base = _MonitorSimulation(
            app, Path(folder) / "base", world, seed, PlantedFault(begin_us), say, step_us, usual_us
        )
        base.begin(start_us)
        base.live(before, begin_us - QUIET_DAYS * DAY_US)
        runs = {}
        for number, (fault, kind) in enumerate({**planted, CONTROL: MonitorFault("own")}.items()):
            say(f"{fault}, {number + 1} of {len(planted) + 1}")
            run = base.branch(Path(folder) / fault, kind, begin_us, app.name)
            run.live(before + lengths.get(fault, max(lengths.values(), default=1)))
            runs[fault] = run
        report = _report(app, seed, base, runs, planted, begin_us)
    return replace(report, seconds=stopwatch.read_s() - began_s)


def _faults_of(world: World, names: Sequence[str] | None, fractions: int) -> dict[str, MonitorFault]:
    """The faults that are planted, with the words of the world for its changes."""
    kinds, of_data = getattr(world, "SHIFTS", {}), faults_of(fractions)
    able = {
        name: fault
        for name, fault in MONITOR_FAULTS.items()
        if (not fault.moves or fault.moves in kinds) and (not fault.data or fault.data in of_data)
    }
    for name in names or ():
        if name not in able:
            raise BadInput("fault", f"one of {', '.join(able)}", name)
    return {
        name: replace(fault, words=fault.words or kinds[fault.moves])
        for name, fault in able.items()
        if names is None or name in names
    }


class _MonitorSimulation(WatchedSimulation):
    def _ingest(
        self, format: str, pieces: Iterable[bytes], mode: Literal["live", "history"] = "live", name: str = ""
    ) -> None:
        # An event is known when it happens, not at the end of a step: windows hold the events that happened in them.
        super()._ingest(format, pieces, "history", name)

    def branch(self, home: Path, fault: MonitorFault, begin_us: int, name: str) -> "_MonitorSimulation":
        """The same service, started again on a copy of its home, with a fault from `begin_us` on."""
        world = deepcopy(self._world)
        if fault.moves:
            world = MovingWorld(world, fault.moves, lambda at_us: float(at_us >= begin_us), name)
        return self.copied(home, world, fault.planted(begin_us))


def _report(
    app: App,
    seed: int,
    base: WatchedSimulation,
    runs: Mapping[str, WatchedSimulation],
    planted: Mapping[str, MonitorFault],
    begin_us: int,
) -> MonitorDrillReport:
    control = runs[CONTROL].findings(begin_us)
    quiet = [item for item in (*base.findings(begin_us), *control) if not item.explained]
    usual = {item.finding.fingerprint for item in control}
    digest = sha256("".join(run.digest() for run in (base, *runs.values())).encode()).hexdigest()
    looks = base.looks + runs[CONTROL].looks
    monitors = {name for run in (base, *runs.values()) for name in run.monitors()}
    false = Counter(_monitor(item) for item in quiet)
    faults = [
        _result(
            name,
            fault,
            [item for item in runs[name].findings(begin_us) if item.finding.fingerprint not in usual],
            runs[name],
        )
        for name, fault in planted.items()
    ]
    every_us = app.watch.every_us
    return MonitorDrillReport(
        app=app.name,
        seed=seed,
        every_us=every_us,
        digest=digest,
        faults=faults,
        rows=monitor_rows(faults, monitors, false, looks, every_us),
        confusion=confusion_of(faults),
        false=sum(false.values()),
        quiet_looks=looks,
        allowed=math.floor(app.watch.false_findings * looks * every_us / DAY_US / 30),
    )


def _result(name: str, fault: MonitorFault, caused: Sequence[DrilledFinding], run: WatchedSimulation) -> FaultResult:
    found_us: dict[str, int] = {}
    for item in caused:
        found_us.setdefault(_monitor(item), item.after_us)
    keys = {item.finding.fingerprint for item in caused}
    first = [item.finding for item in caused if item.after_us == caused[0].after_us]
    last = run.latest(keys) or first  # a fault may be over before its window is
    return FaultResult(
        name,
        fault.words,
        fault.cause,
        found_us,
        _named(first),
        _named(last),
    )


def _named(findings: Sequence[Finding]) -> str:
    """The cause that findings name: our own if one of them does, else the kind of shift that most name."""
    if not findings:
        return MISSED
    if any(finding.origin == "own" for finding in findings):
        return "own"
    kinds = Counter(str(finding.evidence["shift"]) for finding in findings if "shift" in finding.evidence)
    return kinds.most_common(1)[0][0] if kinds else UNNAMED


def _monitor(item: DrilledFinding) -> str:
    return item.finding.monitor.removesuffix("-daily")


def _silent(_: str) -> None: ...
