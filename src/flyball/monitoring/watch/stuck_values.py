"""Whether the values of a column are stuck: the same one in row after row, in a run that chance does not make.

The world moves shares of values; a sensor, a form or a job that fails repeats one. What can be known of rows is whether
one value fills a run of them: where only some rows have it, as when one of two sources repeats it, the rows between
end each run, and the cause stays open.
"""

from collections.abc import Sequence

import polars as pl
from msgspec import Struct

from flyball.core import BadInput, counted_units, format_second
from flyball.monitoring.findings.finding import STUCK, Finding
from flyball.monitoring.findings.one_source import ALPHA, ASPECTS, column_of
from flyball.monitoring.findings.triage import as_own, table_of
from flyball.monitoring.watch.by_segment import known_rows
from flyball.runtime import Runtime
from flyball.statistics import longest_run

_DAY_US, _WEEK = 86_400_000_000, 7
_LEAST_PART = 0.5
"""The part of the rows that differ from usual which a run must have to be what the finding is about."""


class StuckRun(Struct, frozen=True):
    """`rows` rows in a row with the value `value`, the first one of `since_us`, microseconds since 1970."""

    value: str
    rows: int
    since_us: int

    @property
    def words(self) -> str:
        """Such as "40 rows in a row hold 1 since 2026-03-02T10:00:12Z, as where a value is stuck"."""
        rows = counted_units(self.rows, "row")
        return f"{rows} in a row hold {self.value} since {format_second(self.since_us)}, as where a value is stuck"


def name_stuck(
    runtime: Runtime, findings: Sequence[Finding], earlier: Sequence[Finding], window: tuple[int, int]
) -> tuple[Finding, ...]:
    """The findings of a window `[since, until)`; a shift of a column of events whose values are stuck is our own fault.

    It is looked for until it is found, for a day at most, in all rows since the finding began; then it is as in
    `earlier`.
    """
    known = {finding.fingerprint: finding for finding in earlier}
    return tuple(_named(runtime, finding, known.get(finding.fingerprint), window) for finding in findings)


def _named(runtime: Runtime, finding: Finding, before: Finding | None, window: tuple[int, int]) -> Finding:
    if finding.origin == "own":
        return finding
    if before is not None and STUCK in before.evidence:
        return _with_words(finding, str(before.evidence[STUCK]))
    if before is not None and finding.at_us - finding.since_us > _DAY_US:
        return finding
    run = _run_of(runtime, finding, window)
    return finding if run is None else _with_words(finding, run.words)


def _with_words(finding: Finding, words: str) -> Finding:
    return as_own(finding, words, {STUCK: words})


def _run_of(runtime: Runtime, finding: Finding, window: tuple[int, int]) -> StuckRun | None:
    name, column = table_of(finding).removeprefix("events."), column_of(finding)
    of_values = ASPECTS.get(finding.monitor.removesuffix("-daily")) == "values"
    if not of_values or name not in runtime.schema.types or column not in runtime.schema.types[name].fields:
        return None
    since_us, until_us = max(min(finding.since_us, window[0]), window[1] - _DAY_US), window[1]
    now = known_rows(runtime, name, since_us, until_us)
    first_us = min(finding.since_us, since_us)
    usual = known_rows(runtime, name, first_us - _WEEK * _DAY_US, first_us)
    return stuck_run(now, usual, column, float(finding.evidence.get("distance", 0.0)))


def stuck_run(now: pl.DataFrame, usual: pl.DataFrame, column: str, distance: float) -> StuckRun | None:
    """The longest run of equal values of a column, where chance makes none so long in rows like the usual ones.

    `now`, `usual`: rows with `at`, by which they are ordered. `distance`: the share of rows that differ from usual; a
    run of less than half of these is not what changed. None for no such run, and for values that usually repeat.
    """
    if not len(now) or not len(usual) or usual[column].dtype.is_nested() or usual[column].n_unique() < 2:
        return None
    ordered = [rows.sort("at", maintain_order=True) for rows in (now, usual)]
    values, reference = (pl.Series(rows[column].rank("dense")) for rows in ordered)
    try:
        run = longest_run(values.to_numpy(), reference.to_numpy())
    except BadInput:  # the reference has too few runs to say what is usual
        return None
    if run.p > ALPHA or run.length < max(2.0, _LEAST_PART * distance * len(now)):
        return None
    first = ordered[0].row(run.start, named=True)
    value = "missing" if first[column] is None else str(first[column])
    return StuckRun(value, run.length, int(ordered[0]["at"].cast(pl.Int64)[run.start]))
