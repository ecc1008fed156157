"""Is a change of a column concentrated in one segment of the rows, such as those of a region?

Rows of the window and of the days before it are divided by the values of each other column that has few of them. Of all
segments the one with the largest standardized difference is named, if it is beyond chance among so many segments
(Bonferroni), and all other rows together differ by less than half as much.
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flyball.monitoring.findings.finding import SEGMENT, Finding
from flyball.monitoring.findings.one_source import ALPHA, ASPECTS, FEWEST_ROWS
from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.comparison import column_tests

_AS_BEFORE = 0.5


class SegmentRows(Struct, frozen=True):
    """The column of a finding in the rows of one segment: in the window, and in the windows before."""

    now: ColumnProfile
    usual: ColumnProfile


class ChangedSegment(Struct, frozen=True):
    """The segment `column` = `value` with the share of its rows that differ, and that of all other rows."""

    column: str
    value: str
    distance: float
    others: float

    @property
    def name(self) -> str:
        return f"{self.column}={self.value}"


Divisions = Mapping[str, Mapping[str, SegmentRows]]
"""{column: {value: the rows that have it}}."""


def changed_segment(finding: Finding, divisions: Divisions, least: float) -> ChangedSegment | None:
    """The segment in which the change of a column is concentrated; None if there is none, or too few rows to say."""
    tested = [
        (column, value, test)
        for column, parts in divisions.items()
        for value, rows in parts.items()
        if (test := _test(finding, rows)) is not None
    ]
    beyond = [
        (distance * weight, column, value, distance)
        for column, value, (distance, p, weight) in tested
        if p * len(tested) <= ALPHA and distance >= least
    ]
    for _, column, value, distance in sorted(beyond, reverse=True):
        others = [rows for name, rows in divisions[column].items() if name != value]
        pooled = _test(finding, reduce(_pooled, others)) if others else None
        if pooled is not None and pooled[0] < _AS_BEFORE * distance:
            return ChangedSegment(column, value, distance, pooled[0])
    return None


def with_segment(finding: Finding, segment: ChangedSegment) -> Finding:
    """The finding that names the segment in which it is."""
    message = (
        f"{finding.message}; it is where {segment.column} is {segment.value}: {segment.distance:.0%} of these rows "
        f"differ, {segment.others:.0%} of all others"
    )
    return replace(finding, message=message, evidence={**finding.evidence, SEGMENT: segment.name})


def named_before(finding: Finding, before: Finding) -> Finding:
    """The finding with the segment that an earlier look named."""
    name = str(before.evidence[SEGMENT])
    column, _, value = name.partition("=")
    evidence = {**finding.evidence, SEGMENT: name}
    return replace(finding, message=f"{finding.message}; it is where {column} is {value}", evidence=evidence)


def segment_columns(columns: Sequence[str], declared: Sequence[str]) -> list[str]:
    """The columns to divide by, declared groups first: of segments that are the same rows the first one is named."""
    return sorted(columns, key=lambda name: name not in declared)


def _pooled(first: SegmentRows, second: SegmentRows) -> SegmentRows:
    return SegmentRows(first.now.merge(second.now), first.usual.merge(second.usual))


def _test(finding: Finding, rows: SegmentRows) -> tuple[float, float, float] | None:
    """(difference, its p-value, root of the rows that it is of) of one segment; None for too few rows to tell."""
    if min(rows.now.rows, rows.usual.rows) < FEWEST_ROWS:
        return None
    aspect = ASPECTS.get(finding.monitor.removesuffix("-daily"))
    tests = [test for test in column_tests("", [rows.usual], rows.now) if test.aspect == aspect]
    if not tests:
        return None
    harmonic = rows.now.rows * rows.usual.rows / (rows.now.rows + rows.usual.rows)
    return tests[0].distance, tests[0].p, float(np.sqrt(harmonic))
