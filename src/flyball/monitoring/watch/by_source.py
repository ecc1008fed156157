"""The rows of a window and of the days before it, divided by where they came from."""

from collections.abc import Mapping, Sequence

import polars as pl
from msgspec import Struct

from flyball.events import SOURCE_FLAGS
from flyball.monitoring.findings.finding import MIX, POOLED_US, SOURCE_CHANGE, Finding
from flyball.monitoring.findings.one_source import (
    ASPECTS,
    SENT_TWICE,
    SOURCE_VOLUME,
    TIMES,
    SourceRows,
    changed_source,
    column_of,
    name_of_source,
    rows_words,
    source_change,
    source_of_mix,
    with_mix,
    with_source,
)
from flyball.monitoring.findings.triage import table_of
from flyball.monitoring.profiles.application_table import ids_of, with_marks
from flyball.monitoring.profiles.table import TableProfile
from flyball.runtime import Runtime

_KINDS = ("volume", "shift", "missing", "infinite", "length", "kind", TIMES, SENT_TWICE)
_DAY_US, _WEEK = 86_400_000_000, 7
_MOST_ROWS = 200_000
"""Rows of a source of which a profile is taken at most: every second, third, ... of more."""


def name_sources(
    runtime: Runtime,
    findings: Sequence[Finding],
    earlier: Sequence[Finding],
    window: tuple[int, int],
    least: float,
) -> tuple[Finding, ...]:
    """The findings of a window `[since, until)`, each of events with the source that alone changed, if one did.

    It is looked for until it is known, for a day since the finding's change began: a window may show too few rows of a
    source. Later findings are as in `earlier`, those that held before.
    """
    known = {finding.fingerprint: finding for finding in earlier}
    silent: dict[str, dict[str, int]] = {}
    for finding in findings:
        if finding.monitor == SOURCE_VOLUME:
            silent.setdefault(table_of(finding), {})[str(finding.evidence["source"])] = finding.since_us
    return tuple(
        _named(
            runtime, finding, known.get(finding.fingerprint), _Looked(window, least, silent.get(table_of(finding), {}))
        )
        for finding in findings
    )


class _Looked(Struct, frozen=True):
    """The window that was looked at; `silent`: {source of the finding's table that sends less: since when}."""

    window: tuple[int, int]
    least: float
    silent: Mapping[str, int]


def _named(runtime: Runtime, finding: Finding, before: Finding | None, looked: _Looked) -> Finding:
    table, window = table_of(finding), looked.window
    if not table.startswith("events.") or finding.monitor.removesuffix("-daily") not in _KINDS:
        return finding
    keys = ("source", "other_sources", MIX, SOURCE_CHANGE)
    source, others, mix, change = (before.evidence.get(key) if before else None for key in keys)
    if source and others:
        number = int(str(others))
        if mix:
            return with_mix(finding, str(source), number, str(mix))
        return with_source(finding, str(source), number, str(change or ""))
    if before is not None and window[1] - finding.since_us > _DAY_US and not looked.silent:
        return finding
    length_us = _DAY_US if finding.monitor.endswith("-daily") else int(finding.evidence.get(POOLED_US, 0))
    since_us = min(window[0], window[1] - length_us)
    first_us = min(looked.silent.values(), default=since_us)
    name = table.removeprefix("events.")
    sources = rows_by_source(runtime, name, finding, (since_us, window[1]), first_us)
    changed = changed_source(finding, sources, looked.least) if len(sources) > 1 else ""
    if changed or len(sources) < 2 or finding.monitor.removesuffix("-daily") not in ASPECTS:
        if not changed:
            return finding
        words = source_change(finding, sources[changed], looked.least)
        return with_source(finding, changed, len(sources) - 1, words)
    since_us = max(min(finding.since_us, since_us), window[1] - _DAY_US)  # more rows say what others send
    sources = rows_by_source(runtime, name, finding, (since_us, window[1]), min(first_us, since_us))
    mixed = source_of_mix(finding, sources, looked.least, looked.silent)
    return with_mix(finding, mixed, len(sources) - 1, rows_words(sources[mixed])) if mixed else finding


def rows_by_source(
    runtime: Runtime, name: str, finding: Finding, window: tuple[int, int], usual_until_us: int
) -> dict[str, SourceRows]:
    """{source: its rows} of an event type that became known in the window, and in the same hours of the seven days
    before `usual_until_us`."""
    since_us, until_us = window
    if name not in runtime.schema.types:
        return {}
    names = runtime.sources.names()
    first = max(1, -(-(until_us - usual_until_us) // _DAY_US))
    starts = [since_us - back * _DAY_US for back in range(first, first + _WEEK)]
    length = until_us - since_us
    now = _divided(runtime, name, since_us, until_us)
    before = [_divided(runtime, name, start, start + length) for start in starts]
    column, marked = column_of(finding), finding.monitor.removesuffix("-daily") in (TIMES, SENT_TWICE)
    ids = ids_of(runtime, name, until_us) if marked else None
    fields = runtime.schema.types[name].fields

    def profile(part: pl.DataFrame | None) -> TableProfile:
        return _profile(with_marks(part, fields, ids) if marked and part is not None else part, column)

    by_source: dict[str, SourceRows] = {}
    for flags in dict.fromkeys(flag for part in (now, *before) for flag in part):
        parts = [part.get(flags) for part in before]
        counts = tuple(0 if part is None else part.height for part in parts)
        rows = now.get(flags)
        usual = [part for part in parts if part is not None]
        by_source[name_of_source(flags, names)] = SourceRows(
            0 if rows is None else rows.height,
            counts,
            profile(rows),
            profile(pl.concat(usual) if usual else None),
        )
    return by_source


def _divided(runtime: Runtime, name: str, since_us: int, until_us: int) -> Mapping[int, pl.DataFrame]:
    frame = runtime.history.events(name, as_of_us=until_us - 1, known_since_us=since_us)
    divided = frame.with_columns((pl.col("flags") & SOURCE_FLAGS).alias("_source")).partition_by(
        "_source", as_dict=True, include_key=False
    )
    return {int(flags): rows for (flags,), rows in divided.items()}


def _profile(rows: pl.DataFrame | None, column: str) -> TableProfile:
    if rows is None or column not in rows.columns:
        return TableProfile()
    return TableProfile.of(rows.select(column).gather_every(1 + rows.height // _MOST_ROWS))
