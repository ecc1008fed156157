"""The profiles and volumes of windows, kept in the home; what is missing is taken from the log and history again."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from flyball.events import entries_between
from flyball.monitoring.profiles.application_table import PREDICTIONS, application_table, ids_of, profile_rows
from flyball.monitoring.profiles.feature_profiles import FEATURES, feature_profiles
from flyball.monitoring.profiles.outcome_profiles import OUTCOMES, outcome_profiles
from flyball.monitoring.profiles.profile_file import ENDING
from flyball.monitoring.profiles.table import TableProfile
from flyball.monitoring.watch.followed import DECISIONS
from flyball.monitoring.watch.known_rows import KnownRows
from flyball.monitoring.watch.refused import QUARANTINE, quarantine_table
from flyball.monitoring.watch.source_rows import SOURCE, count_sources
from flyball.outcomes import prediction_of, records_between
from flyball.runtime import Runtime

NOT_WATCHED = ("items", "propensities", "stale_us", "took_us")
"""Columns of predictions that change by their purpose, or depend on the load of the machine."""

WindowTables = dict[str, TableProfile]
"""Profiles by table: "events." and an event type, "predictions", "quarantine", "features." and a group, "outcomes." and
a label."""


class WindowStore:
    """The profiles of windows of `length_us`; times in microseconds since 1970.

    A window has the rows that became known in it, predictions those that were given in it.
    """

    def __init__(self, runtime: Runtime, folder: Path, length_us: int) -> None:
        self._runtime, self.length_us = runtime, length_us
        self._folder = folder / f"{length_us // 1_000_000}s"
        self._known = KnownRows(runtime)
        self._ids: dict[str, tuple[str, ...] | None] = {}

    def profiles(self, start_us: int) -> WindowTables:
        """The profile of each table in `[start_us, start_us + length_us)`, from its file or from the rows."""
        path = self._folder / f"{start_us}{ENDING}"
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=WindowTables)
        except (FileNotFoundError, msgspec.MsgspecError):
            profiles = self._taken(start_us)
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(msgspec.msgpack.encode(profiles))  # not synced: a file that a crash cut short is replaced
            os.replace(part, path)
            return profiles

    def forget_over(self, at_us: int) -> None:
        """Delete the profiles of the windows that hold the time `at_us`; they are taken again when they are needed."""
        for path in self._folder.glob(f"*{ENDING}"):
            if int(path.stem) <= at_us < int(path.stem) + self.length_us:
                path.unlink(missing_ok=True)

    def forget_before(self, start_us: int) -> None:
        """Delete the profiles of windows that begin before `start_us`."""
        for path in self._folder.glob(f"*{ENDING}"):
            if int(path.stem) < start_us:
                path.unlink(missing_ok=True)

    def sources(self, start_us: int) -> "Volumes":
        """What each source sent in the window that begins at `start_us`."""
        counted: Volumes = {}
        for name in self._runtime.schema.types:
            rows = self._known.rows(name, start_us, start_us + self.length_us)
            counted |= count_sources(table_name(name), rows, self.length_us)
        return counted

    def _taken(self, start_us: int) -> WindowTables:
        profiles = {}
        for name in (*self._runtime.schema.types, PREDICTIONS):
            end_us = start_us + self.length_us
            ids = self._ids_of(name, end_us)
            known = self._known.rows
            rows = application_table(self._runtime, name, start_us, end_us, by_known=True, ids=ids, known=known)
            profiles[table_name(name)] = profile_rows(rows, NOT_WATCHED if name == PREDICTIONS else ())
        window = (start_us, start_us + self.length_us)
        profiles[QUARANTINE] = TableProfile.of(quarantine_table(self._runtime.quarantine, *window))
        return profiles | feature_profiles(self._runtime, *window) | outcome_profiles(self._runtime, *window)

    def _ids_of(self, name: str, until_us: int) -> tuple[str, ...] | None:
        """The columns that name a row, looked for once: a process looks at few windows."""
        if self._ids.get(name) is None:
            self._ids[name] = ids_of(self._runtime, name, until_us)
        return self._ids[name]


def table_name(name: str) -> str:
    """What findings call the rows of an event type, or "predictions".

    >>> table_name("Watch"), table_name("predictions")
    ('events.Watch', 'predictions')
    """
    return name if name == PREDICTIONS else f"events.{name}"


def is_counted(table: str) -> bool:
    """Whether a table has a volume of its own: rows of features and outcomes follow the predictions.

    >>> is_counted("events.Watch"), is_counted("features.user")
    (True, False)
    """
    return table.partition(".")[0] not in (FEATURES, OUTCOMES)


Volumes = dict[str, dict[int, int]]
"""{table: {start of a window: rows}}; of the answers of a decision, the table is as `DECISIONS` has it, of what one
source sent, as `SOURCE` has it."""


def decisions_of(profiles: WindowTables) -> dict[str, int]:
    """{table of a decision: its answers} of a window, of up to so many decisions as frequent values are kept of."""
    if PREDICTIONS not in profiles:
        return {}
    counts = profiles[PREDICTIONS].column("decision").frequent.counts
    return {f"{DECISIONS}{decision}": number for decision, number in counts.items() if decision}


def read_volumes(path: Path) -> Volumes | None:
    """The volumes in a file; None if there is none that can be read."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Volumes)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def count_volumes(runtime: Runtime, since_us: int, until_us: int, length_us: int) -> Volumes:
    """The rows of each table in the windows of `[since_us, until_us)`; windows before its first row are left out,
    but for the quarantine, which is usually empty."""
    import polars as pl

    volumes: Volumes = {}
    for name in runtime.schema.types:
        events = runtime.history.events(name, as_of_us=until_us - 1, known_since_us=since_us)
        known = events.select(pl.col("known_at").cast(pl.Int64) // length_us * length_us)
        counted = known.group_by("known_at").len()
        volumes[table_name(name)] = _filled(dict(counted.iter_rows()), until_us, length_us)
        of_sources = count_sources(table_name(name), events, length_us)
        volumes |= {key: _filled(counts, until_us, length_us) for key, counts in of_sources.items()}
    answers: Volumes = {PREDICTIONS: {}}
    for record in records_between(runtime.predictions, since_us, until_us):
        start, decision = record.at // length_us * length_us, prediction_of(record).decision
        for table in (PREDICTIONS, f"{DECISIONS}{decision}") if decision else (PREDICTIONS,):
            of_table = answers.setdefault(table, {})
            of_table[start] = of_table.get(start, 0) + 1
    volumes |= {table: _filled(counts, until_us, length_us) for table, counts in answers.items()}
    volumes[QUARANTINE] = dict.fromkeys(range(-(-since_us // length_us) * length_us, until_us, length_us), 0)
    for entry in entries_between(runtime.quarantine, min(volumes[QUARANTINE], default=until_us), until_us):
        volumes[QUARANTINE][entry.at_us // length_us * length_us] += 1
    return volumes


def _filled(counts: Mapping[int, int], until_us: int, length_us: int) -> dict[int, int]:
    """With 0 for the windows without rows behind the first one that has some."""
    if not counts:
        return {}
    return {start: counts.get(start, 0) for start in range(min(counts), until_us, length_us)}


def kept_volumes(volumes: Volumes, tables: Sequence[str], since_us: int) -> Volumes:
    """The volumes of `tables` in windows that begin at `since_us` or later."""
    return {
        table: {start: rows for start, rows in volumes.get(table, {}).items() if start >= since_us} for table in tables
    }


def events_only(volumes: Volumes) -> Volumes:
    """The volumes of event types and of their sources, without those of predictions and refused lines."""
    return {table: counts for table, counts in volumes.items() if table.startswith(("events.", SOURCE))}


def changed_windows(kept: Volumes, counted: Volumes) -> set[int]:
    """The starts of windows of which `kept` has another number of rows than was `counted` now.

    >>> sorted(changed_windows({"events.buy": {0: 5, 6: 7}}, {"events.buy": {0: 5, 6: 9, 12: 1}}))
    [6, 12]
    """
    return {
        start
        for table, counts in counted.items()
        if not table.startswith(SOURCE)
        for start, rows in counts.items()
        if rows != kept.get(table, {}).get(start, 0)
    }
