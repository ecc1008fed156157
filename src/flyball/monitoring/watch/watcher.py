"""Looks at the windows that ended, and decides on findings; its state lies in the home and survives a crash.

A window is looked at once the history holds all events known before its end. Its state is written after its findings
were recorded, so that after a crash between the two the window is looked at again and gives the same findings.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flyball.core import find_zone, write_atomic
from flyball.monitoring.findings.budget import (
    FindingsDecision,
    MonitorState,
    as_last_seen,
    decide_findings,
    suspects_of,
)
from flyball.monitoring.findings.diagnosis import diagnose, latest_evidence, with_diagnosis
from flyball.monitoring.findings.finding import Finding, fingerprint_of
from flyball.monitoring.findings.observation import DAILY, Observation, other_monitor
from flyball.monitoring.findings.triage import TriageContext, triage, triage_context, with_consequences
from flyball.monitoring.profiles.application_table import PREDICTIONS
from flyball.monitoring.profiles.outcome_profiles import OUTCOMES
from flyball.monitoring.profiles.table import TableProfile
from flyball.monitoring.watch.accepted import accepted_shifts, reference_starts
from flyball.monitoring.watch.answering import (
    AnsweringChange,
    answering_changes,
    follows_answers,
    is_of_answers,
    usual_answers_since,
    usual_events_since,
)
from flyball.monitoring.watch.askers import asker_table
from flyball.monitoring.watch.by_segment import name_segments
from flyball.monitoring.watch.by_source import name_sources
from flyball.monitoring.watch.columns import SPELL_US, pooled_lengths, says_little
from flyball.monitoring.watch.counted import CountedLook, observe_lost_events, observe_volumes
from flyball.monitoring.watch.daily import ExtraMonitor
from flyball.monitoring.watch.followed import DECISIONS
from flyball.monitoring.watch.refused import QUARANTINE
from flyball.monitoring.watch.season import earlier_windows, ends_day, like_window, weekday_of
from flyball.monitoring.watch.source_rows import SOURCE, lacks_sources, with_sources
from flyball.monitoring.watch.source_volume import observe_sources
from flyball.monitoring.watch.stuck_values import name_stuck
from flyball.monitoring.watch.table_look import EarlierProfiles, TableLook, observe_table
from flyball.monitoring.watch.window_store import (
    Volumes,
    WindowStore,
    WindowTables,
    changed_windows,
    count_volumes,
    decisions_of,
    events_only,
    is_counted,
    kept_volumes,
    read_volumes,
)
from flyball.runtime import Runtime

_DAY_US, _DAYS_A_MONTH = 86_400_000_000, 30
SETTLE_US = 120_000_000
"""How long after its end a window is looked at: consumers write the history every few seconds."""
_STATE, _EMPTY = "state", TableProfile()
_PEEK = 64
_FORECASTS = 48
"""How many windows before a window show how well their volumes were forecast."""
_WAITS_US = 6 * 3_600_000_000
"""How long a window is waited for whose events are not in the history; then it is looked at as it is."""

_STRONG = log(30)
"""The log of an e-value that one monitor of a hundred or fewer reaches by chance."""


class _Known(Struct, frozen=True):
    """What is known before a look: `starts` of accepted shifts, `changes` of who answers, `suspects`: {fingerprint of
    a monitor: since when its evidence grows}, `firing`: those that have a finding."""

    starts: dict[str, int]
    changes: tuple[AnsweringChange, ...]
    suspects: dict[str, int]
    firing: frozenset[str]

    def has_other_finding(self, seen: Observation) -> bool:
        """Whether the monitor of the same column that looks at days, or at windows, has a finding already."""
        return fingerprint_of(other_monitor(seen.monitor), seen.subject) in self.firing


class WatchState(Struct, frozen=True):
    """How far an application has been watched: the windows before `until_us`, microseconds since 1970.

    `monitors`: by fingerprint. `findings`: those that hold. `performance`: {monitor of performance: the evidence of its
    latest look}, which says what a shift costs. `moved`: as of `TriageContext`.
    """

    until_us: int | None = None
    monitors: dict[str, MonitorState] = {}
    findings: tuple[Finding, ...] = ()
    performance: dict[str, dict[str, Any]] = {}
    moved: dict[str, int] = {}


class WatchRound(Struct, frozen=True):
    """What the look at one window, which ended at `at_us`, gave.

    `looked`: the number of observations, by the monitors `monitors`; `observations`: all of them.
    """

    at_us: int
    looked: int
    decision: FindingsDecision
    monitors: tuple[str, ...] = ()
    observations: tuple[Observation, ...] = ()


class Watcher:
    """Watches the application of `runtime` as it declares (`App.watch`).

    `record`: called with each round before its state is written; it may be called again with the same one after a
    crash. `extra`: more monitors, called for each window. `folder`: of its state, by default in the home.
    `usual_since_us`: windows before it do not show what is usual.
    """

    def __init__(
        self,
        runtime: Runtime,
        record: Callable[[WatchRound], object],
        extra: Sequence[ExtraMonitor] = (),
        folder: Path | None = None,
        usual_since_us: int = 0,
    ) -> None:
        self._usual_since_us = usual_since_us
        self._runtime, self._record, self._extra = runtime, record, tuple(extra)
        self._plan = runtime.app.watch
        self._zone = find_zone(runtime.settings.zone)
        self._folder = folder or watch_folder(runtime)
        self._windows = WindowStore(runtime, self._folder, self._plan.every_us)
        self._days = WindowStore(runtime, self._folder, _DAY_US)
        self._longer = [WindowStore(runtime, self._folder, us) for us in pooled_lengths(self._plan.every_us)]
        self._ignore = frozenset(self._plan.ignore)
        about = runtime.app.task.about
        self._inputs = (f"events.{about.request.__name__.lower()}", asker_table(about))
        verdict = about.reviews.verdict if about.reviews else None  # it follows the review, so it is soon there
        reviewed = f"events.{verdict.__name__.lower()}." if verdict else ""
        self._finding_column = (
            reviewed + about.reviews.finding if about.reviews else ""
        )  # what reviews find, soon after answers
        self._late = frozenset(
            f"events.{label.event.__name__.lower()}"
            for label in about.labels
            if label.impossible_after and label.within_us > self._plan.every_us and label.event is not verdict
        )

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
        known = self._known(state, start_us)
        if ends_day(until_us, every, self._zone):
            self._rebuild_changed(start_us)
        profiles = self._windows.profiles(start_us)
        volumes = self._volumes(profiles, start_us)
        counted = self._counted(known, start_us)
        observations = [
            *observe_volumes(counted, volumes, profiles),
            *observe_lost_events(counted, volumes),
            *observe_sources(counted, volumes, self._runtime.sources.names()),
            *self._of_columns(self._windows, known, start_us, volumes),
            *self._of_rare_rows(known, until_us, volumes),
            *(seen for monitor in self._extra for seen in monitor(start_us, until_us, known.suspects)),
        ]
        if every < _DAY_US and ends_day(until_us, every, self._zone):
            of_day = self._of_columns(self._days, known, until_us - _DAY_US, volumes, DAILY)
            observations += [replace(seen, daily=True) for seen in of_day]
            self._forget(until_us)
        decision = decide_findings(
            state.monitors,
            observations,
            since_us=start_us,
            at_us=until_us,
            run_length=_DAYS_A_MONTH / self._plan.false_findings,
            unit_us=_DAY_US,
        )
        performance = {**state.performance, **latest_evidence(observations)}
        moved = _moved(state, observations, decision, until_us)
        context = self._context(state, decision, moved, known.changes)
        triaged = triage(decision.findings, context)
        triaged = name_sources(self._runtime, triaged, state.findings, (start_us, until_us), self._plan.least)
        triaged = name_stuck(self._runtime, triaged, state.findings, (start_us, until_us))
        triaged = with_consequences(triaged, context)
        triaged = name_segments(self._runtime, triaged, state.findings, (start_us, until_us), self._plan.least)
        decision = replace(decision, findings=triaged)
        diagnosis = diagnose(_holding(state, decision), performance, self._inputs)
        diagnosed = with_diagnosis(triaged, diagnosis)
        decision = replace(decision, findings=as_last_seen(diagnosed, state.findings, decision.states))
        monitors = tuple(dict.fromkeys(seen.monitor.removesuffix(DAILY) for seen in observations))
        latest = WatchRound(until_us, len(observations), decision, monitors, tuple(observations))
        self._record(latest)
        state = WatchState(until_us, decision.states, _holding(state, decision), performance, moved)
        self._write(state)
        return state, latest

    def _context(
        self,
        state: WatchState,
        decision: FindingsDecision,
        moved: Mapping[str, int],
        changes: Sequence[AnsweringChange],
    ) -> TriageContext:
        steps = [(change.words, change.at_us) for change in changes if not change.reigns]
        champions = [(change.version, change.at_us) for change in changes if change.reigns]
        return triage_context(
            _holding(state, decision),
            *(champions[-1] if champions else ("", None)),
            earlier=state.findings,
            moved=moved,
            inputs=self._inputs,
            step=steps[-1] if steps else ("", None),
        )

    def _known(self, state: WatchState, start_us: int) -> _Known:
        registry, monitors = self._runtime.registry, state.monitors
        return _Known(
            reference_starts(accepted_shifts(registry)),
            answering_changes(registry),
            suspects_of(monitors, start_us),
            frozenset(key for key, monitor in monitors.items() if monitor.firing),
        )

    def _counted(self, known: _Known, start_us: int) -> CountedLook:
        every = self._plan.every_us
        return CountedLook(
            start_us,
            every,
            [self._season_of(start_us - back * every) for back in range(_FORECASTS + 1)],
            [window.start_us for window in earlier_windows(start_us, every, self._plan.days, self._zone)],
            known.suspects,
            known.starts,
            self._usual_since_us,
            known.changes,
            self._inputs,
            self._ignore,
            self._late,
        )

    def _of_rare_rows(self, known: _Known, until_us: int, volumes: Volumes) -> list[Observation]:
        """The looks at longer windows that end now, of tables whose shorter windows have too few rows for a look.

        Windows of one spell are one piece of evidence, so a look at the spell stands for those that have too few. Of
        two spells none may have been looked at before both are: their rows would count twice.
        """
        seen, shorter = list[Observation](), self._windows
        for store in self._longer:
            length_us = store.length_us
            if until_us % length_us == 0:
                start_us = until_us - length_us
                parts = [shorter.profiles(at_us) for at_us in range(start_us, until_us, shorter.length_us)]
                chosen = any if length_us <= SPELL_US else all
                tables = {
                    table
                    for table in dict.fromkeys(table for part in parts for table in part)
                    if chosen(says_little(part.get(table, _EMPTY)) for part in parts)
                }
                looks = self._of_columns(store, known, start_us, volumes, tables=tables)
                seen += [replace(look, pooled_us=length_us) for look in looks]
            shorter = store
        return seen

    def _of_columns(
        self,
        store: WindowStore,
        known: _Known,
        start_us: int,
        volumes: Volumes,
        suffix: str = "",
        tables: Collection[str] | None = None,
    ) -> list[Observation]:
        """The looks at the columns of `tables`, by default of all."""
        windows = earlier_windows(start_us, self._plan.every_us, self._plan.days, self._zone)
        earlier = [window for window in windows if window.start_us >= self._usual_since_us]
        profiles = {window.start_us: store.profiles(window.start_us) for window in earlier}
        weekday = weekday_of(start_us, self._zone)
        look = TableLook(weekday, store.length_us, known.starts, known.suspects, self._plan.least, self._ignore, suffix)
        seen = []
        for table, profile in store.profiles(start_us).items():
            if tables is not None and table not in tables:
                continue
            if table not in self._ignore and table != QUARANTINE:  # why lines are refused is a matter of chance
                before = [(window, profiles[window.start_us].get(table, _EMPTY)) for window in earlier]
                answers_us = list(volumes.get(PREDICTIONS, {}))
                released_us = self._released_us(table, known, start_us + store.length_us, before, answers_us)
                begun_us = min(volumes.get(table, {}), default=-1)  # this window, and the day of it, may be a part
                first_us = max(released_us, begun_us + 1)
                usual = [(window, then) for window, then in before if window.start_us >= first_us]
                seen += observe_table(table, profile, usual, look)
        return [
            replace(
                look, of_quality=look.subject == self._finding_column and look.monitor.removesuffix(DAILY) == "shift"
            )
            for look in seen
            if not known.has_other_finding(look)
        ]

    def _released_us(
        self, table: str, known: _Known, until_us: int, before: EarlierProfiles, answers_us: Sequence[int]
    ) -> int:
        """From when on windows show what is usual of a table, as far as it depends on who answers."""
        if is_of_answers(table):
            return usual_answers_since(
                known.changes, until_us, [window.start_us for window, then in before if then.rows]
            )
        return usual_events_since(known.changes, until_us, answers_us) if follows_answers(table, self._inputs) else 0

    def _rebuild_changed(self, until_us: int) -> None:
        """Once a day: forget the profiles of windows that got other rows since, as of events imported into the past."""
        path, every = self._folder / "volumes", self._plan.every_us
        kept = read_volumes(path)
        if kept is None:
            return
        since_us = until_us - self._plan.days * _DAY_US - (_FORECASTS + 1) * every
        counted = events_only(count_volumes(self._runtime, since_us, until_us, every))
        for start in changed_windows(kept, counted):
            self._windows.forget_over(start)
            for store in (*self._longer, self._days):
                store.forget_over(start)
        write_atomic(path, msgspec.msgpack.encode({**kept, **counted}))

    def _season_of(self, start_us: int) -> list[int]:
        earlier = earlier_windows(start_us, self._plan.every_us, self._plan.days, self._zone)
        like = like_window(earlier, weekday_of(start_us, self._zone))
        return [start_us, *(window.start_us for window in like)]

    def _volumes(self, profiles: WindowTables, start_us: int) -> Volumes:
        """The volumes of all windows that are looked back at, that which begins at `start_us` included; written."""
        path, every = self._folder / "volumes", self._plan.every_us
        since_us = start_us - self._plan.days * _DAY_US - (_FORECASTS + 1) * every
        volumes = read_volumes(path)
        if volumes is None or QUARANTINE not in volumes or lacks_sources(volumes):  # lost, or of an older version
            volumes = count_volumes(self._runtime, since_us, start_us, every)
        counted = {table: profile.rows for table, profile in profiles.items() if is_counted(table)}
        counted |= decisions_of(profiles)
        divided = (name for name in volumes if name.startswith((DECISIONS, SOURCE)))
        volumes = kept_volumes(volumes, [*counted, *divided], since_us)
        for table, rows in counted.items():
            if rows or volumes[table] or table == QUARANTINE:
                volumes[table][start_us] = rows
        volumes = with_sources(volumes, self._windows.sources(start_us), start_us)
        write_atomic(path, msgspec.msgpack.encode(volumes))
        return volumes

    def _forget(self, until_us: int) -> None:
        """Once a day: delete the profiles of windows that nothing is compared with any more."""
        oldest_us = until_us - (self._plan.days + 2) * _DAY_US
        self._windows.forget_before(oldest_us)
        for store in (*self._longer, self._days):
            store.forget_before(oldest_us)

    def _write(self, state: WatchState) -> None:
        write_state(self._folder, state)


def watch_folder(runtime: Runtime) -> Path:
    """Where the state of watching and the profiles of windows lie."""
    return runtime.layout.monitoring


def write_state(folder: Path, state: WatchState) -> None:
    """Write the state of watching; a crash leaves the one before it or this one."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / _STATE, msgspec.msgpack.encode(state))


def read_state(folder: Path) -> WatchState:
    """The state of watching; the initial one if there is none that can be read."""
    try:
        return msgspec.msgpack.decode((folder / _STATE).read_bytes(), type=WatchState)
    except (FileNotFoundError, msgspec.MsgspecError):
        return WatchState()


def _moved(
    state: WatchState, observations: Sequence[Observation], decision: FindingsDecision, at_us: int
) -> dict[str, int]:
    """{table of outcomes: the end of the latest window with strong evidence of a change}, that of this round included.

    It may be too little for a finding: answers follow outcomes by features of the past, and may be found first.
    """
    moved = dict(state.moved)
    for seen in observations:
        after = decision.states[fingerprint_of(seen.monitor, seen.subject)]
        if seen.subject.startswith(f"{OUTCOMES}.") and seen.matters and (after.firing or after.log_since >= _STRONG):
            moved[".".join(seen.subject.split(".")[:2])] = at_us
    return moved


def _holding(state: WatchState, decision: FindingsDecision) -> tuple[Finding, ...]:
    """The findings that hold: those of this round, and earlier ones whose monitors did not look."""
    latest = {finding.fingerprint: finding for finding in decision.findings}
    earlier = {finding.fingerprint: finding for finding in state.findings}
    return tuple(
        finding
        for key, finding in {**earlier, **latest}.items()
        if key in decision.states and decision.states[key].firing
    )
