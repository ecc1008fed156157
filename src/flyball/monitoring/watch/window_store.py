"""The profiles and volumes of windows, kept in the home; what is missing is taken from the log and history again."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from flyball.monitoring.profiles.application_table import PREDICTIONS, application_table, profile_rows
from flyball.monitoring.profiles.profile_file import ENDING
from flyball.monitoring.profiles.table import TableProfile
from flyball.outcomes import records_between
from flyball.runtime import Runtime

NOT_WATCHED = ("items", "propensities", "stale_us", "took_us")
"""Columns of predictions that change by their purpose, or depend on the load of the machine."""

WindowTables = dict[str, TableProfile]
"""Profiles by table: "events." and an event type, or "predictions"."""


class WindowStore:
    """The profiles of windows of `length_us`; times in microseconds since 1970.

    A window has the rows that became known in it, predictions those that were given in it.
    """

    def __init__(self, runtime: Runtime, folder: Path, length_us: int) -> None:
        self._runtime, self.length_us = runtime, length_us
        self._folder = folder / f"{length_us // 1_000_000}s"

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

    def forget_before(self, start_us: int) -> None:
        """Delete the profiles of windows that begin before `start_us`."""
        for path in self._folder.glob(f"*{ENDING}"):
            if int(path.stem) < start_us:
                path.unlink(missing_ok=True)

    def _taken(self, start_us: int) -> WindowTables:
        profiles = {}
        for name in (*self._runtime.schema.types, PREDICTIONS):
            rows = application_table(self._runtime, name, start_us, start_us + self.length_us, by_known=True)
            profiles[table_name(name)] = profile_rows(rows, NOT_WATCHED if name == PREDICTIONS else ())
        return profiles


def table_name(name: str) -> str:
    """What findings call the rows of an event type, or "predictions".

    >>> table_name("Watch"), table_name("predictions")
    ('events.Watch', 'predictions')
    """
    return name if name == PREDICTIONS else f"events.{name}"


Volumes = dict[str, dict[int, int]]
"""{table: {start of a window: rows}}."""


def read_volumes(path: Path) -> Volumes | None:
    """The volumes in a file; None if there is none that can be read."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Volumes)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def count_volumes(runtime: Runtime, since_us: int, until_us: int, length_us: int) -> Volumes:
    """The rows of each table in the windows of `[since_us, until_us)`; windows before its first row are left out."""
    import polars as pl

    volumes: Volumes = {}
    for name in runtime.schema.types:
        known = runtime.history.events(name, as_of_us=until_us - 1, known_since_us=since_us).select(
            pl.col("known_at").cast(pl.Int64) // length_us * length_us
        )
        counted = known.group_by("known_at").len()
        volumes[table_name(name)] = _filled(dict(counted.iter_rows()), until_us, length_us)
    answers: dict[int, int] = {}
    for record in records_between(runtime.predictions, since_us, until_us):
        start = record.at // length_us * length_us
        answers[start] = answers.get(start, 0) + 1
    volumes[PREDICTIONS] = _filled(answers, until_us, length_us)
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
