"""What the columns of a window look like, beside windows of their season."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce

from msgspec import Struct
from msgspec.structs import replace

from flyball.monitoring.findings.finding import EXCHANGED, FaultOrigin, Severity
from flyball.monitoring.findings.observation import DAILY, Observation
from flyball.monitoring.findings.one_source import SENT_TWICE, TIMES
from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.comparison import ColumnTest, column_tests
from flyball.monitoring.profiles.delays import DELAY, DelayTest, delay_test
from flyball.monitoring.profiles.dependence import FEWEST_KEYS, dependence
from flyball.monitoring.profiles.exchanged import exchanges
from flyball.monitoring.profiles.feature_profiles import FEATURES
from flyball.monitoring.profiles.repeated import REPEATED, RepeatedTest, repeated_test
from flyball.monitoring.profiles.table import TableProfile
from flyball.monitoring.watch.season import FEWEST_DAYS
from flyball.monitoring.watch.suspected import Suspicions, first_suspicion
from flyball.statistics import DistinctCount, e_of_p

FEWEST_ROWS = 20
SPELL_US = 6 * 3_600_000_000
"""For how long rows share what is odd about them, such as rain, a rush or a backlog."""
POOLED_LENGTHS_US = (SPELL_US, 2 * SPELL_US)
"""For how long rows are looked at together where shorter windows have too few."""
KIND = "kind"
MARKS = (DELAY, REPEATED)
"""Columns of profiles that are none of the rows'."""
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


def subject_of(table: str, column: str) -> str:
    """What findings of a column are about: delays are those of the time `at`, repetition is one of whole rows.

    >>> subject_of("events.order", "km"), subject_of("events.order", REPEATED)
    ('events.order.km', 'events.order')
    """
    return table if column == REPEATED else f"{table}.{'at' if column == DELAY else column}"


def says_little(window: TableProfile) -> bool:
    """Whether a window has too few rows, or rows of too few keys, for all of its columns to be looked at."""
    return window.rows < FEWEST_ROWS or 0 < window.keys.estimate() < FEWEST_KEYS


def pooled_lengths(every_us: int) -> list[int]:
    """The lengths of windows that are looked at where those of `every_us` have too few rows.

    >>> [hours_us // 3_600_000_000 for hours_us in pooled_lengths(3_600_000_000)]
    [6, 12]
    """
    return [length_us for length_us in POOLED_LENGTHS_US if length_us > every_us and length_us % every_us == 0]


def suspected_us(subject: str, suspects: Suspicions) -> int | None:
    """Since when a monitor of the column `subject` suspects a change; None if none does.

    `suspects`: by the fingerprint of a monitor.
    """
    monitors = [name + end for name in (*_MONITORS.values(), KIND, TIMES, SENT_TWICE) for end in ("", DAILY)]
    return first_suspicion(suspects, monitors, [subject])


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
    seen, changed = [], dict[str, Observation]()
    for name in dict.fromkeys(name for window in (*like, now) for name in window.columns):
        subject = subject_of(table, name)
        spread = [(season, window.column(name)) for season, window in reference.spread if _holds(table, window, name)]
        columns = [window.column(name) for window in like if _holds(table, window, name)]
        if name in MARKS and not columns:  # windows of this weekday are from before the service
            columns = [column for _, column in spread]
        if subject not in ignore and columns and len(spread) >= FEWEST_DAYS and _holds(table, now, name):
            alike = dependence(now, usual, name)
            observed = _of_column(subject, name, columns, now.column(name), spread, least, suffix, alike)
            for look in filter(_is_of_values, observed):
                changed[name] = look
            seen += observed
    return _with_exchanges(seen, changed, like, now)


def _with_exchanges(
    seen: Sequence[Observation], changed: Mapping[str, Observation], like: Sequence[TableProfile], now: TableProfile
) -> list[Observation]:
    """The observations, those of two columns in each other's place with the words for it in their evidence.

    `changed`: by column, those whose values are distributed otherwise.
    """
    if len(changed) < 2:
        return list(seen)
    effect = max(float(str(look.evidence["design_effect"])) for look in changed.values())
    usual = {name: [window.column(name) for window in like] for name in changed}
    pairs = exchanges(usual, {name: now.column(name) for name in changed}, effect)
    words = {changed[name].subject: pair.words for pair in pairs for name in pair.columns}
    return [
        replace(look, evidence={**look.evidence, EXCHANGED: words[look.subject]})
        if look.subject in words and _is_of_values(look)
        else look
        for look in seen
    ]


def _is_of_values(look: Observation) -> bool:
    """Whether a column holds other values than usual, in more rows than matter."""
    return look.matters and look.evidence.get("aspect") == "values"


def _holds(table: str, window: TableProfile, name: str) -> bool:
    """Whether a window says something of a column: one that it lacks is missing, but for features of other versions.

    Marks are known of some rows alone, such as live ones, and of no windows that an earlier version took.
    """
    if name in MARKS:
        return window.column(name).numbers.count > 0
    return window.rows > 0 and (name in window.columns or not table.startswith(f"{FEATURES}."))


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
    if name in MARKS:
        return _of_mark(subject, name, like, now, spread, least, suffix, alike)
    before = _usual_kind(like)
    if before is not None and now.kind is not None and before != now.kind:
        message = f"{subject} holds values of kind {now.kind}, it held {before}"
        return [Observation(KIND + suffix, subject, float("inf"), True, message, "high", "own")]
    tests = column_tests(name, like, now, spread, alike)
    return [_observed(subject, test, _URGENT.get(subject, least), suffix) for test in tests]


def _of_mark(
    subject: str,
    name: str,
    like: Sequence[ColumnProfile],
    now: ColumnProfile,
    spread: Sequence[tuple[int, ColumnProfile]],
    least: float,
    suffix: str,
    alike: float,
) -> list[Observation]:
    """What delays, or repetition of rows, say; nothing where nothing can be said."""
    if now.numbers.count < FEWEST_ROWS:
        return []
    if name == DELAY:
        delayed = delay_test(like, now, spread, alike)
        return [] if delayed is None else [_observed_delay(subject, delayed, least, suffix)]
    repeated = repeated_test(like, now, spread, alike)
    return [] if repeated is None else [_observed_repeated(subject, repeated, least, suffix)]


def _observed_delay(subject: str, test: DelayTest, least: float, suffix: str) -> Observation:
    later = test.hours > 0
    if test.zone:
        why = f"their times are {test.zone} too {'early' if later else 'late'}, as in another time zone"
        why = f"they come late, or {why}" if later else why
    else:
        why = "they come late" if later else "their times are wrong, or a delay is over"
    message = f"{subject}: {test.words}, counted from their times: {why}"
    evidence: dict[str, object] = {
        "p": test.p,
        "distance": test.distance,
        "hours": test.hours,
        "design_effect": test.effect,
    }
    severity: Severity = "high" if test.distance >= _LARGE["values"] else "low"
    matters, e_value = test.distance >= least, float(e_of_p(test.p))
    return Observation(
        "times" + suffix, subject, e_value, matters, message, severity, "own", evidence, spell_us=SPELL_US
    )


def _observed_repeated(subject: str, test: RepeatedTest, least: float, suffix: str) -> Observation:
    message = (
        f"{subject}: {test.now:.1%} of the rows repeat another of the same minute, usually {test.before:.1%}: "
        "they are sent twice, under new ids"
    )
    evidence: dict[str, object] = {
        "p": test.p,
        "distance": test.distance,
        "repeated": test.now,
        "usual": test.before,
        "design_effect": test.effect,
    }
    severity: Severity = "high" if test.distance >= _LARGE["missing"] else "low"
    e_value = float(e_of_p(test.p))
    matters, e_value = test.distance >= least, e_value if test.distance else min(e_value, 0.5)  # fewer are fine
    return Observation(
        "sent_twice" + suffix, subject, e_value, matters, message, severity, "own", evidence, spell_us=SPELL_US
    )


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
        spell_us=SPELL_US,
    )
