"""Detects that most of a source's first lines are bad, and says the likely cause: mostly a wrong setting."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from flyball.core import FlyballError
from flyball.events.formats import BadLine

FIRST_LINES = 5_000
"""The number of first lines that are counted."""

ENOUGH_LINES, ENOUGH_OF_TYPE, ENOUGH_AT_THE_END = 1_000, 200, 20
"""The least numbers of lines for a conclusion: of all types, of one type, and of a source that has ended."""

_LIMIT = re.compile(r"(\w+) must be an? (?:integer|number) (<=|<|>=|>) (-?[0-9.]+), got (-?[0-9.]+)\Z")

_CAUSES = {
    "future": "are their times in another zone (fb.columns(zone=...), FLYBALL_ZONE) or unit (fb.columns(unit=...))?",
    "too_old": "is this history? Then ingest it with --as history",
    "bad_time": "say how times are written: fb.columns(at_format=..., zone=..., unit=...)",
    "unknown_type": "is it another format (--format), or do its columns have other names (fb.columns(rename=...))?",
    "missing_field": "do its columns have other names (fb.columns(rename=...))?",
    "too_long": "is it another format (--format)?",
}


class Stopped(FlyballError):
    """Most of the first lines of a source are bad: correct the cause and ingest it again, or keep going."""

    def __init__(self, likely: str, read: int, accepted: int, quarantined: int) -> None:
        self.likely, self.read, self.accepted, self.quarantined = likely, read, accepted, quarantined
        super().__init__(
            f"{likely}. Stopped after {read:,} lines ({accepted:,} accepted, {quarantined:,} in quarantine). Correct "
            "the cause and run it again, nothing is ingested twice; or continue with --keep-going"
        )


class MostlyBad:
    """Counts a source's first lines by type and reason."""

    def __init__(self) -> None:
        self._lines = 0
        self._of_type: Counter[str] = Counter()
        self._bad: dict[tuple[str, str], list[BadLine]] = {}

    def add(self, good_types: Iterable[str], bad: Sequence[BadLine]) -> None:
        """Count some lines; those beyond the first `FIRST_LINES` are ignored."""
        if self._lines >= FIRST_LINES:
            return
        good = Counter(good_types)
        self._of_type += good + Counter(line.type for line in bad)
        self._lines += good.total() + len(bad)
        for line in bad:
            self._bad.setdefault((line.type, line.reason), []).append(line)

    def finding(self, enough: int = ENOUGH_LINES) -> str:
        """The likely cause when over half of the lines, or of those of a type, are bad for one reason; else ""."""
        if self._lines < max(enough, 1):
            return ""
        by_reason: dict[str, list[BadLine]] = {}
        for (_, reason), lines in self._bad.items():
            by_reason.setdefault(reason, []).extend(lines)
        for reason, lines in by_reason.items():
            if 2 * len(lines) > self._lines:
                return _described(f"the first {self._lines:,} lines", reason, lines)
        for (kind, reason), lines in self._bad.items():
            if kind and self._of_type[kind] >= min(enough, ENOUGH_OF_TYPE) and 2 * len(lines) > self._of_type[kind]:
                return _described(f"the first {self._of_type[kind]:,} lines with a {kind}", reason, lines)
        return ""


def _described(which: str, reason: str, lines: Sequence[BadLine]) -> str:
    return f"{len(lines):,} of {which} went to quarantine as {reason}: {likely_cause(reason, lines)}"


def likely_cause(reason: str, lines: Sequence[BadLine]) -> str:
    """The likely cause of what the lines have in common.

    >>> wrong = [BadLine(0, "out_of_range", f"stars must be an integer <= 5, got {stars}") for stars in (6, 10, 8)]
    >>> likely_cause("out_of_range", wrong)
    'stars must be <= 5, got up to 10: is the scale 10? Declare it so'
    """
    matches = [match for line in lines if (match := _LIMIT.match(line.detail))]
    limits = Counter(match.group(1, 2, 3) for match in matches)
    (field, sign, limit), agreeing = limits.most_common(1)[0] if limits else (("", "", ""), 0)
    if 2 * agreeing > len(lines):
        values = [float(match[4]) for match in matches if match.group(1, 2, 3) == (field, sign, limit)]
        if "<" in sign:
            most = f"{max(values):g}"
            return f"{field} must be {sign} {limit}, got up to {most}: is the scale {most}? Declare it so"
        return f"{field} must be {sign} {limit}, got down to {min(values):g}: is the declared range too narrow?"
    example = lines[0].detail
    if "row must be" in example:
        cause = "is the delimiter another one (fb.columns(delimiter=...))?"
    elif "must be JSON" in example:
        cause = "is it another format (--format)?"
    elif "fb.columns(" in example:
        cause = "declare it so"
    else:
        cause = _CAUSES.get(reason, "does the declaration fit this source, and is it the right --format?")
    return f"{example}; {cause}"
