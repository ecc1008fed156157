"""The rows of a window and of the days before it, divided by the values of their other columns."""

from collections.abc import Sequence

import polars as pl

from flyball.monitoring.findings.finding import MIX, SEGMENT, Finding
from flyball.monitoring.findings.one_segment import (
    Divisions,
    SegmentRows,
    changed_segment,
    named_before,
    segment_columns,
    with_segment,
)
from flyball.monitoring.findings.one_source import ASPECTS, column_of
from flyball.monitoring.findings.triage import table_of
from flyball.monitoring.profiles.column import ColumnProfile
from flyball.runtime import Runtime

_DAY_US, _WEEK = 86_400_000_000, 7
_MOST_VALUES, _MOST_ROWS = 20, 200_000
"""A column with more values is no division. Of more rows every second, third, ... is taken."""


def name_segments(
    runtime: Runtime, findings: Sequence[Finding], earlier: Sequence[Finding], window: tuple[int, int], least: float
) -> tuple[Finding, ...]:
    """The findings of a window `[since, until)`, each of a column of events with the segment it is in, if it is in one.

    It is looked for until it is found, for a day at most, in all rows since the finding began; then it is as in
    `earlier`.
    """
    known = {finding.fingerprint: finding for finding in earlier}
    named = []
    for finding in findings:
        before = known.get(finding.fingerprint)
        if MIX in finding.evidence:  # it is of no values of the rows
            named.append(finding)
        elif before is not None and SEGMENT in before.evidence:
            named.append(named_before(finding, before))
        elif before is not None and finding.at_us - finding.since_us > _DAY_US:
            named.append(finding)
        else:
            divisions = divided_rows(runtime, finding, window)
            segment = changed_segment(finding, divisions, least) if divisions else None
            named.append(finding if segment is None else with_segment(finding, segment))
    return tuple(named)


def divided_rows(runtime: Runtime, finding: Finding, window: tuple[int, int]) -> Divisions:
    """The rows that became known since the finding began, for a day at most, and those in the same hours of the week
    before, by the values of each column that has few; empty where the finding is of no column of events."""
    name, column = table_of(finding).removeprefix("events."), column_of(finding)
    of_column = finding.monitor.removesuffix("-daily") in ASPECTS and table_of(finding).startswith("events.")
    if not of_column or name not in runtime.schema.types or column not in runtime.schema.types[name].fields:
        return {}
    since_us, until_us = max(min(finding.since_us, window[0]), window[1] - _DAY_US), window[1]
    now = known_rows(runtime, name, since_us, until_us)
    before = [
        known_rows(runtime, name, since_us - back * _DAY_US, until_us - back * _DAY_US) for back in range(1, _WEEK + 1)
    ]
    usual = pl.concat(before)
    fields = [field for field in runtime.schema.types[name].fields if field != column]
    dividing = [field for field in fields if _divides(now[field], usual[field])]
    return {
        field: _divided(now, usual, field, column) for field in segment_columns(dividing, runtime.app.task.about.groups)
    }


def known_rows(runtime: Runtime, name: str, since_us: int, until_us: int) -> pl.DataFrame:
    """The events of a type that became known in `[since_us, until_us)`; of many every second, third, ..."""
    rows = runtime.history.events(name, as_of_us=until_us - 1, known_since_us=since_us)
    return rows.gather_every(1 + rows.height // _MOST_ROWS)


def _divides(now: pl.Series, usual: pl.Series) -> bool:
    """Whether a column has so few values that each is a segment; numbers with a fraction have not."""
    if now.dtype.is_float() or now.dtype.is_nested():
        return False
    return 2 <= pl.concat([now, usual]).n_unique() <= _MOST_VALUES


def _divided(now: pl.DataFrame, usual: pl.DataFrame, field: str, column: str) -> dict[str, SegmentRows]:
    parts = [part.partition_by(field, as_dict=True) for part in (now, usual)]
    values = dict.fromkeys(value for part in parts for (value,) in part)
    return {
        "missing" if value is None else str(value): SegmentRows(
            *(ColumnProfile.of(part[value,][column]) if (value,) in part else ColumnProfile() for part in parts)
        )
        for value in values
    }
