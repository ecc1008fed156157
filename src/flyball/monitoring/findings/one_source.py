"""Is a change confined to one source of events? Then it is that source's doing, and ours to look after.

Rows of the window and of the days before it are divided by where they came from. A source is named if it alone, tested
like the whole, differs beyond chance, and all others together differ by less than half as much.

Values of a column also change with how many rows each source sends, as where one stops. Then what all others send is as
before, and that source is named too.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import reduce

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from flyball.core import counted_units
from flyball.monitoring.findings.finding import MIX, SOURCE_CHANGE, Finding
from flyball.monitoring.profiles.comparison import column_tests
from flyball.monitoring.profiles.delays import DELAY, DelayTest, delay_test
from flyball.monitoring.profiles.repeated import REPEATED, repeated_test
from flyball.monitoring.profiles.table import TableProfile

FEWEST_ROWS = 20
"""Rows of a source, at least, before the window and, but for volumes, in it, from which a change of it is seen."""
ALPHA = 0.001
ASPECTS = {"shift": "values", "missing": "missing", "infinite": "infinite", "length": "length"}
_VOLUME_CHANGED_BY, _SPREADS = 0.3, 4.0
_AS_BEFORE = 0.5
_FEWEST_USUAL, _STOPPED = 7.0, 0.25
"""A source that usually sends so many rows, and now a quarter of the fewest of any window before, or less, stopped."""
SOURCE_VOLUME = "source_volume"
"""The monitor of how many rows each source sends."""
TIMES, SENT_TWICE = "times", "sent_twice"
"""The monitors of the marks of rows: when they arrive, and which of them are repeated."""
_MARK_OF = {TIMES: DELAY, SENT_TWICE: REPEATED}
_MARKS = (DELAY, REPEATED)


class SourceRows(Struct, frozen=True):
    """The rows of one source: their number in the window, and in each window before; and their profiles, of the window
    and of all before, where the finding is about a column."""

    rows: int
    before: tuple[int, ...]
    now: TableProfile = TableProfile()
    usual: TableProfile = TableProfile()


class _Change(Struct, frozen=True):
    """How far rows are from those before, whether that is beyond chance and matters, and in `words` what it is."""

    distance: float
    changed: bool
    words: str = ""


def changed_source(finding: Finding, sources: Mapping[str, SourceRows], least: float) -> str:
    """The name of the only source that changed as the finding says; "" if there is none, or more than one, or too few
    rows of others to tell it from them."""
    changes = {name: _change(finding, rows, least) for name, rows in sources.items()}
    changed = [name for name, change in changes.items() if change is not None and change.changed]
    if len(changed) != 1:
        return ""
    others = [rows for name, rows in sources.items() if name != changed[0]]
    pooled = _change(finding, reduce(_pooled, others), least) if others else None
    own = changes[changed[0]]
    return changed[0] if pooled and own and pooled.distance < _AS_BEFORE * own.distance else ""


def source_change(finding: Finding, rows: SourceRows, least: float) -> str:
    """How the rows of a source changed, with its own numbers, such as "median 20 → 30; 68.2% of its rows differ"."""
    change = _change(finding, rows, least)
    return "" if change is None else change.words


def column_of(finding: Finding) -> str:
    """The column of a profile that the finding is about; "" for none."""
    mark = _MARK_OF.get(finding.monitor.removesuffix("-daily"), "")
    return mark or (finding.subject.split(".", 2)[-1] if finding.subject.count(".") > 1 else "")


def name_of_source(flags: int, names: Mapping[int, str]) -> str:
    """The name of a source by its flags; its number where the name is not known."""
    return names.get(flags, f"source {flags >> 32:06x}" if flags else "an unknown source")


def source_of_mix(finding: Finding, sources: Mapping[str, SourceRows], least: float, silent: Collection[str]) -> str:
    """The source that changed a column by how many rows it sent: without its rows, nothing changed. "" for none.

    `silent`: sources of which it is known that they send less than usual; without any it is the only one whose number
    of rows differs.
    """
    if finding.monitor.removesuffix("-daily") not in ASPECTS:
        return ""
    changes = {name: _of_volume(rows.rows, rows.before) for name, rows in sources.items()}
    differs = {name for name, change in changes.items() if change is not None and change.changed}
    moved = [name for name in silent if name in sources] or sorted(differs)
    others = [rows for name, rows in sources.items() if name not in moved]
    if not others or not moved or (len(moved) > 1 and not silent):
        return ""
    pooled = _change(finding, reduce(_pooled, others), least)
    limit = _AS_BEFORE * float(finding.evidence.get("distance", 0.0))
    if pooled is None or (pooled.changed and pooled.distance >= limit):
        return ""
    return max(moved, key=lambda name: sum(sources[name].before))


def rows_words(rows: SourceRows) -> str:
    """What a source does otherwise, by its number of rows."""
    if not rows.rows:
        return "sends nothing"
    return f"sends {'fewer' if rows.rows * len(rows.before) < sum(rows.before) else 'more'} rows"


def with_mix(finding: Finding, source: str, others: int, words: str) -> Finding:
    """The finding as one that follows from how many rows a source sends; `words`: as "sends fewer rows"."""
    unchanged = "the other source sends is" if others == 1 else f"{others} other sources send is"
    why = f"{source} {words}, what {unchanged} as before"
    evidence = {**finding.evidence, "likely": why, "source": source, "other_sources": others, MIX: words}
    return replace(finding, origin="own", message=f"{finding.message}; likely our own: {why}", evidence=evidence)


def with_source(finding: Finding, source: str, others: int, change: str = "") -> Finding:
    """The finding as a fault of our own, of this source; `change`: as `source_change` has it."""
    unchanged = "the other source is" if others == 1 else f"{others} other sources are"
    numbers = f" ({change})" if change else ""
    why = f"only what {source} sends changed{numbers}, {unchanged} as before"
    known = finding.evidence.get("likely")
    message = f"{finding.message}; {why}" if known else f"{finding.message}; likely our own: {why}"
    likely = f"{known}; {why}" if known else why
    evidence = {**finding.evidence, "likely": likely, "source": source, "other_sources": others}
    evidence |= {SOURCE_CHANGE: change} if change else {}
    return replace(finding, origin="own", message=message, evidence=evidence)


def _pooled(first: SourceRows, second: SourceRows) -> SourceRows:
    counts = tuple(map(sum, zip(first.before, second.before, strict=True)))
    now, usual = first.now.merge(second.now), first.usual.merge(second.usual)
    return SourceRows(first.rows + second.rows, counts, now, usual)


def _change(finding: Finding, rows: SourceRows, least: float) -> _Change | None:
    """None for too few rows to tell."""
    kind = finding.monitor.removesuffix("-daily")
    if kind == "volume":
        return _of_volume(rows.rows, rows.before)
    if min(rows.now.rows, rows.usual.rows) < FEWEST_ROWS:
        return None
    column = column_of(finding)
    now, usual = rows.now.column(column), rows.usual.column(column)
    if column in _MARKS:
        test = delay_test([usual], now) if column == DELAY else repeated_test([usual], now)
        if test is None:
            return None
        words = test.words if isinstance(test, DelayTest) else f"{test.now:.1%} of its rows are repeated"
        return _Change(test.distance, test.p <= ALPHA and test.distance >= least, words)
    if kind == "kind":
        words = f"values of kind {now.kind} instead of {usual.kind}"
        return _Change(float(now.kind != usual.kind), now.kind != usual.kind, words)
    tests = [test for test in column_tests(column, [usual], now) if test.aspect == ASPECTS.get(kind)]
    if not tests:
        return _Change(0.0, False)
    words = f"{tests[0].change}; {tests[0].distance:.1%} of its rows differ"
    return _Change(tests[0].distance, tests[0].p <= ALPHA and tests[0].distance >= least, words)


def _of_volume(rows: int, before: Sequence[int]) -> _Change | None:
    """By how much the number of rows differs, and whether counts of the windows before do not."""
    counts = np.array(before, float)
    usual = float(counts.mean()) if len(counts) else 0.0
    if max(counts.sum(), rows) < FEWEST_ROWS:
        return None
    spread = max(float(counts.std(ddof=1)) if len(counts) > 1 else 0.0, float(np.sqrt(max(usual, 1.0))))
    away = abs(rows - usual)
    stopped = usual >= _FEWEST_USUAL and rows <= _STOPPED * float(counts.min())
    changed = stopped or away >= max(_VOLUME_CHANGED_BY * usual, _SPREADS * spread)
    return _Change(away / max(usual, 1.0), changed, f"{counted_units(rows, 'row')}, usually {usual:,.0f}")
