"""Looks at the windows that ended, and decides on findings; its state lies in the home and survives a crash.

A window is looked at once the history holds all events known before its end. Its state is written after its findings
were recorded, so that after a crash between the two the window is looked at again and gives the same findings.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flyball.core import find_zone, write_atomic
from flyball.monitoring.findings.budget import FindingsDecision, MonitorState, decide_findings
from flyball.monitoring.findings.finding import Finding, fingerprint_of
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.findings.triage import TriageContext, triage
from flyball.monitoring.profiles.table import TableProfile
from flyball.monitoring.watch.columns import Reference, observe_columns
from flyball.monitoring.watch.season import FEWEST_DAYS, earlier_windows, ends_day, like_window, weekday_of
from flyball.monitoring.watch.volume import VOLUME, observe_volume
from flyball.monitoring.watch.window_store import (
    Volumes,
    WindowStore,
    WindowTables,
    count_volumes,
    kept_volumes,
    read_volumes,
)
from flyball.releases import current
from flyball.runtime import Runtime

_DAY_US = 86_400_000_000
SETTLE_US = 120_000_000
"""How long after its end a window is looked at: consumers write the history every few seconds."""
_DAILY, _STATE, _EMPTY = "-daily", "state", TableProfile()
_PEEK = 64
_FORECASTS = 48
"""How many windows before a window show how well their volumes were forecast."""
_WAITS_US = 6 * 3_600_000_000
"""How long a window is waited for whose events are not in the history; then it is looked at as it is."""

ExtraMonitor = Callable[[int, int], Sequence[Observation]]
"""Observations of `[since_us, until_us)` by a monitor of another kind."""


class WatchState(Struct, frozen=True):
    """How far an application has been watched: the windows before `until_us`, microseconds since 1970.

    `monitors`: by fingerprint. `findings`: those that hold.
    """

    until_us: int | None = None
    monitors: dict[str, MonitorState] = {}
    findings: tuple[Finding, ...] = ()


class WatchRound(Struct, frozen=True):
    """What the look at one window, which ended at `at_us`, gave; `looked`: the number of observations."""

    at_us: int
    looked: int
    decision: FindingsDecision


class Watcher:
    """Watches the application of `runtime` as it declares (`App.watch`).

    `record`: called with each round before its state is written; it may be called again with the same one after a
    crash. `extra`: more monitors, called for each window. `folder`: of its state, by default in the home.
    """

    def __init__(
        self,
        runtime: Runtime,
        record: Callable[[WatchRound], object],
        extra: Sequence[ExtraMonitor] = (),
        folder: Path | None = None,
    ) -> None:
        self._runtime, self._record, self._extra = runtime, record, tuple(extra)
        self._plan = runtime.app.watch
        self._zone = find_zone(runtime.settings.zone)
        self._folder = folder or watch_folder(runtime)
        self._windows = WindowStore(runtime, self._folder, self._plan.every_us)
        self._days = WindowStore(runtime, self._folder, _DAY_US)
        self._ignore = frozenset(self._plan.ignore)

    def step(self, now_us: int, since_us: int | None = None) -> list[WatchRound]:
        """Look at all windows that ended and are complete; returns a round for each.

        The first step only notes where to begin, unless `since_us` says so: the windows from there on.
        """
        state = read_state(self._folder)
        every = self._plan.every_us
        end_us = (now_us - SETTLE_US) // every * every
        if state.until_us is None or state.until_us > end_us:  # the first look, or the clock was set back
            begin_us = end_us if since_us is None else min(end_us, -(-since_us // every) * every)
            state = replace(state, until_us=begin_us)
            self._write(state)
        rounds: list[WatchRound] = []
        start_us = state.until_us or 0
        while start_us < end_us and self._is_complete(start_us + every, now_us):
            state, latest = self._look(state, start_us)
            rounds.append(latest)
            start_us += every
        return rounds

    def _is_complete(self, until_us: int, now_us: int) -> bool:
        """Whether the history holds all events that were known before `until_us`."""
        if now_us > until_us + _WAITS_US:
            return True
        log = self._runtime.log
        offsets = self._runtime.history.offsets() or (0,) * len(log.ends())
        unread = (record for piece in log.read(offsets, _PEEK) for record in piece.records)
        return all(record.known_at >= until_us for record in unread)

    def _look(self, state: WatchState, start_us: int) -> tuple[WatchState, WatchRound]:
        every = self._plan.every_us
        until_us = start_us + every
        profiles = self._windows.profiles(start_us)
        volumes = self._volumes(profiles, start_us)
        suspect = {key: known.suspected_us for key, known in state.monitors.items()}
        observations = [
            *self._of_volumes(volumes, start_us, suspect),
            *self._of_columns(self._windows, profiles, start_us, ""),
            *(seen for monitor in self._extra for seen in monitor(start_us, until_us)),
        ]
        day_us = until_us - _DAY_US
        if every < _DAY_US and ends_day(until_us, every, self._zone):
            firing = {key for key, known in state.monitors.items() if known.firing}
            observations += [
                seen
                for seen in self._of_columns(self._days, self._days.profiles(day_us), day_us, _DAILY)
                if fingerprint_of(seen.monitor.removesuffix(_DAILY), seen.subject) not in firing
            ]
            self._forget(until_us)
        decision = decide_findings(
            state.monitors,
            observations,
            since_us=start_us,
            at_us=until_us,
            run_length=self._plan.looks_a_month / self._plan.false_findings,
        )
        decision = replace(decision, findings=triage(decision.findings, self._context()))
        latest = WatchRound(until_us, len(observations), decision)
        self._record(latest)
        state = WatchState(until_us, decision.states, _holding(state, decision))
        self._write(state)
        return state, latest

    def _context(self) -> TriageContext:
        reigning = current(self._runtime.registry).reigning
        return TriageContext() if reigning is None else TriageContext(reigning.candidate, reigning.since_us)

    def _of_columns(self, store: WindowStore, now: WindowTables, start_us: int, suffix: str) -> list[Observation]:
        earlier = earlier_windows(start_us, self._plan.every_us, self._plan.days, self._zone)
        profiles = {window.start_us: store.profiles(window.start_us) for window in earlier}
        like = like_window(earlier, weekday_of(start_us, self._zone))
        seen = []
        for table, profile in now.items():
            if table in self._ignore:
                continue
            reference = Reference(
                [profiles[window.start_us].get(table, _EMPTY) for window in like],
                [(window.weekday, profiles[window.start_us].get(table, _EMPTY)) for window in earlier],
            )
            if sum(part.rows > 0 for _, part in reference.spread) >= FEWEST_DAYS:
                seen += observe_columns(
                    table, profile, reference, least=self._plan.least, ignore=self._ignore, suffix=suffix
                )
        return seen

    def _of_volumes(self, volumes: Volumes, start_us: int, suspect: Mapping[str, int | None]) -> list[Observation]:
        """`suspect`: since when the evidence of a monitor grows; these windows do not show what is usual."""
        every, seen = self._plan.every_us, list[Observation]()
        forecast_us = [start_us - back * every for back in range(_FORECASTS + 1)]
        seasons = [self._season_of(own_us) for own_us in forecast_us]
        for table, counts in volumes.items():
            if table in self._ignore or len(counts) * every < FEWEST_DAYS * _DAY_US:
                continue
            since_us = suspect.get(fingerprint_of(VOLUME, table))
            usual = {start: rows for start, rows in counts.items() if since_us is None or start < since_us}
            seen.append(observe_volume(table, {**usual, start_us: counts[start_us]}, start_us, seasons))
        return seen

    def _season_of(self, start_us: int) -> list[int]:
        earlier = earlier_windows(start_us, self._plan.every_us, self._plan.days, self._zone)
        like = like_window(earlier, weekday_of(start_us, self._zone))
        return [start_us, *(window.start_us for window in like)]

    def _volumes(self, profiles: WindowTables, start_us: int) -> Volumes:
        """The volumes of all windows that are looked back at, that which begins at `start_us` included; written."""
        path, every = self._folder / "volumes", self._plan.every_us
        since_us = start_us - self._plan.days * _DAY_US - (_FORECASTS + 1) * every
        volumes = read_volumes(path)
        if volumes is None:
            volumes = count_volumes(self._runtime, since_us, start_us, every)
        volumes = kept_volumes(volumes, list(profiles), since_us)
        for table, profile in profiles.items():
            if profile.rows or volumes[table]:
                volumes[table][start_us] = profile.rows
        write_atomic(path, msgspec.msgpack.encode(volumes))
        return volumes

    def _forget(self, until_us: int) -> None:
        """Once a day: delete the profiles of windows that nothing is compared with any more."""
        oldest_us = until_us - (self._plan.days + 2) * _DAY_US
        self._windows.forget_before(oldest_us)
        self._days.forget_before(oldest_us)

    def _write(self, state: WatchState) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._folder / _STATE, msgspec.msgpack.encode(state))


def watch_folder(runtime: Runtime) -> Path:
    """Where the state of watching and the profiles of windows lie."""
    return runtime.layout.monitoring


def read_state(folder: Path) -> WatchState:
    """The state of watching; the initial one if there is none that can be read."""
    try:
        return msgspec.msgpack.decode((folder / _STATE).read_bytes(), type=WatchState)
    except (FileNotFoundError, msgspec.MsgspecError):
        return WatchState()


def _holding(state: WatchState, decision: FindingsDecision) -> tuple[Finding, ...]:
    """The findings that hold: those of this round, and earlier ones whose monitors did not look."""
    latest = {finding.fingerprint: finding for finding in decision.findings}
    earlier = {finding.fingerprint: finding for finding in state.findings}
    return tuple(
        finding
        for key, finding in {**earlier, **latest}.items()
        if key in decision.states and decision.states[key].firing
    )
