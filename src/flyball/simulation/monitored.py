"""A simulated application that is watched as in live service, with a fault in its lines, its service or its consumers.

All monitors of a live service look; what they find becomes incidents.
"""

import math
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Literal, Self

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace

from flyball.app import App
from flyball.core import StoreUnavailable, SystemStopwatch
from flyball.events import Slice, WorkerReport
from flyball.monitoring import (
    SETTLE_US,
    Finding,
    Observation,
    Watcher,
    WatchRound,
    fingerprint_of,
    known_facts,
    record_findings,
)
from flyball.operations import Consumer, StepReport, watch_monitors
from flyball.policy import Trigger, gates
from flyball.registry import add_versions
from flyball.releases import current, promote
from flyball.simulation.data_faults import DataFault, FaultyWire, by_source
from flyball.simulation.serving_fault import OF_RELEASE, ServingFault
from flyball.simulation.virtual import START_US, Simulation
from flyball.simulation.world import DAY_US, World

HOUR_US = 3_600_000_000
DRILLER = "drill"
_STALLED = "features"


class PlantedFault(Struct, frozen=True):
    """What is planted from `begin_us` on, for `lasts_us` microseconds, 0 for to the end.

    `data`: what becomes of lines on their way, which may have a length of its own. `serving`: as `ServingFault` has it.
    `stalled`: whether the consumer of features stands still. A change of the world is planted in the world itself.
    """

    begin_us: int
    lasts_us: int = 0
    data: DataFault | None = None
    serving: str = ""
    stalled: bool = False

    def holds(self, at_us: int) -> bool:
        """Whether the fault holds at a time."""
        return at_us >= self.begin_us and not self.is_over(at_us)

    def is_over(self, at_us: int) -> bool:
        """Whether the fault came and went."""
        lasts_us = self.lasts_us or (0 if self.data is None else self.data.lasts_us or 0)
        return bool(lasts_us) and at_us >= self.begin_us + lasts_us


class DrilledFinding(Struct, frozen=True):
    """A finding, `after_us` after the fault began (or, without a fault, after the service started)."""

    after_us: int
    finding: Finding

    @property
    def explained(self) -> bool:
        """Whether it came with a release, which is a cause that is known."""
        return self.finding.came_with_release


def reduced_app(app: App, candidates: Sequence[str] = (), retrain: Sequence[Trigger] = ()) -> App:
    """A copy that is drilled: with the named candidates, by default the first two, and learning once or by `retrain`.

    A drill tests what follows from a fault, so the gates on how good a model is are only reported.
    """
    app = copy(app)  # the caller's application stays as it is declared
    app.source = None  # the file declares another one, which processes that fit candidates would load
    names = [name for name in candidates if name in app.candidates] or list(app.candidates)[:2]
    app.candidates = {name: app.candidates[name] for name in names}
    reported = ("no_leaks", "beats_", *(gate.name for gate in app.task.offline().plan().gates))
    app.gates = replace(gates(min_examples=1, max_answer="10s"), advisory=reported)
    app.retrain = tuple(retrain)
    return app


class WatchedSimulation(Simulation):
    """An application in its world, watched.

    `step_us`: the virtual time of a step. `usual_since_us`: windows before it do not show what is usual. `looks_file`:
    a file that gets a line of JSON for each observation of each monitor.
    """

    looks_file: Path | None = None
    fitted_at_once = 1  # on little data a candidate is fitted sooner than a process starts

    def __init__(
        self,
        app: App,
        home: Path,
        world: World,
        seed: int,
        planted: PlantedFault,
        report_progress: Callable[[str], object],
        step_us: int = HOUR_US,
        usual_since_us: int = 0,
    ) -> None:
        super().__init__(app, home, world, seed, SystemStopwatch(), report_progress)
        self.flush_us = self._step_us = step_us
        self._planted, self._usual_since_us = planted, usual_since_us
        self._wire = FaultyWire(planted.data, planted.begin_us, np.random.default_rng([seed, 15]))
        self._fault = ServingFault(planted.serving, seed)
        self._rounds, self._lags = list[WatchRound](), WorkerReport(0, {}, {})
        extra = [self._facts, *watch_monitors(self._runtime)]
        self._watcher = Watcher(self._runtime, self._look, extra, usual_since_us=usual_since_us)

    def live(self, days: float, watched_us: int | None = None) -> None:
        """Simulate until `days` after the start, and look at each window, first at that from `watched_us` on."""
        while self._clock.now_us() < START_US + days * DAY_US:
            self._step(self._clock.now_us() + self._step_us)
            if self._clock.now_us() >= (watched_us or 0):
                self._watcher.step(self._clock.now_us() + SETTLE_US, watched_us)
            self.stepped()

    def copied(self, home: Path, world: World, planted: PlantedFault) -> Self:
        """The same service, started again on a copy of its home, in another world, with another fault."""
        shutil.copytree(self._runtime.home, home)
        other = type(self)(
            self._runtime.app,
            home,
            world,
            self._seed,
            planted,
            self._report_progress,
            self._step_us,
            self._usual_since_us,
        )
        other._clock.move_to_us(self._clock.now_us())
        other._rng, other._sample_rng, other._ids = deepcopy((self._rng, self._sample_rng, self._ids))
        other._recent, other._pending = self._recent.copy(), self._pending
        other._tally.learned = list(self._tally.learned)
        other.start()
        return other

    @property
    def looks(self) -> int:
        """How many windows were looked at."""
        return len(self._rounds)

    def digest(self) -> str:
        """Of all answers."""
        return self._tally.digest()

    def monitors(self) -> set[str]:
        """The names of the monitors that looked."""
        return {name for latest in self._rounds for name in latest.monitors}

    def latest(self, fingerprints: Collection[str]) -> list[Finding]:
        """The findings as they were last seen while the fault held."""
        rounds = [latest for latest in self._rounds if not self._planted.is_over(latest.at_us - 1)]
        seen = {finding.fingerprint: finding for latest in rounds for finding in latest.decision.findings}
        return [finding for key, finding in seen.items() if key in fingerprints]

    def stepped(self) -> None:
        """Called after each step, when the windows that ended were looked at."""

    def findings(self, zero_us: int) -> list[DrilledFinding]:
        """The findings when they were new, with the time since `zero_us`."""
        return [
            DrilledFinding(latest.at_us - zero_us, finding)
            for latest in self._rounds
            for finding in latest.decision.findings
            if finding.fingerprint in latest.decision.new
        ]

    def arriving(self, format: str, lines: Sequence[bytes]) -> Sequence[bytes]:
        return self._wire.passed(format, lines, self._clock.now_us())

    def _ingest(
        self, format: str, pieces: Iterable[bytes], mode: Literal["live", "history"] = "live", name: str = ""
    ) -> None:
        fault = self._planted.data
        if fault is None or not fault.divided:
            super()._ingest(format, pieces, mode, name)
            return
        for number, piece in enumerate(pieces):  # of each piece both sources, so that events stay near their order
            for source, lines in by_source(piece.splitlines()).items():
                super()._ingest(format, [b"\n".join(lines)], mode, f"{source}-{number}-")

    def prepare(self) -> None:
        """Plant the fault of serving while it lasts."""
        now_us, planted = self._clock.now_us(), self._planted
        if not planted.serving or now_us < planted.begin_us:
            return
        if planted.serving in OF_RELEASE and not self._fault.version:
            self._release_bug(now_us)
        serving = self._service.engine.serving
        self._service.engine.serving = self._fault.planted(serving, planted.is_over(now_us))

    def consumers(self) -> list[Consumer]:
        consumers = super().consumers()
        names = [consumer.name for consumer in consumers]
        stalled = _STALLED if _STALLED in names else names[0]
        return [self._stalling(consumer) if consumer.name == stalled else consumer for consumer in consumers]

    def followed(self, progress: StepReport) -> None:
        now_us = self._clock.now_us()
        self._lags = WorkerReport(now_us, progress.applied, progress.lags)
        if not self._planted.stalled or not self._planted.holds(now_us):
            super().followed(progress)

    def _stalling(self, consumer: Consumer) -> Consumer:
        def apply(slices: Sequence[Slice]) -> object:
            if self._planted.stalled and self._planted.holds(self._clock.now_us()):
                raise StoreUnavailable("the consumer stands still: the fault of the drill")
            return consumer.apply(slices)

        return replace(consumer, apply=apply)

    def _release_bug(self, now_us: int) -> None:
        """Release a copy of the champion, whose pipeline has the bug."""
        registry, champion = self._runtime.registry, current(self._runtime.registry).champion or ""
        twin = replace(registry.version(champion), id="", state="candidate")
        (version,) = add_versions(registry, [twin])
        promote(registry, version.id, "a release", DRILLER, now_us, artifacts=self._runtime.artifact_files)
        self._fault.version = version.id
        self._service.refresher.step()

    def _facts(self, since_us: int, until_us: int, suspects: Mapping[str, int]) -> list[Observation]:
        releases = list(current(self._runtime.registry).under_way)
        return known_facts(self._runtime, releases, self._lags)

    def _look(self, latest: WatchRound) -> None:
        if self.looks_file is not None:
            with self.looks_file.open("ab") as file:
                file.writelines(look_lines(latest))
        self._rounds.append(replace(latest, observations=()))
        decision = latest.decision
        record_findings(self._runtime, decision.findings, self._clock.now_us(), decision.cleared, latest.at_us)
        for finding in decision.findings:
            if finding.fingerprint in decision.new:
                self._report_progress(f"day {(latest.at_us - START_US) / DAY_US:.1f}: {finding.message}")


def look_lines(latest: WatchRound) -> list[bytes]:
    """A line of JSON for each observation of a look, which ended at `at_us`.

    `log_wealth`: the evidence of its monitor after it, in logarithms; null where it is none. An infinite e-value, of a
    fact, is null.
    """
    lines = []
    for seen in latest.observations:
        wealth = latest.decision.states[fingerprint_of(seen.monitor, seen.subject)].log_wealth
        fields = {**asdict(seen), "e_value": seen.e_value if math.isfinite(seen.e_value) else None}
        about = {"at_us": latest.at_us, **fields, "log_wealth": wealth if math.isfinite(wealth) else None}
        lines.append(msgspec.json.encode(about) + b"\n")
    return lines
