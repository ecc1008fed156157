"""An observation: what a monitor saw in one window, before anyone decides whether it is worth a finding."""

from typing import Any

from msgspec import Struct

from flyball.monitoring.findings.finding import POOLED_US, FaultOrigin, Finding, Severity

DAILY = "-daily"
"""The end of the names of monitors that look at days what others look at in shorter windows."""


class Observation(Struct, frozen=True):
    """One look of a monitor at its subject; `monitor`, `subject`, `severity`, `origin`: as in `Finding`.

    `e_value`: 0 or more, with an expectation of at most 1 given the past while nothing is wrong; infinite for a fact
    that needs no test, such as a column that disappeared. `matters`: whether what was seen is large enough to be worth
    a finding. `message`: one sentence with numbers, which becomes that of the finding. `evidence`: plain values.
    `daily`: whether the look is the only one of its day. `spell_us`: looks within so many microseconds share what was
    odd, such as weather, and count as one; 0 for a monitor whose looks depend on nothing that lasts. `of_quality`:
    whether it looks at how good all answers are; such monitors are few and have a part of the budget for themselves.
    `pooled_us`: of a look at all rows of a spell, how long that is; it stands for those looks of the spell that could
    not be taken of windows with too few rows. 0 for a look at a window.
    """

    monitor: str
    subject: str
    e_value: float
    matters: bool
    message: str
    severity: Severity = "low"
    origin: FaultOrigin = "unknown"
    evidence: dict[str, Any] = {}
    daily: bool = False
    spell_us: int = 0
    of_quality: bool = False
    pooled_us: int = 0

    def finding(self, at_us: int, since_us: int) -> Finding:
        """The finding that this observation becomes; times in microseconds since 1970."""
        evidence = {**self.evidence, POOLED_US: self.pooled_us} if self.pooled_us else self.evidence
        return Finding(self.monitor, self.subject, at_us, since_us, self.severity, self.message, self.origin, evidence)


def other_monitor(monitor: str) -> str:
    """The name of the monitor that looks at days instead of windows, or the reverse.

    >>> other_monitor("shift"), other_monitor("shift-daily")
    ('shift-daily', 'shift')
    """
    return monitor.removesuffix(DAILY) if monitor.endswith(DAILY) else monitor + DAILY
