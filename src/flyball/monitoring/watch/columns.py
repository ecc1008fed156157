"""What the columns of a window look like, beside windows of their season."""

from collections import Counter
from collections.abc import Sequence
from functools import reduce

from msgspec import Struct

from flyball.monitoring.findings.finding import FaultOrigin, Severity
from flyball.monitoring.findings.observation import Observation
from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.comparison import ColumnTest, column_tests
from flyball.monitoring.profiles.dependence import dependence
from flyball.monitoring.profiles.table import TableProfile
from flyball.statistics import DistinctCount, e_of_p

FEWEST_ROWS = 20
_MONITORS = {"values": "shift", "missing": "missing", "infinite": "infinite", "length": "length"}
_LARGE = {"values": 0.5, "missing": 0.2, "infinite": 0.2, "length": 0.5}
"""{aspect: the share of rows from which a change is of high severity}."""
_URGENT = {"predictions.level": 0.01, "predictions.failed": 0.01}
"""{subject: the least change that matters} of what users feel at once."""


class Reference(Struct, frozen=True):
    """What a window of a table is compared with.

    `like`: the windows of its season. `spread`: windows with their season, which show how usual windows differ.
    """

    like: Sequence[TableProfile]
    spread: Sequence[tuple[int, TableProfile]]


def observe_columns(
    table: str, now: TableProfile, reference: Reference, *, least: float, ignore: frozenset[str], suffix: str = ""
) -> list[Observation]:
    """The observations of the columns of a window of `table`, such as "events.Watch" or "predictions".

    `suffix`: of the names of monitors, "" for windows of the usual length. A window with few rows, or one without a
    window to compare it with, has none.
    """
    like = [window for window in reference.like if window.rows]
    if now.rows < FEWEST_ROWS or not like:
        return []
    usual = TableProfile(keys=reduce(DistinctCount.merge, (window.keys for _, window in reference.spread)))
    names = dict.fromkeys(name for window in (*like, now) for name in window.columns)
    seen = []
    for name in names:
        subject = f"{table}.{name}"
        if subject not in ignore:
            spread = [(season, window.column(name)) for season, window in reference.spread if window.rows]
            columns = [window.column(name) for window in like]
            alike = dependence(now, usual, name)
            seen += _of_column(subject, name, columns, now.column(name), spread, least, suffix, alike)
    return seen


def _of_column(
    subject: str,
    name: str,
    like: Sequence[ColumnProfile],
    now: ColumnProfile,
    spread: Sequence[tuple[int, ColumnProfile]],
    least: float,
    suffix: str,
    alike: float,
) -> list[Observation]:
    before = _usual_kind(like)
    if before is not None and now.kind is not None and before != now.kind:
        message = f"{subject} holds values of kind {now.kind}, it held {before}"
        return [Observation("kind" + suffix, subject, float("inf"), True, message, "high", "own")]
    tests = column_tests(name, like, now, spread, alike)
    return [_observed(subject, test, _URGENT.get(subject, least), suffix) for test in tests]


def _usual_kind(parts: Sequence[ColumnProfile]) -> str | None:
    """The kind of most values in all windows; None if they have none."""
    counts = Counter[str]()
    for part in parts:
        counts.update(part.kinds)
    return max(counts, key=lambda kind: (counts[kind], kind), default=None)


def _observed(subject: str, test: ColumnTest, least: float, suffix: str) -> Observation:
    urgent = subject in _URGENT
    severity: Severity = "high" if urgent or test.distance >= _LARGE[test.aspect] else "low"
    origin: FaultOrigin = "own" if urgent or test.aspect != "values" else "unknown"
    message = f"{subject}: {test.aspect} {test.change}; {test.distance:.1%} of the rows differ from usual"
    evidence: dict[str, object] = {
        "aspect": test.aspect,
        "p": test.p,
        "distance": test.distance,
        "design_effect": test.effect,
    }
    if test.medians is not None:
        evidence["medians"] = list(test.medians)
    return Observation(
        _MONITORS[test.aspect] + suffix,
        subject,
        float(e_of_p(test.p)),
        test.distance >= least,
        message,
        severity,
        origin,
        evidence,
    )
