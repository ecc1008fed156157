"""What changed in the data of an application: its last hours or days, compared with those before."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy import stats

from flyball.core import BadInput, NotFound, format_duration
from flyball.monitoring.profiles.application_table import PREDICTIONS, TIME, application_table, profile_rows
from flyball.monitoring.profiles.comparison import ALPHA, LEAST, Comparison, compare_tables
from flyball.monitoring.profiles.table import TableProfile
from flyball.runtime import Runtime

if TYPE_CHECKING:
    import polars as pl


class Volume(Struct, frozen=True):
    """The number of rows in the window, beside the mean of the windows before.

    `p`: of the t-test that the window is like them; None with fewer than three windows before.
    """

    rows: int
    usual: float
    p: float | None


class DataChanges(Struct, frozen=True):
    """Comparisons by event type, and of predictions; times in microseconds since 1970.

    `until_us`: the end of the window. `skipped`: what could not be compared, and why.
    """

    until_us: int
    last_us: int
    before_us: int
    tables: dict[str, Comparison]
    volumes: dict[str, Volume]
    skipped: dict[str, str]

    @property
    def differs(self) -> bool:
        """Whether any column of any table differs."""
        return any(comparison.differs for comparison in self.tables.values())


def data_changes(
    runtime: Runtime,
    *,
    last_us: int,
    before_us: int,
    names: Sequence[str] = (),
    until_us: int | None = None,
    least: float = LEAST,
    alpha: float = ALPHA,
) -> DataChanges:
    """Compare the rows of the `last_us` microseconds before `until_us` with those of the `before_us` before them.

    The earlier rows are divided into windows as long as the last one, which show how usual windows differ. `names`:
    event types and "predictions", by default all. `until_us`: by default behind the latest event. References to
    entities, such as user ids, are left out. Events that the log worker has not written to the history yet are missing.
    Raises `BadInput` for lengths of which the second is not a multiple of the first, `NotFound` for an unknown name.
    """
    if last_us < 1 or before_us < last_us or before_us % last_us:
        must = f"a multiple of the length of the last window, {format_duration(last_us)}"
        raise BadInput("length of what is compared with", must, format_duration(before_us))
    declared = runtime.schema.types
    known = (*declared, PREDICTIONS)
    for name in names:
        if name not in known:
            raise NotFound("event type", name, known)
    end_us = runtime.history.latest_at_us() + 1 if until_us is None else until_us
    since_us = end_us - last_us - before_us
    profiles: dict[str, tuple[list[TableProfile], TableProfile]] = {}
    volumes, skipped = dict[str, Volume](), dict[str, str]()
    for name in names or known:
        windows = list(_windows(application_table(runtime, name, since_us, end_us), since_us, last_us, end_us))
        *before, now = windows
        if not now.rows or not any(window.rows for window in before):
            skipped[name] = "no rows in the last window" if not now.rows else "no rows before the last window"
        else:
            profiles[name] = (before, now)
        if any(window.rows for window in windows):
            volumes[name] = _volume([window.rows for window in before], now.rows)
    return DataChanges(end_us, last_us, before_us, compare_tables(profiles, least=least, alpha=alpha), volumes, skipped)


def _windows(table: "pl.DataFrame", since_us: int, length_us: int, until_us: int) -> Iterator[TableProfile]:
    """The profile of each window, oldest first."""
    for start in range(since_us, until_us, length_us):
        yield profile_rows(table.filter((table[TIME] >= start) & (table[TIME] < start + length_us)))


def _volume(before: Sequence[int], now: int) -> Volume:
    usual = float(np.mean(before))
    if len(before) < 3:
        return Volume(now, usual, None)
    spread = max(float(np.std(before, ddof=1)), np.sqrt(max(usual, 1.0)))
    t = (now - usual) / (spread * np.sqrt(1 + 1 / len(before)))
    return Volume(now, usual, float(2 * stats.t.sf(abs(t), len(before) - 1)))
