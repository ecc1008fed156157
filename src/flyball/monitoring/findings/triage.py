"""The first question about a finding: is it a fault of our own, or did the world change?

Rules, the first that holds: what a release of ours changed; a whole table at once, which has one source; a change of
unit; predictions that changed while no input did. What no rule explains stays as its monitor said.
"""

from collections import Counter
from collections.abc import Sequence
from math import log10

from msgspec import Struct
from msgspec.structs import replace

from flyball.core import format_second
from flyball.monitoring.findings.finding import Finding

_PREDICTIONS = "predictions"
_AT_ONCE = 3
_UNIT_TOLERANCE = 0.08
"""How far a ratio of medians may be from a power of ten, as its decimal logarithm: 20 %."""


class TriageContext(Struct, frozen=True):
    """What happened to the application lately. `champion`, `champion_since_us`: what serves, and since when."""

    champion: str = ""
    champion_since_us: int | None = None


def triage(findings: Sequence[Finding], context: TriageContext) -> tuple[Finding, ...]:
    """The findings of a round, each with its likely origin, and in `evidence["likely"]` and its message the reason."""
    tables = Counter(
        table_of(finding) for finding in findings if finding.monitor.startswith(("shift", "missing", "length"))
    )
    inputs_changed = any(finding.subject.startswith("events.") for finding in findings)
    return tuple(_explained(finding, tables, inputs_changed, context) for finding in findings)


def table_of(finding: Finding) -> str:
    """The table that a finding is about, such as "events.Buy" or "predictions"."""
    parts = finding.subject.split(".")
    return parts[0] if parts[0] == _PREDICTIONS else ".".join(parts[:2])


def _explained(finding: Finding, tables: Counter[str], inputs_changed: bool, context: TriageContext) -> Finding:
    likely = _likely(finding, tables, inputs_changed, context)
    if not likely:
        return finding
    message = f"{finding.message}; likely our own: {likely}"
    return replace(finding, origin="own", message=message, evidence={**finding.evidence, "likely": likely})


def _likely(finding: Finding, tables: Counter[str], inputs_changed: bool, context: TriageContext) -> str:
    """Why the finding is likely to be our own fault, "" if nothing says so."""
    if not finding.monitor.startswith(("shift", "missing", "length")):
        return ""
    table = table_of(finding)
    if table == _PREDICTIONS:
        since_us = context.champion_since_us
        if since_us is not None and finding.since_us - (finding.at_us - finding.since_us) <= since_us <= finding.at_us:
            return f"{context.champion} became the champion at {format_second(since_us)}"
        return "" if inputs_changed else "no input changed, so the model, its features or its service did"
    if tables[table] >= _AT_ONCE:
        return f"{tables[table]} columns of {table} changed at once, so their source did"
    return _unit(finding)


def _unit(finding: Finding) -> str:
    medians = finding.evidence.get("medians")
    if not (isinstance(medians, list | tuple) and len(medians) == 2 and all(median > 0 for median in medians)):
        return ""
    power = log10(medians[1] / medians[0])
    if round(power) == 0 or abs(power - round(power)) > _UNIT_TOLERANCE:
        return ""
    factor = f"{10 ** abs(round(power)):,}"
    times = f"{factor} times" if power > 0 else f"1/{factor} of"
    return f"the values are {times} the usual ones, as by a change of unit"
