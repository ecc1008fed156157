"""An observation: what a monitor saw in one window, before anyone decides whether it is worth a finding."""

from typing import Any

from msgspec import Struct

from flyball.monitoring.findings.finding import FaultOrigin, Finding, Severity


class Observation(Struct, frozen=True):
    """One look of a monitor at its subject; `monitor`, `subject`, `severity`, `origin`: as in `Finding`.

    `e_value`: 0 or more, with an expectation of at most 1 given the past while nothing is wrong; infinite for a fact
    that needs no test, such as a column that disappeared. `matters`: whether what was seen is large enough to be worth
    a finding. `message`: one sentence with numbers, which becomes that of the finding. `evidence`: plain values.
    """

    monitor: str
    subject: str
    e_value: float
    matters: bool
    message: str
    severity: Severity = "low"
    origin: FaultOrigin = "unknown"
    evidence: dict[str, Any] = {}

    def finding(self, at_us: int, since_us: int) -> Finding:
        """The finding that this observation becomes; times in microseconds since 1970."""
        return Finding(
            self.monitor, self.subject, at_us, since_us, self.severity, self.message, self.origin, self.evidence
        )
